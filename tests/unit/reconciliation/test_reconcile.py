"""A whole reconciliation of a small venue; one fact is spoiled at a time, and found by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest

from seawall.reconciliation.contradictions import COMPARISONS, TABLE, ContradictionName
from seawall.reconciliation.payouts import Stage
from seawall.reconciliation.result import Reconciliation
from seawall.scorecard.outcome import Outcome
from tests.testing.reconciled_cold import COLD, MOVED_BY, from_cold
from tests.testing.reconciled_rebalance import SPOILED_CROSSINGS, left_for_another_network
from tests.testing.reconciled_venue import (
    HOT,
    HOT_KEY,
    HOUSE,
    NETWORK,
    PINNED,
    QUIET,
    RESERVE,
    STRANGER,
    UNTIL,
    ReconciledVenue,
    approval_id,
    block_hash,
    destination,
    reconciled_venue,
    swept,
    top_up_id,
    tx_hash,
    withdrawal_id,
)

Spoil = Callable[[ReconciledVenue], Any]
Reconciling = Callable[..., Reconciliation]


def names(found: Reconciliation) -> list[str]:
    """The contradictions by name."""
    return [each.name for each in found.contradictions.each]


def test_every_base_unit_of_a_sound_venue_is_explained(reconciling: Reconciling) -> None:
    found = reconciling(reconciled_venue())

    assert (names(found), found.doubts.each) == ([], [])
    assert {each.name: each.outcome for each in found.comparisons} == dict.fromkeys(
        COMPARISONS, Outcome.PASS
    )
    assert found.outcome is Outcome.PASS
    assert {stage: (t.count, t.amount) for stage, t in found.stages[NETWORK, "AST"].items()} == {
        Stage.FINAL: (1, 1_001),
        Stage.HELD: (1, 3_003),
        Stage.NOT_POSTED: (1, 4_004),
        Stage.FAILED: (1, 5_005),
        Stage.FINAL_LATER: (1, 6_006),
        Stage.BROADCAST: (1, 7_007),
        Stage.SIGNED: (1, 8_008),
        Stage.SLOTTED: (1, 9_009),
        Stage.RESERVED: (1, 10_010),
        Stage.VOIDED: (1, 11_011),
    }
    assert {stage: (t.count, t.amount) for stage, t in found.top_ups[NETWORK, "AST"].items()} == {
        "final": (1, 500),
        "signed": (1, 600),
        "requested": (1, 700),
    }
    assert {stage: t.amount for stage, t in found.approvals[NETWORK, "AST"].items()} == {
        "final": 50,
        "signed": 60,
        "open": 70,
    }
    assert {stage: t.count for stage, t in found.approvals[NETWORK, ""].items()} == {"final": 1}
    pin = found.pins[NETWORK]
    assert (pin.number, pin.hash) == (PINNED, block_hash(PINNED))
    assert found.sights[NETWORK].until == UNTIL


def test_what_a_custodian_moved_is_explained_by_its_id(reconciling: Reconciling) -> None:
    """No slot is: the transaction is of the custodian's key."""
    found = reconciling(from_cold(reconciled_venue()))

    assert (names(found), found.doubts.each, found.outcome) == ([], [], Outcome.PASS)
    assert found.top_ups[NETWORK, "AST"]["arrived"].amount == 400


def test_what_a_carrier_has_is_explained_by_what_left(reconciling: Reconciling) -> None:
    """In transit in the ledger is what the reserve paid by its own slot, to the base unit."""
    found = reconciling(left_for_another_network(reconciled_venue()))

    assert (names(found), found.doubts.each, found.outcome) == ([], [], Outcome.PASS)
    assert found.top_ups[QUIET, "AST"]["in_transit"].amount == 300
    [notice] = [each for each in found.notices.each if each.name == "in-transit"]
    assert (notice.network, notice.amount) == (NETWORK, 300)
    [line] = [each for each in found.assets if (each.network, each.asset) == (NETWORK, "AST")]
    assert (line.left, line.difference) == (1_001 + 4_004 + 300, 0)


