"""Niceness: who runs first when the processors are full.

With autogroups Linux shares the processors out twice: among sessions, by the niceness of their
autogroup, and then among the processes of one session, by their own (sched(7), "The autogroup
feature"). Whatever has a session of its own, as each component has, needs both.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

NICENESS_MAX = 19
"""The largest niceness that the kernel takes (setpriority(2))."""
_BETWEEN_S = 0.12
_TRIES = 50
"""The kernel lets ordinary users change one autogroup in 0.1 s, on the whole machine."""


def set_process(pid: int, niceness: int) -> None:
    """Set the niceness of ``pid`` alone, if the machine allows it."""
    try:
        os.setpriority(os.PRIO_PROCESS, pid, min(NICENESS_MAX, niceness))
    except (ProcessLookupError, PermissionError):
        return  # only root may go down; some machines refuse even to go up


def set_session(pid: int, niceness: int, *, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Set the niceness of the autogroup of ``pid``, and so of its whole session.

    A new session begins with 0, whatever that of the session is from which it was started. It takes
    a few seconds if others do the same at once. Returns whether the kernel took it: one without
    autogroups has nothing to set.
    """
    for _ in range(_TRIES):
        try:
            _autogroup(pid).write_text(str(min(NICENESS_MAX, niceness)), encoding="ascii")
        except BlockingIOError:
            sleep(_BETWEEN_S)
        except OSError:
            return False
        else:
            return True
    return False


def _autogroup(pid: int) -> Path:
    return Path(f"/proc/{pid}/autogroup")
