"""What people and machines are shown of a reconciliation."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from seawall.reconciliation.result import Reconciliation
from seawall.reconciliation.views import document, in_units, panel
from seawall.scorecard.outcome import Outcome
from tests.testing.reconciled_venue import (
    NETWORK,
    PINNED,
    QUIET,
    QUIET_BLOCK,
    STRANGER,
    ReconciledVenue,
    block_hash,
    reconciled_venue,
    withdrawal_id,
)

Reconciling = Callable[..., Reconciliation]


def printed(found: Reconciliation, venue: ReconciledVenue) -> str:
    """As on a wide terminal."""
    text = io.StringIO()
    Console(file=text, width=300).print(panel(found, venue.policy))
    return text.getvalue()


@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [
        (0, 18, "0"),
        (1, 18, "0.000000000000000001"),
        (-1_500_000, 6, "-1.5"),
        (1_234_000_000, 6, "1,234"),
        (12, 0, "12"),
        (10**60, 18, f"{10**42:,}"),
    ],
)
def test_whole_units_are_exact(amount: int, decimals: int, text: str) -> None:
    assert in_units(amount, decimals) == text


def test_people_read_totals_first_then_what_to_look_at_then_the_outcome(
    reconciling: Reconciling,
) -> None:
    venue = reconciled_venue()
    text = printed(reconciling(venue), venue)

    places = [
        text.index(part)
        for part in (
            block_hash(PINNED),
            "opening funding",
            "paid and posted, final at the pinned block",
            "what was compared",
            "held: 3003 AST to",
            "-> decide what is to become of it",
            "PASS  every base unit is explained: 11 withdrawals; 10 of 10 comparisons are proven",
        )
    ]
    assert places == sorted(places)


def test_people_read_every_contradiction_with_its_ids_and_what_to_do(
    reconciling: Reconciling,
) -> None:
    venue = reconciled_venue()
    venue.one("withdrawals", seq=1)["destination"] = STRANGER
    text = printed(reconciling(venue), venue)
    assert "FAIL  paid-elsewhere: 1001 AST to" in text
    assert f"withdrawal {withdrawal_id(1)}, seq 1" in text
    assert "-> stop payouts of the network before anything else" in text
    assert "FAIL  1 contradiction; 9 of 10 comparisons are proven" in text


def test_what_a_stranger_wrote_is_no_markup(reconciling: Reconciling) -> None:
    """Reasons come from records, and must neither vanish nor stop the printing."""
    venue = reconciled_venue()
    venue.one("withdrawals", seq=3)["reason"] = "[/bold] [red]refused"
    assert "[/bold] [red]refused" in printed(reconciling(venue), venue)


@pytest.mark.parametrize("spoil", ["asset", "top-up"])
def test_no_record_stops_the_printing(spoil: str, reconciling: Reconciling) -> None:
    """Neither markup in the name of an asset, nor a top-up that lacks its slot."""
    venue = reconciled_venue()
    if spoil == "asset":
        venue.one("withdrawals", seq=10)["asset"] = "[/red]"
        venue.entry("customer", "fund", "cold", "[/red]", 1)
    else:
        venue.one("topups", state="slotted")["slot_id"] = ""
    text = printed(reconciling(venue), venue)
    assert ("[/red]" if spoil == "asset" else "has no slot on record") in text


def test_what_was_compared_with_nothing_is_not_called_unclaimed(reconciling: Reconciling) -> None:
    """Nor proven: of a venue without a withdrawal nothing is explained (decision 0037)."""
    venue = reconciled_venue()
    venue.logs.clear()

    def cut(files: Path) -> None:
        for name in ("withdrawals", "topups", "approvals"):
            path = files / f"{name}.csv"
            head, *_ = path.read_text(encoding="utf-8").splitlines(keepends=True)
            path.write_text(head, encoding="utf-8")

    evidence = {name: venue.evidence()[name] for name in ("withdrawals", "top_ups", "signatures")}
    found = reconciling(venue, spoil=cut, evidence=evidence)

    assert found.contradictions.count == 0
    assert found.outcome is Outcome.UNKNOWN
    text = printed(found, venue)
    assert "UNKNOWN  not known: there are no payments and no withdrawals to compare" in text
    assert "4 are not claimed, 4 had nothing to compare" in text
    [line] = [each for each in text.splitlines() if each.startswith("payouts ")]
    assert "nothing to compare" in line
    assert "not claimed" not in line


def test_machines_read_amounts_as_text_and_know_their_units(reconciling: Reconciling) -> None:
    """A number of JSON would lose base units above 2**53."""
    found = document(reconciling(reconciled_venue()))
    again = json.loads(json.dumps(found))

    assert again == found
    assert found["units"]["amounts"] == "base units of the asset, as decimal text"
    assert (found["outcome"], found["exit_code"]) == ("PASS", 0)
    assert found["networks"] == [
        {
            "network": NETWORK,
            "block": PINNED,
            "block_hash": block_hash(PINNED),
            "read_until": 13,
            "complete": True,
        },
        {
            "network": QUIET,
            "block": QUIET_BLOCK,
            "block_hash": block_hash(QUIET_BLOCK),
            "read_until": QUIET_BLOCK,
            "complete": True,
        },
    ]
    amounts = [
        value
        for table in ("assets", "wallets")
        for row in found[table]
        for name, value in row.items()
        if name not in ("network", "asset", "wallet", "bucket", "listed")
    ]
    assert amounts
    assert all(isinstance(value, str) and int(value) is not None for value in amounts)
    assert {row["stage"] for row in found["withdrawals"]} >= {"final", "held", "reserved"}
    assert {(row["asset"], row["stage"], row["amount"]) for row in found["approvals"]} == {
        ("AST", "final", "50"),
        ("AST", "signed", "60"),
        ("AST", "open", "70"),
        (None, "final", "0"),
    }


def test_a_statement_that_is_not_claimed_says_what_it_needs(reconciling: Reconciling) -> None:
    venue = reconciled_venue()
    evidence = venue.evidence()
    del evidence["ledger"]
    found = reconciling(venue, evidence=evidence)
    text = printed(found, venue)
    assert "not claimed" in text
    assert "needs ledger" in text
    assert "6 of 10 comparisons are proven, 4 are not claimed" in text
    [holdings] = [
        each for each in document(found)["comparisons"] if each["comparison"] == "holdings"
    ]
    assert (holdings["claimed"], holdings["outcome"]) == (False, None)
