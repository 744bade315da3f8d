"""Figures of a run that a readiness report follows over time: reported, never a gate.

Wallet coverage and top-up time are what people steer by between drills. A figure whose evidence is
not offered, or whose subject did not occur, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from seawall.conventions.evidence import Port
from seawall.errors import EvidenceError
from seawall.scorecard.facts import Facts
from seawall.scorecard.hot_wallets import hot_at, swept_from
from seawall.scorecard.readers import SECOND
from seawall.scorecard.verdict import Figure


def figures(facts: Facts) -> tuple[Figure, ...]:
    """Every figure that this run shows."""
    return tuple(found for make in _ALL for found in _made(make, facts))


def _made(make: Callable[[Facts], Figure | None], facts: Facts) -> Iterator[Figure]:
    try:
        found = make(facts)
    except EvidenceError:
        return
    if found is not None:
        yield found


def _coverage(facts: Facts) -> Figure | None:
    """What hot wallets held when the run began, and what was topped up, over what was asked for."""
    needed: tuple[Port, ...] = ("balances", "payouts", "signatures", "top_ups")
    if not all(facts.offers(port) for port in needed):
        return None
    policy = facts.run.policy
    asked = sum(
        {
            arrival.id: arrival.value_micro for arrival, _ in facts.sent if arrival.phase == "run"
        }.values()
    )
    if not asked:
        return None
    held = sum(
        policy.value_micro(asset, amount)
        for (_, asset), amount in hot_at(facts, facts.run_starts).whole().items()
    )
    added = sum(
        policy.value_micro(top_up.asset, top_up.amount)
        for top_up in facts.run.top_ups
        if swept_from(policy, top_up) is None
        and top_up.posted_at is not None
        and facts.run_starts <= top_up.posted_at <= facts.watch_ends
    )
    return Figure(
        id="wallet_coverage",
        title="hot balances and top-ups over what was asked for in the run",
        value=round((held + added) / asked, 4),
        unit="ratio",
    )


def _top_up(facts: Facts) -> Figure | None:
    """The slowest top-up, from its request to its posting."""
    if not facts.offers("top_ups"):
        return None
    took = [
        top_up.posted_at - top_up.requested_at
        for top_up in facts.run.top_ups
        if swept_from(facts.run.policy, top_up) is None
        and top_up.posted_at is not None
        and top_up.requested_at >= facts.calm_starts
    ]
    if not took:
        return None
    return Figure(
        id="top_up_max",
        title="the slowest top-up, from request to posting",
        value=round(max(took) / SECOND, 3),
        unit="s",
    )


_ALL: tuple[Callable[[Facts], Figure | None], ...] = (_coverage, _top_up)
