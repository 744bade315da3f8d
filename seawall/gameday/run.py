"""A whole game day: from a policy and a seed to a verdict and an exit code."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import secrets
import shutil
import signal
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from rich.console import Console

from seawall import conventions, setup
from seawall.errors import DrillError, ExitCode, SeawallError, UsageError
from seawall.evidence.chain import export_chain
from seawall.evidence.metrics import export_metrics
from seawall.evidence.records import export_records
from seawall.gameday.display import Display
from seawall.gameday.drill import Drill
from seawall.gameday.rundir import Manifest, create_run_directory, describe
from seawall.gameday.stage import Stage, bring_up_stage
from seawall.lease import timeline
from seawall.policy import GameDay, Policy, load_policy
from seawall.sandbox import Sandbox
from seawall.sandbox.kept import new_data_dir
from seawall.scorecard import seal, terminal_summary, write


def run_gameday(
    *,
    root: Path,
    policy_path: Path,
    name: str | None,
    seed: int | None,
    sabotage: str | None,
    keep: bool,
    as_json: bool,
) -> int:
    """Drill once; returns the verdict's exit code. Raises the error tree for everything that prevents a drill."""
    policy, day = _policy_and_day(policy_path, name)
    if sabotage is not None and sabotage not in conventions.SABOTAGES:
        message = f"there is no control called {sabotage!r} to switch off"
        raise UsageError(message, remedy=f"one of: {', '.join(conventions.SABOTAGES)}")
    seed = secrets.randbelow(2**31) if seed is None else seed
    _end_like_ctrl_c(signal.SIGTERM)
    programs = _programs()
    with Display() as display:
        display.line(
            f"seed {seed}; replay with: bin/seawall gameday --seed {seed}"
            + (f" --sabotage {sabotage}" if sabotage else "")
        )
        run_dir = create_run_directory(root, seed=seed, now=time.time())
        run_id = f"{run_dir.name}-{uuid.uuid4().hex[:8]}"
        versions = {program: setup.format_version(located.version) for program, located in programs.items()}
        manifest = describe(
            policy, root=root, run_id=run_id, seed=seed, gameday=day.name, sabotage=sabotage, programs=versions
        )
        manifest.write(run_dir)
        (run_dir / "policy.json").write_text(
            json.dumps(policy.model_dump(mode="json", by_alias=True), indent=1) + "\n", encoding="utf-8"
        )
        _drill(
            root=root, policy=policy, policy_path=policy_path, day=day, programs=programs, manifest=manifest, run_dir=run_dir,
            display=display, keep=keep,
        )  # fmt: skip
        display.phase("judging the evidence")
        verdict = write(run_dir)
    if as_json:
        print((run_dir / "verdict.json").read_text(encoding="utf-8"), end="")
    else:
        Console().print(terminal_summary(verdict, run_dir))
    return verdict.exit_code


def bring_up(*, root: Path, policy_path: Path, seed: int) -> int:
    """Start sandbox, stack and venue, and leave them running."""
    policy, day = _policy_and_day(policy_path, None)
    _end_like_ctrl_c(signal.SIGTERM)
    programs = _programs()
    with Display() as display:
        run_id = f"up-{seed}-{uuid.uuid4().hex[:8]}"
        data_dir = new_data_dir(run_id)
        sandbox = _start_sandbox(
            policy,
            policy_path,
            run_id=run_id,
            data_dir=data_dir,
            programs=programs,
            display=display,
            sabotage=None,
            keep=True,
        )
        try:
            stage = bring_up_stage(
                sandbox,
                root=root,
                policy=policy,
                policy_path=policy_path.resolve(),
                gameday=day.name,
                seed=seed,
                report=display.line,
                event=lambda _name: None,
            )
        except BaseException:
            sandbox.close()
            raise
    print(f"the venue answers at {stage.sandbox.targets.urls.api}")
    print('use it by hand:  eval "$(bin/seawall env)"      remove it:  bin/seawall down')
    return ExitCode.PASS


def _policy_and_day(policy_path: Path, name: str | None) -> tuple[Policy, GameDay]:
    policy = load_policy(policy_path)
    try:
        return policy, policy.gameday(name)
    except KeyError as error:
        message = f"the policy has no game day called {name!r}"
        raise UsageError(message, remedy=f"one of: {', '.join(day.name for day in policy.gamedays)}") from error


