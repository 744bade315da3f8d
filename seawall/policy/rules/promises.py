"""Rules for triggers and tiers: a tier can be left, a worse tier never promises more."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from seawall.errors import Problem
from seawall.policy.drilling import LARGE_OVER_MIN
from seawall.policy.sections import TIERS

if TYPE_CHECKING:
    from seawall.policy.model import Policy

_WINDOWED = ("drawdown_velocity", "signing_failures")


def tiers(policy: Policy) -> Iterator[Problem]:
    """Every fault of triggers and of what tiers promise."""
    yield from _triggers(policy)
    yield from _sides(policy)
    yield from _order(policy)
    yield from _probing(policy)
    if policy.targets.small_withdrawals_completed_min:
        for tier in TIERS:
            if "withdrawals_small" not in policy.tiers.promise(tier).guarantees:
                yield Problem(
                    path=f"tiers.{tier}.guarantees",
                    found="no withdrawals_small",
                    remedy=(
                        "guarantee them, or set targets.small_withdrawals_completed_min to 0: a "
                        "target demands them in every tier"
                    ),
                )


def _probing(policy: Policy) -> Iterator[Problem]:
    """Faults of how promises are probed: too seldom, or not within any stay in protected mode."""
    probing = policy.probing
    for name in ("every", "answer_within"):
        found = getattr(probing, name)
        if found > probing.gap_max:
            yield Problem(
                path=f"probing.{name}",
                found=f"{found} ms, above gap_max {probing.gap_max} ms",
                remedy="write no more than gap_max, else even a promise that is kept has gaps",
            )
    yield from _prober(policy)
    stay = policy.tiers.protected.dwell_min
    if policy.tiers.protected.suspends and probing.gap_max > stay:
        yield Problem(
            path="probing.gap_max",
            found=f"{probing.gap_max} ms, above tiers.protected.dwell_min {stay} ms",
            remedy="write less, else protected mode may pass without a probe of what it promises",
        )


def _prober(policy: Policy) -> Iterator[Problem]:
    """Limits of a customer that the prober's own customers would exceed."""
    limits = policy.limits
    number = limits.window // policy.probing.every + 1
    if number > limits.withdrawals_max:
        yield Problem(
            path="limits.withdrawals_max",
            found=f"{limits.withdrawals_max}, where the prober asks {number} times within a window",
            remedy="allow as many, probe less often, or shorten limits.window: it would be refused",
        )
    asked = number * LARGE_OVER_MIN * Fraction(limits.large_transfer_value_min)
    if asked > limits.withdrawal_value_max:
        yield Problem(
            path="limits.withdrawal_value_max",
            found=f"{limits.withdrawal_value_max}, where the prober's large transfers within a"
            f" window are worth {float(asked):g}",
            remedy="allow as much, probe less often, or lower large_transfer_value_min: they would"
            " be refused",
        )


def _triggers(policy: Policy) -> Iterator[Problem]:
    names: set[str] = set()
    for index, trigger in enumerate(policy.triggers):
        path = f"triggers.{index}"
        if trigger.name in names:
            yield Problem(
                path=f"{path}.name",
                found=repr(trigger.name),
                remedy="give every trigger its own name",
            )
        names.add(trigger.name)
        settings = policy.indicators.get(trigger.indicator)
        if settings is not None and trigger.indicator in _WINDOWED and settings.window is None:
            yield Problem(
                path=f"indicators.{trigger.indicator}.window",
                found="nothing",
                remedy="give it a window, such as 15s",
            )
        if trigger.exit_below > trigger.enter_at:
            yield Problem(
                path=f"{path}.exit_below",
                found=f"{trigger.exit_below} above enter_at {trigger.enter_at}",
                remedy="leave a tier at or below the level that entered it, else it flaps",
            )
        if trigger.exit_below == 0:
            yield Problem(
                path=f"{path}.exit_below",
                found="0",
                remedy=(
                    "write a level that can be reached from above, else the tier can never be left"
                ),
            )
    for tier in TIERS[1:]:
        if not any(trigger.tier == tier for trigger in policy.triggers):
            yield Problem(
                path="triggers",
                found=f"none that enters {tier}",
                remedy="declare one; a tier that is never entered protects no customer",
            )


def _sides(policy: Policy) -> Iterator[Problem]:
    for tier in TIERS:
        promise = policy.tiers.promise(tier)
        for function in promise.guarantees:
            if function in promise.suspends or function in promise.defers:
                yield Problem(
                    path=f"tiers.{tier}",
                    found=f"{function} guaranteed and withheld",
                    remedy="keep it on one side",
                )
        for function in promise.defers:
            if function in promise.suspends:
                yield Problem(
                    path=f"tiers.{tier}",
                    found=f"{function} deferred and suspended",
                    remedy="keep it on one side",
                )


def _order(policy: Policy) -> Iterator[Problem]:
    for calmer, worse in pairwise(TIERS):
        calm, bad = policy.tiers.promise(calmer), policy.tiers.promise(worse)
        gained = set(bad.guarantees) - set(calm.guarantees)
        if gained:
            yield Problem(
                path=f"tiers.{worse}.guarantees",
                found=", ".join(sorted(gained)),
                remedy=f"a worse tier may not guarantee more than {calmer}",
            )
        kept = set(calm.suspends) - set(bad.suspends)
        if kept:
            yield Problem(
                path=f"tiers.{worse}.suspends",
                found=f"{', '.join(sorted(kept))} not suspended",
                remedy=f"suspend what {calmer} suspends already",
            )
