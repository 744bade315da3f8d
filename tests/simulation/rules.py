"""The rules of schema.sql as the simulated store enforces them: checks, unique indexes, triggers.

Each has the name of the safeguard that it is; a store `without` that name lets everything pass. A
rule is a function of the transaction, the old row and the new one, and raises what PostgreSQL does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import asyncpg

from tests.simulation.rail_rules import RAIL_RULES, may_yet_be_paid, over_rail, unexplained

if TYPE_CHECKING:
    from tests.simulation.store import Rule, Stored, Transaction

_TRANSITIONS = {
    ("reserved", "slotted"),
    ("slotted", "posted"),
    ("slotted", "unknown"),
    ("slotted", "reserved"),
    ("reserved", "voided"),
    ("reserved", "unknown"),
    ("unknown", "voided"),
    ("unknown", "reserved"),
    ("unknown", "posted"),
    ("reserved", "instructed"),
    ("instructed", "posted"),
    ("instructed", "reserved"),
    ("instructed", "voided"),
}
_USE = ("purpose", "data", "digest", "gas_limit", "max_fee_wei", "priority_fee_wei")


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise asyncpg.CheckViolationError(f"new row violates check: {what}")


def _unique(
    tx: Transaction, table: str, row: Mapping[str, Any], columns: Iterable[str], name: str
) -> None:
    """No other row has these values; rows of other transactions are waited for in `insert`."""
    if name in tx.without:
        return
    wanted = [row[column] for column in columns]
    for other in tx.rows(table):
        if other["id"] != row["id"] and [other[column] for column in columns] == wanted:
            raise asyncpg.UniqueViolationError(f"duplicate key value violates {name}")


def slots(tx: Transaction, old: Stored | None, new: Stored | None) -> None:
    """One nonce, one slot, one use, one transaction."""
    assert new is not None, "nobody may delete a slot"
    signed = new["raw"] is not None
    _check((new["state"] == "open") != signed, "only an open slot has no bytes")
    _check(
        signed == (new["tx_hash"] is not None) == (new["signer_region"] is not None),
        "bytes, hash and region come together",
    )
    _check(
        (new["state"] in ("included", "final")) == (new["block_hash"] is not None),
        "a block is known from inclusion on",
    )
    if old is None:
        _unique(tx, "slots", new, ("chain_id", "address", "nonce"), "nonce given out once")
        return
    if signed and old["raw"] is None:
        _unique(tx, "slots", new, ("tx_hash",), "one slot for one transaction")
    fixed = old["state"] != "open" or old["offered_epoch"] is not None
    changed = any(old[column] != new[column] for column in _USE)
    if fixed and changed and "use of a nonce" not in tx.without:
        raise asyncpg.RaiseError("nonce is signed, or may be, and keeps its use")
    _same_bytes(tx, old, new)


def sign_log(tx: Transaction, old: Stored | None, new: Stored | None) -> None:
    """The bytes that were signed first are kept."""
    assert new is not None, "nobody may delete from the sign log"
    if old is not None:
        _same_bytes(tx, old, new)


def _same_bytes(tx: Transaction, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    if "bytes signed once" in tx.without or old["raw"] is None:
        return
    if (old["raw"], old["tx_hash"]) != (new["raw"], new["tx_hash"]):
        raise asyncpg.RaiseError("the bytes that were signed first are kept")


def withdrawals(tx: Transaction, old: Stored | None, new: Stored | None) -> None:
    """A withdrawal moves along the arrows of its states, and out of `unknown` by a resolution."""
    assert new is not None, "nobody may delete a withdrawal"
    state, instructed = new["state"], new["instruction_id"] is not None
    _check(state not in ("slotted", "unknown") or new["slot_id"] is not None, "has a slot")
    _check(state != "instructed" or instructed, "has an instruction")
    _check(state != "posted" or instructed or new["slot_id"] is not None, "is paid by something")
    _check(not instructed or new["slot_id"] is None, "has a slot or an instruction")
    _check(state not in ("voided", "unknown") or new["reason"] is not None, "has a reason")
    _check((state == "unknown") == (new["held_because"] is not None), "says why it is held")
    waits = new["slot_id"] is None and not instructed
    _check(state != "reserved" or waits, "what waits has neither")
    if old is None:
        _unique(tx, "withdrawals", new, ("seq",), "a number once")
        return
    if old["state"] == state:
        return
    if (old["state"], state) not in _TRANSITIONS and "transitions" not in tx.without:
        raise asyncpg.RaiseError(f"a withdrawal may not go from {old['state']} to {state}")
    if old["state"] in ("reserved", "instructed") and state in ("voided", "unknown"):
        _refund(tx, old, new)
    if "instructed" in (old["state"], state):
        over_rail(tx, old, new)
    if old["state"] == "unknown":
        _resolved(tx, old, new)


def _refund(tx: Transaction, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    if "refund rule" in tx.without:
        return
    tried = [each["slot_id"] for each in tx.rows("attempts") if each["withdrawal_id"] == old["id"]]
    if new["state"] == "voided":
        if old["state"] == "reserved" and may_yet_be_paid(tx, old["seq"], old["network"]):
            raise asyncpg.RaiseError("it may yet be paid by a ledger that was lost")
        if tried:
            raise asyncpg.RaiseError("it was tried: its number must be used up first")
        if unexplained(tx, old["id"]):
            raise asyncpg.RaiseError("a provider may have paid it: nothing explains what it says")
    if new["state"] == "unknown" and new["slot_id"] not in tried:
        raise asyncpg.RaiseError("it was never tried: there is nothing to hold")


def _resolved(tx: Transaction, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    if "resolution on record" in tx.without:
        return
    ways: dict[str, Callable[[Stored], bool]] = {
        "posted": lambda each: each["state"] == "paid",
        "voided": lambda each: (each["state"], each["decision"]) == ("cancelled", "void"),
        "reserved": lambda each: (
            (each["state"], each["decision"]) == ("cancelled", "pay") and new["seq"] != old["seq"]
        ),
    }
    way = ways[new["state"]]
    key = (old["id"], old["seq"])
    if not any(
        (each["withdrawal_id"], each["seq"]) == key and way(each) for each in tx.rows("resolutions")
    ):
        raise asyncpg.RaiseError(f"nothing on record leads from unknown to {new['state']}")


def resolutions(tx: Transaction, old: Stored | None, new: Stored | None) -> None:
    """One decision at a time about what is held, and one that has an effect."""
    assert new is not None, "nobody may delete a resolution"
    _check(
        new["state"] not in ("slotted", "cancelled", "paid") or new["slot_id"] is not None,
        "its slot is known",
    )
    _check(new["state"] not in ("paid", "disputed") or new["found"] is not None, "says what it saw")
    if old is None:
        held = tx.get("withdrawals", new["withdrawal_id"])
        if held is None or (held["seq"], held["state"]) != (new["seq"], "unknown"):
            raise asyncpg.RaiseError("the withdrawal is not held under this number")
    others = [each for each in tx.rows("resolutions") if each["id"] != new["id"]]
    same = [each for each in others if each["withdrawal_id"] == new["withdrawal_id"]]
    if new["state"] in ("requested", "slotted") and any(
        each["state"] in ("requested", "slotted") for each in same
    ):
        raise asyncpg.UniqueViolationError("resolutions_one_at_a_time")
    if new["state"] in ("cancelled", "paid") and any(
        each["state"] in ("cancelled", "paid") and each["seq"] == new["seq"] for each in same
    ):
        raise asyncpg.UniqueViolationError("resolutions_once")


def topups(tx: Transaction, old: Stored | None, new: Stored | None) -> None:
    """One top-up or sweep of an asset into a wallet at a time."""
    assert new is not None, "nobody may delete a top-up"
    waits = new["state"] in ("requested", "taken_back")
    _check(waits == (new["slot_id"] is None), "asked for, or with a slot")
    _check((new["seq"] is None) == (new["slot_id"] is None), "a number comes with a slot")
    others = [each for each in tx.rows("topups") if each["id"] != new["id"]]
    if new["state"] in ("requested", "slotted") and any(
        each["state"] in ("requested", "slotted")
        and (each["to_wallet"], each["asset"]) == (new["to_wallet"], new["asset"])
        for each in others
    ):
        raise asyncpg.UniqueViolationError("topups_one_at_a_time")
    if new["slot_id"] is not None and any(each["slot_id"] == new["slot_id"] for each in others):
        raise asyncpg.UniqueViolationError("topups_slot_id_key")


def gas_refills(tx: Transaction, old: Stored | None, new: Stored | None) -> None:
    """One refill of a key at a time."""
    assert new is not None, "nobody may delete a refill"
    _check((new["state"] == "requested") == (new["slot_id"] is None), "asked for, or with a slot")
    others = [each for each in tx.rows("gas_refills") if each["id"] != new["id"]]
    if new["state"] != "done" and any(
        each["state"] != "done" and each["wallet"] == new["wallet"] for each in others
    ):
        raise asyncpg.UniqueViolationError("gas_refills_one_at_a_time")
    if new["slot_id"] is not None and any(each["slot_id"] == new["slot_id"] for each in others):
        raise asyncpg.UniqueViolationError("gas_refills_slot_id_key")


def postings(tx: Transaction, old: Stored | None, new: Stored | None) -> None:
    """A reservation is posted once, and resolved once."""
    assert old is None, "postings are append only"
    assert new is not None, "postings are append only"
    if "posted once" in tx.without:
        return
    kinds = ("post", "void") if new["kind"] in ("post", "void") else (new["kind"],)
    of = {"topup": "topup_id", "sweep": "topup_id", "transfer": "request_id"}.get(
        new["kind"], "withdrawal_id"
    )
    if new["kind"] != "fund" and any(
        each["kind"] in kinds and each.get(of) == new[of]
        for each in tx.rows("postings")
        if each["id"] != new["id"]
    ):
        raise asyncpg.UniqueViolationError(f"a second {new['kind']}")


def approval_calls(tx: Transaction, old: Stored | None, new: Stored | None) -> None:
    """Each call of an approval is done once."""
    assert new is not None, "nobody may delete a call"
    _check((new["outcome"] is None) == (new["ended_at"] is None), "a call ends with its outcome")
    done = new["call"] == "propose" and new["outcome"] == "done"
    _check((new["ready_at"] is not None) == done, "a proposal that was taken says when it is ready")
    if new["outcome"] == "done" and "approval once" not in tx.without:
        for each in tx.rows("approval_calls"):
            same = (each["request_id"], each["call"], each["outcome"])
            if each["slot_id"] != new["slot_id"] and same == (
                new["request_id"],
                new["call"],
                "done",
            ):
                raise asyncpg.UniqueViolationError("approval_calls_once")


def replacements(tx: Transaction, old: Stored | None, new: Stored | None) -> None:
    """One replacement at a time, dearer than all before, of a transaction that waits."""
    assert new is not None, "nobody may delete a replacement"
    if old is not None:
        _same_bytes(tx, old, new)
        return
    slot = tx.get("slots", new["slot_id"])
    others = [each for each in tx.rows("replacements") if each["slot_id"] == new["slot_id"]]
    dearest = max(each["max_fee_wei"] for each in [*others, slot] if each is not None)
    if slot is None or slot["state"] in ("open", "final") or new["max_fee_wei"] <= dearest:
        raise asyncpg.RaiseError("nothing replaces the transaction by these fees")
    if any(each["raw"] is None for each in others):
        raise asyncpg.UniqueViolationError("replacements_one_at_a_time")


def not_negative(tx: Transaction, old: Stored | None, new: Stored | None) -> None:
    """Nothing available is negative."""
    if "nothing negative" not in tx.without:
        _check(new is not None and new["available"] >= 0, "available is not negative")


def floats(tx: Transaction, old: Stored | None, new: Stored | None) -> None:
    """Nobody takes what a wallet does not have, but by a function of the owner's."""
    if not tx.as_owner:
        not_negative(tx, old, new)


def check_balanced(entries: Iterable[Mapping[str, Any]]) -> None:
    """All entries of one posting, which one statement inserts, sum to zero per asset."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for each in entries:
        _, network, asset, *_ = each["account"]
        sums[network, asset] += each["amount"]
    if any(sums.values()):
        raise asyncpg.RaiseError("a posting does not sum to zero per network and asset")


RULES: dict[str, Rule] = {
    "slots": slots,
    "replacements": replacements,
    "sign_log": sign_log,
    "sign_log_replacements": sign_log,
    "withdrawals": withdrawals,
    "resolutions": resolutions,
    "topups": topups,
    "gas_refills": gas_refills,
    "approval_calls": approval_calls,
    "postings": postings,
    "floats": floats,
    "balances": not_negative,
} | RAIL_RULES