def test_what_came_less_what_left_is_what_is_there(reconciling: Reconciling) -> None:
    """Opening funding, what came from outside, and what was paid until the pinned block."""
    venue = reconciled_venue()
    found = reconciling(venue)

    [line] = [each for each in found.assets if each.asset == "AST"]
    assert line.opening == sum(
        row["amount"]
        for row in venue.ledger_by_posting
        if (row["posting"], row["asset"]) == ("fund", "AST") and row["amount"] > 0
    )
    assert (line.surpluses, line.other, line.left) == (70, 0, 1_001 + 4_004)
    assert line.opening is not None
    assert line.on_chain == line.opening + 70 - 1_001 - 4_004
    assert line.difference == 0


def test_what_is_explained_and_wants_somebody_is_listed_with_its_ids(
    reconciling: Reconciling,
) -> None:
    """What is held, with the reason that its customer is told; what failed; what is not posted."""
    found = {each.name: each for each in reconciling(reconciled_venue()).notices.each}

    assert found.keys() == {"held", "failed", "not-posted"}
    assert "as the customer is told" in found["held"].text
    assert found["held"].ids == {
        "withdrawal": withdrawal_id(3),
        "seq": 3,
        "slot": 1,
        "tx_hash": tx_hash(1),
        "block": 5,
    }
    assert found["not-posted"].ids == {
        "withdrawal": withdrawal_id(4),
        "seq": 4,
        "slot": 2,
        "tx_hash": tx_hash(2),
        "block": 8,
    }


def test_a_sweep_is_explained_as_what_stays_inside(reconciling: Reconciling) -> None:
    """It is a payment of the contract that pays customers, and no customer's."""
    venue = reconciled_venue()
    swept(venue)
    found = reconciling(venue)

    assert (names(found), found.doubts.each) == ([], [])
    assert found.outcome is Outcome.PASS
    assert found.top_ups[NETWORK, "AST"]["final"].amount == 500 + 90
    [line] = [each for each in found.assets if each.asset == "AST"]
    assert (line.other, line.left, line.difference) == (0, 1_001 + 4_004, 0)


def _escrow_pays(venue: ReconciledVenue) -> None:
    venue.entry("escrow", "post", "escrow", "USDX", 30)
    venue.posting("post", "customer", -30, "USDX")


def _sweep_to_a_stranger(venue: ReconciledVenue) -> None:
    swept(venue)
    venue.logs.pop()
    venue.balances[RESERVE, "AST"] -= 90
    venue.balances[HOT, "AST"] += 90
    venue.paid(1 << 39, 90, block=7, slot=41, of=top_up_id(4), to=STRANGER)


def _sweep_of_another_posting(venue: ReconciledVenue) -> None:
    swept(venue)
    venue.posting("sweep", "hot", -1)


def _sweep_on_no_record(venue: ReconciledVenue) -> None:
    swept(venue)
    venue.topups.pop()
    del venue.ledger_by_posting[-2:]


def _withdrawal(number: int, **changes: Any) -> Spoil:
    return lambda venue: venue.one("withdrawals", seq=number).update(changes)


def _slot(number: int, **changes: Any) -> Spoil:
    return lambda venue: venue.one("slots", id=number).update(changes)


def _signature(of_nonce: int, **changes: Any) -> Spoil:
    return lambda venue: venue.one("sign_log", address=HOT_KEY, nonce=of_nonce).update(changes)


def _again(venue: ReconciledVenue) -> None:
    """The fifth block paid the first withdrawal, and the ninth does so again."""
    venue.paid(1, 1_001, block=9, slot=2)


def _unpaid(venue: ReconciledVenue) -> None:
    """The first payment was never made, so the money is still there."""
    venue.logs.pop(0)
    venue.balances[HOT, "AST"] += 1_001


def _other_amount(venue: ReconciledVenue) -> None:
    venue.logs.pop(0)
    venue.balances[HOT, "AST"] += 1_001
    venue.paid(1, 1_002, block=5, slot=1)


def _other_asset(venue: ReconciledVenue) -> None:
    _unpaid(venue)
    venue.paid(1, 1_001, block=5, slot=1, asset="USDX")


