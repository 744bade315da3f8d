"""What came from cold wallets is explained by its record, and everything else is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from seawall.reconciliation.cold import judge_cold, judge_cold_postings
from seawall.reconciliation.facts import ColdTransfer, Payment, PostingLine, Sight
from tests.testing import policies

COLD, RESERVE = "customer-aster-cold", "customer-aster-reserve"
ADDRESS = "0x" + "d0" * 20
SIGHT = Sight(pinned=10, until=12, complete=True)
TRANSFER = ColdTransfer(
    id="7b",
    network="aster",
    from_wallet=COLD,
    to_wallet=RESERVE,
    to_address=ADDRESS,
    asset="AST",
    amount=500,
    state="arrived",
    block_number=9,
)
MOVED = Payment(
    network="aster",
    wallet=COLD,
    seq=1,
    to=ADDRESS,
    asset="AST",
    amount=500,
    tx_hash="0x01",
    block_number=9,
    withdrawal="7b",
)


def judged(
    *movements: Payment, sight: Sight | None = SIGHT, **changes: Any
) -> tuple[str, list[str], int]:
    """Stage, contradictions by name, and how many doubts."""
    found = judge_cold(replace(TRANSFER, **changes), movements, sight=sight)
    return found.stage, [each.name for each in found.contradictions], len(found.doubts)


@pytest.mark.parametrize(
    ("state", "stage"),
    [
        ("requested", "requested"),
        ("approved", "approved"),
        ("sent", "sent"),
        ("refused", "refused"),
    ],
)
def test_what_has_not_moved_is_as_far_as_it_is_on_record(state: str, stage: str) -> None:
    assert judged(state=state, block_number=None) == (stage, [], 0)


def test_an_arrival_is_explained_by_the_event_that_names_it() -> None:
    assert judged(MOVED) == ("arrived", [], 0)
    assert judged(MOVED, sight=None) == ("arrived", [], 0)
    assert judged(MOVED, state="sent", block_number=None) == ("not_posted", [], 0)


def test_what_moved_after_the_pinned_block_is_not_judged_by_records_of_before() -> None:
    later = replace(MOVED, block_number=11)
    for state in ("approved", "sent"):
        assert judged(later, state=state, block_number=None) == (state, [], 0)


@pytest.mark.parametrize(
    "changes",
    [{"amount": 499}, {"to": "0x" + "bb" * 20}, {"asset": "USDX"}, {"wallet": RESERVE}],
    ids=lambda each: next(iter(each)),
)
def test_what_differs_is_named(changes: dict[str, Any]) -> None:
    """In whatever state, and wherever it was seen."""
    moved = replace(MOVED, **changes)
    for state in ("sent", "arrived", "held"):
        assert judged(moved, state=state) == ("contradicted", ["cold-transfer-differs"], 0)
    late = replace(moved, block_number=11)
    assert judged(late)[1] == ["cold-transfer-differs"]
    assert judged(moved, state="resolved", tx_hash=moved.tx_hash) == ("resolved", [], 0)


def test_people_have_looked_at_what_the_venue_had_seen_and_at_nothing_else() -> None:
    """What moved later under the same id is in doubt, also where nothing had moved."""
    other = replace(MOVED, tx_hash="0x02")
    assert judged(MOVED, other, state="resolved", tx_hash="0x01") == ("resolved", [], 1)
    assert judged(MOVED, other, state="resolved", tx_hash=None) == ("resolved", [], 2)
    assert judged(state="resolved", tx_hash=None) == ("resolved", [], 0)


@pytest.mark.parametrize("state", ["requested", "approved", "refused", "expired", "held"])
def test_what_moved_without_having_been_sent_is_named(state: str) -> None:
    assert judged(MOVED, state=state)[1] == ["cold-transfer-differs"]


def test_what_moved_twice_is_named() -> None:
    assert judged(MOVED, MOVED)[1] == ["cold-transfer-differs"]


def test_an_arrival_that_nobody_sees_is_named_or_in_doubt() -> None:
    assert judged() == ("contradicted", ["cold-transfer-without-movement"], 0)
    assert judged(sight=None) == ("arrived", [], 0)
    for sight in (replace(SIGHT, complete=False), replace(SIGHT, until=8)):
        assert judged(sight=sight) == ("not_seen", [], 1)


def test_postings_follow_from_arrivals() -> None:
    """As much, of the accounts of both wallets."""
    line = PostingLine(
        bucket="customer", network="aster", asset="AST", kind="cold", posting="cold", amount=-500
    )
    lines = [line, replace(line, kind="reserve", amount=500), replace(line, posting="fund")]
    wallets = policies.policy().wallets
    assert list(judge_cold_postings(lines, [TRANSFER], wallets)) == []
    [lacking, more] = judge_cold_postings(lines, [], wallets)
    assert (lacking.name, lacking.amount, more.amount) == ("postings-differ", 500, 500)
    [wrong] = judge_cold_postings([lines[0], replace(lines[1], amount=499)], [TRANSFER], wallets)
    assert wrong.amount == 1
