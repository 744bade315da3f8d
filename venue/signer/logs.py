"""The signer's two logs: what it signed for each nonce, and which proofs of key control it gave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from seawall.controls.sizing import Caps
from seawall.errors import ServiceError
from seawall.keys.proofs import is_proof_text
from venue.crash_points import committing
from venue.database import FAILURES, Connection, Pool
from venue.signer import velocity
from venue.signer.protocol import Signed, SigningRefusedError, SignRequest

LOG_TIMEOUT_MS = 200
"""How long one statement may take when a digest is recorded; it needs a millisecond.

So is one when a signature is kept. So that a slow database is told from a dark region: the settler
waits three times as long for the signer, and moves to the other region if it hears nothing. The
other region has the same database.
"""
_BOUND = "select set_config('statement_timeout', $1, true)"
_SLOT = "select * from slot_to_sign($1, $2, $3)"
_RECORD = """
    insert into sign_log (chain_id, address, nonce, digest, epoch, region, max_fee_wei,
                          priority_fee_wei)
    values ($1, $2, $3, $4, $5, $6, $7, $8)
    on conflict (chain_id, address, nonce) do nothing"""
_READ = """
    select digest, max_fee_wei, priority_fee_wei, raw, tx_hash, signed_by from sign_log
    where (chain_id, address, nonce) = ($1, $2, $3)"""
_STORE = """
    update sign_log set raw = $6, tx_hash = $7, signed_by = $8, signed_at = clock_timestamp()
    where (chain_id, address, nonce) = ($1, $2, $3)
      and (max_fee_wei, priority_fee_wei) = ($4, $5) and raw is null returning true"""
_RECORD_REPLACEMENT = """
    insert into sign_log_replacements (chain_id, address, nonce, max_fee_wei, priority_fee_wei,
                                       region)
    values ($1, $2, $3, $4, $5, $6) on conflict do nothing"""
_READ_REPLACEMENT = """
    select raw, tx_hash, signed_by from sign_log_replacements
    where (chain_id, address, nonce, max_fee_wei, priority_fee_wei) = ($1, $2, $3, $4, $5)"""
_STORE_REPLACEMENT = """
    update sign_log_replacements
    set raw = $6, tx_hash = $7, signed_by = $8, signed_at = clock_timestamp()
    where (chain_id, address, nonce, max_fee_wei, priority_fee_wei) = ($1, $2, $3, $4, $5)
      and raw is null"""


@dataclass(frozen=True, kw_only=True)
class SignLog:
    """The sign log: one digest per (chain, address, nonce), one signature per digest and fees.

    Each write is one transaction that locks the lane against a change of its epoch, so an old epoch
    can neither claim a nonce nor store a signature. A digest is recorded only if the venue's own
    records have an open slot with it, which the mode in force allows: whoever reaches the signer
    cannot have it sign anything else, nor take up a nonce. Higher fees for a digest that was signed
    are recorded only if the venue's records want that transaction replaced by exactly those. Even
    so, no more than ``caps``, by wallet, is recorded in a window.
    """

    pool: Pool
    region: str
    caps: Mapping[str, Caps]

    async def record(self, request: SignRequest) -> Signed | None:
        """Claim the nonce for the digest of the request; the stored signature, or None.

        Raises :class:`SigningRefusedError` (``stale_epoch``, ``digest_conflict``, ``no_slot``,
        ``stale_mode``, ``over_cap``), and ``log_unavailable`` if the database does not answer in
        time.
        """
        digest = request.intent.digest
        key = (request.chain_id, request.address, request.nonce)
        async with _in_time(committing(self.pool, "record the digest")) as connection:
            await _fence(connection, request)
            await velocity.hold(connection, request)
            known = await connection.fetchrow(_READ, *key)
            if known is None:
                await _check_slot(connection, request, digest)
                await connection.execute(
                    _RECORD, *key, digest, request.epoch, self.region, *_fees(request)
                )
                await velocity.count(connection, request, self.caps[request.wallet])
            elif _same_use(known, request, digest) and _replaces(request, known):
                if not await connection.fetchrow(_READ_REPLACEMENT, *key, *_fees(request)):
                    await _check_slot(connection, request, digest)
                await connection.execute(_RECORD_REPLACEMENT, *key, *_fees(request), self.region)
            return await _stored(connection, request, digest)

    async def keep(self, request: SignRequest, *, raw: bytes, tx_hash: str) -> Signed:
        """Store the signature, unless one is stored already; the stored one is returned.

        Raises as :meth:`record`.
        """
        digest = request.intent.digest
        key = (request.chain_id, request.address, request.nonce)
        async with _in_time(committing(self.pool, "keep the signature")) as connection:
            await _fence(connection, request)
            signed = (*key, *_fees(request), raw, tx_hash, self.region)
            if not await connection.fetchval(_STORE, *signed):
                await connection.execute(_STORE_REPLACEMENT, *signed)
            kept = await _stored(connection, request, digest)
        if kept is None:
            raise ServiceError(
                f"nonce {request.nonce} of {request.address} was signed without being recorded"
            )
        return kept


@asynccontextmanager
async def _in_time(
    transaction: AbstractAsyncContextManager[Connection],
) -> AsyncIterator[Connection]:
    """``transaction``, whose statements, the commit among them, end in time, or are refused.

    The server ends what waits too long by itself; ending it from here takes another connection, and
    so longer than the settler waits.
    """
    try:
        async with asyncio.timeout(2 * LOG_TIMEOUT_MS / 1_000), transaction as connection:
            await connection.execute(_BOUND, str(LOG_TIMEOUT_MS))
            yield connection
    except FAILURES as error:
        raise SigningRefusedError(
            "log_unavailable", f"the sign log does not answer: {error!r}"
        ) from error


async def _fence(connection: Connection, request: SignRequest) -> None:
    epoch = await connection.fetchval("select hold_lane($1, $2)", request.chain_id, request.address)
    if epoch != request.epoch:
        raise SigningRefusedError(
            "stale_epoch",
            f"the request has epoch {request.epoch}, "
            f"but the lane of {request.address} is at {epoch or 'none'}",
        )


def _fees(request: SignRequest) -> tuple[int, int]:
    return request.max_fee_wei, request.priority_fee_wei


def _replaces(request: SignRequest, first: Any) -> bool:
    """Whether other fees are asked for than those of the first transaction of the nonce."""
    return _fees(request) != (first["max_fee_wei"], first["priority_fee_wei"])


def _same_use(first: Any, request: SignRequest, digest: bytes) -> bool:
    """True, or :class:`SigningRefusedError`: the nonce was recorded for another intent."""
    if first["digest"] != digest:
        raise SigningRefusedError(
            "digest_conflict",
            f"nonce {request.nonce} of {request.address} belongs to another intent",
        )
    return True


async def _check_slot(connection: Connection, request: SignRequest, digest: bytes) -> None:
    """Whether the venue's records want this signed, and the mode of this moment allows it.

    The mode is read without its lock: signing must not wait for a flip, which may itself wait for a
    frozen client. What a flip overtakes by less than this transaction was claimed before it.
    """
    rows = await connection.fetch(_SLOT, request.chain_id, request.address, request.nonce)
    wanted = (digest, request.gas_limit, *_fees(request))
    slot = next((row for row in rows if tuple(row)[:4] == wanted), None)
    if slot is None:
        raise SigningRefusedError(
            "no_slot",
            f"the venue has no open slot with nonce {request.nonce} of {request.address}"
            ", this intent and these fees",
        )
    if slot["opens"] and slot["admitted_epoch"] != slot["mode_epoch"]:
        raise SigningRefusedError(
            "stale_mode",
            f"nonce {request.nonce} of {request.address} was allowed by mode epoch"
            f" {slot['admitted_epoch']}, and the mode is at {slot['mode_epoch']}",
        )


async def _stored(connection: Connection, request: SignRequest, digest: bytes) -> Signed | None:
    key = (request.chain_id, request.address, request.nonce)
    row = await connection.fetchrow(_READ, *key)
    if row is None:
        return None
    if _same_use(row, request, digest) and _replaces(request, row):
        row = await connection.fetchrow(_READ_REPLACEMENT, *key, *_fees(request))
    if row is None or row["raw"] is None:
        return None
    return Signed(raw=row["raw"], tx_hash=row["tx_hash"], region=row["signed_by"], digest=digest)


_ASKED = (
    "insert into proof_log (wallet, address, region, text) values ($1, $2, $3, $4) returning id"
)
_GIVEN = "insert into proof_signatures (proof_id, signature) values ($1, $2)"


@dataclass(frozen=True, kw_only=True)
class ProofLog:
    """The proof log: texts that the signer was asked to sign, and the signatures that it gave.

    The text is signed as a personal message (EIP-191), which can never be a transaction, and only
    texts of the form of `seawall.keys.proofs` are signed at all.
    """

    pool: Pool
    region: str

    async def asked(self, wallet: str, address: str, text: str) -> int:
        """Record the request before it is signed; returns its number.

        Raises :class:`SigningRefusedError` for other texts, or without the database.
        """
        if not is_proof_text(text):
            raise SigningRefusedError(
                "bad_request", "only a text that proves key control is signed"
            )
        try:
            number: int = await self.pool.fetchval(_ASKED, wallet, address, self.region, text)
        except FAILURES as error:
            raise SigningRefusedError(
                "log_unavailable", f"the proof log does not answer: {error!r}"
            ) from error
        return number

    async def given(self, number: int, signature: bytes) -> None:
        """Store the signature of request ``number``. Raises as :meth:`asked`."""
        try:
            await self.pool.execute(_GIVEN, number, signature)
        except FAILURES as error:
            raise SigningRefusedError(
                "log_unavailable", f"the proof log does not answer: {error!r}"
            ) from error
