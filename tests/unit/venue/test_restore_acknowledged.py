"""The log of what customers were told, which was not lost with the ledger."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from seawall.conventions.promises import COUNTED_AS, PROMISE_KINDS, PromiseKind
from seawall.errors import UsageError
from seawall.formats.drill_contract import OPERATIONS
from venue.api import app, market_handlers
from venue.api.market_messages import MARKET_OPERATIONS
from venue.restore.accepted import LossError, counted
from venue.restore.acknowledged import Promise, read_acknowledged

BID, WITHDRAWAL = UUID(int=7), UUID(int=8)


def test_each_line_is_a_request_whatever_else_it_says(tmp_path: Path) -> None:
    """One that was answered twice is one."""
    path = tmp_path / "told.csv"
    path.write_text(f"at,kind,id\n1,bid,{BID}\n2,bid,{BID}\n3,withdrawal,{WITHDRAWAL}\n", "utf-8")

    assert read_acknowledged(path) == {
        Promise(kind="bid", id=BID),
        Promise(kind="withdrawal", id=WITHDRAWAL),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind,id\ntrade,1\n", "line 2: 'trade' is none of 'withdrawal', 'cancellation', "),
        ("kind,id\nswap,1\n", "line 2: '1' is no id"),
        (f"kind,id\nticket,{BID}\n", "is no id"),
        ("kind,id\nticket,0\n", "line 2: '0' is no id"),
        ("kind,id\nticket,9223372036854775808\n", "is no id"),
        ("kind,id\nbid,1\n", "line 2: '1' is no id"),
        ("kind,id\nbid\n", "line 2: None is no id"),
        ("", "does not begin with the names of its columns"),
        ("id\n1\n", "does not begin with the names of its columns"),
        (f"bid,{BID}\n", "does not begin with the names of its columns"),
    ],
)
def test_what_is_no_request_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "told.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=said):
        read_acknowledged(path)


def test_a_log_that_is_not_there_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_acknowledged(tmp_path / "told.csv")


def test_bids_are_named_beside_withdrawals() -> None:
    found = str(LossError([], [Promise(kind="bid", id=BID)]))

    assert found.startswith("0 withdrawals and 1 bids were accepted and ")
    assert f"bid {BID}: its customer was told that it is accepted" in found


def test_every_kind_of_promise_is_read_from_the_log(tmp_path: Path) -> None:
    """By the id of the request, or of what it ended; a ticket has a number."""
    ids = {kind: UUID(int=n) for n, kind in enumerate(PROMISE_KINDS) if kind != "ticket"}
    lines = [f"{kind},{identity}\n" for kind, identity in ids.items()]
    path = tmp_path / "told.csv"
    path.write_text("kind,id\n" + "".join(lines) + "ticket,17\n", "utf-8")

    assert read_acknowledged(path) == {
        *(Promise(kind=kind, id=identity) for kind, identity in ids.items()),
        Promise(kind="ticket", id=17),
    }


def test_what_is_lost_is_counted_by_kind_and_named_with_what_its_customer_was_told() -> None:
    kinds: tuple[PromiseKind, ...] = ("withdrawal", "cancellation", "swap", "swap", "refund")
    lost = [Promise(kind=kind, id=UUID(int=n)) for n, kind in enumerate(kinds)]

    assert counted([], lost) == "1 withdrawals, 1 cancellations, 2 swaps and 1 refunds"
    assert counted([], []) == "0 withdrawals"
    said = str(LossError([], lost))
    for each in lost:
        assert f"{each.kind} {each.id}: its customer was told that it " in said
    assert "is cancelled, so that it is not paid" in said


def test_whatever_the_api_acknowledges_has_a_kind_and_is_counted() -> None:
    """A login opens a session and promises nothing; withdrawals are counted by their intake."""
    asked = {each.name for each in (*OPERATIONS, *MARKET_OPERATIONS) if each.method == "post"}
    renamed = {"cancel_withdrawal": "cancel"}
    counted_as = {renamed.get(name, name) for name in asked - {"login", "request_withdrawal"}}

    assert counted_as == {*COUNTED_AS.values()}
    assert {*PROMISE_KINDS} - COUNTED_AS.keys() == {"withdrawal"}
    handlers = vars(app) | vars(market_handlers)
    assert [name for name in counted_as if not callable(handlers.get(name))] == []
