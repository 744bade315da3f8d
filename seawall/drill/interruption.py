"""How a drill is ended from outside.

Every signal that asks for it goes through every ``finally``.
"""

from __future__ import annotations

import signal
from types import FrameType


def end_like_ctrl_c(number: signal.Signals) -> None:
    """Make ``number`` end the drill the way Ctrl-C does: through every ``finally``."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(number, interrupt)
