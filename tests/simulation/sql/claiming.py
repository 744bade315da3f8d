"""What the statements of claims, lanes, leases and the agreement with the chain do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from seawall.conventions.database import FLOW_CHANNEL, MODE_LOCK
from tests.simulation.store import Row, Stored, Transaction, statement
from venue.ledger import outstanding
from venue.settler import agreement, claims, lanes, lease, posting, topups

_CANDIDATE = ("id", "seq", "asset", "amount", "size")


def candidate(row: Stored) -> Row:
    """A withdrawal as claims read it."""
    found = Row({name: row[name] for name in _CANDIDATE})
    found["destination"] = row["paid_to"] or row["destination"]
    return found


@statement(claims._LOCK)
async def lock_mode(tx: Transaction, number: int) -> Iterable[Row]:
    assert number == MODE_LOCK
    if "mode lock in a statement of its own" in tx.without:
        tx.mode_seen = tx.get("mode", "only")
    if "mode lock" not in tx.without:
        await tx.database.mode_lock.take(tx, alone=False)
    return ()


@statement(f"select pg_advisory_xact_lock_shared({MODE_LOCK})")
async def lock_mode_of_api(tx: Transaction) -> Iterable[Row]:
    return await lock_mode(tx, MODE_LOCK)


@statement(claims._MODE)
async def read_mode(tx: Transaction, stale_after_ms: int, network: str) -> Iterable[Row]:
    mode = tx.mode_seen or tx.get("mode", "only")
    if mode is None:
        return ()
    beat = tx.get("mode_controller_lease", "only")
    age_ms = None if beat is None else (tx.database.clock() - beat["renewed_at"]) * 1_000
    controlled = age_ms is not None and abs(age_ms) <= stale_after_ms
    return [
        Row(
            epoch=mode["epoch"],
            tier=mode["tier"],
            generation=tx.database.generation,
            controlled=controlled,
            halted=False,
        )
    ]


@statement(claims._LANE)
async def read_lane(tx: Transaction, chain_id: int, address: str) -> Iterable[Row]:
    key = (chain_id, address)
    row = tx.get("lanes", key) if "lane locked" in tx.without else await tx.take("lanes", key)
    if row is not None and "next nonce on record" in tx.without:
        row = row | {"next_nonce": tx.database.chain_nonce(address)}
    return [] if row is None else [Row({k: row[k] for k in ("holder", "epoch", "next_nonce")})]


@statement(posting.READ_FLOATS)
async def read_floats(tx: Transaction, wallet: str) -> Iterable[Row]:
    keys = sorted((row["wallet"], row["asset"]) for row in tx.rows("floats"))
    found = [await tx.take("floats", key) for key in keys if key[0] == wallet]
    return [Row(asset=row["asset"], available=row["available"]) for row in found if row]


@statement(claims._WAITING)
async def waiting(tx: Transaction, network: str, wallet: str) -> Iterable[Row]:
    payouts = any(
        row["state"] == "reserved" and row["network"] == network for row in tx.rows("withdrawals")
    )
    resolutions = any(True for row in _requested(tx) if row[1]["network"] == network)
    sweeps = any(
        (row["from_wallet"], row["state"]) == (wallet, "requested") for row in tx.rows("topups")
    )
    return [Row(payouts=payouts, sweeps=sweeps, resolutions=resolutions)]


@statement(outstanding._OUTSTANDING)
async def outstanding_of(
    tx: Transaction, network: str, bucket: str, assets: Sequence[str], caps: Sequence[int]
) -> Iterable[Row]:
    found = payable(tx.rows("withdrawals"), network, bucket, dict(zip(assets, caps, strict=True)))
    return [Row(asset=asset, amount=amount) for asset, amount in sorted(found.items())]


def payable(
    rows: Iterable[Stored], network: str, bucket: str, caps: Mapping[str, int]
) -> Counter[str]:
    """Base units by asset that wait, without what is above ``caps``."""
    found: Counter[str] = Counter()
    for row in rows:
        wanted = (row["network"], row["bucket"], row["state"]) == (network, bucket, "reserved")
        if wanted and row["amount"] <= caps.get(row["asset"], -1):
            found[row["asset"]] += row["amount"]
    return found


def _requested(tx: Transaction) -> Iterable[tuple[Stored, Stored]]:
    """Resolutions that wait for a slot, each with its withdrawal."""
    for row in tx.rows("resolutions"):
        if row["state"] == "requested":
            held = tx.get("withdrawals", row["withdrawal_id"])
            if held is not None and (held["seq"], held["state"]) == (row["seq"], "unknown"):
                yield row, held


@statement(claims._CANDIDATES)
async def candidates(  # noqa: PLR0917 - the arguments of its statement
    tx: Transaction, network: str, asset: str, size: str, bucket: str, limit: int, most: int
) -> Iterable[Row]:
    wanted = (network, asset, size, bucket, "reserved")
    rows = [
        row
        for row in tx.rows("withdrawals")
        if (row["network"], row["asset"], row["size"], row["bucket"], row["state"]) == wanted
        and row["amount"] <= most
    ]
    rows.sort(key=lambda row: row["seq"])
    if "candidates locked" in tx.without:
        return [candidate(row) for row in rows[:limit]]
    free = [row for row in rows if not tx.is_locked_by_another("withdrawals", row["id"])][:limit]
    for row in free:
        await tx.lock(("withdrawals", row["id"]))
    return [candidate(row) for row in free]


@statement(claims._PAUSES)
async def pauses(tx: Transaction, network: str) -> Iterable[Row]:
    return [Row(asset=row["asset"]) for row in tx.rows("asset_pauses") if row["network"] == network]


@statement(claims._HELD)
async def held(tx: Transaction, chain_id: int, address: str, limit: int) -> Iterable[Row]:
    found: list[Row] = []
    for row, withdrawal in sorted(_requested(tx), key=lambda pair: pair[0]["id"]):
        slot = tx.get("slots", withdrawal["slot_id"])
        if slot is None or (slot["chain_id"], slot["address"]) != (chain_id, address):
            continue
        if len(found) < limit and not tx.is_locked_by_another("resolutions", row["id"]):
            await tx.lock(("resolutions", row["id"]))
            found.append(Row(id=row["id"], seq=row["seq"], withdrawal_id=row["withdrawal_id"]))
    return found


@statement(claims._RENUMBER)
async def renumber(tx: Transaction, ids: Sequence[UUID]) -> Iterable[Row]:
    rows = [await tx.update("withdrawals", each, seq=tx.database.next_seq()) for each in ids]
    return [Row(id=row["id"], seq=row["seq"]) for row in rows if row is not None]


@statement(claims._ATTEMPT)
async def insert_attempts(
    tx: Transaction, slot: int, ids: Sequence[UUID], seqs: Sequence[int]
) -> Iterable[Row]:
    for each, seq in zip(ids, seqs, strict=True):
        row = {"slot_id": slot, "withdrawal_id": each, "seq": seq}
        await tx.insert("attempts", (slot, each), row)
    return ()


@statement(claims._SLOT_HELD)
async def slot_held(tx: Transaction, slot: int, ids: Sequence[int]) -> Iterable[Row]:
    for each in ids:
        row = await tx.take("resolutions", each)
        if row is not None and row["state"] == "requested":
            tx.put("resolutions", each, row | {"state": "slotted", "slot_id": slot})
    return ()


@statement(topups._NEXT)
async def next_topup(tx: Transaction, *given: Any) -> Iterable[Row]:
    network, wallet, assets, amounts, contracts = given
    room = dict(zip(assets, amounts, strict=True))
    rows = [
        row
        for row in tx.rows("topups")
        if (row["network"], row["from_wallet"], row["state"]) == (network, wallet, "requested")
        and row["amount"] <= room.get(row["asset"], -1)
        and row["to_wallet"] in contracts
    ]
    for row in sorted(rows, key=lambda row: row["requested_at"]):
        if not tx.is_locked_by_another("topups", row["id"]):
            await tx.lock(("topups", row["id"]))
            return [Row({k: row[k] for k in ("id", "n", "asset", "to_wallet", "amount")})]
    return ()


@statement(claims._OPEN)
async def open_slot(tx: Transaction, *values: Any) -> Iterable[Row]:
    names = (
        *("chain_id", "address", "nonce", "epoch", "mode_epoch", "purpose", "to_address", "value"),
        *("data", "gas_limit", "max_fee_wei", "priority_fee_wei", "digest"),
    )
    row = dict(zip(names, values, strict=True))
    number = tx.database.number("slots")
    row |= {"id": number, "admitted_epoch": row["mode_epoch"], "state": "open"}
    row |= dict.fromkeys(
        ("signer_region", "tx_hash", "raw", "mined_hash", "block_number", "block_hash")
    )
    row["offered_epoch"] = None
    await tx.insert("slots", number, row, (row["chain_id"], row["address"], row["nonce"]))
    return [Row(id=number)]


@statement(claims._EVENT)
async def slot_opened(tx: Transaction, slot: int) -> Iterable[Row]:
    await tx.insert("slot_events", (slot, "open"), {"slot_id": slot, "state": "open"})
    return ()


@statement(claims._NONCE)
async def next_nonce(tx: Transaction, chain_id: int, address: str) -> Iterable[Row]:
    row = await tx.take("lanes", (chain_id, address))
    assert row is not None
    tx.put("lanes", (chain_id, address), row | {"next_nonce": row["next_nonce"] + 1})
    return ()


@statement(claims._SLOT_WITHDRAWALS)
async def slot_withdrawals(tx: Transaction, slot: int, ids: Sequence[UUID]) -> Iterable[Row]:
    count = 0
    for each in ids:
        row = await tx.take("withdrawals", each)
        if row is not None and (
            row["state"] == "reserved" or "only what waits is claimed" in tx.without
        ):
            tx.put("withdrawals", each, row | {"state": "slotted", "slot_id": slot, "reason": None})
            count += 1
    return [Row(count=count)]


@statement(claims._CHANGE_FLOATS)
async def change_floats(
    tx: Transaction, wallet: str, assets: Sequence[str], amounts: Sequence[int]
) -> Iterable[Row]:
    if "float lowered" in tx.without:
        return ()
    for asset, amount in zip(assets, amounts, strict=True):
        row = await tx.take("floats", (wallet, asset))
        if row is not None:
            tx.put("floats", (wallet, asset), row | {"available": row["available"] + amount})
    return ()


@statement(topups._SLOT)
async def slot_topup(tx: Transaction, slot: int, topup: UUID, seq: int) -> Iterable[Row]:
    await tx.update("topups", topup, state="slotted", slot_id=slot, seq=seq)
    return ()


@statement(claims._OFFERED)
async def offered(tx: Transaction, slot: int) -> Iterable[Row]:
    row = tx.get("slots", slot)
    if row is None:
        return ()
    marked = row["offered_epoch"] is not None and "offered keeps its use" not in tx.without
    return [Row(offered=marked)]


@statement(claims._OF_SLOT)
async def of_slot(tx: Transaction, slot: int) -> Iterable[Row]:
    rows = [row for row in tx.rows("withdrawals") if row["slot_id"] == slot]
    rows = [row for row in rows if row["state"] == "slotted"]
    return [candidate(row) for row in sorted(rows, key=lambda row: row["seq"])]


@statement(claims._ADMIT)
async def admit(tx: Transaction, slot: int, epoch: int) -> Iterable[Row]:
    row = await tx.take("slots", slot)
    if row is not None and row["state"] == "open":
        tx.put("slots", slot, row | {"admitted_epoch": epoch})
    return ()


@statement(claims._ADMIT_LESS)
async def admit_less(tx: Transaction, slot: int, *values: Any) -> Iterable[Row]:
    names = ("admitted_epoch", "purpose", "data", "digest", "gas_limit")
    row = await tx.take("slots", slot)
    if row is not None and row["state"] == "open":
        tx.put("slots", slot, row | dict(zip(names, values, strict=True)))
    return ()


@statement(claims._RELEASE)
async def release_deferred(tx: Transaction, ids: Sequence[UUID]) -> Iterable[Row]:
    for each in ids:
        await tx.update("withdrawals", each, state="reserved", slot_id=None)
    return ()


@statement(topups._RELEASE)
async def release_topup(
    tx: Transaction, slot: int, assets: Sequence[str], amounts: Sequence[int]
) -> Iterable[Row]:
    caps = dict(zip(assets, amounts, strict=True))
    for row in tx.rows("topups"):
        if row["slot_id"] == slot and row["amount"] > caps.get(row["asset"], -1):
            await tx.update("topups", row["id"], state="requested", slot_id=None, seq=None)
            return [Row(asset=row["asset"], amount=row["amount"])]
    return ()


@statement(claims._OPENING)
async def opening(tx: Transaction, chain_id: int, address: str) -> Iterable[Row]:
    return [
        Row(
            exists=any(
                (row["chain_id"], row["address"], row["purpose"])
                == (chain_id, address, "generation")
                and row["state"] != "final"
                for row in tx.rows("slots")
            )
        )
    ]


@statement(claims._RECENT)
async def recent(tx: Transaction, chain_id: int, address: str, limit: int) -> Iterable[Row]:
    rows = [
        row for row in tx.rows("slots") if (row["chain_id"], row["address"]) == (chain_id, address)
    ]
    found = []
    for row in sorted(rows, key=lambda row: -row["nonce"])[:limit]:
        event = tx.get("slot_events", (row["id"], "signed"))
        ago_s = None if event is None else tx.database.clock() - event["at"]
        found.append(Row(id=row["id"], data=row["data"], signed_s_ago=ago_s))
    return found


@statement("select pg_notify($1, '')")
async def notify(tx: Transaction, channel: str) -> Iterable[Row]:
    tx.notes.append(channel)
    return ()


@statement(lanes._TAKE)
async def take_lane(tx: Transaction, chain_id: int, address: str, holder: str) -> Iterable[Row]:
    row = await tx.take("lanes", (chain_id, address))
    if row is None:
        return ()
    row = row | {"epoch": row["epoch"] + 1, "holder": holder}
    tx.put("lanes", (chain_id, address), row)
    return [Row(epoch=row["epoch"], signer_region=row["signer_region"])]


@statement(lanes._MOVE)
async def move_lane(  # noqa: PLR0917 - as candidates
    tx: Transaction, chain_id: int, address: str, epoch: int, holder: str, region: str
) -> Iterable[Row]:
    row = await tx.take("lanes", (chain_id, address))
    if row is None or (row["epoch"], row["holder"]) != (epoch, holder):
        return ()
    tx.put("lanes", (chain_id, address), row | {"epoch": epoch + 1, "signer_region": region})
    return [Row(epoch=epoch + 1)]


@statement(lanes._OPENED)
async def lane_opened(  # noqa: PLR0917 - as candidates
    tx: Transaction, chain_id: int, address: str, epoch: int, holder: str, generation: int
) -> Iterable[Row]:
    row = await tx.take("lanes", (chain_id, address))
    if row is None or (row["epoch"], row["holder"]) != (epoch, holder):
        return ()
    tx.put("lanes", (chain_id, address), row | {"generation": generation})
    return [Row(true=True)]


@statement(lanes._RECORD)
async def record_lane(tx: Transaction, *values: Any) -> Iterable[Row]:
    names = ("chain_id", "address", "epoch", "holder", "signer_region", "reason", "detected_at")
    key = values[:3]
    await tx.insert("lane_log", key, dict(zip(names, values, strict=True)))
    return ()


@statement(lanes._FAILED)
async def signing_failed(tx: Transaction, network: str) -> Iterable[Row]:
    tx.notes.append(FLOW_CHANNEL)
    return ()


_IN_FLIGHT = (
    *("id", "purpose", "nonce", "to_address", "value", "data", "gas_limit", "max_fee_wei"),
    *("priority_fee_wei", "state", "signer_region", "tx_hash", "raw", "mined_hash"),
    *("block_number", "block_hash"),
)


@statement(lanes._IN_FLIGHT)
async def in_flight(tx: Transaction, chain_id: int, address: str) -> Iterable[Row]:
    slots = [
        row
        for row in tx.rows("slots")
        if (row["chain_id"], row["address"]) == (chain_id, address) and row["state"] != "final"
    ]
    counts = [row["slot_id"] for row in tx.rows("withdrawals")]
    return [
        Row({name: row[name] for name in _IN_FLIGHT} | {"items": counts.count(row["id"])})
        for row in sorted(slots, key=lambda row: row["nonce"])
    ]


def _replacements_of(tx: Transaction, slot: int) -> list[Stored]:
    rows = [row for row in tx.rows("replacements") if row["slot_id"] == slot]
    return sorted(rows, key=lambda row: row["n"])


@statement(lanes._REPLACEMENTS)
async def replacements(tx: Transaction, chain_id: int, address: str) -> Iterable[Row]:
    names = ("slot_id", "max_fee_wei", "priority_fee_wei", "tx_hash", "raw", "signer_region")
    slots = [
        row["id"]
        for row in tx.rows("slots")
        if (row["chain_id"], row["address"]) == (chain_id, address) and row["state"] != "final"
    ]
    return [
        Row({name: row[name] for name in names})
        for slot in sorted(slots)
        for row in _replacements_of(tx, slot)
        if row["raw"] is not None
    ]


@statement(lanes._WAITS)
async def waits(tx: Transaction, slot: int) -> Iterable[Row]:
    row = await tx.take("slots", slot)
    return [] if row is None else [Row(waits=row["state"] not in ("open", "final"))]


@statement(lanes._REPLACING)
async def replacing(tx: Transaction, slot: int) -> Iterable[Row]:
    return [
        Row(max_fee_wei=row["max_fee_wei"], priority_fee_wei=row["priority_fee_wei"])
        for row in _replacements_of(tx, slot)
        if row["raw"] is None
    ]


@statement(lanes._REPLACE)
async def replace(
    tx: Transaction, slot: int, max_fee_wei: int, priority_fee_wei: int
) -> Iterable[Row]:
    await tx.take("slots", slot)
    n = 1 + max((row["n"] for row in _replacements_of(tx, slot)), default=0)
    row = {"id": (slot, n), "slot_id": slot, "n": n, "max_fee_wei": max_fee_wei}
    row |= {"priority_fee_wei": priority_fee_wei}
    row |= dict.fromkeys(("tx_hash", "raw", "signer_region"))
    await tx.insert("replacements", (slot, n), row)
    return ()


@statement(lanes._REPLACED)
async def replaced(  # noqa: PLR0917 - as candidates
    tx: Transaction, slot: int, max_fee_wei: int, raw: bytes, tx_hash: str, region: str
) -> Iterable[Row]:
    for row in _replacements_of(tx, slot):
        if row["max_fee_wei"] == max_fee_wei and row["raw"] is None:
            changes = {"raw": raw, "tx_hash": tx_hash, "signer_region": region}
            await tx.update("replacements", row["id"], **changes)
            return [Row(slot_id=slot)]
    return ()


async def _step(tx: Transaction, slot: int, before: Sequence[str], **changes: Any) -> Iterable[Row]:
    row = await tx.take("slots", slot)
    if row is None or row["state"] not in before:
        return ()
    tx.put("slots", slot, row | changes)
    return [Row(id=slot)]


@statement(lanes._SIGNED)
async def signed(
    tx: Transaction, slot: int, raw: bytes, tx_hash: str, region: str
) -> Iterable[Row]:
    await tx.lock(("slots", "hash", tx_hash))
    changes = {"state": "signed", "raw": raw, "tx_hash": tx_hash, "signer_region": region}
    return await _step(tx, slot, ("open",), **changes)


@statement(lanes._BROADCAST)
async def broadcast(tx: Transaction, slot: int) -> Iterable[Row]:
    return await _step(tx, slot, ("signed",), state="broadcast")


@statement(lanes._INCLUDED)
async def included(
    tx: Transaction, slot: int, number: int, block_hash: str, mined_hash: str
) -> Iterable[Row]:
    before = ("broadcast",) if "another block" in tx.without else ("broadcast", "included")
    changes = {"state": "included", "block_number": number, "block_hash": block_hash}
    changes["mined_hash"] = mined_hash
    return await _step(tx, slot, before, **changes)


@statement(lanes._EVENT)
async def slot_event(tx: Transaction, slot: int, state: str, region: str | None) -> Iterable[Row]:
    await tx.lock(("slot_events", (slot, state)))
    if tx.get("slot_events", (slot, state)) is None:
        event = {"slot_id": slot, "state": state, "at": tx.database.clock()}
        tx.put("slot_events", (slot, state), event)
    return ()


@statement(lease._TAKE)
async def take_lease(tx: Transaction, network: str, holder: str, silent_ms: int) -> Iterable[Row]:
    now_s = tx.database.clock()
    row = await tx.take("settler_leases", network)
    silent = row is not None and not 0 <= (now_s - row["renewed_at"]) * 1_000 <= silent_ms
    if row is None or row["holder"] == holder or silent:
        tx.put("settler_leases", network, {"holder": holder, "renewed_at": now_s})
        return [Row(true=True)]
    return ()


@statement(lease._RENEW)
async def renew_lease(tx: Transaction, network: str, holder: str) -> Iterable[Row]:
    row = await tx.take("settler_leases", network)
    if row is None or row["holder"] != holder:
        return ()
    tx.put("settler_leases", network, row | {"renewed_at": tx.database.clock()})
    return [Row(true=True)]


@statement(lease._LEAVE)
async def leave_lease(tx: Transaction, network: str, holder: str) -> Iterable[Row]:
    row = await tx.take("settler_leases", network)
    if row is not None and row["holder"] == holder:
        tx.put("settler_leases", network, None)
    return ()


@statement(agreement._GIVEN_OUT)
async def given_out(  # noqa: PLR0917 - as candidates
    tx: Transaction, chain_id: int, address: str, network: str, limit: int, bits: int
) -> Iterable[Row]:
    lane = tx.get("lanes", (chain_id, address))
    assert lane is not None
    rows = tx.rows("withdrawals")
    waiting = [
        row["seq"] for row in rows if (row["network"], row["state"]) == (network, "reserved")
    ]
    last = max((row["seq"] for row in rows), default=tx.database.generation << bits)
    return [
        Row(
            next_nonce=lane["next_nonce"],
            generation=tx.database.generation,
            last_seq=last,
            unpaid=sorted(waiting)[:limit],
        )
    ]
