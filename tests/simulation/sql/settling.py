"""What the statements of posting, of held withdrawals and of the sign log do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from tests.simulation.rules import check_balanced
from tests.simulation.store import Row, Stored, Transaction, statement
from venue.settler import held, posting
from venue.signer import logs


async def book(
    tx: Transaction, kind: str, of: Mapping[str, Any], amounts: Mapping[tuple[Any, ...], int]
) -> int:
    """Insert a posting with its entries; amounts by account; how many entries there are."""
    number = tx.database.number("postings")
    row = {"id": number, "kind": kind, "withdrawal_id": None, "topup_id": None} | dict(of)
    await tx.insert("postings", number, row, ("topup_id" in of, *sorted(of.items())))
    entries = [
        {"posting_id": number, "account": account, "amount": amount}
        for account, amount in amounts.items()
    ]
    check_balanced(entries)
    for each in entries:
        await tx.insert("entries", tx.database.number("entries"), each)
    return len(entries)


def account(row: Mapping[str, Any], kind: str, customer: int | None = None) -> tuple[Any, ...]:
    """The account of this kind for what ``row`` moves."""
    return (row["bucket"], row["network"], row["asset"], kind, customer)


@statement(posting._FINAL)
async def final(tx: Transaction, slot: int) -> Iterable[Row]:
    row = await tx.take("slots", slot)
    ready = row is not None and (row["state"] == "included" or "posted once" in tx.without)
    if row is None or not ready:
        return ()
    tx.put("slots", slot, row | {"state": "final"})
    return [Row(id=slot)]


@statement(posting._EVENT)
async def final_event(tx: Transaction, slot: int, region: str | None) -> Iterable[Row]:
    if tx.get("slot_events", (slot, "final")) is None or "posted once" not in tx.without:
        await tx.insert("slot_events", (slot, "final"), {"slot_id": slot, "state": "final"})
    return ()


def _of(tx: Transaction, slot: int) -> list[Stored]:
    rows = [row for row in tx.rows("withdrawals") if row["slot_id"] == slot]
    return sorted(rows, key=lambda row: row["seq"])


@statement(posting._ITEMS)
async def items(tx: Transaction, slot: int) -> Iterable[Row]:
    return [
        Row(
            seq=row["seq"],
            id=row["id"],
            destination=row["paid_to"] or row["destination"],
            asset=row["asset"],
            amount=row["amount"],
        )
        for row in _of(tx, slot)
        if _is_open(tx, row)
    ]


@statement(posting._TOPUP_ITEM)
async def topup_item(tx: Transaction, slot: int) -> Iterable[Row]:
    return [
        Row(
            {
                name: row[name]
                for name in ("id", "seq", "from_wallet", "to_wallet", "asset", "amount")
            }
        )
        for row in tx.rows("topups")
        if row["slot_id"] == slot
    ]


@statement(posting._QUEUE_ANEW)
async def queue_anew(tx: Transaction, network: str, asset: str) -> Iterable[Row]:
    for row in tx.rows("withdrawals"):
        if (row["network"], row["asset"], row["state"]) == (network, asset, "reserved"):
            await tx.take("withdrawals", row["id"])
    return ()


@statement(posting._OF_SLOT)
async def slotted(tx: Transaction, slot: int, seqs: Sequence[int]) -> Iterable[Row]:
    return [Row(id=row["id"]) for row in await _still(tx, slot, seqs)]


async def _still(tx: Transaction, slot: int, seqs: Sequence[int]) -> list[Stored]:
    """Withdrawals of a slot that are still its own, locked."""
    found = []
    for row in _of(tx, slot):
        if row["seq"] in seqs:
            newest = await tx.take("withdrawals", row["id"])
            if newest is not None and (newest["slot_id"] == slot) and _is_open(tx, newest):
                found.append(newest)
    return found


def _is_open(tx: Transaction, row: Stored) -> bool:
    return row["state"] == "slotted" or ("posted once" in tx.without and row["state"] == "posted")


@statement(posting._POST)
async def post(tx: Transaction, ids: Sequence[UUID]) -> Iterable[Row]:
    count = entries = 0
    for each in ids:
        row = await tx.take("withdrawals", each)
        if row is None or not (row["state"] == "unknown" or _is_open(tx, row)):
            continue
        tx.put("withdrawals", each, row | {"state": "posted", "held_because": None})
        count += 1
        amounts = {account(row, "reserved"): row["amount"], account(row, "hot"): -row["amount"]}
        entries += await book(tx, "post", {"withdrawal_id": each}, amounts)
    return [Row(withdrawals=count, entries=entries, counters=1)]


@statement(posting._HOLD)
async def hold(
    tx: Transaction, slot: int, seqs: Sequence[int], because: str, why: str
) -> Iterable[Row]:
    rows = await _still(tx, slot, seqs)
    for row in rows:
        changes = {"state": "unknown", "held_because": because, "reason": why}
        tx.put("withdrawals", row["id"], row | changes)
    return [Row(asset=row["asset"], amount=row["amount"]) for row in rows]


@statement(posting._RELEASE)
async def release(tx: Transaction, slot: int, seqs: Sequence[int]) -> Iterable[Row]:
    rows = await _still(tx, slot, seqs)
    for row in rows:
        tx.put("withdrawals", row["id"], row | {"state": "reserved", "slot_id": None})
    return [Row(asset=row["asset"], amount=row["amount"]) for row in rows]


@statement(posting._PAUSE)
async def pause(tx: Transaction, network: str, assets: Sequence[str]) -> Iterable[Row]:
    new = []
    for asset in assets:
        await tx.lock(("asset_pauses", (network, asset)))
        if tx.get("asset_pauses", (network, asset)) is None:
            tx.put("asset_pauses", (network, asset), {"network": network, "asset": asset})
            new.append(Row(asset=asset))
    return new


@statement(posting.PAUSED)
async def paused(tx: Transaction, network: str) -> Iterable[Row]:
    rows = [row["asset"] for row in tx.rows("asset_pauses") if row["network"] == network]
    return [Row(asset=asset) for asset in sorted(rows)]


@statement(posting._RESUME)
async def resume(tx: Transaction, network: str, asset: str) -> Iterable[Row]:
    if await tx.take("asset_pauses", (network, asset)) is not None:
        tx.put("asset_pauses", (network, asset), None)
    return ()


@statement(posting.LOCK_FLOATS)
async def lock_floats(tx: Transaction, wallet: str) -> Iterable[Row]:
    for key in sorted(key for key in tx.database.tables["floats"] if key[0] == wallet):
        await tx.lock(("floats", key))
    return ()


@statement(posting.RAISE_FLOAT)
async def raise_float(tx: Transaction, wallet: str, asset: str, amount: int) -> Iterable[Row]:
    row = await tx.take("floats", (wallet, asset))
    if row is not None:
        tx.put("floats", (wallet, asset), row | {"available": row["available"] + amount})
    return ()


@statement(posting._POST_TOPUP)
async def post_topup(tx: Transaction, slot: int, bucket: str, kind: str) -> Iterable[Row]:
    count = entries = 0
    for row in tx.rows("topups"):
        if row["slot_id"] != slot:
            continue
        newest = await tx.take("topups", row["id"])
        if newest is None or newest["state"] != "slotted":
            continue
        tx.put("topups", row["id"], newest | {"state": "posted"})
        count += 1
        place = {"bucket": bucket} | newest
        into_hot = newest["amount"] if kind == "topup" else -newest["amount"]
        amounts = {account(place, "hot"): into_hot, account(place, "reserve"): -into_hot}
        entries += await book(tx, kind, {"topup_id": row["id"]}, amounts)
    return [Row(topups=count, entries=entries)]


@statement(posting._ASK_AGAIN)
async def ask_for_topup_again(tx: Transaction, slot: int) -> Iterable[Row]:
    for row in tx.rows("topups"):
        if (row["slot_id"], row["state"]) == (slot, "slotted"):
            await tx.update("topups", row["id"], state="requested", slot_id=None, seq=None)
    return ()


def _mined(slot: Stored | None) -> str | None:
    """The hash of the transaction that a block contains, or that was signed first."""
    return None if slot is None else slot["mined_hash"] or slot["tx_hash"]


@statement(held._HELD)
async def held_of_slot(tx: Transaction, slot: int) -> Iterable[Row]:
    found = []
    for row in tx.rows("resolutions"):
        if (row["slot_id"], row["state"]) != (slot, "slotted"):
            continue
        withdrawal = tx.get("withdrawals", row["withdrawal_id"])
        assert withdrawal is not None
        hashes = [
            _mined(tx.get("slots", each["slot_id"]))
            for each in sorted(tx.rows("attempts"), key=lambda each: each["slot_id"])
            if (each["withdrawal_id"], each["seq"]) == (row["withdrawal_id"], row["seq"])
            and each["slot_id"] != slot
        ]
        found.append(
            Row(
                resolution=row["id"],
                withdrawal=row["withdrawal_id"],
                seq=row["seq"],
                decision=row["decision"],
                actor=row["actor"],
                destination=withdrawal["paid_to"] or withdrawal["destination"],
                asset=withdrawal["asset"],
                amount=withdrawal["amount"],
                float_lowered=withdrawal["held_because"] == "disputed",
                could_have=[each for each in hashes if each is not None],
            )
        )
    return sorted(found, key=lambda row: row["seq"])


@statement(held._RESOLVE)
async def resolve(
    tx: Transaction, ids: Sequence[int], state: str, found: str | None
) -> Iterable[Row]:
    for each in ids:
        await tx.update("resolutions", each, state=state, found=found)
    return ()


@statement(held._ASK_AGAIN)
async def ask_again(tx: Transaction, ids: Sequence[int]) -> Iterable[Row]:
    for each in ids:
        await tx.update("resolutions", each, state="requested", slot_id=None)
    return ()


@statement(held._LOCK)
async def lock_held(tx: Transaction, ids: Sequence[UUID]) -> Iterable[Row]:
    rows = [await tx.take("withdrawals", each) for each in sorted(ids)]
    return [Row(id=row["id"]) for row in rows if row is not None and row["state"] == "unknown"]


async def void(tx: Transaction, row: Stored, **changes: Any) -> int:
    """Void a withdrawal whose row is held and reverse its reservation; how many entries."""
    tx.put("withdrawals", row["id"], row | {"state": "voided"} | changes)
    reserve = next(
        each
        for each in tx.rows("postings")
        if (each["kind"], each["withdrawal_id"]) == ("reserve", row["id"])
    )
    amounts = {
        each["account"]: -each["amount"]
        for each in tx.rows("entries")
        if each["posting_id"] == reserve["id"]
    }
    entries = await book(tx, "void", {"withdrawal_id": row["id"]}, amounts)
    for owner, amount in amounts.items():
        balance = await tx.take("balances", owner)
        if balance is not None:
            tx.put("balances", owner, balance | {"available": balance["available"] - amount})
    return entries


@statement(held._GIVE_BACK)
async def give_back(tx: Transaction, ids: Sequence[UUID], why: Sequence[str]) -> Iterable[Row]:
    given: Counter[str] = Counter()
    for each, reason in zip(ids, why, strict=True):
        row = await tx.take("withdrawals", each)
        if row is not None and row["state"] == "unknown":
            await void(tx, row, reason=reason, held_because=None)
            given["balances"] += 1
    return [Row(given=given["balances"])]


@statement(held._PAY_ANEW)
async def pay_anew(tx: Transaction, resolution: int, withdrawal: UUID) -> Iterable[Row]:
    row = await tx.take("withdrawals", withdrawal)
    decided = tx.get("resolutions", resolution)
    if row is not None and row["state"] == "unknown" and decided is not None:
        changes = {
            "state": "reserved",
            "seq": tx.database.next_seq(),
            "slot_id": None,
            "reason": None,
            "held_because": None,
            "paid_to": decided["destination"] or row["paid_to"],
        }
        tx.put("withdrawals", withdrawal, row | changes)
    return ()


@statement(held._LOWER_FLOAT)
async def lower_float(tx: Transaction, wallet: str, asset: str, amount: int) -> Iterable[Row]:
    row = await tx.take("floats", (wallet, asset))
    if row is not None:
        tx.as_owner = True
        tx.put("floats", (wallet, asset), row | {"available": row["available"] - amount})
        tx.as_owner = False
    return ()


@statement(held._DISPUTED)
async def disputed(tx: Transaction, withdrawal: UUID, reason: str) -> Iterable[Row]:
    await tx.update("withdrawals", withdrawal, reason=reason)
    return ()


@statement(logs._ANSWERS)
async def answers(tx: Transaction) -> Iterable[Row]:
    return [Row(bool=True)]


@statement(logs._OFFER)
async def offer_slot(tx: Transaction, *values: Any) -> Iterable[Row]:
    *key, epoch, digest, gas_limit, max_fee_wei, priority_fee_wei, may_mark = values
    lane = await tx.take("lanes", (key[0], key[1]))
    held = None if lane is None else lane["epoch"]
    answer = Row(lane_epoch=held, wanted=False, admitted_epoch=None, mode_epoch=None)
    if held != epoch and "lane's epoch at the signer" not in tx.without:
        return [answer]
    answer["lane_epoch"] = epoch
    fees = (max_fee_wei, priority_fee_wei)
    for slot in tx.rows("slots"):
        at = [slot["chain_id"], slot["address"], slot["nonce"]]
        if at != key or (slot["digest"], slot["gas_limit"]) != (digest, gas_limit):
            continue
        if slot["state"] == "open":
            if (slot["max_fee_wei"], slot["priority_fee_wei"]) == fees:
                await _mark(tx, slot, answer, epoch, may_mark=may_mark)
        elif slot["state"] != "final":
            answer["wanted"] = any(
                row["slot_id"] == slot["id"]
                and row["raw"] is None
                and (row["max_fee_wei"], row["priority_fee_wei"]) == fees
                for row in tx.rows("replacements")
            )
    return [answer]


async def _mark(tx: Transaction, slot: Stored, answer: Row, epoch: int, *, may_mark: bool) -> None:
    """Mark an open slot of which the mode in force allows what it does, or that is marked."""
    if slot["offered_epoch"] is None or "offered in any mode" in tx.without:
        mode = tx.get("mode", "only")
        assert mode is not None
        if not may_mark:
            return
        answer["admitted_epoch"], answer["mode_epoch"] = slot["admitted_epoch"], mode["epoch"]
        allowed = slot["admitted_epoch"] == mode["epoch"]
        if not allowed and "mode at the signer" not in tx.without:
            return
    if slot["offered_epoch"] is None:
        await tx.update("slots", slot["id"], offered_epoch=epoch)
    answer["wanted"] = True


@statement(logs._RECORD)
async def record_digest(tx: Transaction, *values: Any) -> Iterable[Row]:
    key, (digest, epoch, region), fees, rest = values[:3], values[3:6], values[6:8], values[8:]
    wanted, window_ms, transactions_max, tokens, moved, allowed = rest
    await tx.lock(("sign log", key[:2]))
    known = tx.get("sign_log", key)
    if known is None:
        if not wanted:
            return [_outcome("not_wanted")]
        lately = _lately(tx, key[:2], window_ms)
        if len(lately) >= transactions_max:
            return [_outcome("too_many")]
        counted = _counted(tx, lately)
        for token, amount, cap in sorted(zip(tokens, moved, allowed, strict=True)):
            if counted[token] + amount > cap:
                return [_outcome("too_much", over=(token, counted[token] + amount))]
        names = ("chain_id", "address", "nonce", "digest", "epoch", "region")
        row = dict(zip(names, (*key, digest, epoch, region), strict=True)) | _new(fees)
        tx.put("sign_log", key, row | {"requested_at": tx.database.clock()})
        for token, amount in zip(tokens, moved, strict=True):
            row = {"key": key, "token": token, "amount": amount}
            await tx.insert("signed_amounts", (*key, token), row)
        return [_outcome("recorded")]
    if known["digest"] != digest:
        return [_outcome("digest_conflict")]
    if (known["max_fee_wei"], known["priority_fee_wei"]) == fees:
        return [_outcome("recorded", kept=known)]
    replaced = tx.get("sign_log_replacements", (*key, *fees))
    if replaced is not None:
        return [_outcome("recorded", kept=replaced)]
    if not wanted:
        return [_outcome("not_wanted")]
    tx.put("sign_log_replacements", (*key, *fees), _new(fees) | {"region": region})
    return [_outcome("recorded")]


_SIGNATURE = ("raw", "tx_hash", "signed_by")


def _new(fees: Sequence[Any]) -> Stored:
    """What a row of the log has of itself when it is recorded."""
    of_fees = dict(zip(("max_fee_wei", "priority_fee_wei"), fees, strict=True))
    return of_fees | dict.fromkeys(_SIGNATURE)


def _outcome(
    outcome: str, *, over: tuple[str | None, int | None] = (None, None), kept: Stored | None = None
) -> Row:
    row = Row(outcome=outcome, over_token=over[0], over_amount=over[1])
    row.update(_of_kept(kept))
    return row


def _of_kept(kept: Stored | None) -> Row:
    names = ("kept_raw", "kept_tx_hash", "kept_by")
    values = [None] * 3 if kept is None else [kept[name] for name in _SIGNATURE]
    return Row(zip(names, values, strict=True))


def _lately(tx: Transaction, of_key: Sequence[Any], window_ms: int) -> list[Stored]:
    since_s = tx.database.clock() - window_ms / 1_000
    return [
        row
        for row in tx.rows("sign_log")
        if (row["chain_id"], row["address"]) == of_key and row["requested_at"] > since_s
    ]


def _counted(tx: Transaction, lately: Iterable[Stored]) -> Counter[str]:
    """Base units by token that ``lately`` recorded digests move."""
    keys = {(row["chain_id"], row["address"], row["nonce"]) for row in lately}
    sums: Counter[str] = Counter()
    for row in tx.rows("signed_amounts"):
        if row["key"] in keys:
            sums[row["token"]] += row["amount"]
    return sums


@statement(logs._KEEP)
async def keep_signature(tx: Transaction, *values: Any) -> Iterable[Row]:
    key, digest, fees, signature = values[:3], values[3], values[4:6], values[6:]
    first = await tx.take("sign_log", key)
    if first is None or first["digest"] != digest:
        return [_of_kept(None)]
    table, at = "sign_log", key
    if (first["max_fee_wei"], first["priority_fee_wei"]) != fees:
        table, at = "sign_log_replacements", (*key, *fees)
    row = await tx.take(table, at)
    if row is not None and (row["raw"] is None or "signature kept" in tx.without):
        row = row | dict(zip(_SIGNATURE, signature, strict=True))
        tx.put(table, at, row)
    return [_of_kept(row)]
