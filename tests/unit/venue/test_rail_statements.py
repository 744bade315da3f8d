"""What a line of a provider's statement means for the ledger: only what fits moves anything."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from seawall.formats.payout_rail import Instruction, Payout
from venue.rails.statements import meaning, named

WITHDRAWAL = "0b9d6f0e-3c5a-4b8e-9f57-2f6a8d1c7e55"
ID = f"{WITHDRAWAL}-1"
ASKED = Instruction(client_id=ID, asset="USDX", amount="5", destination="GB00HARBOUR00000001")


def told(state: str, **changes: str) -> Payout:
    instruction = None if state == "cancelled" else ASKED.model_copy(update=changes)
    return Payout.model_validate(
        {"client_id": ID, "state": state, "instruction": instruction and instruction.model_dump()}
    )


def known(state: str, **changes: Any) -> dict[str, Any]:
    return {
        "client_id": ID,
        "rail": "fiat",
        "side": "primary",
        "asset": "USDX",
        "amount": 5,
        "destination": ASKED.destination,
        "state": state,
    } | changes


def means(line: Payout, instruction: dict[str, Any] | None, *, owed: bool = False) -> str:
    return meaning(line, rail="fiat", side="primary", known=instruction, owed=owed)


@pytest.mark.parametrize(
    ("state", "line", "expected"),
    [
        ("recorded", "accepted", "accept"),
        ("recorded", "cancelled", "release"),
        ("accepted", "settled", "settle"),
        ("accepted", "returned", "give back"),
        ("recorded", "settled", "dispute"),
        ("accepted", "cancelled", "dispute"),
        ("cancelled", "accepted", "unexplained"),
        ("returned", "settled", "unexplained"),
        ("settled", "returned", "unexplained"),
        ("disputed", "settled", "unexplained"),
    ],
)
def test_a_line_moves_an_instruction_one_step(state: str, line: str, expected: str) -> None:
    """One that pays what was given up is for people, whatever else it says."""
    assert means(told(line), known(state)) == expected


@pytest.mark.parametrize(
    "other",
    [{"side": "standby"}, {"amount": 6}, {"destination": "GB00HARBOUR00000002"}, {"asset": "AST"}],
)
def test_a_line_about_something_else_moves_nothing(other: dict[str, Any]) -> None:
    """Another place, amount, destination or asset than was instructed."""
    assert means(told("accepted"), known("recorded", **other)) == "dispute"
    assert means(told("settled"), known("accepted", **other)) == "dispute"


@pytest.mark.parametrize("state", ["recorded", "accepted", "settled"])
def test_an_id_that_is_used_up_where_it_was_not_instructed_ends_nothing(state: str) -> None:
    """A restored ledger uses up what may be on its way at both providers."""
    assert means(told("cancelled"), known(state, side="standby")) == "nothing"
    assert means(told("cancelled"), known(state, rail="exchange")) == "nothing"


def test_what_a_lost_ledger_instructed_is_adopted_if_it_is_owed() -> None:
    assert means(told("accepted"), None, owed=True) == "adopt"
    assert means(told("accepted"), None) == "unexplained"
    assert means(told("settled"), None, owed=True) == "unexplained"
    assert means(told("cancelled"), None, owed=True) == "nothing"


def test_the_mark_of_another_ledger_is_for_people() -> None:
    """One that came before this ledger's own is history."""
    line = Payout(client_id="generation-1-x", state="cancelled", instruction=None)
    for other, expected in ((True, "unexplained"), (False, "nothing")):
        found = meaning(
            line, rail="fiat", side="primary", known=None, owed=False, other_ledger=other
        )
        assert found == expected


def test_ids_name_a_withdrawal_and_an_attempt() -> None:
    assert named(ID) == (UUID(WITHDRAWAL), 1)
    for other in ("a", WITHDRAWAL, f"{WITHDRAWAL}-0", f"{ID}-1", ID.upper()):
        assert named(other) == (None, None)
