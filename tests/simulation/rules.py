"""The rules of schema.sql as the simulated store enforces them: checks, unique indexes, triggers.

Each has the name of the safeguard that it is; a store `without` that name lets everything pass. A
rule is a function of the transaction, the old row and the new one, and raises what PostgreSQL does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import asyncpg

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
    if any(old[column] != new[column] for column in _USE) and "use of a nonce" not in tx.without:
        key = (old["chain_id"], old["address"], old["nonce"])
        if old["state"] != "open" or tx.get("sign_log", key) is not None:
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
    state = new["state"]
    _check(
        state not in ("slotted", "posted", "unknown") or new["slot_id"] is not None, "has a slot"
    )
    _check(state not in ("voided", "unknown") or new["reason"] is not None, "has a reason")
    _check((state == "unknown") == (new["held_because"] is not None), "says why it is held")
    _check(state != "reserved" or new["slot_id"] is None, "what waits has no slot")
    if old is None:
        _unique(tx, "withdrawals", new, ("seq",), "a number once")
        return
    if old["state"] == state:
        return
    if (old["state"], state) not in _TRANSITIONS and "transitions" not in tx.without:
        raise asyncpg.RaiseError(f"a withdrawal may not go from {old['state']} to {state}")
    if old["state"] == "reserved" and state in ("voided", "unknown"):
        _refund(tx, old, new)
    if old["state"] == "unknown":
        _resolved(tx, old, new)


def _refund(tx: Transaction, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    if "refund rule" in tx.without:
        return
    tried = [each["slot_id"] for each in tx.rows("attempts") if each["withdrawal_id"] == old["id"]]
    if new["state"] == "voided" and tried:
        raise asyncpg.RaiseError("it was tried: its number must be used up first")
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
    """One top-up of an asset into a wallet at a time."""
    assert new is not None, "nobody may delete a top-up"
    _check((new["state"] == "requested") == (new["slot_id"] is None), "asked for, or with a slot")
    others = [each for each in tx.rows("topups") if each["id"] != new["id"]]
    if new["state"] != "posted" and any(
        each["state"] != "posted"
        and (each["to_wallet"], each["asset"]) == (new["to_wallet"], new["asset"])
        for each in others
    ):
        raise asyncpg.UniqueViolationError("topups_one_at_a_time")
    if new["slot_id"] is not None and any(each["slot_id"] == new["slot_id"] for each in others):
        raise asyncpg.UniqueViolationError("topups_slot_id_key")


def postings(tx: Transaction, old: Stored | None, new: Stored | None) -> None:
    """A reservation is posted once, and resolved once."""
    assert old is None, "postings are append only"
    assert new is not None, "postings are append only"
    if "posted once" in tx.without:
        return
    kinds = ("post", "void") if new["kind"] in ("post", "void") else (new["kind"],)
    of = "topup_id" if new["kind"] == "topup" else "withdrawal_id"
    if new["kind"] != "fund" and any(
        each["kind"] in kinds and each[of] == new[of]
        for each in tx.rows("postings")
        if each["id"] != new["id"]
    ):
        raise asyncpg.UniqueViolationError(f"a second {new['kind']}")


def not_negative(tx: Transaction, old: Stored | None, new: Stored | None) -> None:
    """Nothing available is negative."""
    if "nothing negative" not in tx.without:
        _check(new is not None and new["available"] >= 0, "available is not negative")


def check_balanced(entries: Iterable[Mapping[str, Any]]) -> None:
    """All entries of one posting, which one statement inserts, sum to zero per asset."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for each in entries:
        _, network, asset, *_ = each["account"]
        sums[network, asset] += each["amount"]
    if any(sums.values()):
        raise asyncpg.RaiseError("a posting does not sum to zero per network and asset")


RULES: Mapping[str, Rule] = {
    "slots": slots,
    "sign_log": sign_log,
    "withdrawals": withdrawals,
    "resolutions": resolutions,
    "topups": topups,
    "postings": postings,
    "floats": not_negative,
    "balances": not_negative,
}
