"""The stage of a drill.

A sandbox of its own, brought up whole and removed again, or the one that was kept.
"""

from __future__ import annotations

import shutil
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.bring_up import Stage, bring_up_stage
from sandbox.kept import kept_data_dir, load_record, new_data_dir
from sandbox.supervisor import Sandbox
from seawall import setup
from seawall.drill.display import Display
from seawall.drill.interruption import end_like_ctrl_c
from seawall.policy import Policy
from seawall.policy_file import load_policy


@contextmanager
def any_sandbox(
    drill: str, *, root: Path, policy_path: Path, seed: int, display: Display
) -> Iterator[tuple[Sandbox, Policy]]:
    """The sandbox that was kept, with its policy, or else one for ``drill`` alone.

    For drills that change nothing.
    """
    kept = kept_data_dir()
    if kept is not None:
        display.line(f"on the sandbox that is running, in {kept}")
        yield Sandbox.attach(kept), load_policy(load_record(kept).policy_path)
        return
    with own_stage(
        drill, root=root, policy_path=policy_path, seed=seed, sabotage=None, display=display
    ) as stage:
        yield stage.sandbox, stage.policy


@contextmanager
def own_stage(
    drill: str, *, root: Path, policy_path: Path, seed: int, sabotage: str | None, display: Display
) -> Iterator[Stage]:
    """A whole stage for ``drill`` alone; nothing of it is left afterwards, whatever ends the drill.

    Raises what setting up and starting a sandbox raise.
    """
    end_like_ctrl_c(signal.SIGTERM)
    policy = load_policy(policy_path)
    with setup.shown() as report:
        programs = setup.ensure(report=report)
    display.phase("starting the sandbox")
    run_id = f"{drill}-{seed}-{uuid.uuid4().hex[:8]}"
    data_dir = new_data_dir(run_id)
    sandbox = Sandbox.start(
        policy=policy,
        policy_path=policy_path.resolve(),
        run_id=run_id,
        data_dir=data_dir,
        programs={name: located.path for name, located in programs.items()},
        report=display.line,
        sabotage=sabotage,
    )
    try:
        yield bring_up_stage(
            sandbox,
            root=root,
            policy=policy,
            policy_path=policy_path.resolve(),
            gameday=policy.gameday().name,
            seed=seed,
            report=display.line,
            event=lambda _name: None,
        )
    finally:
        sandbox.close()
        shutil.rmtree(data_dir, ignore_errors=True)
