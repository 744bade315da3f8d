"""The log of what customers were told, which was not lost with the ledger."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from seawall.errors import UsageError
from venue.restore.accepted import LossError
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
        ("kind,id\nswap,1\n", "line 2: 'swap' is neither"),
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
