"""``python -m tests.testing.rails_killed --config FILE``: who pays over rails, until it is killed.

It dies as by ``kill -9`` at the crash point that the environment names: ``step, moment``, or
``step, moment #2`` at the second such point after the first instruction was answered.
"""

from __future__ import annotations

import os
import signal

from tests.testing.rails_harness import KILL_VARIABLE
from venue import crash_points
from venue.process import run
from venue.rails.__main__ import main

_POINT, _, _COUNT = os.environ[KILL_VARIABLE].partition(" #")
_left = int(_COUNT or 1)
_counts = not _COUNT


def _die(step: str, moment: str) -> None:
    global _left, _counts  # noqa: PLW0603 - one process, one death
    if f"{step}, {moment}" == _POINT and _counts:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    _counts = _counts or (step, moment) == ("instruct a provider", "after")


if __name__ == "__main__":
    crash_points.install(_die)
    run(main)
