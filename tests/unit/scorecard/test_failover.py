"""The failover of signing: of which networks it must be known, whoever was turned away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from seawall.scorecard.checks import ALL
from seawall.scorecard.facts import Facts
from seawall.scorecard.judgement import ask
from seawall.scorecard.outcome import Finding, Outcome
from seawall.scorecard.run import Run
from tests.testing.scorecard.spoiling import each, standby_late, us, without
from tests.testing.scorecard.story import EFFECTIVE, REVERTED

Alter = Callable[..., Run]
Files = dict[str, Any]
FAIL, UNKNOWN, PASS = Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS
BY_ID = {check.id: check for check in ALL}
IDLE = "birch"
"""The network without work in the dark."""


def _found(run: Run) -> Finding:
    return ask(BY_ID["failover.time"], Facts(run))


def _idle(run: Run) -> Files:
    """Nothing on record of ``IDLE`` had to be paid in the dark."""
    return {
        "withdrawals": without(
            run.withdrawals,
            lambda row: row.network == IDLE and (row.resolved_at or 0) > us(EFFECTIVE),
        )
    }


def _of_idle(run: Run) -> set[int]:
    return {row.index for row in run.arrivals if row.network == IDLE}


def _turned_away(run: Run) -> Files:
    """All customers of ``IDLE`` were turned away in the dark."""
    indexes = _of_idle(run)
    refused = each(
        run.requests,
        lambda row: row.index in indexes and (row.sent_at or 0) > us(EFFECTIVE),
        status=503,
        outcome="refused",
    )
    return {**_idle(run), "requests": refused}


def _not_asked(run: Run, *, size: str | None = None) -> Files:
    """Nobody asked for anything of ``size`` on ``IDLE`` in the dark."""
    indexes = {
        row.index for row in run.arrivals if row.network == IDLE and size in (None, row.size)
    }
    return {
        **_idle(run),
        "requests": without(
            run.requests,
            lambda row: row.index in indexes and us(EFFECTIVE) <= (row.sent_at or 0) < us(REVERTED),
        ),
    }


def _asked_again(run: Run) -> Files:
    """All that was asked for on ``IDLE`` in the dark had been acknowledged before."""
    known = next(row.id for row in run.arrivals if row.network == IDLE)
    late = {row.index for row in run.requests if (row.sent_at or 0) > us(EFFECTIVE)}
    return {
        **_idle(run),
        "arrivals": each(
            run.arrivals, lambda row: row.network == IDLE and row.index in late, id=known, attempt=2
        ),
    }


def _taken_late(run: Run) -> Files:
    """The only ones on ``IDLE`` were sent just in time, and acknowledged when it was too late."""
    indexes = _of_idle(run)
    latest = us(REVERTED) - run.policy.targets.failover_max * 1_000
    late = each(
        run.requests,
        lambda row: row.index in indexes and (row.sent_at or 0) > us(EFFECTIVE),
        sent_at=latest - 1,
        done_at=latest + 1,
    )
    return {**_idle(run), "requests": late}


WITHOUT_WORK: dict[str, tuple[Callable[[Run], Files], Outcome]] = {
    "all its customers were turned away": (_turned_away, UNKNOWN),
    "they were acknowledged, and the records have none of it": (_idle, UNKNOWN),
    "small ones were asked for, and the records call them large": (
        lambda run: {
            "withdrawals": each(run.withdrawals, lambda row: row.network == IDLE, size="large")
        },
        UNKNOWN,
    ),
    "nobody asked": (_not_asked, PASS),
    "only large ones were asked for, which protected mode defers": (
        lambda run: _not_asked(run, size="small"),
        PASS,
    ),
    "all of it had been acknowledged before": (_asked_again, PASS),
    "all of it was acknowledged too late to fail over for it": (_taken_late, PASS),
}


@pytest.mark.parametrize("why", WITHOUT_WORK)
def test_a_network_that_customers_asked_to_pay_is_not_left_out(
    why: str, altered: Alter, good_run: Run
) -> None:
    """The other network failed over in time, which says nothing of this one."""
    spoil, outcome = WITHOUT_WORK[why]

    finding = _found(altered(**spoil(good_run)))

    assert finding.outcome is outcome, finding
    assert finding.reason.startswith(f"{IDLE}: no work: ") is (outcome is UNKNOWN), finding


def test_a_network_without_work_hides_no_lane_that_failed(altered: Alter, good_run: Run) -> None:
    late = altered(**standby_late(good_run, network="aster"))

    finding = _found(altered(**{**late.__dict__, **_turned_away(good_run)}))

    assert (finding.outcome, finding.reason.partition(":")[0]) == (FAIL, "customer-aster-hot")


def test_a_withdrawal_over_a_rail_is_no_work_of_a_network(altered: Alter, good_run: Run) -> None:
    """Its provider pays it, by a failover of its own."""
    rail = next(iter(good_run.policy.paying_rails()))
    asked = tuple(
        replace(row, network=rail) if row.network == IDLE else row for row in good_run.arrivals
    )

    assert _found(altered(**_idle(good_run), arrivals=asked)).outcome is PASS
