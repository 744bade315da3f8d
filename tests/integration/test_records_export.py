"""The auditor's export of the venue's records, from a founded venue's real database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapters.reference_venue.records import export_records
from tests.testing.venue_harness import Founded, connected
from venue.ledger.journal import append

pytestmark = pytest.mark.integration


async def test_the_journals_entries_are_counted_by_writer_and_kind(
    founded: Founded, tmp_path: Path
) -> None:
    """A verdict holds the counts against the flips and top-ups that were made."""
    async with connected(founded.database.owner) as owner:
        for writer, kind in (
            ("mode-controller", "flip"),
            ("mode-controller", "flip"),
            ("treasury", "topup"),
            ("treasury", "drift"),
        ):
            async with owner.transaction():
                await append(owner, writer=writer, kind=kind, justification="as a test", body={})

    await export_records(founded.database.auditor, into=tmp_path / "records")

    faults = json.loads((tmp_path / "records" / "ledger_faults.json").read_text(encoding="utf-8"))
    assert faults["journal_breaks"] == []
    assert faults["journal_entries"] == {
        "mode-controller": {"flip": 2},
        "treasury": {"drift": 1, "topup": 1},
    }
