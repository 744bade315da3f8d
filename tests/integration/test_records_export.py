"""The auditor's export of the venue's records, from the real database of a new venue."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from adapters.reference_venue.records import export_records
from seawall.formats.journal import chain_breaks
from tests.testing.venue_harness import Founded, connected
from venue.ledger.journal import append

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
            ("treasury", "drift"),
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
        ("treasury", 2, "drift"),
    ]
    hashes = ("previous_hash", "hash")
    decoded = [{**row, **{name: bytes.fromhex(row[name]) for name in hashes}} for row in rows]
    assert chain_breaks(decoded) == []
    decoded[1]["justification"] = "another reason"
    assert chain_breaks(decoded) == ["mode-controller: entry 2 was changed after it was written"]
