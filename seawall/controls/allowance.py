"""What one customer may ask for within a window, and what of it is small.

Limits on single requests limit nobody: who wants more sends more of them. So all withdrawals that a
customer asks for within ``limits.window`` are judged together, on two counts.

- **How much is asked for**, cancelled or not: in value and in number. What was cancelled counts,
  because it has cost the venue its work, and because who reserves and cancels without end could
  else keep up the drawdown velocity with money that never leaves.
- **How much would leave**, without what was cancelled: whether a withdrawal is small, and whether
  its transfer between networks is large. A mistake that was cancelled makes nobody a whale.

Pure; times are microseconds of a clock that never steps (:mod:`seawall.controls.steady`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from seawall.policy import MICRO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from seawall.policy import Policy

_US_PER_MS = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A withdrawal that was accepted: when, what it is worth, and whether it was cancelled.

    ``cross_rail``: a balance on another network pays for it.
    """

    at_us: int
    value_micro: int
    cross_rail: bool = False
    cancelled: bool = False


@dataclass(frozen=True, kw_only=True)
class Full:
    """A limit has no room for a request; it has again after ``room_in_ms``."""

    limit: Literal["value", "number"]
    room_in_ms: int


def window_us(policy: Policy) -> int:
    """Length of the window."""
    return policy.limits.window * _US_PER_MS


def within_window(policy: Policy, asked: Iterable[Asked], *, now_us: int) -> list[Asked]:
    """What of ``asked`` counts at ``now_us``, in order of time."""
    since_us = now_us - window_us(policy)
    return sorted((each for each in asked if each.at_us > since_us), key=lambda each: each.at_us)


def full(policy: Policy, asked: Sequence[Asked], *, value_micro: int, now_us: int) -> Full | None:
    """The limit that a request of ``value_micro`` would exceed, or None.

    Args:
        policy: The policy in force.
        asked: What the customer has asked for, as :func:`within_window` gives it.
        value_micro: What the request is worth; no more than may be asked for at all.
        now_us: The present.

    Raises:
        ValueError: there is never room for so much.
    """
    over = sum(each.value_micro for each in asked) + value_micro - value_micro_max(policy)
    too_many = len(asked) + 1 - policy.limits.withdrawals_max
    if over <= 0 and too_many <= 0:
        return None
    freed = 0
    for count, each in enumerate(asked, start=1):
        freed += each.value_micro
        if freed >= over and count >= too_many:
            left_us = each.at_us + window_us(policy) - now_us
            return Full(
                limit="value" if over > 0 else "number",
                room_in_ms=max(1, -(-left_us // _US_PER_MS)),
            )
    raise ValueError(f"a request of {value_micro} millionths never has room")


def value_micro_max(policy: Policy) -> int:
    """The most that a customer may ask for within the window, in millionths."""
    return int(policy.limits.withdrawal_value_max * MICRO)


def leaving_micro(asked: Iterable[Asked], *, cross_rail: bool = False) -> int:
    """What would leave of ``asked``; of transfers between networks alone if ``cross_rail``."""
    return sum(
        each.value_micro
        for each in asked
        if not each.cancelled and (each.cross_rail or not cross_rail)
    )
