"""A whole game day: from a policy and a seed to a verdict and an exit code."""

from __future__ import annotations

import secrets
import signal
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from seawall import setup
from seawall.conventions import sabotage as sabotage_names
from seawall.drill.collect import collect, finish
from seawall.drill.display import Display
from seawall.drill.interruption import end_like_ctrl_c
from seawall.drill.shock import Drill
from seawall.errors import ExitCode, SeawallError, UsageError
from seawall.formats import timeline
from seawall.formats.deployment import set_run_directory
from seawall.formats.run_directory import (
    Manifest,
    create_run_directory,
    describe,
    point_latest_at,
    write_policy,
)
from seawall.formats.venue_records import connect
from seawall.kill_switch import KillSwitch, KillSwitchWatch, kill_switches
from seawall.policy import GameDay, Policy
from seawall.policy_file import load_policy
from seawall.processes.environment import clean_own_process
from seawall.sandbox_program import RunningSandbox, running_sandbox
from seawall.scorecard import terminal_summary, write


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for, checked: nothing is started before all of it makes sense."""

    root: Path
    policy: Policy
    policy_path: Path
    day: GameDay
    seed: int
    sabotage: str | None
    keep: bool

    @property
    def replay(self) -> str:
        """The command that runs the same drill again."""
        words = ["bin/seawall gameday", f"--seed {self.seed}", f"--gameday {self.day.name}"]
        words.append(f"--policy {named_from(self.root, self.policy_path)}")
        words += [f"--sabotage {self.sabotage}"] if self.sabotage else []
        return " ".join(words)


def make_request(
    *,
    root: Path,
    policy_path: Path,
    name: str | None,
    seed: int | None,
    sabotage: str | None,
    keep: bool,
) -> Request:
    """Check everything that can be checked beforehand.

    Raises :class:`PolicyError` or :class:`UsageError`.
    """
    policy = load_policy(policy_path)
    try:
        day = policy.gameday(name)
    except KeyError as error:
        message = f"the policy has no game day called {name!r}"
        raise UsageError(
            message, remedy=f"one of: {', '.join(day.name for day in policy.gamedays)}"
        ) from error
    if sabotage in sabotage_names.FORMER_SPELLINGS:
        former, sabotage = sabotage, sabotage_names.FORMER_SPELLINGS[sabotage]
        sys.stderr.write(f"--sabotage {former} is an old spelling of --sabotage {sabotage}\n")
    if sabotage is not None and sabotage not in sabotage_names.GAMEDAY_SABOTAGES:
        message = f"a game day covers no control called {sabotage!r} that could be switched off"
        raise UsageError(message, remedy=f"one of: {', '.join(sabotage_names.GAMEDAY_SABOTAGES)}")
    return Request(
        root=root,
        policy=policy,
        policy_path=policy_path.resolve(),
        day=day,
        seed=secrets.randbelow(2**31) if seed is None else seed,
        sabotage=sabotage,
        keep=keep,
    )


def named_from(root: Path, path: Path) -> str:
    """``path`` as a user in ``root`` would write it."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def run_gameday(request: Request, *, as_json: bool) -> int:
    """Drill once; returns the verdict's exit code.

    Raises the error tree for everything that prevents a drill.
    """
    end_like_ctrl_c(signal.SIGTERM)
    # Read before the user's environment is forgotten: a stack that schedules game days names its
    # kill switch there, and the credentials that read it.
    switches = kill_switches(None)
    KillSwitchWatch(switches=switches).require_armed()
    programs = _set_up()
    with Display() as display:
        display.line(f"seed {request.seed}; replay with: {request.replay}")
        run_dir = create_run_directory(request.root, seed=request.seed, now=time.time())
        manifest = describe(
            request.policy,
            root=request.root,
            policy_path=named_from(request.root, request.policy_path),
            run_id=f"{run_dir.name}-{uuid.uuid4().hex[:8]}",
            seed=request.seed,
            gameday=request.day.name,
            sabotage=request.sabotage,
            programs={
                name: setup.format_version(located.version) for name, located in programs.items()
            },
        )
        manifest.write(run_dir)
        write_policy(request.policy, run_dir)
        _drill(
            request,
            programs={name: located.path for name, located in programs.items()},
            switches=switches,
            manifest=manifest,
            run_dir=run_dir,
            display=display,
        )
        display.phase("judging the evidence")
        verdict = write(run_dir)
    if as_json:
        print((run_dir / "verdict.json").read_text(encoding="utf-8"), end="")
    else:
        Console().print(terminal_summary(verdict, run_dir))
    return verdict.exit_code


