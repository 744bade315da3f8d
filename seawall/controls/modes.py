"""The tier machine, which decides when a venue changes its tier.

It enters a worse tier at once. It returns one tier at a time, after a dwell and unbroken calm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seawall.policy import TIERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from seawall.indicators import Sample
    from seawall.policy import IndicatorName, Policy, Tier, Trigger

_US_PER_MS = 1_000
QUEUE_AGE: IndicatorName = "queue_age_s"
"""The age of the oldest withdrawal that is neither posted nor voided, whatever the tier is."""
ORDERED = "The venue's operators have ordered this tier."
"""What the public is told of an order: neither who gave it nor why."""


@dataclass(frozen=True, kw_only=True)
class ModeState:
    """The tier in force, when it was entered, and since when its triggers have been calm.

    Times are microseconds of a clock that never steps. ``calm_since_us`` is None while a trigger is
    not calm.
    """

    tier: Tier
    since_us: int
    calm_since_us: int | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Go to ``tier`` for ``reason``; ``trigger`` is what forced it, None on the way back.

    The reason is for the records. If it was ``ordered``, it names a person, and the public is told
    less: :attr:`shown`.
    """

    tier: Tier
    reason: str
    trigger: str | None
    ordered: bool = False

    @property
    def shown(self) -> str:
        """The reason as anybody may read it."""
        return ORDERED if self.ordered else self.reason


def watch(policy: Policy, state: ModeState, sample: Sample) -> ModeState:
    """``state`` with its calm clock started, kept running or reset, as ``sample`` demands."""
    if not _calm(policy, state.tier, sample):
        return replace(state, calm_since_us=None)
    return state if state.calm_since_us is not None else replace(state, calm_since_us=sample.at_us)


def decide(policy: Policy, state: ModeState, sample: Sample, now_us: int) -> Decision | None:
    """What ``sample`` demands of a venue in ``state``, or None to stay.

    A trigger of a worse tier at or above its ``enter_at`` enters that tier at once, past tiers in
    between. A tier is left for the next calmer one when it has lasted ``dwell_min`` and every
    trigger of it and of worse tiers has been below ``exit_below`` for ``exit_after`` without a
    break. ``state`` must have watched ``sample`` already.
    """
    rank = TIERS.index(state.tier)
    for tier in reversed(TIERS[rank + 1 :]):
        for trigger in policy.triggers:
            level = sample.levels[trigger.indicator]
            if trigger.tier == tier and level >= trigger.enter_at:
                return Decision(tier=tier, reason=_why(trigger, level), trigger=trigger.name)
    if rank == 0 or state.calm_since_us is None:
        return None
    promise = policy.tiers.promise(state.tier)
    if (
        now_us - state.since_us < promise.dwell_min * _US_PER_MS
        or now_us - state.calm_since_us < promise.exit_after * _US_PER_MS
    ):
        return None
    names = ", ".join(trigger.name for trigger in _holding(policy, state.tier))
    reason = (
        f"{names} below exit for {promise.exit_after} ms, {state.tier} for "
        f"{(now_us - state.since_us) // _US_PER_MS} ms"
    )
    return Decision(tier=TIERS[rank - 1], reason=reason, trigger=None)


@dataclass(frozen=True, kw_only=True)
class TierOrder:
    """What an operator ordered: a tier that is to be in force, ``exactly`` or at least."""

    id: int
    tier: Tier
    exactly: bool
    operator: str
    justification: str

    @property
    def reason(self) -> str:
        """Why the tier is what it is, for the records."""
        return f"order {self.id} of {self.operator}: {self.justification}"


def under_orders(
    state: ModeState, decision: Decision | None, orders: Sequence[TierOrder]
) -> Decision | None:
    """``decision`` as far as ``orders`` in force, oldest first, leave it; None to stay.

    The newest exact order wins over everything. Of the others the worst tier is a floor: triggers
    lead above it, and the way back ends there.
    """
    exact = [order for order in orders if order.exactly]
    if exact:
        wanted = exact[-1]
        if state.tier == wanted.tier:
            return None
        return Decision(tier=wanted.tier, reason=wanted.reason, trigger=None, ordered=True)
    if not orders:
        return decision
    floor = max(orders, key=lambda order: TIERS.index(order.tier))
    tier = state.tier if decision is None else decision.tier
    if TIERS.index(tier) >= TIERS.index(floor.tier):
        return decision
    if TIERS.index(state.tier) >= TIERS.index(floor.tier):
        return None
    return Decision(tier=floor.tier, reason=floor.reason, trigger=None, ordered=True)


def settling_ms(policy: Policy, *, left_normal: bool) -> int:
    """How long after a recovery the machine may still flip for a cause from before it.

    A sum over a window remembers a row for as long as its window. What the tiers held back comes
    when they are left, and shows at the pace at which the machine moves: its longest stay, or the
    longest calm that it asks for. A machine that never left normal held nothing back. A withdrawal
    that stands still since before the recovery may be young then, and a trigger by age is reached
    later than any watch ends. But after :func:`drained_age_ms` it is too old for a drained queue,
    so nothing had recovered.
    """
    windows = [
        policy.indicators[trigger.indicator].window or 0
        for trigger in policy.triggers
        if trigger.indicator in policy.indicators
    ]
    promises = [policy.tiers.promise(tier) for tier in TIERS] if left_normal else []
    holds = [hold for promise in promises for hold in (promise.dwell_min, promise.exit_after)]
    return max(drained_age_ms(policy) or 0, *windows, *holds)


def drained_age_ms(policy: Policy) -> int | None:
    """The age in milliseconds below which nothing that waits is a backlog.

    A calm venue always has some withdrawals under way. It is the lowest exit level of the triggers
    on the age of the whole queue; None if the policy declares none.
    """
    levels = [each.exit_below for each in policy.triggers if each.indicator == QUEUE_AGE]
    return int(min(levels) * 1_000) if levels else None


def _holding(policy: Policy, tier: Tier) -> tuple[Trigger, ...]:
    """The triggers that keep a venue in ``tier``: its own and those of worse tiers."""
    return tuple(
        trigger
        for trigger in policy.triggers
        if TIERS.index(trigger.tier) >= max(1, TIERS.index(tier))
    )


def _calm(policy: Policy, tier: Tier, sample: Sample) -> bool:
    return all(
        sample.levels[trigger.indicator] < trigger.exit_below for trigger in _holding(policy, tier)
    )


def _why(trigger: Trigger, level: Fraction) -> str:
    reached = f"{float(level):.3f} reached {float(trigger.enter_at):.3f}"
    return f"{trigger.name}: {trigger.indicator} {reached}. {trigger.customer_impact}"
