"""Feasibility in logic: a tier that is entered can be left, and a trigger can fire in time.

No customer alone can enter a tier by the drawdown velocity, or keep it up.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from seawall.controls.breaker import BreakerSettings
from seawall.feasibility import steps
from seawall.feasibility.sums import Sum, Term, show

if TYPE_CHECKING:
    from seawall.policy.model import Policy, Trigger

_AGES = ("queue_age_s", "queue_age_guaranteed_s")
_MS_PER_S = 1_000


def in_logic(policy: Policy) -> Iterator[Sum]:
    """Per trigger: its indicator can reach ``enter_at`` and, on a calm day, is below its exit."""
    for index, trigger in enumerate(policy.triggers):
        path = f"triggers.{index}"
        if trigger.indicator == "drawdown_velocity":
            yield from _drawdown(policy, trigger, path)
        elif trigger.indicator == "signing_failures":
            yield _failures(policy, trigger, path)
        elif trigger.indicator in _AGES:
            yield from _ages(policy, trigger, path)


def _drawdown(policy: Policy, trigger: Trigger, path: str) -> Iterator[Sum]:
    targets = sum(
        Fraction(holding.target) * Fraction(policy.assets[asset].reference_price)
        for wallet in policy.payout_wallets().values()
        for asset, holding in wallet.holdings.items()
    )
    if targets == 0:
        return  # a rule names it
    yield Sum(
        kind="logic",
        name=f"reach of {trigger.name}",
        path=f"{path}.enter_at",
        relation="covers",
        limit=trigger.enter_at,
        unit="",
        terms=(
            Term(
                name="everything withdrawn",
                value=Fraction(policy.venue.liabilities) / targets,
                detail="venue.liabilities / all hot targets",
            ),
        ),
        remedy="lower enter_at: not even a customer who takes everything would reach it",
    )
    yield from _one_customer(policy, trigger, targets)


def _one_customer(policy: Policy, trigger: Trigger, targets: Fraction) -> Iterator[Sum]:
    """What one customer may ask for reaches the trigger neither once nor again and again.

    The limit holds for any time as long as its window, which is no shorter than the velocity's.
    To keep the tier, the velocity must be at its exit at least once in every ``exit_after``, each
    time by what was asked for in the velocity's window before. Of these windows, some that do not
    overlap begin at most a window and ``exit_after`` after each other, so within the limit's window
    there is a first one, and another for each time that this span fits behind it.
    """
    limits, velocity_ms = policy.limits, policy.indicators["drawdown_velocity"].window
    if velocity_ms is None:
        return  # a rule names it
    most = Term(
        name="all of one customer",
        value=Fraction(limits.withdrawal_value_max) / targets,
        detail="limits.withdrawal_value_max / all hot targets",
    )
    yield Sum(
        kind="logic",
        name=f"one customer does not force {trigger.name}",
        path="limits.withdrawal_value_max",
        relation="below",
        limit=trigger.enter_at,
        unit="",
        terms=(most,),
        remedy=(
            f"lower withdrawal_value_max, or raise the trigger's enter_at: one customer would force"
            f" {trigger.tier} for everybody"
        ),
    )
    span_ms = velocity_ms + policy.tiers.promise(trigger.tier).exit_after
    times = 1 + max(0, limits.window - velocity_ms) // span_ms
    yield Sum(
        kind="logic",
        name=f"one customer does not keep up {trigger.name}",
        path="limits.window",
        relation="below",
        limit=times * trigger.exit_below,
        unit="",
        terms=(most,),
        remedy=(
            "lengthen the window or lower withdrawal_value_max: one customer could ask for"
            f" {show(trigger.exit_below, '')} of the hot targets {times} times within it, and so"
            f" keep the venue in {trigger.tier}"
        ),
    )


def _failures(policy: Policy, trigger: Trigger, path: str) -> Sum:
    networks = len({wallet.network for wallet in policy.payout_wallets().values()})
    count = BreakerSettings().failures_to_open
    return Sum(
        kind="logic",
        name=f"reach of {trigger.name}",
        path=f"{path}.enter_at",
        relation="covers",
        limit=trigger.enter_at,
        unit="",
        terms=(
            Term(
                name="failures until the standby signs",
                value=Fraction(count * networks),
                detail=f"{count} open the breaker x {networks} networks",
            ),
        ),
        remedy="lower enter_at: once the standby signs, a dark primary fails no more",
    )


def _ages(policy: Policy, trigger: Trigger, path: str) -> Iterator[Sum]:
    """Sums of a trigger on an age.

    On a calm day the age is what a payment takes that waits for nothing, so the exit must be above
    that. A warning must come before the promise is broken.
    """
    for network in dict.fromkeys(wallet.network for wallet in policy.payout_wallets().values()):
        yield Sum(
            kind="logic",
            name=f"exit of {trigger.name} on {network}",
            path=f"{path}.exit_below",
            relation="below",
            limit=trigger.exit_below * _MS_PER_S,
            unit="ms",
            terms=(steps.claiming(), steps.signing(), *steps.becoming_final(policy, network)),
            remedy=(
                "raise exit_below above what a payment takes on a calm day, else the tier is never "
                "left"
            ),
        )
    if trigger.indicator == "queue_age_guaranteed_s":
        yield Sum(
            kind="logic",
            name=f"{trigger.name} before a customer waits too long",
            path=f"{path}.enter_at",
            relation="within",
            limit=Fraction(policy.targets.small_withdrawal_within),
            unit="ms",
            terms=(
                Term(name="enter at", value=trigger.enter_at * _MS_PER_S),
                *steps.noticing(policy),
            ),
            remedy=(
                "lower enter_at, or raise targets.small_withdrawal_within: the page would come "
                "after the broken promise"
            ),
        )
