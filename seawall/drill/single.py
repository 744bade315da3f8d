"""Run a drill of one control from a policy to a verdict."""

from __future__ import annotations

import asyncio
import json
import secrets
import shlex
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seawall import setup
from seawall.conventions import sabotage as sabotage_names
from seawall.drill.collect import finish, note_components
from seawall.drill.display import Display
from seawall.drill.neighbour import plan
from seawall.drill.neighbour.flood import flood
from seawall.drill.own_sandbox import own_sandbox, set_up
from seawall.drill.result import Results
from seawall.drill.sabotage import require_whole
from seawall.drill.segregation.control import SignerDoor
from seawall.drill.segregation.deployments import on_deployment, on_real_stack, stack_outputs
from seawall.drill.segregation.run import drill_segregation
from seawall.drill.stack import GivenStack, alone_on
from seawall.errors import UsageError
from seawall.formats.atomic import write_whole
from seawall.formats.run_directory import (
    Manifest,
    create_run_directory,
    describe,
    named_from,
    point_latest_at,
    write_policy,
)
from seawall.kill_switch import KillSwitchWatch, kill_switches
from seawall.policy import Policy
from seawall.policy.drilling import NEIGHBOUR, SEGREGATION
from seawall.policy_file import load_policy
from seawall.processes.environment import clean_own_process
from seawall.sandbox_program import kept_deployment
from seawall.scorecard import write
from seawall.scorecard.checks.neighbour import CALM_S, FLOOD_S
from seawall.scorecard.one_control import Who

_NO_SEED = 0
"""Of a drill that tries everything there is."""


def drill_neighbour(
    *, root: Path, policy_path: Path, seed: int | None, sabotage: str | None
) -> Results:
    """Flood one bucket's signer while another's works.

    Raises :class:`UsageError` for another sabotage, :class:`PolicyError`, and what bringing up a
    sandbox raises.
    """
    if sabotage not in (None, sabotage_names.SABOTAGE_BULKHEAD):
        message = f"this drill covers no control called {sabotage!r} that could be switched off"
        raise UsageError(message, remedy=f"one of: {sabotage_names.SABOTAGE_BULKHEAD}")
    policy = load_policy(policy_path)
    wallets = _wallets(policy)
    seed = secrets.randbelow(2**31) if seed is None else seed
    region = policy.regions.primary
    programs = set_up()
    with Display() as display:
        words = ["--seed", str(seed), *(["--sabotage", sabotage] if sabotage else [])]
        run = _Run.begin(
            NEIGHBOUR,
            root=root,
            policy=policy,
            policy_path=policy_path,
            seed=seed,
            words=words,
            sabotage=sabotage,
            programs=programs,
            knobs={
                "calm_s": CALM_S,
                "flood_s": FLOOD_S,
                "flood_over_quota": float(plan.FLOOD_OVER_QUOTA),
                "quiet_per_s": plan.QUIET_PER_S,
            },
        )
        display.line(f"seed {seed}; replay with: {run.manifest.replay}")
        with own_sandbox(
            NEIGHBOUR,
            programs=programs,
            policy_path=policy_path,
            seed=seed,
            sabotage=sabotage,
            run_dir=run.run_dir,
            display=display,
        ) as stack:
            deployment = stack.deployment
            run.runs_on(deployment.stack, deployment.kind)
            signer = deployment.signers[region]
            quota = signer.operations_per_s
            declared = stack_outputs(deployment)["signers"]
            display.phase(
                f"{wallets['quiet']} signs calmly; after {CALM_S:g} s {wallets['noisy']} asks for"
                f" {float(plan.FLOOD_OVER_QUOTA):g} times the quota of {quota} signatures a second,"
                f" for {FLOOD_S:g} s"
            )
            answers = asyncio.run(
                flood(
                    plan.plan(operations_per_s=quota, seed=seed),
                    door=SignerDoor(url=signer.url, headers=signer.headers("prover")),
                    region=region,
                    stack=deployment.stack,
                    wallets=wallets,
                    addresses={wallet: declared[wallet]["address"] for wallet in wallets.values()},
                )
            )
            note_components(run.manifest, stack.components)
        evidence = {
            "region": region,
            "operations_per_s": quota,
            "wallets": wallets,
            "answers": [asdict(answer) for answer in answers],
        }
        return run.judged(evidence, display)


