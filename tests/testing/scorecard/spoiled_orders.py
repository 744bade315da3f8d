"""People steer the venue during a good run: what an order may have caused proves nothing then."""

from __future__ import annotations

from dataclasses import replace

from seawall.scorecard.checks import ALL
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.run import Run
from tests.testing.scorecard.spoiling import Spoil, ordered, us

FAIL, UNKNOWN = Outcome.FAIL, Outcome.UNKNOWN


def began(run: Run, seconds: float) -> Instant:
    """So many seconds after the drill began."""
    return Instant(round((run.manifest.started_at + seconds) * SECOND))


NOT_ASKED = frozenset({"tiers.reached", "tiers.avoided", "page.none", "failover.rails"})
"""Checks that the drill of the good run does not ask; the tests of days and of rails do."""
STEERED = {
    "drill.no_orders": UNKNOWN,
    **{check.id: UNKNOWN for check in ALL if check.steerable and check.id not in NOT_ASKED},
}
"""What leaves PASS when an order was in force."""

ORDERS: dict[str, tuple[Spoil, dict[str, Outcome]]] = {
    "a tier was ordered for the whole drill": (ordered, STEERED),
    "a tier that the triggers did not call for was ordered": (
        lambda run: ordered(run, kind="exactly", tier="normal"),
        STEERED,
    ),
    "payouts of a network were halted for a moment": (
        lambda run: ordered(
            run, kind="halt", tier=None, network="birch", made_at=us(40), ends_at=us(41)
        ),
        STEERED,
    ),
    "an order was made long before the drill and ended within it": (
        lambda run: ordered(run, made_at=us(-3_000), ended_at=began(run, 0.1), ended_by="lee"),
        STEERED,
    ),
    "an order ended just before the drill": (
        lambda run: ordered(run, made_at=us(-3_000), ended_at=began(run, -0.1), ended_by="lee"),
        {},
    ),
    "an order that the journal has is left out": (
        lambda run: {"decisions": ordered(run)["decisions"]},
        {"safety.journal_chain": FAIL},
    ),
    "an order was made and ended, and nobody wrote why": (
        lambda run: {
            "orders": (
                *run.orders,
                replace(run.orders[0], id="3", made_at=us(-900), ended_at=us(-800)),
            )
        },
        {"safety.journal_chain": FAIL},
    ),
}
"""By what is wrong: how to make it so, and the checks that leave PASS, with their outcomes."""
