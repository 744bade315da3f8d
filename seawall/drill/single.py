"""Run a drill of one control from a policy to an exit code."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import asdict
from pathlib import Path

from seawall.conventions import sabotage as sabotage_names
from seawall.conventions.drills import NEIGHBOUR, SEGREGATION
from seawall.drill.display import Display
from seawall.drill.neighbour import judge as neighbour
from seawall.drill.neighbour.flood import flood
from seawall.drill.neighbour.judge import Who
from seawall.drill.own_sandbox import any_sandbox, own_sandbox
from seawall.drill.result import DrillResult
from seawall.drill.segregation.deployments import on_deployment, on_real_stack, stack_outputs
from seawall.drill.segregation.page import render
from seawall.drill.segregation.run import drill_segregation
from seawall.errors import UsageError
from seawall.formats.run_directory import create_run_directory, write_policy
from seawall.policy import Policy
from seawall.policy_file import load_policy
from seawall.processes.failures import os_failure


def drill_neighbour(
    *, root: Path, policy_path: Path, seed: int | None, sabotage: str | None
) -> tuple[DrillResult, Path]:
    """Flood one bucket's signer while another's works.

    The result and the file that it was written to.

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
    with Display() as display:
        again = f"bin/seawall drill {NEIGHBOUR} --seed {seed}" + (
            f" --sabotage {sabotage}" if sabotage else ""
        )
        display.line(f"seed {seed}; replay with: {again}")
        directory = create_run_directory(root, seed=seed, drill=NEIGHBOUR, now=time.time())
        with own_sandbox(
            NEIGHBOUR, policy_path=policy_path, seed=seed, sabotage=sabotage, display=display
        ) as deployment:
            signer = deployment.signers[region]
            quota = signer.operations_per_s
            declared = stack_outputs(deployment)["signers"]
            display.phase(
                f"{wallets['quiet']} signs calmly; after {neighbour.CALM_S:g} s"
                f" {wallets['noisy']} asks for {float(neighbour.FLOOD_OVER_QUOTA):g} times the"
                f" quota of {quota} signatures a second, for {neighbour.FLOOD_S:g} s"
            )
            answers = asyncio.run(
                flood(
                    neighbour.plan(operations_per_s=quota, seed=seed),
                    url=signer.url,
                    region=region,
                    stack=deployment.stack,
                    wallets=wallets,
                    addresses={wallet: declared[wallet]["address"] for wallet in wallets.values()},
                )
            )
            display.phase("judging the answers")
    buckets = {who: policy.wallets[wallet].bucket for who, wallet in wallets.items()}
    findings = neighbour.judge(
        policy, answers, noisy=buckets["noisy"], quiet=buckets["quiet"], operations_per_s=quota
    )
    result = DrillResult(
        drill=NEIGHBOUR,
        sentence=f"a flood of {buckets['noisy']} against {buckets['quiet']} at one signer of"
        f" {region}",
        findings=findings,
        conditions={
            "seed": seed,
            "policy": policy.policy,
            "policy_digest": policy.digest,
            "sabotage": sabotage,
            "region": region,
            "operations_per_s": quota,
            "wallets": wallets,
        },
        evidence=[asdict(answer) for answer in answers],
    )
    write_policy(policy, directory)
    return result, result.write(directory)


def drill_segregation_in_sandbox(*, root: Path, policy_path: Path) -> tuple[DrillResult, Path]:
    """Try the matrix in a sandbox, the kept one if there is one.

    The result and the file that it was written to.
    """
    with Display() as display:
        directory = create_run_directory(root, seed=0, drill=SEGREGATION, now=time.time())
        with any_sandbox(
            SEGREGATION, policy_path=policy_path, seed=1, display=display
        ) as deployment:
            policy = load_policy(deployment.policy)
            result = drill_segregation(on_deployment(deployment, policy), report=display.phase)
    write_policy(policy, directory)
    return result, _written(result, directory)


def drill_segregation_on_stack(
    *, root: Path, policy_path: Path, stack: str, outputs: Path, venue: Path | None
) -> tuple[DrillResult, Path]:
    """Try the matrix on a real stack; the result and the file that it was written to."""
    policy = load_policy(policy_path)
    drilled = on_real_stack(policy, stack=stack, outputs=outputs, venue=venue)
    with Display() as display:
        directory = create_run_directory(root, seed=0, drill=SEGREGATION, now=time.time())
        result = drill_segregation(drilled, report=display.phase)
    write_policy(policy, directory)
    return result, _written(result, directory)


def _written(result: DrillResult, directory: Path) -> Path:
    """The evidence, and the matrix as a page beside it; the page is what a person is sent to."""
    page = result.write(directory).with_suffix(".html")
    try:
        page.write_text(render(result), encoding="utf-8")
    except OSError as error:
        raise os_failure(f"{page} cannot be written", error) from error
    return page


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