def drill_segregation_in_sandbox(*, root: Path, policy_path: Path) -> Results:
    """Try the matrix in a sandbox, the kept one if there is one.

    Raises what bringing up a sandbox and :func:`drill_segregation` raise.
    """
    switches = kill_switches(None)  # read before the user's environment is forgotten
    load_policy(policy_path)  # a wrong policy is refused before anything is built or started
    kept = kept_deployment()
    programs = set_up() if kept is None else {}
    with Display() as display, ExitStack() as opened:
        if kept is None:
            run = _segregation(root=root, policy_path=policy_path, programs=programs)
            sandbox = own_sandbox(
                SEGREGATION,
                programs=programs,
                policy_path=policy_path,
                seed=1,
                sabotage=None,
                run_dir=run.run_dir,
                display=display,
            )
            stack = opened.enter_context(sandbox)
        else:
            clean_own_process()
            require_whole(kept, SEGREGATION)
            run = _segregation(root=root, policy_path=kept.policy)
            display.line(f"on the sandbox that is running, in {kept.data_dir}")
            stack = GivenStack(kept, own=())
        deployment = stack.deployment
        opened.enter_context(alone_on(deployment))
        of_stack = kill_switches(deployment.kill_switch, environment={})
        KillSwitchWatch(switches=[*switches, *of_stack]).require_armed()
        run.runs_on(deployment.stack, deployment.kind)
        drilled = on_deployment(deployment, load_policy(deployment.policy))
        evidence = drill_segregation(drilled, report=display.phase)
        note_components(run.manifest, stack.components)
        return run.judged(evidence, display)


def drill_segregation_on_stack(
    *, root: Path, policy_path: Path, stack: str, outputs: Path, venue: Path | None
) -> Results:
    """Try the matrix on a real stack. Raises what :func:`drill_segregation` raises."""
    KillSwitchWatch(switches=kill_switches(None)).require_armed()
    policy = load_policy(policy_path)
    drilled = on_real_stack(policy, stack=stack, outputs=outputs, venue=venue)
    words = ["--stack", stack, "--outputs", str(outputs)]
    words += ["--venue", str(venue)] if venue is not None else []
    with Display() as display:
        run = _segregation(root=root, policy_path=policy_path, words=words)
        run.runs_on(stack, None)
        return run.judged(drill_segregation(drilled, report=display.phase), display)


@dataclass(kw_only=True)
class _Run:
    """The run directory of one drill, which is judged from what is there alone."""

    manifest: Manifest
    run_dir: Path

    @classmethod
    def begin(
        cls,
        drill: str,
        *,
        root: Path,
        policy: Policy,
        policy_path: Path,
        seed: int,
        words: Sequence[str],
        sabotage: str | None,
        programs: Mapping[str, setup.Located],
        knobs: Mapping[str, Any],
    ) -> _Run:
        """Make it, with the policy and a manifest that is not finished.

        ``words`` are what the command must be given to do the same again, beside the policy.
        """
        run_dir = create_run_directory(root, seed=seed, drill=drill, now=time.time())
        named = named_from(root, policy_path.resolve())
        manifest = describe(
            policy,
            root=root,
            policy_path=named,
            run_id=f"{run_dir.name}-{uuid.uuid4().hex[:8]}",
            seed=seed,
            gameday=None,
            drill=drill,
            replay=shlex.join(["bin/seawall", "drill", drill, *words, "--policy", named]),
            sabotage=sabotage,
            programs={
                name: setup.format_version(located.version) for name, located in programs.items()
            },
            knobs=knobs,
        )
        manifest.write(run_dir)
        write_policy(policy, run_dir)
        return cls(manifest=manifest, run_dir=run_dir)

    def runs_on(self, stack: str, kind: str | None) -> None:
        """Note where the drill takes place: an interrupted one must count as one on this stack."""
        self.manifest.stack, self.manifest.kind = stack, kind
        self.manifest.write(self.run_dir)
        point_latest_at(self.run_dir)

    def judged(self, evidence: Mapping[str, Any], display: Display) -> Results:
        """Keep ``evidence`` and judge the run directory. Raises :class:`WorldError`."""
        drill = self.manifest.drill
        write_whole(self.run_dir / f"{drill}.json", json.dumps(evidence, indent=1) + "\n")
        finish(self.manifest, self.run_dir)
        display.phase("judging the evidence")
        return Results(
            gameday=None,
            seed=self.manifest.seed,
            sabotage=self.manifest.sabotage,
            drills=(drill,),
            verdicts=[(drill, self.run_dir, write(self.run_dir))],
        )


def _segregation(
    *,
    root: Path,
    policy_path: Path,
    words: Sequence[str] = (),
    programs: Mapping[str, setup.Located] | None = None,
) -> _Run:
    return _Run.begin(
        SEGREGATION,
        root=root,
        policy=load_policy(policy_path),
        policy_path=policy_path,
        seed=_NO_SEED,
        words=words,
        sabotage=None,
        programs=programs or {},
        knobs={},
    )


def _wallets(policy: Policy) -> dict[Who, str]:
    """The wallets of the noisy and of the quiet bucket.

    The first wallet that pays customers, and one of another bucket on its network: escrow's if
    there is one, because other people's trades depend on it. Raises :class:`UsageError` if there is
    no other bucket with a key.
    """
    noisy, paying = next(iter(policy.payout_wallets().items()))
    others = [
        (name, wallet.bucket)
        for name, wallet in policy.signing_wallets().items()
        if wallet.bucket != paying.bucket and wallet.network == paying.network
    ]
    if not others:
        message = f"no bucket but {paying.bucket} has a key on {paying.network}"
        raise UsageError(
            message, remedy="a bulkhead needs two buckets; declare a wallet of another one"
        )
    quiet = next((name for name, bucket in others if bucket == "escrow"), others[0][0])
    return {"noisy": noisy, "quiet": quiet}
