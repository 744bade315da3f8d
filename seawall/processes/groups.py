"""Ends child processes that lead process groups of their own, all within one grace."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress


def signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send ``number`` to the process group of ``child``, if there still is one."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def end_groups(children: Iterable[subprocess.Popen[bytes]], *, grace_s: float) -> None:
    """End those that live: ask all, wait ``grace_s`` in all, then force what is left.

    Raises :class:`subprocess.TimeoutExpired` if one has not ended ``grace_s`` after it was killed;
    all were killed by then.
    """
    living = [child for child in children if child.poll() is None]
    for child in living:
        signal_group(child, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    for child in living:
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=max(0.0, deadline - time.monotonic()))
    for child in living:
        signal_group(child, signal.SIGKILL)
    for child in living:
        child.wait(timeout=grace_s)
