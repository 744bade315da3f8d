"""What customers do in a flood besides withdrawing: the names that flood and judge share."""

from __future__ import annotations

READS = ("login", "balances", "status", "follow_withdrawal")
"""Operations of the drill contract by which a customer looks, and moves no money."""

FOLLOW_READ = "follow_withdrawal"
"""The one that is about a withdrawal, and can only be asked once that was acknowledged."""

ANSWERED = "answered"
"""The outcome of a read whose answer was right; every other outcome is none that helps anybody."""

SAMPLES_MIN = 50
"""How many reads of an operation a run must have.

Fewer could not tell a share of 99 % from one of 95 %: two or three of fifty would fail.
"""
