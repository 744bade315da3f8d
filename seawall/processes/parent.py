"""The end of a process with the one that started it, also when that one is killed."""

from __future__ import annotations

import ctypes
import os
import signal

from seawall.conventions.environment import RUNNER_VARIABLE
from seawall.errors import ExitCode

_PR_SET_PDEATHSIG = 1


def signal_when_parent_dies(number: signal.Signals) -> None:
    """Let the kernel send ``number`` to this process when its parent dies (prctl(2)).

    The parent is the thread that started it, not the process: start it from one that stays.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number)


def end_with_runner() -> None:
    """For a program that a game day starts: SIGTERM when the runner dies, also by kill -9.

    Without a runner, as when a person starts the program, nothing changes.

    Raises:
        SystemExit: The runner has died already.
    """
    runner = os.environ.get(RUNNER_VARIABLE)
    if runner is None:
        return
    signal_when_parent_dies(signal.SIGTERM)
    if str(os.getppid()) != runner:
        raise SystemExit(int(ExitCode.UNKNOWN))
