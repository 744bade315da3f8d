"""What a restore reads: transactions of blocks, backups of a bucket, the way to a server."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seawall.errors import ServiceError
from seawall.ethereum.keys import address_of_private_key, keccak256, sign_locally
from tests.testing.cluster_harness import backup_bucket
from tests.testing.nodes import CONTRACT, item
from venue.backups.bucket import LAST, BackupBucket, BackupName
from venue.backups.programs import libpq_environment
from venue.backups.stream import folder_of
from venue.chain.transaction import Fees, Intent, encode_signed, signing_hash, transaction_hash
from venue.contracts.calls import pay
from venue.restore.cluster import first_gap, recovery_command
from venue.restore.floats import still_payable
from venue.restore.losses import transactions
from venue.restore.manifest import end_of, verify

SECRET = keccak256(b"the lane's key")
SENDER = address_of_private_key(SECRET)
INTENT = Intent(chain_id=73311, sender=SENDER, nonce=7, to=CONTRACT, value=0, data=pay([item(5)]))
FEES = Fees(gas_limit=345_000, max_fee_wei=3 * 10**9, priority_fee_wei=10**9)


def signed(intent: Intent = INTENT, **changes: Any) -> dict[str, Any]:
    """A transaction as a node gives it."""
    signature = sign_locally(signing_hash(intent, FEES), secret=SECRET)
    raw = encode_signed(intent, FEES, signature)
    return {
        "from": "0x" + SENDER[2:].upper(),
        "nonce": hex(intent.nonce),
        "to": intent.to,
        "value": "0x0",
        "input": "0x" + intent.data.hex(),
        "gas": hex(FEES.gas_limit),
        "maxFeePerGas": hex(FEES.max_fee_wei),
        "maxPriorityFeePerGas": hex(FEES.priority_fee_wei),
        "type": "0x2",
        "yParity": hex(signature.y_parity),
        "r": hex(signature.r),
        "s": hex(signature.s),
        "hash": transaction_hash(raw),
    } | changes


def read(*found: Any) -> list[tuple[int, bytes]]:
    """Nonces and bytes of the lane's transactions with the nonces 7 and 8 in a block."""
    sent = transactions(
        {"timestamp": "0x5", "transactions": [*found]}, sender=SENDER, chain_id=73311, nonces={7, 8}
    )
    return [(each.intent.nonce, each.raw) for each in sent]


def test_a_lost_transaction_is_read_byte_for_byte() -> None:
    """Of this lane alone, and of the nonces that are looked for."""
    signature = sign_locally(signing_hash(INTENT, FEES), secret=SECRET)
    creation = signed() | {"from": "0x" + "11" * 20, "to": None}

    found = read(signed(), signed(replace(INTENT, nonce=9)), creation)

    assert found == [(7, encode_signed(INTENT, FEES, signature))]


@pytest.mark.parametrize(
    "wrong",
    [
        {"gas": "0x1"},
        {"input": "0x00"},
        {"input": None},
        {"r": "0x1"},
        {"type": "0x0"},
        {"to": None},
        {"value": "0x1"},
        {"hash": "0x" + "00" * 32},
        {"nonce": "seven"},
    ],
)
def test_a_transaction_that_is_not_what_its_hash_says_is_nonsense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read(signed(**wrong))


