"""What the chain may know of a lane that the database does not."""

from __future__ import annotations

from venue.settler.agreement import GivenOut, judge
from venue.settler.lanes import Lane

LANE = Lane(chain_id=1, address="0xa", network="n", wallet="w", contract="0xc", purpose="payout")
GIVEN = GivenOut(next_nonce=7, last_seq=40)


def test_a_chain_that_has_seen_no_more_than_the_records_agrees() -> None:
    """As many nonces as were given out, or fewer, and no number that was not."""
    for used in (0, 6, 7):
        assert judge(LANE, GIVEN, used=used, bits={41: False, 42: False}, missing=()) == []


def test_nonces_and_numbers_that_were_never_given_out_are_named() -> None:
    """Each by itself keeps the lane from claiming."""
    assert judge(LANE, GIVEN, used=8, bits={}, missing=()) == [
        "the chain has used 8 nonces of w, and the next one here is 7"
    ]
    assert judge(LANE, GIVEN, used=7, bits={41: False, 43: True}, missing=()) == [
        (
            "numbers 43 to 43 are used up in the contract of w, and are unpaid here;"
            " the last one given out is 40"
        )
    ]
    assert judge(LANE, GIVEN, used=7, bits={}, missing=(5, 6)) == [
        f"nonce {nonce} of w is used up, and not by the transaction that is on record"
        for nonce in (5, 6)
    ]
