"""The rules of schema.sql about rails, as rules.py has those of networks; and what they read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from venue.contracts.calls import NUMBER_BITS
from venue.rails.statements import MARKS

if TYPE_CHECKING:
    from tests.simulation.store import Rule, Stored, Transaction

_SIDES = ("primary", "standby")
_STEPS = {
    ("recorded", "accepted"),
    ("recorded", "cancelled"),
    ("accepted", "settled"),
    ("accepted", "returned"),
    ("recorded", "disputed"),
    ("accepted", "disputed"),
}
_CONTENT = ("asset", "amount", "destination")


def _lines(tx: Transaction, rail: str) -> list[Stored]:
    return [row for row in tx.rows("rail_lines") if row["rail"] == rail]


def lists(tx: Transaction, rail: str, side: str, client_id: str) -> bool:
    """Whether what was read of a provider's statement has a line of this id."""
    return any(row["client_id"] == client_id for row in _lines(tx, rail) if row["side"] == side)


def unexplained(tx: Transaction, withdrawal: UUID) -> bool:
    """Whether a line of it is explained by nothing; nobody decides about rails here."""
    return "what is unexplained waits" not in tx.without and any(
        row["unexplained"] and row["withdrawal_id"] == withdrawal for row in tx.rows("rail_lines")
    )


def _marked_at(tx: Transaction, rail: str) -> dict[str, int]:
    """By side, the number of the line that says that this ledger has opened its generation."""
    mark = tx.database.mark
    return {row["side"]: row["n"] for row in _lines(tx, rail) if row["client_id"] == mark}


def ids_to_use_up(tx: Transaction, rail: str, side: str) -> list[str]:
    """Those that a provider must list before the generation is open there."""
    if "ids used up" in tx.without:
        return []
    marked = _marked_at(tx, rail)
    told = [
        (row["withdrawal_id"], row["attempt"])
        for row in _lines(tx, rail)
        if row["withdrawal_id"] is not None
        and (row["side"] not in marked or row["n"] < marked[row["side"]])
    ]
    told += [(row["withdrawal_id"], row["attempt"]) for row in tx.rows("rail_instructions")]
    known = {row["client_id"] for row in _lines(tx, rail) if row["side"] == side}
    found = []
    for row in tx.rows("withdrawals"):
        older = row["seq"] >> NUMBER_BITS < tx.database.generation
        if row["network"] != rail or row["state"] not in ("reserved", "instructed") or not older:
            continue
        own = tx.get("rail_instructions", row["instruction_id"])
        in_force = None if own is None or own["side"] != side else own["attempt"]
        possible = {1} | {attempt + 1 for each, attempt in told if each == row["id"]}
        found += [
            f"{row['id']}-{attempt}"
            for attempt in sorted(possible)
            if attempt != in_force and f"{row['id']}-{attempt}" not in known
        ]
    return found


def is_open(tx: Transaction, rail: str) -> bool:
    """Whether this ledger may have anything paid over a rail."""
    generation = tx.database.generation
    providers = [tx.get("rail_providers", (rail, side)) for side in _SIDES]
    if any(row is not None and row["generation"] < generation for row in providers):
        return False
    if "mark of another ledger" in tx.without:
        return True
    marked = _marked_at(tx, rail)
    return not any(
        row["unexplained"] and row["state"] == "cancelled" and row["client_id"].startswith(MARKS)
        for row in _lines(tx, rail)
        if row["n"] > marked.get(row["side"], 0)
    )


def may_yet_be_paid(tx: Transaction, seq: int, network: str) -> bool:
    """Whether a ledger that was lost may have instructed it; on networks none is restored here."""
    generation = tx.database.generation
    return seq >> NUMBER_BITS < generation and any(
        row["rail"] == network and row["generation"] < generation
        for row in tx.rows("rail_providers")
    )


