"""The stack that a drill of one control uses: a sandbox of its own, or the one that was kept."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from seawall import setup
from seawall.drill.display import Display
from seawall.drill.interruption import end_like_ctrl_c
from seawall.drill.stack import Stack
from seawall.processes.environment import clean_own_process
from seawall.sandbox_program import running_sandbox


def set_up() -> Mapping[str, setup.Located]:
    """Make sure that every external program is there, then drop the user's variables.

    Set-up needs the user's proxy and registry settings; nothing after it may depend on them.

    Raises what setting up raises.
    """
    with setup.shown() as report:
        programs = setup.ensure(report=report)
    clean_own_process()
    return programs


@contextmanager
def own_sandbox(
    drill: str,
    *,
    programs: Mapping[str, setup.Located],
    policy_path: Path,
    seed: int,
    sabotage: str | None,
    run_dir: Path,
    display: Display,
) -> Iterator[Stack]:
    """A sandbox for ``drill`` alone; nothing of it is left afterwards, whatever ends the drill.

    Its logs are copied to ``run_dir``. Raises what starting a sandbox raises.
    """
    end_like_ctrl_c(signal.SIGTERM)
    display.phase("starting the sandbox")
    with running_sandbox(
        programs={name: located.path for name, located in programs.items()},
        policy_path=policy_path.resolve(),
        seed=seed,
        run_id=f"{drill}-{seed}-{uuid.uuid4().hex[:8]}",
        report=display.line,
        sabotage=sabotage,
        logs_to=run_dir / "logs",
    ) as sandbox:
        yield sandbox
