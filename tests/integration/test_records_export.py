"""The auditor's export of the venue's records, from the real database of a new venue."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import pytest

from adapters.reference_venue.records import export_records
from seawall.formats.journal import chain_breaks
from tests.testing.venue_harness import HANGS_AFTER_S, Founded, connected
from venue.ledger.chart import books
from venue.ledger.journal import append
from venue.treasury.reconcile import ChainCut
from venue.treasury.surplus import book_surpluses

pytestmark = pytest.mark.integration
REASON = 'as a "test",\nreally'
BODY: dict[str, str | int | None] = {"b": 'x,\n"y"', "a": 10**18, "c": None}


async def test_the_journal_is_exported_so_that_its_chain_can_be_computed_again(
    founded: Founded, tmp_path: Path
) -> None:
    """Text with quotes, commas and line ends comes back as it was."""
    async with connected(founded.database.owner) as owner:
        for writer, kind in (
            ("mode-controller", "flip"),
            ("mode-controller", "flip"),
            ("treasury", "topup"),
            ("treasury", "deficit"),
        ):
            async with owner.transaction():
                await append(owner, writer=writer, kind=kind, justification=REASON, body=BODY)

    await export_records(founded.database.auditor, into=tmp_path / "records")

    with (tmp_path / "records" / "journal.csv").open(encoding="utf-8", newline="") as file:
        rows: list[dict[str, Any]] = [{**row, "n": int(row["n"])} for row in csv.DictReader(file)]
    assert [(row["writer"], row["n"], row["kind"]) for row in rows] == [
        ("mode-controller", 1, "flip"),
        ("mode-controller", 2, "flip"),
        ("treasury", 1, "topup"),
        ("treasury", 2, "deficit"),
    ]
    hashes = ("previous_hash", "hash")
    decoded = [{**row, **{name: bytes.fromhex(row[name]) for name in hashes}} for row in rows]
    assert chain_breaks(decoded) == []
    decoded[1]["justification"] = "another reason"
    assert chain_breaks(decoded) == ["mode-controller: entry 2 was changed after it was written"]


async def test_money_from_outside_is_exported_with_the_time_of_its_booking(
    founded: Founded, tmp_path: Path
) -> None:
    """With the ledger that owes it to an unknown sender."""
    policy, hot = founded.policy, "customer-aster-hot"
    book = next(book for book in books(policy) if book.key == ("aster", "customer"))
    expected = policy.base_units("AST", policy.wallets[hot].holdings["AST"].target)
    cut = ChainCut(block=7, nonces={}, held={(hot, "AST"): expected + 3})
    async with connected(founded.database.treasury) as treasury:
        await book_surpluses(treasury, book, cut)

    await export_records(founded.database.auditor, into=tmp_path)

    [found] = _rows(tmp_path / "surpluses.csv")
    assert abs(float(found.pop("booked_at")) - time.time()) < HANGS_AFTER_S
    assert found == {
        "bucket": "customer",
        "network": "aster",
        "wallet": hot,
        "asset": "AST",
        "amount": "3",
        "block_number": "7",
    }
    [owed] = [row for row in _rows(tmp_path / "ledger.csv") if row["kind"] == "unidentified"]
    assert owed == {
        "bucket": "customer",
        "network": "aster",
        "asset": "AST",
        "kind": "unidentified",
        "balance": "-3",
    }


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
