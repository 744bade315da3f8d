"""What the chain may know of a lane that the database does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from venue.settler.agreement import GivenOut, judge
from venue.settler.lanes import Lane

LANE = Lane(chain_id=1, address="0xa", network="n", wallet="w", contract="0xc", purpose="payout")
GIVEN = GivenOut(next_nonce=7, generation=0, last_seq=40)


def found(
    *, used: int = 7, in_force: int = 0, bits: Mapping[int, bool] = {}, missing: Iterable[int] = ()
) -> list[str]:
    """What speaks against the lane, if nothing does but what is given."""
    return judge(LANE, GIVEN, in_force=in_force, used=used, bits=bits, missing=missing)


def test_a_chain_that_has_seen_no_more_than_the_records_agrees() -> None:
    """As many nonces as were given out, or fewer, and no number that was not."""
    for used in (0, 6, 7):
        assert found(used=used, bits={41: False, 42: False}) == []


def test_nonces_and_numbers_that_were_never_given_out_are_named() -> None:
    """Each by itself keeps the lane from claiming."""
    assert found(used=8) == ["the chain has used 8 nonces of w, and the next one here is 7"]
    assert found(bits={41: False, 43: True}) == [
        (
            "numbers 43 to 43 are used up in the contract of w, and are unpaid here;"
            " the last one given out is 40"
        )
    ]
    assert found(missing=(5, 6)) == [
        f"nonce {nonce} of w is used up, and not by the transaction that is on record"
        for nonce in (5, 6)
    ]


def test_a_contract_of_a_later_generation_keeps_the_lane_from_claiming() -> None:
    """A later ledger was restored, and this one is not in force; an earlier one is opened."""
    assert found(in_force=1) == [
        "the contract of w pays numbers of generation 1, and 0 is in force here"
    ]
    later = replace(GIVEN, generation=1)
    assert judge(LANE, later, in_force=0, used=7, bits={}, missing=()) == []