def bring_up(request: Request) -> int:
    """Start a sandbox with its stack and venue, and leave it running."""
    end_like_ctrl_c(signal.SIGTERM)
    programs = _set_up()
    with Display() as display:
        display.phase("starting the sandbox")
        with running_sandbox(
            programs={name: located.path for name, located in programs.items()},
            policy_path=request.policy_path,
            gameday=request.day.name,
            seed=request.seed,
            run_id=f"up-{request.seed}-{uuid.uuid4().hex[:8]}",
            report=display.line,
            keep=True,
        ) as sandbox:
            deployment = sandbox.deployment
    print(f"the venue answers at {deployment.urls.api}")
    print(f"deployment file: {deployment.path}")
    print('use it by hand:  eval "$(bin/seawall env)"      remove it:  bin/seawall down')
    return ExitCode.PASS


def _set_up() -> Mapping[str, setup.Located]:
    """Make sure that every external program is there, then drop the user's variables.

    Set-up needs the user's proxy and registry settings; nothing after it may depend on them.
    """
    with setup.shown() as report:
        programs = setup.ensure(report=report)
    clean_own_process()
    return programs


def _drill(
    request: Request,
    *,
    programs: Mapping[str, Path],
    switches: Sequence[KillSwitch],
    manifest: Manifest,
    run_dir: Path,
    display: Display,
) -> None:
    """Bring a deployment up, apply the shock, gather the evidence.

    A drill that broke leaves what it has, and that is judged.
    """

    def event(name: str) -> None:
        if name == "sandbox.started":
            point_latest_at(run_dir)
        timeline.append(run_dir, source="gameday", event=name, at=time.time(), detail={})

    display.phase("starting the sandbox")
    with running_sandbox(
        programs=programs,
        policy_path=request.policy_path,
        gameday=request.day.name,
        seed=request.seed,
        run_id=manifest.run_id,
        report=display.line,
        event=event,
        sabotage=request.sabotage,
        keep=request.keep,
        logs_to=run_dir / "logs",
    ) as sandbox:
        try:
            _drill_on(
                sandbox,
                request,
                switches=switches,
                manifest=manifest,
                run_dir=run_dir,
                display=display,
            )
        except BaseException:
            if request.keep:
                display.line("the sandbox is still up: bin/seawall down removes it")
            raise


def _drill_on(
    sandbox: RunningSandbox,
    request: Request,
    *,
    switches: Sequence[KillSwitch],
    manifest: Manifest,
    run_dir: Path,
    display: Display,
) -> None:
    """Drill and gather; while it lasts, every process that writes evidence knows ``run_dir``."""
    data_dir = sandbox.deployment.data_dir
    set_run_directory(data_dir, run_dir)
    try:
        _drill_and_collect(
            sandbox, request, switches=switches, manifest=manifest, run_dir=run_dir, display=display
        )
    finally:
        # What happens on a kept sandbox from here on is no part of this run.
        set_run_directory(data_dir, None)
    finish(manifest, run_dir)


def _drill_and_collect(
    sandbox: RunningSandbox,
    request: Request,
    *,
    switches: Sequence[KillSwitch],
    manifest: Manifest,
    run_dir: Path,
    display: Display,
) -> None:
    deployment = sandbox.deployment
    records = connect(deployment)
    drill = Drill(
        sandbox=sandbox,
        records=records,
        policy=request.policy,
        day=request.day,
        root=request.root,
        run_dir=run_dir,
        display=display,
        switches=switches,
    )
    try:
        drill.run()
        drill.check()  # a part that died after the last look would go unseen
    except SeawallError as error:
        manifest.broke = str(error)
        drill.event("broke", reason=str(error))
        display.line(f"the drill broke: {error}")
    display.phase("gathering the evidence")
    try:
        manifest.components = [component.model_dump() for component in drill.components()]
    except SeawallError as error:
        manifest.broke = manifest.broke or str(error)
    collect(
        deployment,
        records=records,
        policy=request.policy,
        manifest=manifest,
        run_dir=run_dir,
        report=display.line,
    )
    drill.event("collected")
