"""The breach where customers cancelled: committed rows and request log agree on what counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from seawall.policy import MICRO
from seawall.scorecard.breach import breach
from seawall.scorecard.facts import MILLISECOND, Facts
from seawall.scorecard.readers import Instant
from seawall.scorecard.rows import FlowRow
from seawall.scorecard.run import Run


def _cancelled(rows: Iterable[FlowRow]) -> tuple[FlowRow, ...]:
    """What takes back each of ``rows`` ten milliseconds after its commit."""
    return tuple(
        replace(
            row,
            id=row.id + 100_000,
            kind="voided",
            reserved_at=row.committed_at,
            committed_at=Instant(row.committed_at + 10 * MILLISECOND),
        )
        for row in rows
    )


def test_what_another_customer_reserves_and_cancels_moves_no_breach(
    good_run: Run, altered: Callable[..., Run]
) -> None:
    """It is not in the request log, and no longer in the sum of the rows; kept, it would count."""
    expected = breach(Facts(good_run))
    first, crossing = good_run.flow[0], expected.row.at_us
    others = tuple(
        replace(
            first, id=10_000 + index, committed_at=Instant(at), count=1, value_micro=1_000 * MICRO
        )
        for index, at in enumerate(range(crossing - 4_000_000, crossing - 20_000, 29_411))
    )
    kept = breach(Facts(altered(flow=good_run.flow + others)))
    assert kept.row.at_us < crossing
    netted = breach(Facts(altered(flow=good_run.flow + others + _cancelled(others))))
    assert netted == expected
    assert netted.contradiction is None


def test_a_venue_that_takes_back_what_the_flood_asked_for_contradicts_the_log(
    good_run: Run, altered: Callable[..., Run]
) -> None:
    """The flood cancels nothing: such rows could only make the breach later than it was."""
    crossing = breach(Facts(good_run)).row.at_us
    asked = [row for row in good_run.flow if row.committed_at <= crossing]
    late = breach(Facts(altered(flow=good_run.flow + _cancelled(asked))))
    assert late.row.at_us > crossing
    assert late.contradiction is not None