def _stolen(venue: ReconciledVenue) -> None:
    """A transaction that is on no record pays the first withdrawal instead."""
    _unpaid(venue)
    venue.unrecorded(77, like=1)
    venue.paid(1, 1_001, block=5, slot=77)


def _paid_past_the_records(number: int, amount: int) -> Spoil:
    def spoil(venue: ReconciledVenue) -> None:
        venue.unrecorded(77, like=1)
        venue.paid(number, amount, block=9, slot=77)

    return spoil


def _other_call(venue: ReconciledVenue) -> None:
    venue.transactions[tx_hash(1)]["input"] = "0x00"


def _same_number(venue: ReconciledVenue) -> None:
    """Two withdrawals share a number, and the ledger follows from both."""
    venue.one("withdrawals", seq=11)["seq"] = 10
    venue.paid(10, 10_010, block=12, slot=3)


def _top_up(number: int, **changes: Any) -> Spoil:
    return lambda venue: venue.one("topups", id=top_up_id(number)).update(changes)


def _top_up_is_open(venue: ReconciledVenue) -> None:
    """What moved, and is still to be moved by the ledger."""
    venue.one("topups", id=top_up_id(1))["state"] = "slotted"
    venue.posting("topup", "reserve", 500)
    venue.posting("topup", "hot", -500)


def _approval(number: int, **changes: Any) -> Spoil:
    return lambda venue: venue.one("approvals", id=approval_id(number)).update(changes)


def _stolen_quorum(venue: ReconciledVenue) -> None:
    """A transfer that approvers' keys have signed, and nobody has asked the venue for."""
    venue.unrecorded(77, like=31)
    venue.executed(9, 123, block=9, slot=77, to=STRANGER)


def _executed_past_its_slot(venue: ReconciledVenue) -> None:
    venue.unrecorded(77, like=31)
    [log] = [each for each in venue.logs if each["transactionHash"] == tx_hash(31)]
    log["transactionHash"] = tx_hash(77)


def _not_executed(venue: ReconciledVenue) -> None:
    venue.logs[:] = [log for log in venue.logs if log["transactionHash"] != tx_hash(31)]
    venue.balances[RESERVE, "AST"] += 50
    venue.balances[HOUSE, "AST"] -= 50


def _postings(*entries: tuple[str, str, int]) -> Spoil:
    def spoil(venue: ReconciledVenue) -> None:
        for posting, kind, amount in entries:
            venue.posting(posting, kind, amount)

    return spoil


def _no_movement(venue: ReconciledVenue) -> None:
    venue.logs[:] = [log for log in venue.logs if log["transactionHash"] != tx_hash(21)]
    venue.balances[RESERVE, "AST"] += 500
    venue.balances[HOT, "AST"] -= 500


def _cold(**changes: Any) -> Spoil:
    def spoil(venue: ReconciledVenue) -> None:
        from_cold(venue).cold_transfers[0].update(changes)

    return spoil


def _cold_did_not_move(venue: ReconciledVenue) -> None:
    from_cold(venue)
    venue.logs[:] = [log for log in venue.logs if log["transactionHash"] != tx_hash(MOVED_BY)]
    venue.balances[COLD, "AST"] += 400
    venue.balances[RESERVE, "AST"] -= 400


def _robbed_cold(venue: ReconciledVenue) -> None:
    """The custodian's key moved money for which nobody has asked."""
    from_cold(venue)
    venue.paid(2, 5, block=7, slot=MOVED_BY, to=venue.addresses[RESERVE], wallet=COLD)


def _robbed_reserve(venue: ReconciledVenue) -> None:
    venue.unrecorded(77, like=21)
    venue.paid(99, 123, block=6, slot=77, to=STRANGER, wallet=RESERVE)


