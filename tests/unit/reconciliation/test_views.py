"""What people and machines are shown of a reconciliation."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest
from rich.console import Console

from seawall.reconciliation.run import Reconciliation
from seawall.reconciliation.views import document, in_units, panel
from tests.testing.reconciled_venue import (
    NETWORK,
    PINNED,
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
            "PASS  every base unit is explained: 11 withdrawals; 9 of 9 statements are proven",
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
    assert "FAIL  1 contradictions; 8 of 9 statements are proven" in text


def test_what_a_stranger_wrote_is_no_markup(reconciling: Reconciling) -> None:
    """Reasons come from records, and must neither vanish nor stop the printing."""
    venue = reconciled_venue()
    venue.one("withdrawals", seq=3)["reason"] = "[/bold] [red]refused"
    assert "[/bold] [red]refused" in printed(reconciling(venue), venue)


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
        }
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


def test_a_statement_that_is_not_claimed_says_what_it_needs(reconciling: Reconciling) -> None:
    venue = reconciled_venue()
    evidence = venue.evidence()
    del evidence["ledger"]
    found = reconciling(venue, evidence=evidence)
    text = printed(found, venue)
    assert "not claimed" in text
    assert "needs ledger" in text
    assert "5 of 9 statements are proven, 4 are not claimed" in text
    [holdings] = [each for each in document(found)["proofs"] if each["proof"] == "holdings"]
    assert (holdings["claimed"], holdings["outcome"]) == (False, None)