@pytest.mark.parametrize("block", [None, {}, {"transactions": None}, {"transactions": ["0x"]}])
def test_a_block_without_its_transactions_is_nonsense(block: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        transactions(block, sender=SENDER, chain_id=73311, nonces={7})


@pytest.mark.parametrize(
    ("left", "amounts"),
    [
        (10, {"booked": 10, "held": 10}),
        (7, {"booked": 10, "held": 10, "set_aside": 3}),
        (0, {"booked": 10, "held": 0, "set_aside": 10, "paid": 10}),
        # A payment that is on no record has left; what came from outside is not booked yet.
        (6, {"booked": 10, "held": 6}),
        (10, {"booked": 10, "held": 13}),
        # Paid by a refill that is not posted: with it, the wallet's ten are there again.
        (-90, {"booked": 10, "held": 10, "set_aside": 100, "paid": 100, "refilled": 100}),
        # Failed, so it is given back when it is posted; what was lost is not.
        (-4, {"booked": 10, "held": 6, "set_aside": 10}),
    ],
)
def test_a_float_is_what_the_wallet_can_pay_once_all_is_posted(
    left: int, amounts: dict[str, int]
) -> None:
    assert still_payable(**{"set_aside": 0, "paid": 0, "refilled": 0} | amounts) == left


@pytest.fixture(scope="module")
def bucket() -> Iterator[BackupBucket]:
    """A bucket for backups."""
    with backup_bucket() as made:
        yield made


def test_the_newest_whole_backup_is_found_and_read(bucket: BackupBucket, tmp_path: Path) -> None:
    """A later timeline is newer whatever the clock said; one without its manifest is none."""
    assert bucket.newest() is None
    names = [
        BackupName(timeline=2, stamp="20260101T000000Z"),
        BackupName(timeline=1, stamp="20260103T000000Z"),
    ]
    for name in names:
        files = tmp_path / name.stamp
        files.mkdir()
        (files / "base.tar.gz").write_text(name.stamp, encoding="utf-8")
        (files / LAST).write_text("{}", encoding="utf-8")
        bucket.put(name, files)
    bucket.client.put_object(
        Bucket=bucket.bucket, Key="ledger/00000003/20260104T000000Z/base.tar.gz", Body=b""
    )

    assert bucket.newest() == names[0]
    bucket.get(names[0], "base.tar.gz", tmp_path / "got")
    assert (tmp_path / "got").read_text(encoding="utf-8") == names[0].stamp
    with pytest.raises(ServiceError, match="backups could not read base of a backup"):
        bucket.get(names[0], "base", tmp_path / "got")


def test_a_password_reaches_a_program_by_its_environment() -> None:
    assert libpq_environment("postgresql://seawall_wal:p%40ss@127.0.0.1:5433/postgres") == {
        "PGHOST": "127.0.0.1",
        "PGPORT": "5433",
        "PGUSER": "seawall_wal",
        "PGPASSWORD": "p@ss",
    }
    assert libpq_environment("postgresql://owner@/ledger?host=/run/pg") == {
        "PGHOST": "/run/pg",
        "PGUSER": "owner",
    }


def test_the_log_of_a_later_timeline_is_not_left_out(tmp_path: Path) -> None:
    """A ledger that was restored, used and never backed up again is lost a second time."""
    name = "00000002000000000000000A"
    folder_of(tmp_path, 2).mkdir()
    (folder_of(tmp_path, 2) / name).write_bytes(b"the log")
    (tmp_path / LAST).write_text('{"WAL-Ranges": [{"End-LSN": "0/48"}]}', encoding="utf-8")
    backup = BackupName(timeline=2, stamp="x")
    for earlier_or_empty in (1, 0x10):
        folder_of(tmp_path, earlier_or_empty).mkdir()
    (folder_of(tmp_path, 1) / "000000010000000000000001").write_bytes(b"the log")
    assert recovery_command(tmp_path, backup, tmp_path / LAST)

    (folder_of(tmp_path, 0x10) / "000000100000000000000001.partial").write_bytes(b"")
    with pytest.raises(ServiceError, match="00000010 holds the log of a later timeline"):
        recovery_command(tmp_path, backup, tmp_path / LAST)


MIB = 1 << 20
WHOLE = ["0000000100000000000000FE", "0000000100000000000000FF", "000000010000000100000000.partial"]


@pytest.mark.parametrize(
    ("names", "end", "gap"),
    [
        pytest.param(WHOLE, 0xFE * 16 * MIB + 1, None, id="whole"),
        pytest.param(WHOLE, 0xFF * 16 * MIB, None, id="the backup ended with a file"),
        pytest.param(WHOLE[1:], 0xFE * 16 * MIB + 1, WHOLE[0], id="it begins too late"),
        pytest.param([WHOLE[0], WHOLE[2]], 0xFE * 16 * MIB + 1, WHOLE[1], id="one is missing"),
        pytest.param(
            WHOLE, 0x101 * 16 * MIB + 1, "000000010000000100000001", id="it ends before the backup"
        ),
        pytest.param([], 1, "every file", id="empty"),
        pytest.param(["00000002.history"], 1, "every file", id="nothing of it"),
    ],
)
def test_a_log_with_a_gap_is_not_taken_for_one_that_ends_there(
    names: list[str], end: int, gap: str | None
) -> None:
    """The server would stop at the gap, and what came after it would be lost without a word."""
    assert first_gap(names, end=end, segment_bytes=16 * MIB) == gap


def test_where_a_backup_ended_is_read_from_its_manifest(tmp_path: Path) -> None:
    manifest = tmp_path / LAST
    manifest.write_text(
        '{"WAL-Ranges": [{"Timeline": 1, "Start-LSN": "0/28", "End-LSN": "0/F0"},'
        ' {"Timeline": 2, "Start-LSN": "0/F0", "End-LSN": "1/10"}]}',
        encoding="utf-8",
    )
    assert end_of(manifest) == (1 << 32) + 16
    for wrong in ("", "[]", "{}", '{"WAL-Ranges": [{"End-LSN": "1"}]}', '{"WAL-Ranges": []}'):
        manifest.write_text(wrong, encoding="utf-8")
        with pytest.raises(ServiceError, match="manifest cannot be read"):
            end_of(manifest)


def test_the_server_finds_its_log_whatever_the_folder_is_called(tmp_path: Path) -> None:
    """The command is run by a shell, with what the server puts in for its two signs."""
    log = tmp_path / "50 % of 'it'"
    name = "000000010000000000000001"
    folder_of(log, 1).mkdir(parents=True)
    (folder_of(log, 1) / f"{name}.partial").write_bytes(b"the log")
    (tmp_path / LAST).write_text('{"WAL-Ranges": [{"End-LSN": "0/8"}]}', encoding="utf-8")

    command = recovery_command(log, BackupName(timeline=1, stamp="x"), tmp_path / LAST)

    given = command.replace("%%", "\0").replace("%f", name).replace("%p", "RECOVERYXLOG")
    subprocess.run(given.replace("\0", "%"), shell=True, check=True, cwd=tmp_path)  # noqa: S602
    assert (tmp_path / "RECOVERYXLOG").read_bytes() == b"the log"


def made_backup(folder: Path) -> Path:
    """A backup of two files and a file of the log, with its manifest."""
    (folder / "base").mkdir(parents=True)
    (folder / "pg_wal").mkdir()
    (folder / "pg_wal" / "0001").write_bytes(b"log")
    listed = []
    for name in ("PG_VERSION", "base/1"):
        (folder / name).write_bytes(name.encode())
        listed.append(
            {
                "Path": name,
                "Size": len(name),
                "Checksum-Algorithm": "SHA256",
                "Checksum": hashlib.sha256(name.encode()).hexdigest(),
            }
        )
    text = json.dumps({"Files": listed, "WAL-Ranges": []})[:-1] + ",\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    manifest = folder / LAST
    manifest.write_text(f'{text}"Manifest-Checksum": "{digest}"}}\n', encoding="utf-8")
    return manifest


def test_a_backup_is_what_its_manifest_says_to_the_byte(tmp_path: Path) -> None:
    """Nothing is missing, changed or added, and the manifest itself is whole."""
    verify(tmp_path / "whole", made_backup(tmp_path / "whole"))
    spoils: dict[str, Callable[[Path], object]] = {
        "base/1 is not what": lambda folder: (folder / "base/1").write_bytes(b"base/2"),
        "PG_VERSION is missing": lambda folder: (folder / "PG_VERSION").unlink(),
        "base/2 is not in": lambda folder: (folder / "base/2").write_bytes(b""),
        "manifest is damaged": lambda folder: (folder / LAST).write_text(
            (folder / LAST).read_text(encoding="utf-8").replace("base/1", "base/2"),
            encoding="utf-8",
        ),
    }
    for number, (said, spoil) in enumerate(spoils.items()):
        folder = tmp_path / str(number)
        manifest = made_backup(folder)
        spoil(folder)
        with pytest.raises(ServiceError, match=said):
            verify(folder, manifest)
