"""The auditor's export of the venue's records, from the real database of a new venue."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import pytest

from adapters.reference_venue.records import export_records
from seawall.ethereum.keys import address_of_private_key, keccak256, sign_locally
from seawall.formats.journal import chain_breaks
from seawall.scorecard.readers import SECOND
from seawall.scorecard.run import Run
from tests.testing.venue_harness import HANGS_AFTER_S, Founded, connected
from venue.chain.transaction import Intent, encode_signed, fees, signing_hash, transaction_hash
from venue.ledger.chart import books
from venue.ledger.journal import append
from venue.operator.access import enroll
from venue.operator.orders import Wanted, end, make
from venue.treasury.reconcile import ChainCut
from venue.treasury.surplus import book_surpluses

pytestmark = pytest.mark.integration
REASON = 'as a "test",\nreally'
BODY: dict[str, str | int | None] = {"b": 'x,\n"y"', "a": 10**18, "c": None}


async def test_the_journal_is_exported_so_that_its_chain_can_be_computed_again(
    founded: Founded, tmp_path: Path
) -> None:
    """Text with quotes, commas and line ends comes back as it was."""
    async with connected(founded.database.owner) as owner:
        for writer, kind in (
            ("mode-controller", "flip"),
            ("mode-controller", "flip"),
            ("treasury", "topup"),
            ("treasury", "deficit"),
        ):
            async with owner.transaction():
                await append(owner, writer=writer, kind=kind, justification=REASON, body=BODY)

    await export_records(
        founded.database.auditor, founded.database.sign_log.auditor, into=tmp_path / "records"
    )

    with (tmp_path / "records" / "journal.csv").open(encoding="utf-8", newline="") as file:
        rows: list[dict[str, Any]] = [{**row, "n": int(row["n"])} for row in csv.DictReader(file)]
    assert [(row["writer"], row["n"], row["kind"]) for row in rows] == [
        ("mode-controller", 1, "flip"),
        ("mode-controller", 2, "flip"),
        ("treasury", 1, "topup"),
        ("treasury", 2, "deficit"),
    ]
    hashes = ("previous_hash", "hash")
    decoded = [{**row, **{name: bytes.fromhex(row[name]) for name in hashes}} for row in rows]
    assert chain_breaks(decoded) == []
    decoded[1]["justification"] = "another reason"
    assert chain_breaks(decoded) == ["mode-controller: entry 2 was changed after it was written"]


async def test_money_from_outside_is_exported_with_the_time_of_its_booking(
    founded: Founded, tmp_path: Path
) -> None:
    """With the ledger that owes it to an unknown sender."""
    policy, hot = founded.policy, "customer-aster-hot"
    book = next(book for book in books(policy) if book.key == ("aster", "customer"))
    expected = policy.base_units("AST", policy.wallets[hot].holdings["AST"].target)
    cut = ChainCut(block=7, nonces={}, held={(hot, "AST"): expected + 3})
    async with connected(founded.database.treasury) as treasury:
        await book_surpluses(treasury, book, cut)

    await export_records(founded.database.auditor, founded.database.sign_log.auditor, into=tmp_path)

    [found] = _rows(tmp_path / "surpluses.csv")
    assert abs(float(found.pop("booked_at")) - time.time()) < HANGS_AFTER_S
    assert found == {
        "bucket": "customer",
        "network": "aster",
        "wallet": hot,
        "asset": "AST",
        "amount": "3",
        "block_number": "7",
    }
    [owed] = [row for row in _rows(tmp_path / "ledger.csv") if row["kind"] == "unidentified"]
    assert owed == {
        "bucket": "customer",
        "network": "aster",
        "asset": "AST",
        "kind": "unidentified",
        "balance": "-3",
    }


async def test_orders_are_exported_with_the_time_of_their_ends(
    founded: Founded, tmp_path: Path
) -> None:
    """In force since the commit, for whoever judges a drill; the journal has both acts."""
    halt = Wanted(kind="halt", network="aster", lasts_s=60, justification=REASON)
    floor = Wanted(kind="at_least", tier="stressed", lasts_s=3600, justification=REASON)
    async with connected(founded.database.owner) as owner:
        await enroll(owner, "kim", may=frozenset({"halt", "tier"}))
    async with connected(founded.database.operator) as operator:
        await make(operator, halt, operator="kim")
        await make(operator, floor, operator="kim")
        await end(operator, 2, operator="kim", justification=REASON)

    await export_records(
        founded.database.auditor, founded.database.sign_log.auditor, into=tmp_path / "records"
    )

    first, second = Run(tmp_path).orders
    assert (first.id, first.kind, first.network, first.tier, first.operator) == (
        "1",
        "halt",
        "aster",
        None,
        "kim",
    )
    assert (first.ended_at, first.ended_by) == (None, None)
    assert abs(first.end - first.made_at - 60 * SECOND) < SECOND
    assert (second.kind, second.network, second.tier) == ("at_least", None, "stressed")
    assert second.ended_by == "kim"
    assert second.made_at <= second.end < second.ends_at
    kinds = [each.kind for each in Run(tmp_path).decisions]
    assert kinds == ["order", "order", "order ended"]


async def test_what_was_signed_is_told_by_its_bytes_and_not_by_what_is_stored_beside_them(
    founded: Founded, tmp_path: Path
) -> None:
    """Also of the first transaction of a nonce; of what nobody signed there are no bytes yet."""
    async with connected(founded.database.owner) as owner:
        [(chain_id, address)] = await owner.fetch("select chain_id, address from lanes limit 1")
    key = keccak256(b"a lane")
    intents = [
        Intent(
            chain_id=chain_id,
            sender=address_of_private_key(key),
            nonce=nonce,
            to="0x" + "ab" * 20,
            value=0,
            data=data,
        )
        for nonce, data in ((0, b"as recorded"), (0, b"as signed"), (1, b"not signed"))
    ]
    recorded, other, unsigned = intents
    cost = fees(base_fee_wei=0, gas_limit=500_000)
    raw = encode_signed(other, cost, sign_locally(signing_hash(other, cost), secret=key))
    columns = "chain_id, address, nonce, digest, epoch, region, max_fee_wei, priority_fee_wei"
    async with connected(founded.database.sign_log.owner) as owner:
        await owner.execute(
            f"insert into sign_log ({columns}) values ($1, $2, 1, $3, 1, 'r', 1, 1)",
            *(chain_id, address, unsigned.digest),
        )
        await owner.execute(
            f"""insert into sign_log ({columns}, raw, tx_hash, signed_by, signed_at)
                values ($1, $2, 0, $3, 1, 'r', 1, 1, $4, '0xmadeup', 'r', now())""",
            *(chain_id, address, recorded.digest, raw),
        )

    await export_records(
        founded.database.auditor, founded.database.sign_log.auditor, into=tmp_path / "records"
    )

    signed, waiting = Run(tmp_path).signatures
    assert (signed.digest, signed.tx_hash) == (other.digest.hex(), transaction_hash(raw))
    assert (waiting.digest, waiting.tx_hash) == (unsigned.digest.hex(), None)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