SPOILS: dict[str, tuple[Spoil, set[ContradictionName]]] = {
    "a payment that nobody asked for": (
        lambda venue: venue.paid(999, 5, block=9, slot=2),
        {"paid-without-withdrawal"},
    ),
    "a withdrawal paid twice": (_again, {"paid-twice"}),
    "a withdrawal paid under two numbers": (
        lambda venue: venue.paid(
            900, 1_001, block=9, slot=2, to=destination(1), of=withdrawal_id(1)
        ),
        {"paid-twice"},
    ),
    "a payment under a number that is not the withdrawal's": (
        lambda venue: venue.one("withdrawals", seq=1).update(seq=901),
        {"paid-under-another-number"},
    ),
    "a payment that names another withdrawal": (
        lambda venue: venue.logs[0]["topics"].__setitem__(2, "0x" + "9" * 32 + "0" * 32),
        {"paid-without-withdrawal", "posted-without-payment"},
    ),
    "a movement that names another top-up": (_top_up(1, id=top_up_id(9)), {"top-up-differs"}),
    "a payment twice in later blocks": (
        lambda venue: venue.paid(6, 6_006, block=12, slot=3),
        {"paid-twice"},
    ),
    "posted and never paid": (_unpaid, {"posted-without-payment"}),
    "paid to somebody else": (_withdrawal(1, destination=STRANGER), {"paid-elsewhere"}),
    "paid before it is posted, to somebody else": (
        _withdrawal(4, destination=STRANGER),
        {"paid-elsewhere"},
    ),
    "paid another amount": (_other_amount, {"paid-other-amount"}),
    "paid in another asset": (_other_asset, {"paid-other-asset"}),
    "voided and paid": (lambda venue: venue.paid(11, 11_011, block=9, slot=2), {"voided-yet-paid"}),
    "voided and paid after the pinned block": (
        lambda venue: venue.paid(11, 11_011, block=13, slot=3),
        {"voided-yet-paid"},
    ),
    "held and paid": (lambda venue: venue.paid(3, 3_003, block=9, slot=2), {"held-yet-paid"}),
    "waiting and paid": (
        lambda venue: venue.paid(10, 10_010, block=9, slot=2),
        {"paid-while-waiting"},
    ),
    "two withdrawals of one number": (_same_number, {"number-used-twice"}),
    "a final slot with an open withdrawal": (_slot(4, state="final"), {"final-yet-open"}),
    "a transaction on no record": (_stolen, {"paid-without-slot"}),
    "a payment with the nonce of a cancellation": (
        _slot(1, purpose="cancel"),
        {"paid-without-slot"},
    ),
    "another call with the slot's nonce": (_other_call, {"paid-by-other-transaction"}),
    "a second payment, by a transaction on no record": (
        _paid_past_the_records(1, 1_001),
        {"paid-twice", "paid-without-slot"},
    ),
    "a payment that nobody asked for, by a transaction on no record": (
        _paid_past_the_records(999, 5),
        {"paid-without-withdrawal", "paid-without-slot"},
    ),
    "a held withdrawal that is paid by a transaction on no record": (
        _paid_past_the_records(3, 3_003),
        {"held-yet-paid", "paid-without-slot"},
    ),
    "paid by a later slot than its own": (_withdrawal(6, slot_id=1), {"paid-by-other-slot"}),
    "posted without a slot": (_withdrawal(1, slot_id=""), {"paid-by-other-slot"}),
    "paid and open, and its slot is final": (_slot(2, state="final"), {"final-yet-open"}),
    "a slot that is gone": (
        lambda venue: venue.slots.remove(venue.one("slots", id=6)),
        {"slot-missing"},
    ),
    "a signature for no slot": (
        _signature(4, nonce=40),
        {"signature-without-slot", "signed-past-the-signer"},
    ),
    "a signature for another digest": (_signature(0, digest="ab" * 32), {"signed-something-else"}),
    "two signatures for a nonce": (
        lambda venue: venue.sign_log.append(dict(venue.sign_log[0])),
        {"signed-twice"},
    ),
    "a slot signed past the signer": (
        lambda venue: venue.sign_log.pop(0),
        {"signed-past-the-signer"},
    ),
    "a slot whose signature was asked for and never given": (
        _signature(0, tx_hash=""),
        {"signed-past-the-signer"},
    ),
    "a slot signed as another transaction than the signer made": (
        _signature(0, tx_hash=tx_hash(77)),
        {"signed-past-the-signer"},
    ),
    "two slots for a nonce": (
        lambda venue: venue.slots.append({**venue.slots[5], "id": 60}),
        {"nonce-used-twice"},
    ),
    "a transaction that no slot has": (
        lambda venue: venue.sent.update({HOT_KEY: 9}),
        {"nonce-without-slot"},
    ),
    "money that left the reserve": (_robbed_reserve, {"moved-without-top-up"}),
    "a top-up that moved nothing": (_no_movement, {"top-up-without-movement"}),
    "a cold transfer that moved nothing": (_cold_did_not_move, {"cold-transfer-without-movement"}),
    "a cold transfer of another amount": (
        _cold(amount=401),
        {"cold-transfer-differs", "postings-differ", "deficit", "surplus"},
    ),
    "a cold transfer to somebody else": (_cold(to_address=STRANGER), {"cold-transfer-differs"}),
    "a cold wallet that paid unasked": (_robbed_cold, {"moved-without-top-up"}),
    "a top-up of another amount": (
        _top_up(1, amount=501),
        {"top-up-differs", "postings-differ", "deficit", "surplus"},
    ),
    "a top-up whose slot is gone": (_top_up(2, slot_id=99), {"slot-missing"}),
    "a top-up that moved twice": (
        lambda venue: venue.paid(7, 500, block=4, slot=21, to=venue.addresses[HOT], wallet=RESERVE),
        {"top-up-differs"},
    ),
    "a top-up that is slotted without a slot": (_top_up(2, slot_id=""), {"slot-missing"}),
    "an open top-up whose final slot moved nothing": (
        _slot(22, state="final", block_number=9),
        {"top-up-final-yet-open"},
    ),
    "an open top-up that moved by a final slot": (_top_up_is_open, {"top-up-final-yet-open"}),
    "a transfer that nobody has asked for": (_stolen_quorum, {"executed-without-approval"}),
    "a transfer to another address": (_approval(1, to_address=STRANGER), {"approval-differs"}),
    "a transfer of another amount": (
        _approval(1, amount=51),
        {"approval-differs", "postings-differ", "deficit", "surplus"},
    ),
    "another recipient than was asked for": (
        _approval(2, to_address=destination(1)),
        {"approval-differs"},
    ),
    "a transfer instead of a new recipient": (_approval(2, asset="AST"), {"approval-differs"}),
    "a transfer that was made twice": (
        lambda venue: venue.executed(1, 50, block=9, slot=31),
        {"executed-twice"},
    ),
    "a transfer by the slot of another approval": (
        _approval(1, slot_id=32),
        {"executed-by-other-slot"},
    ),
    "a transfer by a transaction on no record": (
        _executed_past_its_slot,
        {"executed-by-other-slot"},
    ),
    "a transfer by a slot that is for a top-up": (
        _slot(31, purpose="topup"),
        {"executed-by-other-slot"},
    ),
    "a transfer by another call with its slot's nonce": (
        lambda venue: venue.transactions[tx_hash(31)].update(input="0x00"),
        {"executed-by-other-slot"},
    ),
    "a transfer that is posted and was not made": (_not_executed, {"approval-without-execution"}),
    "an approval whose slot is gone": (_approval(3, slot_id=99), {"slot-missing"}),
    "an approval that waits, and its slot is final": (
        _slot(33, state="final", block_number=9),
        {"approval-final-yet-open"},
    ),
    "a posting of a transfer that no approval has": (
        _postings(("transfer", "reserve", -5), ("transfer", "hot", 5)),
        {"postings-differ", "deficit", "surplus"},
    ),
    "a sweep that went to somebody else": (_sweep_to_a_stranger, {"top-up-differs"}),
    "a sweep that nobody asked for": (
        _sweep_on_no_record,
        {"paid-without-withdrawal", "paid-without-slot", "surplus"},
    ),
    "a sweep of another posting": (
        _sweep_of_another_posting,
        {"postings-differ", "ledger-does-not-balance", "surplus"},
    ),
    **SPOILED_CROSSINGS,
    "a wallet that lacks a base unit": (
        lambda venue: venue.balances.update({(RESERVE, "USDX"): -1}),
        {"deficit"},
    ),
    "a base unit from outside that is not booked": (
        lambda venue: venue.balances.update({(RESERVE, "USDX"): 1}),
        {"surplus"},
    ),
    "a reservation that no withdrawal asks for": (
        _postings(("reserve", "reserved", -1), ("reserve", "customer", 1)),
        {"reservations-differ", "postings-differ"},
    ),
    "a posting without its row": (
        _postings(("surplus", "hot", 5), ("surplus", "unidentified", -5)),
        {"postings-differ", "deficit"},
    ),
    "escrow that no bid explains": (
        lambda venue: venue.bids.pop(0),
        {"escrow-differs", "postings-differ"},
    ),
    "a bid that is settled, and still in escrow": (
        lambda venue: venue.bids[0].update(state="settled"),
        {"escrow-differs", "postings-differ"},
    ),
    "a bid that was settled by the row and given back by the ledger": (
        lambda venue: venue.bids[1].update(state="refunded"),
        {"postings-differ"},
    ),
    "what is in escrow pays a withdrawal": (_escrow_pays, {"escrow-differs", "postings-differ"}),
    "a ledger that does not sum to zero": (
        lambda venue: venue.posting("swap", "clearing", 1),
        {"ledger-does-not-balance"},
    ),
    "a posting that the database calls unbalanced": (
        lambda venue: venue.ledger_faults.update(unbalanced_postings=1),
        {"ledger-does-not-balance"},
    ),
}


