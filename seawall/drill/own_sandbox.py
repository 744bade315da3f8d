"""The deployment that a drill of one control uses: one of its own, or the sandbox that was kept."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seawall import setup
from seawall.drill.display import Display
from seawall.drill.interruption import end_like_ctrl_c
from seawall.formats.deployment import Deployment
from seawall.policy_file import load_policy
from seawall.processes.environment import clean_own_process
from seawall.sandbox_program import kept_deployment, running_sandbox


@contextmanager
def any_sandbox(
    drill: str, *, policy_path: Path, seed: int, display: Display
) -> Iterator[Deployment]:
    """The kept sandbox, or else one for ``drill`` alone; for drills that change nothing."""
    clean_own_process()
    kept = kept_deployment()
    if kept is not None:
        display.line(f"on the sandbox that is running, in {kept.data_dir}")
        yield kept
        return
    with own_sandbox(
        drill, policy_path=policy_path, seed=seed, sabotage=None, display=display
    ) as deployment:
        yield deployment


@contextmanager
def own_sandbox(
    drill: str, *, policy_path: Path, seed: int, sabotage: str | None, display: Display
) -> Iterator[Deployment]:
    """A sandbox for ``drill`` alone; nothing of it is left afterwards, whatever ends the drill.

    Raises what setting up and starting a sandbox raise.
    """
    end_like_ctrl_c(signal.SIGTERM)
    load_policy(policy_path)  # a wrong policy is refused before anything is built or started
    with setup.shown() as report:
        programs = setup.ensure(report=report)
    clean_own_process()
    display.phase("starting the sandbox")
    with running_sandbox(
        programs={name: located.path for name, located in programs.items()},
        policy_path=policy_path.resolve(),
        seed=seed,
        run_id=f"{drill}-{seed}-{uuid.uuid4().hex[:8]}",
        report=display.line,
        sabotage=sabotage,
    ) as sandbox:
        yield sandbox.deployment
