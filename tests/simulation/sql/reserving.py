"""What the statements of intake do. Ids of accounts are the accounts themselves here."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from tests.simulation.sql.settling import account, book
from tests.simulation.store import Row, Stored, Transaction, statement
from venue import clock
from venue.api import mode, reservations

_COLUMNS = (
    *("id", "customer_id", "bucket", "source_network", "network", "asset", "amount"),
    *("value_micro", "size", "destination", "reason"),
)


@statement(reservations._LOCK_BALANCES)
async def lock_balances(tx: Transaction, accounts: Sequence[Any]) -> Iterable[Row]:
    found = [(each, await tx.take("balances", each)) for each in sorted(accounts)]
    return [
        Row(account_id=each, available=row["available"]) for each, row in found if row is not None
    ]


@statement(reservations._READ)
async def read_mode_and_known(
    tx: Transaction, ids: Sequence[UUID], customers: Sequence[int], since_us: int
) -> Iterable[Row]:
    mode, beat = tx.get("mode", "only"), tx.get("mode_controller_lease", "only")
    assert mode is not None
    age_ms = None if beat is None else int((tx.database.clock() - beat["renewed_at"]) * 1_000)
    known = [_known(tx, row) for row in (tx.get("withdrawals", each) for each in ids) if row]
    return [
        Row(
            epoch=mode["epoch"],
            tier=mode["tier"],
            reason="simulated",
            since_s=0.0,
            lease_age_ms=age_ms,
            known=json.dumps(known) if known else None,
            asked=json.dumps(
                [
                    [
                        row["customer_id"],
                        row["requested_us"],
                        row["value_micro"],
                        row["source_network"] != row["network"],
                        row["state"] == "voided",
                    ]
                    for row in tx.rows("withdrawals")
                    if row["customer_id"] in customers and row["requested_us"] > since_us
                ]
            ),
            now_us=_now_us(tx),
        )
    ]


def _now_us(tx: Transaction) -> int:
    return int(tx.database.clock() * 1_000_000)


@statement(clock._READ)
async def read_clock(tx: Transaction) -> Iterable[Row]:
    return [Row(now_us=_now_us(tx))]


def _known(tx: Transaction, row: Stored) -> list[Any]:
    """A withdrawal that is there already, with the state that its customer is shown."""
    state = row["state"]
    if state == "instructed":
        told = tx.get("rail_instructions", row["instruction_id"])
        state = "slotted" if told is not None and told["state"] == "recorded" else "broadcast"
    elif state == "slotted":
        slot = tx.get("slots", row["slot_id"])
        assert slot is not None
        state = {"open": "slotted", "final": "included"}.get(slot["state"], slot["state"])
    names = ("seq", "customer_id", "source_network", "network", "asset")
    return [
        str(row["id"]),
        *(row[name] for name in names),
        str(row["amount"]),
        *(row[name] for name in ("destination", "size", "reason")),
        state,
    ]


@statement(mode._CONFIRM)
async def confirm(tx: Transaction) -> Iterable[Row]:
    del tx  # there is one disk
    return [Row(lsn=0)]


@statement(reservations._RESERVE)
async def reserve(tx: Transaction, *given: Any) -> Iterable[Row]:
    *columns, flow_channel, withdrawal_channel = given
    found: list[Row] = []
    charged: Counter[Any] = Counter()
    for values in zip(*columns, strict=True):
        row = dict(zip(_COLUMNS, values, strict=False))
        source, source_clearing, clearing, reserved = values[len(_COLUMNS) :]
        await tx.lock(("withdrawals", row["id"]))
        if tx.get("withdrawals", row["id"]) is not None:  # on conflict do nothing
            continue
        row |= {"seq": tx.database.next_seq(), "state": "reserved"}
        row["requested_us"] = _now_us(tx)
        row |= dict.fromkeys(("paid_to", "slot_id", "held_because", "instruction_id"))
        tx.put("withdrawals", row["id"], row)
        amounts = {source: row["amount"], reserved: -row["amount"]}
        if row["source_network"] != row["network"]:
            amounts |= {source_clearing: -row["amount"], clearing: row["amount"]}
        await book(tx, "reserve", {"withdrawal_id": row["id"]}, amounts)
        charged[source] += row["amount"]
        found.append(Row(id=row["id"], seq=row["seq"]))
    for source, total in charged.items():
        balance = await tx.take("balances", source)
        assert balance is not None
        tx.put("balances", source, balance | {"available": balance["available"] - total})
    tx.notes += [flow_channel, withdrawal_channel] if found else []
    return found


def accounts_of(
    place: dict[str, str], customer: int, *, source: str | None = None
) -> dict[str, Any]:
    """The accounts that a reservation moves, as it names them.

    ``source``: the network whose balance pays, if it is not that of ``place``.
    """
    paying = place | {"network": source or place["network"]}
    return {
        "customer_account": account(paying, "customer", customer),
        "source_account": account(paying, "customer", customer),
        "source_clearing": account(paying, "clearing"),
        "clearing": account(place, "clearing"),
        "reserved_account": account(place, "reserved"),
    }