@pytest.mark.parametrize("what", SPOILS)
def test_one_spoiled_fact_is_found_by_its_name(what: str, reconciling: Reconciling) -> None:
    """And nothing else is said, so that nobody looks in the wrong place."""
    venue = reconciled_venue()
    spoil, expected = SPOILS[what]
    spoil(venue)

    found = reconciling(venue)

    assert set(names(found)) == expected, [each.text for each in found.contradictions.each]
    assert found.outcome is Outcome.FAIL
    wrong = {each.name for each in found.comparisons if each.outcome is Outcome.FAIL}
    assert wrong == {TABLE[name][0] for name in expected}


def test_what_an_earlier_try_had_paid_after_all_is_no_contradiction(
    reconciling: Reconciling,
) -> None:
    """The later one found the number used up, and its slot stays on record when it is resolved."""
    venue = reconciled_venue()
    venue.one("withdrawals", seq=1)["slot_id"] = 2
    assert reconciling(venue).outcome is Outcome.PASS


def test_what_was_compared_with_slots_is_counted_and_nothing_else(reconciling: Reconciling) -> None:
    """A payment that is too new to be judged is not among them."""
    venue = reconciled_venue()
    counted = {each.name: each.checked for each in reconciling(venue).comparisons}
    assert counted["slots"] == 4