def providers(tx: Transaction, old: Stored | None, new: Stored | None) -> None:
    """A generation is opened when both list the mark, and this one all that must be used up."""
    assert new is not None, "nobody may delete a provider"
    if old is None or old["generation"] == new["generation"]:
        return
    marked, at = _marked_at(tx, new["rail"]), (new["rail"], new["side"])
    current = new["generation"] == tx.database.generation
    if not current or set(marked) != set(_SIDES) or ids_to_use_up(tx, *at):
        raise asyncpg.RaiseError(f"generation {new['generation']} is not open at {at}")


def lines(tx: Transaction, old: Stored | None, new: Stored | None) -> None:
    """Lines are kept as they came."""
    del tx
    assert old is None, "lines are insert only"
    assert new is not None, "lines are insert only"
    bare = [new[name] is None for name in _CONTENT]
    if len(set(bare)) != 1 or bare[0] != (new["state"] == "cancelled"):
        raise asyncpg.CheckViolationError("a line names its instruction unless it was cancelled")


def instructions(tx: Transaction, old: Stored | None, new: Stored | None) -> None:
    """One alive for each withdrawal; each is where its provider's statement has left it."""
    assert new is not None, "nobody may delete an instruction"
    if old is None:
        _may_be_recorded(tx, new)
    elif old["state"] != new["state"]:
        _is_stated(tx, old, new)


def _may_be_recorded(tx: Transaction, new: Stored) -> None:
    of = tx.get("withdrawals", new["withdrawal_id"])
    asked = ("rail", *_CONTENT)
    names = ("network", *_CONTENT)
    waits = of is not None and of["state"] == "reserved"
    if (
        of is None
        or not waits
        or new["state"] != "recorded"
        or [of[name] for name in names] != [new[name] for name in asked]
    ):
        raise asyncpg.RaiseError(f"{new['withdrawal_id']} does not wait for this instruction")
    if not is_open(tx, new["rail"]) and not _says(tx, new, "accepted"):
        raise asyncpg.RaiseError("this ledger is not open at its providers")
    others = [row for row in tx.rows("rail_instructions") if row["id"] != new["id"]]
    if any(row["client_id"] == new["client_id"] for row in others):
        raise asyncpg.UniqueViolationError("rail_instructions_client_id_key")
    if "one instruction alive" not in tx.without and any(
        row["withdrawal_id"] == new["withdrawal_id"]
        and row["state"] not in ("returned", "cancelled")
        for row in others
    ):
        raise asyncpg.UniqueViolationError("rail_instructions_one_alive")


def _is_stated(tx: Transaction, old: Stored, new: Stored) -> None:
    if "instruction as stated" in tx.without:
        return
    if (old["state"], new["state"]) not in _STEPS:
        raise asyncpg.RaiseError(f"{old['client_id']} may not become {new['state']}")
    if new["state"] != "disputed" and not _says(tx, old, new["state"]):
        raise asyncpg.RaiseError(f"no statement says that {old['client_id']} is {new['state']}")


def _says(tx: Transaction, row: Stored, state: str) -> bool:
    """Whether a line of its provider says so of the very instruction."""
    return any(
        (line["side"], line["client_id"], line["state"]) == (row["side"], row["client_id"], state)
        and (state == "cancelled" or all(line[name] == row[name] for name in _CONTENT))
        for line in _lines(tx, row["rail"])
    )


def over_rail(tx: Transaction, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """A withdrawal follows its instruction."""
    if "withdrawal follows its instruction" in tx.without:
        return
    told = tx.get("rail_instructions", new["instruction_id"] or old["instruction_id"])
    state = None if told is None else told["state"]
    refused = told is not None and told["refusal"] is not None
    ways = {
        "instructed": state in ("recorded", "disputed"),
        "posted": state == "settled",
        "reserved": state == "cancelled" and not refused,
        "voided": state == "returned" or (state == "cancelled" and refused),
    }
    own = told is not None and (told["withdrawal_id"], told["rail"]) == (old["id"], old["network"])
    if not (own and ways.get(new["state"], False)):
        raise asyncpg.RaiseError(
            f"{old['id']} may not go from {old['state']} to {new['state']}: it is {state}"
        )


RAIL_RULES: dict[str, Rule] = {
    "rail_providers": providers,
    "rail_lines": lines,
    "rail_instructions": instructions,
}
