"""Each invariant is violated by one spoil of good books, and by no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from seawall.invariants import (
    Bid,
    Books,
    Claim,
    Crossing,
    Execution,
    Payment,
    Posting,
    Statement,
    UsedNonce,
    Withdrawal,
    violations,
)

DIGEST, OTHER = b"\x01" * 32, b"\x02" * 32


def _withdrawal(state: str, destination: str) -> Withdrawal:
    return Withdrawal(
        state=state,
        asset="USDX",
        amount=5,
        destinations=frozenset({destination, "0xelsewhere" + destination}),
    )


def _posting(kind: str, of: str, amount: int = 5) -> Posting:
    return Posting(
        kind=kind, of=of, amounts=(("aster", "USDX", amount), ("aster", "USDX", -amount))
    )


PAID = Payment(destination="0xa", asset="USDX", amount=5, final=True)
NONCE = UsedNonce(lane="hot", nonce=0, state="final", digest=DIGEST, tx_hash="0x1")
EXECUTED = Execution(
    approval="x",
    to="0xhouse",
    asset="USDX",
    amount=3,
    at_s=10,
    may_from_s=10,
    window="fast 2",
    cap=5,
    final=True,
)
LINE = (1, "x-1", "accepted")
CROSSED = Crossing(asset="USDX", left=4, came=(4,), posted_left=4, posted_came=4)
GOOD = Books(
    withdrawals={
        "a": _withdrawal("posted", "0xa"),
        "b": _withdrawal("voided", "0xb"),
        "c": _withdrawal("reserved", "0xc"),
    },
    postings=[
        *(_posting("reserve", each) for each in "abc"),
        _posting("post", "a"),
        _posting("void", "b"),
        _posting("topup", "t"),
        *(_posting("bid", each) for each in ("open", "settled", "refunded")),
        _posting("settle", "settled"),
        _posting("refund", "refunded"),
    ],
    available={"float": 0},
    nonces=[NONCE, UsedNonce(lane="hot", nonce=1, state="open", digest=OTHER, tx_hash=None)],
    next_nonces={"hot": 2},
    signed={("hot", 0): (DIGEST, "0x1")},
    sent=[("hot", 0, DIGEST, "0x1", True)],
    payments=[PAID],
    moved={"USDX": (1, 1)},
    executions=[EXECUTED],
    approved={"x": ("0xhouse", "USDX", 3), "y": ("0xhouse", "USDX", 3)},
    transferred={"x"},
    crossings={"r": CROSSED},
    in_transit={"USDX": 0},
    claims=[Claim(what="slot 1", epochs=(1, 1), in_force=(1, 1))],
    floats={"hot": (7, 7)},
    escrow={("aster", "USDX"): 5},
    bids={
        state: Bid(network="aster", asset="USDX", amount=5, state=state)
        for state in ("open", "settled", "refunded")
    },
    acknowledged=["a", "b", "c"],
    settled=True,
)


def test_good_books_violate_nothing() -> None:
    assert violations(GOOD) == []


Spoil = Callable[[Books], Books]
SPOILS: list[tuple[str, str, Spoil]] = [
    (
        "a posting that does not sum to zero",
        "I1",
        lambda books: replace(
            books,
            postings=[
                *books.postings,
                Posting(kind="fund", of=1, amounts=(("aster", "USDX", 5), ("aster", "AST", -5))),
            ],
        ),
    ),
    ("an overdraft", "I2", lambda books: replace(books, available={"float": -1})),
    ("a second payment", "I3", lambda books: replace(books, payments=[PAID, PAID])),
    (
        "a second payment to another address of it",
        "I3",
        lambda books: replace(books, payments=[PAID, replace(PAID, destination="0xelsewhere0xa")]),
    ),
    ("another amount", "I3", lambda books: replace(books, payments=[replace(PAID, amount=6)])),
    (
        "a payment to nobody",
        "I3",
        lambda books: replace(books, payments=[PAID, replace(PAID, destination="0xd")]),
    ),
    ("a top-up twice", "I3", lambda books: replace(books, moved={"USDX": (2, 1)})),
    ("posted and not paid", "I4", lambda books: replace(books, payments=[])),
    (
        "posted before finality",
        "I4",
        lambda books: replace(books, payments=[replace(PAID, final=False)]),
    ),
    (
        "paid and never posted",
        "I4",
        lambda books: replace(books, payments=[PAID, replace(PAID, destination="0xc")]),
    ),
    (
        "bytes that were sent before they were on record",
        "I6",
        lambda books: replace(books, sent=[("hot", 0, DIGEST, "0x1", False)]),
    ),
    (
        "two uses of a nonce",
        "I6",
        lambda books: replace(books, sent=[*books.sent, ("hot", 0, OTHER, "0x2", True)]),
    ),
    (
        "other bytes than the signer's",
        "I6",
        lambda books: replace(books, signed={("hot", 0): (DIGEST, "0x2")}),
    ),
    ("a gap of nonces", "I7", lambda books: replace(books, next_nonces={"hot": 3})),
    (
        "a nonce twice",
        "I7",
        lambda books: replace(books, nonces=[*books.nonces, replace(NONCE, state="open")]),
    ),
    (
        "a second top-up posting",
        "I8",
        lambda books: replace(books, postings=[*books.postings, _posting("topup", "t")]),
    ),
    (
        "a resolution of what still waits",
        "I8",
        lambda books: replace(books, postings=[*books.postings, _posting("void", "c")]),
    ),
    (
        "a claim under an old mode",
        "I9",
        lambda books: replace(books, claims=[Claim(what="slot 1", epochs=(1, 1), in_force=(2, 1))]),
    ),
    ("a float below its floor", "I10", lambda books: replace(books, below_floor=["slot 1"])),
    ("a float that is not true", "I10", lambda books: replace(books, floats={"hot": (7, 8)})),
    (
        "an acknowledged request that vanished",
        "I11",
        lambda books: replace(books, acknowledged=["a", "z"]),
    ),
    (
        "an approval that is carried out twice",
        "I13",
        lambda books: replace(
            books, executions=[EXECUTED, replace(EXECUTED, window="fast 3", at_s=15)]
        ),
    ),
    (
        "an approval that is carried out before its delay",
        "I13",
        lambda books: replace(books, executions=[replace(EXECUTED, at_s=9)]),
    ),
    (
        "approvals that move more than their lane's cap",
        "I13",
        lambda books: replace(
            books, executions=[EXECUTED, replace(EXECUTED, approval="y")], transferred={"x", "y"}
        ),
    ),
    (
        "an approval that is carried out as something else",
        "I13",
        lambda books: replace(books, executions=[replace(EXECUTED, to="0xthief")]),
    ),
    ("a transfer that nobody has approved", "I13", lambda books: replace(books, approved={})),
    (
        "a transfer that is posted and not final",
        "I13",
        lambda books: replace(books, executions=[replace(EXECUTED, final=False)]),
    ),
    (
        "a transfer that is made and never posted",
        "I13",
        lambda books: replace(books, transferred=()),
    ),
    ("escrow that no bid explains", "I14", lambda books: replace(books, bids={})),
    (
        "a bid that ends and stays in escrow",
        "I14",
        lambda books: replace(
            books, bids={**books.bids, "open": replace(books.bids["open"], state="settled")}
        ),
    ),
    (
        "a bid that is given back and stays open",
        "I14",
        lambda books: replace(books, postings=[*books.postings, _posting("refund", "open")]),
    ),
    (
        "a bid that is settled and given back",
        "I8",
        lambda books: replace(
            books,
            bids={},
            escrow={},
            postings=[*books.postings, _posting("settle", "y"), _posting("refund", "y")],
        ),
    ),
    (
        "what came from another network twice",
        "I15",
        lambda books: replace(books, crossings={"r": replace(CROSSED, came=(4, 4))}),
    ),
    (
        "less than left",
        "I15",
        lambda books: replace(books, crossings={"r": replace(CROSSED, came=(3,))}),
    ),
    (
        "what came and never left",
        "I15",
        lambda books: replace(
            books, crossings={"r": replace(CROSSED, left=0, posted_left=0, posted_came=0)}
        ),
    ),
    (
        "what is settled and in transit",
        "I15",
        lambda books: replace(
            books, crossings={"r": replace(CROSSED, came=(), posted_came=0)}, in_transit={"USDX": 4}
        ),
    ),
    ("in transit what never left", "I15", lambda books: replace(books, in_transit={"USDX": 1})),
    (
        "a line that the statement does not have",
        "I16",
        lambda books: replace(books, statements={"it": Statement(kept=(LINE,), said=())}),
    ),
    (
        "a line that was passed over",
        "I16",
        lambda books: replace(
            books, statements={"it": Statement(kept=((2, "x-1", "settled"),), said=(LINE,))}
        ),
    ),
    (
        "a line that is never read",
        "I16",
        lambda books: replace(books, statements={"it": Statement(kept=(), said=(LINE,))}),
    ),
    ("something that never ends", "I12", lambda books: replace(books, late=["slot 1 is open"])),
]


@pytest.mark.parametrize(
    ("spoil", "invariant"),
    [(spoil, name) for _, name, spoil in SPOILS],
    ids=[what for what, _, _ in SPOILS],
)
def test_a_spoil_violates_one_invariant(spoil: Spoil, invariant: str) -> None:
    assert {each.invariant for each in violations(spoil(GOOD))} == {invariant}


def test_what_was_given_back_and_is_paid_violates_i5() -> None:
    """It is paid and not posted as well, once all is settled."""
    books = replace(GOOD, payments=[PAID, replace(PAID, destination="0xb")])
    assert {each.invariant for each in violations(books)} == {"I4", "I5"}
    assert {each.invariant for each in violations(replace(books, settled=False))} == {"I5"}


def test_what_is_under_way_may_be_paid_and_not_posted() -> None:
    books = replace(GOOD, payments=[PAID, replace(PAID, destination="0xc")], settled=False)
    assert violations(books) == []


def test_a_violation_says_what_was_seen() -> None:
    (found,) = violations(replace(GOOD, acknowledged=["z"]))
    assert str(found) == "I11: z vanished"


def test_every_invariant_has_a_spoil() -> None:
    assert {name for _, name, _ in SPOILS} | {"I5"} == {f"I{n}" for n in range(1, 17)}
