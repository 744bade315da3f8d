"""What the statements of a customer's cancellation and of an operator's decision do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import asyncpg

from tests.simulation import rail_rules
from tests.simulation.sql.settling import void
from tests.simulation.store import Row, Transaction, statement
from venue.api import reservations
from venue.operator import held


@statement(reservations._LOCK)
async def lock_own(tx: Transaction, withdrawal: UUID, customer: int) -> Iterable[Row]:
    row = await tx.take("withdrawals", withdrawal)
    if row is None or row["customer_id"] != customer:
        return ()
    return [Row(**{name: row[name] for name in ("seq", "state", "reason", "network")})]


@statement(reservations._TRIED)
async def tried(tx: Transaction, withdrawal: UUID) -> Iterable[Row]:
    slots = [row["slot_id"] for row in tx.rows("attempts") if row["withdrawal_id"] == withdrawal]
    return [Row(max=None if "refund rule" in tx.without else max(slots, default=None))]


@statement(reservations._MAY_YET_BE_PAID)
async def may_yet_be_paid(tx: Transaction, seq: int, network: str) -> Iterable[Row]:
    return [Row(may_yet_be_paid=rail_rules.may_yet_be_paid(tx, seq, network))]


@statement(reservations._HOLD)
async def hold(tx: Transaction, withdrawal: UUID, slot: int, reason: str) -> Iterable[Row]:
    row = await tx.take("withdrawals", withdrawal)
    if row is not None and row["state"] == "reserved":
        changes = {"state": "unknown", "held_because": "refused", "slot_id": slot}
        tx.put("withdrawals", withdrawal, row | changes | {"reason": reason})
    return ()


@statement(reservations._VOID)
async def void_own(tx: Transaction, withdrawal: UUID, reason: str, channel: str) -> Iterable[Row]:
    row = await tx.take("withdrawals", withdrawal)
    if row is None or row["state"] != "reserved":
        return [Row(withdrawals=0, balances=0)]
    await void(tx, row, reason=reason)
    tx.notes.append(channel)
    counted = {name: row[name] for name in ("network", "asset", "size", "value_micro")}
    return [Row({"withdrawals": 1, "balances": 1} | counted | {"age_ms": None})]


@statement(reservations._OPEN_RESOLUTION)
async def open_resolution(tx: Transaction, withdrawal: UUID) -> Iterable[Row]:
    return [Row(decision=row["decision"]) for row in _standing(tx, withdrawal)]


def _standing(tx: Transaction, withdrawal: UUID) -> list[dict[str, Any]]:
    return [
        row
        for row in tx.rows("resolutions")
        if row["withdrawal_id"] == withdrawal and row["state"] in ("requested", "slotted")
    ]


async def _request(  # noqa: PLR0917 - the columns of a row
    tx: Transaction, withdrawal: UUID, seq: int, decision: str, destination: str | None, actor: str
) -> int:
    """Insert a resolution; its trigger locks the withdrawal."""
    await tx.lock(("withdrawals", withdrawal))
    number = tx.database.number("resolutions")
    row = {
        "id": number,
        "withdrawal_id": withdrawal,
        "seq": seq,
        "decision": decision,
        "destination": destination,
        "actor": actor,
        "state": "requested",
        "slot_id": None,
        "found": None,
    }
    await tx.insert("resolutions", number, row, withdrawal)
    return number


@statement(reservations._ASK_BACK)
async def ask_back(  # noqa: PLR0917 - the arguments of its statement
    tx: Transaction, withdrawal: UUID, seq: int, why: str, reason: str, channel: str
) -> Iterable[Row]:
    await _request(tx, withdrawal, seq, "void", None, "customer")
    await tx.update("withdrawals", withdrawal, reason=reason)
    tx.notes.append(channel)
    return [Row(asked=1, told=1)]


@statement(held._FIND)
async def find(tx: Transaction, withdrawal: UUID) -> Iterable[Row]:
    row = tx.get("withdrawals", withdrawal)
    return [] if row is None else [Row(seq=row["seq"], state=row["state"])]


@statement(held._OWN)
async def is_own(tx: Transaction, address: str) -> Iterable[Row]:
    own = any(row["address"] == address for row in tx.rows("lanes")) or any(
        row["to_address"] == address for row in tx.rows("slots")
    )
    return [Row(own=own or address == "0x" + "0" * 40)]


@statement(held._OPEN)
async def standing(tx: Transaction, withdrawal: UUID) -> Iterable[Row]:
    rows = _standing(tx, withdrawal)
    return [Row(decision=row["decision"], actor=row["actor"]) for row in rows]


@statement(held._DECIDE)
async def decide(  # noqa: PLR0917 - as ask_back
    tx: Transaction,
    withdrawal: UUID,
    seq: int,
    decision: str,
    destination: str | None,
    actor: str,
    justification: str,
) -> Iterable[Row]:
    try:
        return [Row(id=await _request(tx, withdrawal, seq, decision, destination, actor))]
    except asyncpg.UniqueViolationError:  # on conflict do nothing
        return ()
