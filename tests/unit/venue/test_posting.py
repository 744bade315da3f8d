"""The settlement of a payment for every combination of events and bitmap."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from venue.contracts.calls import Events, Item
from venue.settler.lanes import Lane
from venue.settler.posting import Settlement, settlement_of, without_blameless, without_impossible

ITEM = Item(seq=7, id=UUID(int=7), to="0x" + "ab" * 20, token="0x" + "00" * 20, amount=5)
ELSEWHERE = replace(ITEM, to="0x" + "cd" * 20)
OTHERS = replace(ITEM, id=UUID(int=8))
PAID, FAILED, UNCLEAR, UNTRIED = (
    Settlement(paid=(7,), failed=(), unclear=()),
    Settlement(paid=(), failed=(7,), unclear=()),
    Settlement(paid=(), failed=(), unclear=(7,)),
    Settlement(paid=(), failed=(), unclear=(), untried=(7,)),
)


def events(paid: Item | None = None, *, failed: bool = False) -> Events:
    """Events of one transaction about number 7."""
    return Events(
        paid={} if paid is None else {7: paid}, failed=frozenset({ITEM.number} if failed else ())
    )


@pytest.mark.parametrize(
    ("events", "bit", "succeeded", "settlement"),
    [
        pytest.param(events(ITEM), True, True, PAID, id="paid"),
        pytest.param(events(failed=True), False, True, FAILED, id="refused by its destination"),
        pytest.param(events(), False, False, UNTRIED, id="reverted with its whole batch"),
        pytest.param(events(ITEM), False, True, UNCLEAR, id="an event without its bit"),
        pytest.param(
            events(),
            True,
            True,
            UNCLEAR,
            id="a bit without its event: paid by another transaction, or burnt",
        ),
        pytest.param(
            events(failed=True), True, True, UNCLEAR, id="failed here, but the bit is set"
        ),
        pytest.param(events(ELSEWHERE), True, True, UNCLEAR, id="paid to somebody else"),
        pytest.param(events(OTHERS), True, True, UNCLEAR, id="paid for another withdrawal"),
        pytest.param(
            Events(paid={}, failed=frozenset({OTHERS.number})),
            False,
            True,
            UNCLEAR,
            id="another withdrawal failed under this number",
        ),
        pytest.param(events(), False, True, UNCLEAR, id="never mentioned"),
        pytest.param(events(), True, False, UNCLEAR, id="reverted, but the bit is set"),
    ],
)
def test_a_payment_counts_only_if_event_and_bit_agree(
    events: Events, bit: bool, succeeded: bool, settlement: Settlement
) -> None:
    """Paid needs both, failed needs both; all other combinations are held."""
    assert settlement_of([ITEM], events=events, bits={7: bit}, succeeded=succeeded) == settlement


def test_a_reverted_batch_is_tried_again_but_for_what_has_its_bit_set() -> None:
    """One bit that is set contradicts the revert: that item is held, and nobody else for it."""
    two = [ITEM, replace(ITEM, seq=8, amount=6)]
    both = settlement_of(two, events=events(), bits={7: False, 8: False}, succeeded=False)
    assert both == Settlement(paid=(), failed=(), unclear=(), untried=(7, 8))
    one = settlement_of(two, events=events(), bits={7: False, 8: True}, succeeded=False)
    assert one == Settlement(paid=(), failed=(), unclear=(8,), untried=(7,))


def test_what_no_window_could_pay_is_told_apart_from_what_waits_for_the_next_one() -> None:
    """A payment of exactly the cap fits into a window; one base unit more fits into none."""
    token = "0x" + "11" * 20
    items = [ITEM, replace(ITEM, seq=8, amount=6), replace(ITEM, seq=9, token=token, amount=1)]
    reverted = Settlement(paid=(), failed=(), unclear=(), untried=(7, 8, 9))
    found = without_impossible(reverted, items, caps={ITEM.token: 5, token: 0})
    assert (found.untried, found.above_cap) == ((7,), (8, 9))


def test_a_lane_halves_what_reverts_and_recovers_step_by_step() -> None:
    """So a batch that can never run is not built again for ever, and one payment is the least."""
    lane = Lane(
        chain_id=1, address="0xa", network="n", wallet="w", contract="0xc", purpose="payout"
    )
    sizes = []
    for _ in range(9):
        sizes.append(lane.items_max)
        lane.reverted(lane.items_max, rest_until_s=7.0)
    assert sizes == [200, 100, 50, 25, 12, 6, 3, 1, 1]
    assert lane.rest_until_s == 7.0
    for _ in range(9):
        lane.ran()
    assert lane.items_max == 200


def test_nobody_is_held_for_a_token_that_moved_for_nobody() -> None:
    """What failed in it waits; what failed in another asset is its destination's fault."""
    token = "0x" + "11" * 20
    items = [ITEM, replace(ITEM, seq=8, token=token, amount=6)]
    failed = Settlement(paid=(), failed=(7, 8), unclear=())
    found = without_blameless(failed, items, broken={token})
    assert (found.failed, found.blameless) == ((7,), (8,))
    assert not found.all_paid
    assert Settlement(paid=(7, 8), failed=(), unclear=()).all_paid
