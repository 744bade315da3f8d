"""Ends a drill on a signal as Ctrl-C does, so that every ``finally`` runs."""

from __future__ import annotations

import signal
from types import FrameType


def end_like_ctrl_c(number: signal.Signals) -> None:
    """Make ``number`` end the drill the way Ctrl-C does: through every ``finally``."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(number, interrupt)
