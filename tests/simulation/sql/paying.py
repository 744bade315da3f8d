"""What the statements of who pays over rails do. Accounts are named as in reserving.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from tests.simulation.rail_rules import ids_to_use_up, is_open, lists, unexplained
from tests.simulation.sql.settling import account, book, void
from tests.simulation.store import Row, Stored, Transaction, statement
from venue.rails import claims, metrics, opening, routing, statements, worker

_LINE = (
    *("rail", "side", "n", "client_id", "withdrawal_id", "attempt", "state"),
    *("asset", "amount", "destination", "reason", "unexplained", "said_at"),
)
_CONTENT = ("n", "client_id", "state", "asset", "amount", "destination")
_INSTRUCTION = (
    *("id", "withdrawal_id", "client_id", "rail", "side", "asset", "amount", "destination"),
    *("state", "refusal"),
)


def _of(tx: Transaction, table: str, rail: str, side: str) -> list[Stored]:
    """Rows of a table that are of one provider, oldest first."""
    return [row for row in tx.rows(table) if row["side"] == side and row["rail"] == rail]


# Claims.


@statement(claims._MODE)
async def read_mode(tx: Transaction, stale_after_ms: int, rail: str) -> Iterable[Row]:
    mode = tx.mode_seen or tx.get("mode", "only")
    if mode is None:
        return ()
    beat = tx.get("mode_controller_lease", "only")
    age_ms = None if beat is None else (tx.database.clock() - beat["renewed_at"]) * 1_000
    return [
        Row(
            epoch=mode["epoch"],
            tier=mode["tier"],
            controlled=age_ms is not None and abs(age_ms) <= stale_after_ms,
            halted=False,
            open=is_open(tx, rail),
        )
    ]


@statement(claims._FUNDS)
async def lock_funds(tx: Transaction, rail: str, side: str) -> Iterable[Row]:
    keys = sorted(key for key in tx.database.tables["rail_funds"] if key[:2] == (rail, side))
    found = [await tx.take("rail_funds", key) for key in keys]
    return [Row(asset=row["asset"], available=row["available"]) for row in found if row]


@statement(claims._CANDIDATES)
async def candidates(
    tx: Transaction, rail: str, asset: str, sizes: Sequence[str], limit: int
) -> Iterable[Row]:
    def waits(row: Stored) -> bool:
        asked = (row["network"], row["asset"], row["state"])
        return asked == (rail, asset, "reserved") and row["size"] in sizes

    found: list[Row] = []
    waiting = [row for row in tx.rows("withdrawals") if waits(row)]
    for row in sorted(waiting, key=lambda row: (row["size"] == "large", row["seq"])):
        if len(found) >= limit:
            break
        if "candidates locked" not in tx.without:
            if tx.is_locked_by_another("withdrawals", row["id"]):
                continue
            newest = await tx.take("withdrawals", row["id"])
            if newest is None or not waits(newest):
                continue
        if unexplained(tx, row["id"]):
            continue
        picked = Row({name: row[name] for name in ("id", "amount", "destination", "size")})
        picked["attempt"] = 1 + last_attempt(tx, row["id"])
        found.append(picked)
    return found


def last_attempt(tx: Transaction, withdrawal: UUID) -> int:
    """The highest that an instruction or a statement knows of it."""
    return max(
        (
            row["attempt"]
            for table in ("rail_instructions", "rail_lines")
            for row in tx.rows(table)
            if row["withdrawal_id"] == withdrawal
        ),
        default=0,
    )


@statement(claims._RECORD)
async def record(tx: Transaction, *given: Any) -> Iterable[Row]:
    names = (
        *("withdrawal_id", "attempt", "rail", "side", "asset", "amount", "destination"),
        *("mode_epoch", "state"),
    )
    row = dict(zip(names, (*given, "recorded"), strict=True))
    row |= {"id": tx.database.number("rail_instructions"), "refusal": None}
    row["client_id"] = f"{row['withdrawal_id']}-{row['attempt']}"
    row["recorded_at"] = tx.database.clock()
    alive = ("alive", row["withdrawal_id"])
    await tx.insert("rail_instructions", row["id"], row, row["client_id"], alive)
    return [Row(id=row["id"])]


@statement(claims._INSTRUCT)
async def instruct(tx: Transaction, withdrawal: UUID, instruction: int) -> Iterable[Row]:
    row = await tx.take("withdrawals", withdrawal)
    if row is None or row["state"] != "reserved":
        return ()
    changes = {"state": "instructed", "instruction_id": instruction, "reason": None}
    tx.put("withdrawals", withdrawal, row | changes)
    return [Row(bool=True)]


@statement(claims.CHANGE_FUNDS)
async def change_funds(
    tx: Transaction, rail: str, side: str, asset: str, amount: int
) -> Iterable[Row]:
    row = await tx.take("rail_funds", (rail, side, asset))
    if row is not None and not (amount < 0 and "funds lowered" in tx.without):
        changed = row | {"available": row["available"] + amount}
        tx.put("rail_funds", (rail, side, asset), changed)
    return ()


@statement(claims._WAITING)
async def waiting_over_rail(tx: Transaction, rail: str) -> Iterable[Row]:
    rows = tx.rows("withdrawals")
    waits = any(row["state"] == "reserved" and row["network"] == rail for row in rows)
    return [Row(exists=waits)]


@statement(claims._RECORDED)
async def recorded(tx: Transaction, rail: str, side: str, limit: int) -> Iterable[Row]:
    names = ("client_id", "asset", "amount", "destination", "refusal")
    if not is_open(tx, rail):
        return ()
    rows = _of(tx, "rail_instructions", rail, side)
    found = [Row({name: row[name] for name in names}) for row in rows if row["state"] == "recorded"]
    return found[:limit]


@statement(worker._REFUSE)
async def refuse(tx: Transaction, client_id: str, reason: str) -> Iterable[Row]:
    row = await _recorded(tx, client_id)
    if row is None or row["refusal"] is not None:
        return ()
    tx.put("rail_instructions", row["id"], row | {"refusal": reason})
    return [Row(id=row["id"])]


@statement(worker._HOLD)
async def dispute(tx: Transaction, client_id: str) -> Iterable[Row]:
    row = await _recorded(tx, client_id)
    if row is None:
        return ()
    tx.put("rail_instructions", row["id"], row | {"state": "disputed"})
    return [Row(id=row["id"])]


async def _recorded(tx: Transaction, client_id: str) -> Stored | None:
    row = await _instruction(tx, client_id)
    return row if row is not None and row["state"] == "recorded" else None


async def _instruction(tx: Transaction, client_id: str) -> Stored | None:
    """The instruction of this id, locked."""
    for row in tx.rows("rail_instructions"):
        if row["client_id"] == client_id:
            return await tx.take("rail_instructions", row["id"])
    return None


# Statements.


@statement(statements._LAST)
async def last(tx: Transaction, rail: str, side: str) -> Iterable[Row]:
    return [Row(n=max((row["n"] for row in _of(tx, "rail_lines", rail, side)), default=0))]


@statement(statements._LAST_LINE)
async def last_line(tx: Transaction, rail: str, side: str) -> Iterable[Row]:
    rows = _of(tx, "rail_lines", rail, side)
    if not rows:
        return ()
    row = max(rows, key=lambda each: each["n"])
    return [Row({name: row[name] for name in _CONTENT})]


@statement(statements._HOLD)
async def hold_provider(tx: Transaction, rail: str, side: str) -> Iterable[Row]:
    if "one reader at a time" not in tx.without:
        await tx.take("rail_providers", (rail, side))
    return [Row(bool=True)]


@statement(statements._LOCK)
async def lock_withdrawals(tx: Transaction, ids: Sequence[UUID]) -> Iterable[Row]:
    for each in sorted(set(ids)):
        if tx.get("withdrawals", each) is not None:
            await tx.take("withdrawals", each)
    return ()


@statement(statements._MAY_GIVE_BACK)
async def may_give_back(tx: Transaction, client_ids: Sequence[str]) -> Iterable[Row]:
    return [
        Row(withdrawal_id=row["withdrawal_id"])
        for row in tx.rows("rail_instructions")
        if row["client_id"] in client_ids and row["state"] in ("recorded", "accepted")
    ]


@statement(statements._HOLD_BALANCES)
async def hold_balances(tx: Transaction, ids: Sequence[UUID]) -> Iterable[Row]:
    await lock_withdrawals(tx, ids)
    reserved = {
        row["id"]
        for row in tx.rows("postings")
        if row["kind"] == "reserve" and row["withdrawal_id"] in ids
    }
    owners = {row["account"] for row in tx.rows("entries") if row["posting_id"] in reserved}
    for owner in sorted(owner for owner in owners if tx.get("balances", owner) is not None):
        await tx.take("balances", owner)
    return [Row(hold_for_giving_back="")]


@statement(statements._KEEP)
async def keep(tx: Transaction, *given: Any) -> Iterable[Row]:
    row = dict(zip(_LINE, given, strict=True))
    await tx.insert("rail_lines", (row["rail"], row["side"], row["n"]), row)
    return ()


@statement(statements._OPENED_BY_ANOTHER)
async def opened_by_another(tx: Transaction, rail: str, side: str, client_id: str) -> Iterable[Row]:
    database = tx.database
    after = database.generation == 0 or lists(tx, rail, side, database.mark)
    return [Row(bool=database.mark != client_id and after)]


@statement(statements._INSTRUCTION)
async def instruction(tx: Transaction, client_id: str) -> Iterable[Row]:
    row = await _instruction(tx, client_id)
    return [] if row is None else [Row({name: row[name] for name in _INSTRUCTION})]


@statement(statements._WITHDRAWAL)
async def owed(tx: Transaction, withdrawal: UUID, rail: str) -> Iterable[Row]:
    row = tx.get("withdrawals", withdrawal)
    if row is None or (row["network"], row["state"]) != (rail, "reserved"):
        return ()
    row = await tx.take("withdrawals", withdrawal)
    if row is None or row["state"] != "reserved":
        return ()
    return [Row({name: row[name] for name in ("id", "asset", "amount", "destination")})]


@statement(statements._EPOCH)
async def epoch(tx: Transaction) -> Iterable[Row]:
    row = tx.get("mode", "only")
    return [] if row is None else [Row(epoch=row["epoch"])]


@statement(statements._MOVE)
async def move(tx: Transaction, number: int, state: str) -> Iterable[Row]:
    await tx.update("rail_instructions", number, state=state)
    return ()


@statement(statements._POST)
async def post_over_rail(tx: Transaction, withdrawal: UUID) -> Iterable[Row]:
    row = await tx.take("withdrawals", withdrawal)
    told = None if row is None else tx.get("rail_instructions", row["instruction_id"])
    if row is None or told is None or row["state"] != "instructed":
        return [Row(post_over_rail=False)]
    tx.put("withdrawals", withdrawal, row | {"state": "posted"})
    at = account(row, f"at_{told['side']}")
    amounts = {account(row, "reserved"): row["amount"], at: -row["amount"]}
    entries = await book(tx, "post", {"withdrawal_id": withdrawal}, amounts)
    return [Row(post_over_rail=entries == len(amounts))]


@statement(statements._RELEASE)
async def release(tx: Transaction, withdrawal: UUID) -> Iterable[Row]:
    row = await tx.take("withdrawals", withdrawal)
    if row is None or row["state"] != "instructed":
        return ()
    tx.put("withdrawals", withdrawal, row | {"state": "reserved", "instruction_id": None})
    return [Row(bool=True)]


@statement(statements._GIVE_BACK)
async def give_back(tx: Transaction, withdrawal: UUID, why: str) -> Iterable[Row]:
    row = await tx.take("withdrawals", withdrawal)
    given = 0
    if row is not None and row["state"] in ("unknown", "instructed"):
        await void(tx, row, reason=why, held_because=None)
        given = 1
    return [Row(give_back_held=given)]


# Which provider, and the opening of a generation at both.


@statement(routing._LOG)
async def log_side(tx: Transaction, rail: str, side: str, reason: str) -> Iterable[Row]:
    number = tx.database.number("rail_log")
    row = {"id": number, "rail": rail, "side": side, "reason": reason}
    await tx.insert("rail_log", number, row)
    return ()


@statement(routing._LAST)
async def last_side(tx: Transaction, rail: str) -> Iterable[Row]:
    rows = [row for row in tx.rows("rail_log") if row["rail"] == rail]
    return [Row(side=max(rows, key=lambda row: row["id"])["side"])] if rows else ()


@statement(opening._STANDING)
async def standing(tx: Transaction, rail: str, side: str) -> Iterable[Row]:
    row, mark = tx.get("rail_providers", (rail, side)), tx.database.mark
    if row is None:
        return ()
    marked = {each: lists(tx, rail, each, mark) for each in ("primary", "standby")}
    return [
        Row(
            mark=mark,
            open=row["generation"] == tx.database.generation,
            marked=marked[side],
            all_marked=all(marked.values()),
            readable=marked["primary"],
        )
    ]


@statement(opening._USE_UP)
async def use_up(tx: Transaction, rail: str, side: str, limit: int) -> Iterable[Row]:
    return [Row(client_id=each) for each in ids_to_use_up(tx, rail, side)[:limit]]


@statement(opening._OPEN)
async def open_provider(tx: Transaction, rail: str, side: str) -> Iterable[Row]:
    row, generation = await tx.take("rail_providers", (rail, side)), tx.database.generation
    if row is None or row["generation"] >= generation or ids_to_use_up(tx, rail, side):
        return ()
    tx.put("rail_providers", (rail, side), row | {"generation": generation})
    return [Row(generation=generation)]


# Metrics.


@statement(metrics._STANDING)
async def how_it_stands(tx: Transaction, rail: str) -> Iterable[Row]:
    now_s, found = tx.database.clock(), []
    for side in ("primary", "standby"):
        rows = _of(tx, "rail_instructions", rail, side)
        oldest = {
            state: min((row["recorded_at"] for row in rows if row["state"] == state), default=now_s)
            for state in ("recorded", "accepted")
        }
        lines = sum(row["unexplained"] for row in _of(tx, "rail_lines", rail, side))
        found.append(
            Row(
                side=side,
                doubt_s=now_s - oldest["recorded"],
                settle_s=now_s - oldest["accepted"],
                unexplained=lines + sum(row["state"] == "disputed" for row in rows),
            )
        )
    return found


@statement(metrics._QUEUE_S)
async def queue_age(tx: Transaction, rail: str, sizes: Sequence[str]) -> Iterable[Row]:
    del tx, rail, sizes  # nobody looks at it
    return [Row(coalesce=0.0)]


@statement(metrics._TIER)
async def read_tier(tx: Transaction) -> Iterable[Row]:
    row = tx.get("mode", "only")
    return [] if row is None else [Row(tier=row["tier"])]


@statement(metrics._FUNDS)
async def read_funds(tx: Transaction, rail: str) -> Iterable[Row]:
    names = ("side", "asset", "available")
    rows = [row for row in tx.rows("rail_funds") if row["rail"] == rail]
    return [Row({name: row[name] for name in names}) for row in rows]