def test_every_contradiction_has_a_spoil_that_shows_it() -> None:
    shown = {name for _, expected in SPOILS.values() for name in expected}
    assert shown == set(get_args(ContradictionName)) == set(TABLE)
    assert {comparison for comparison, _ in TABLE.values()} == set(COMPARISONS)


def test_a_contradiction_says_where_to_look_and_what_to_do(reconciling: Reconciling) -> None:
    venue = reconciled_venue()
    _again(venue)

    [found] = reconciling(venue).contradictions.each

    assert found.ids == {
        "withdrawal": withdrawal_id(1),
        "seq": 1,
        "wallet": HOT,
        "slot": 2,
        "tx_hash": tx_hash(2),
        "block": 9,
        "nonce": 1,
    }
    assert (found.network, found.asset, found.amount) == (NETWORK, "AST", 1_001)
    assert "stop payouts" in found.remedy
    assert destination(1) in found.text


@pytest.mark.parametrize(("given", "signed"), [(tx_hash(6), 2), ("", 1)])
def test_what_the_signer_has_signed_is_signed_before_the_venue_knows(
    given: str, signed: int, reconciling: Reconciling
) -> None:
    """It may be sent at any moment, so it does not merely wait; asked for is not signed."""
    venue = reconciled_venue()
    of_open = {"nonce": 5, "digest": f"{6:064x}", "tx_hash": given}
    venue.sign_log.append(venue.one("sign_log", address=HOT_KEY, nonce=4) | of_open)
    assert reconciling(venue).stages[NETWORK, "AST"][Stage.SIGNED].count == signed