def _programs() -> Mapping[str, setup.Located]:
    with setup.shown() as report:
        return setup.ensure(report=report)


def _start_sandbox(
    policy: Policy, policy_path: Path, *, run_id: str, data_dir: Path, programs: Mapping[str, setup.Located], display: Display, sabotage: str | None, keep: bool
) -> Sandbox:  # fmt: skip
    display.phase("starting the sandbox")
    return Sandbox.start(
        policy=policy,
        policy_path=policy_path.resolve(),
        run_id=run_id,
        data_dir=data_dir,
        programs={name: located.path for name, located in programs.items()},
        report=display.line,
        sabotage=sabotage,
        keep=keep,
    )


def _drill(
    *, root: Path, policy: Policy, policy_path: Path, day: GameDay, programs: Mapping[str, setup.Located], manifest: Manifest, run_dir: Path,
    display: Display, keep: bool,
) -> None:  # fmt: skip
    """Bring the stage up, apply the shock, gather the evidence; a drill that broke leaves what it has, and that is judged."""
    data_dir = new_data_dir(manifest.run_id)
    sandbox = _start_sandbox(
        policy,
        policy_path,
        run_id=manifest.run_id,
        data_dir=data_dir,
        programs=programs,
        display=display,
        sabotage=manifest.sabotage,
        keep=keep,
    )
    try:
        sandbox.set_run_dir(run_dir)

        def event(name: str) -> None:
            timeline.append(run_dir, source="gameday", event=name, at=time.time(), detail={})

        event("sandbox.started")
        stage = bring_up_stage(
            sandbox,
            root=root,
            policy=policy,
            policy_path=policy_path.resolve(),
            gameday=day.name,
            seed=manifest.seed,
            report=display.line,
            event=event,
        )
        drill = Drill(stage=stage, day=day, root=root, run_dir=run_dir, display=display)
        try:
            drill.run()
        except DrillError as error:
            display.line(f"the drill broke: {error}")
        display.phase("gathering the evidence")
        manifest.components = [dataclasses.asdict(component) for component in sandbox.components()]
        _collect(stage, drill=drill, manifest=manifest, run_dir=run_dir, display=display)
    finally:
        shutil.copytree(data_dir / "logs", run_dir / "logs", dirs_exist_ok=True)
        if not keep:
            sandbox.close()
            shutil.rmtree(data_dir, ignore_errors=True)


def _collect(stage: Stage, *, drill: Drill, manifest: Manifest, run_dir: Path, display: Display) -> None:
    """Gather each source by itself: one that cannot be read is missing evidence, which the scorecard calls UNKNOWN."""
    sandbox = stage.sandbox
    now = time.time()

    def pages() -> None:
        shutil.copyfile(sandbox.data_dir / "pages.jsonl", run_dir / "pages.jsonl")

    def arrivals() -> None:
        shutil.copyfile(sandbox.data_dir / "arrivals.csv", run_dir / "arrivals.csv")

    def records() -> None:
        asyncio.run(export_records(stage.auditor_url, into=run_dir / "records"))

    def chain() -> None:
        export_chain(stage.chain_sites(), observed=_observed_blocks(run_dir / "probes.jsonl"), into=run_dir / "chain")

    def metrics() -> None:
        export_metrics(
            sandbox.targets.urls.prometheus, start=manifest.started_at, end=now, step_s=1, into=run_dir / "metrics.json"
        )

    for gather in (records, chain, metrics, pages, arrivals):
        try:
            gather()
        except (SeawallError, OSError) as error:
            display.line(f"{gather.__name__}: {error}")
    drill.event("collected")
    manifest.ended_at = time.time()
    manifest.files = seal(run_dir)
    manifest.write(run_dir)


def _observed_blocks(probes: Path) -> dict[tuple[str, int], float]:
    """When the prober first saw each block."""
    seen: dict[tuple[str, int], float] = {}
    with probes.open(encoding="utf-8") as lines:
        for line in lines:
            if '"block"' not in line:
                continue
            entry = json.loads(line)
            if entry["probe"] == "block" and entry["ok"]:
                seen.setdefault((entry["detail"]["network"], entry["detail"]["number"]), float(entry["done_at"]))
    return seen


def _end_like_ctrl_c(number: signal.Signals) -> None:
    """Make ``number`` end the drill the way Ctrl-C does: through every ``finally``."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(number, interrupt)
