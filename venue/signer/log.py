"""The sign log: one digest per (chain, address, nonce), one signature per digest, and a fence on
every write.

Each write is one transaction that holds the lane against a change of its epoch, so an old epoch can
neither claim a nonce nor leave a signature behind.
"""

from __future__ import annotations

from dataclasses import dataclass

from seawall.errors import ServiceError
from venue.database import FAILURES, Connection, Pool
from venue.signer.errors import SigningRefusedError
from venue.signer.protocol import Signed, SignRequest

_RECORD = """
    insert into sign_log (chain_id, address, nonce, digest, epoch, region) values ($1, $2, $3, $4, $5, $6)
    on conflict (chain_id, address, nonce) do nothing"""
_LOOK_UP = "select digest, raw, tx_hash, signed_by from sign_log where (chain_id, address, nonce) = ($1, $2, $3)"
_STORE = """
    update sign_log set raw = $5, tx_hash = $6, signed_by = $7, signed_at = clock_timestamp()
    where (chain_id, address, nonce, digest) = ($1, $2, $3, $4) and raw is null"""


@dataclass(frozen=True, kw_only=True)
class SignLog:
    """The log as the signer of ``region`` writes it."""

    pool: Pool
    region: str

    async def record(self, request: SignRequest) -> Signed | None:
        """Claim the nonce for the request's digest; the stored signature if there is one already.

        Raises :class:`SigningRefusedError` (``stale_epoch``, ``digest_conflict``), and
        ``provider_unavailable`` without the database.
        """
        digest = request.intent.digest
        key = (request.chain_id, request.address, request.nonce)
        try:
            async with self.pool.acquire() as connection, connection.transaction():
                await _fence(connection, request)
                await connection.execute(_RECORD, *key, digest, request.epoch, self.region)
                return await _stored(connection, request, digest)
        except FAILURES as error:
            raise SigningRefusedError(
                "provider_unavailable", f"the sign log does not answer: {error}"
            ) from error

    async def keep(self, request: SignRequest, *, raw: bytes, tx_hash: str) -> Signed:
        """Store the signature unless one is stored already.

        Whichever was first is what everyone gets. Raises as :meth:`record`.
        """
        digest = request.intent.digest
        key = (request.chain_id, request.address, request.nonce)
        try:
            async with self.pool.acquire() as connection, connection.transaction():
                await _fence(connection, request)
                await connection.execute(_STORE, *key, digest, raw, tx_hash, self.region)
                kept = await _stored(connection, request, digest)
        except FAILURES as error:
            raise SigningRefusedError(
                "provider_unavailable", f"the sign log does not answer: {error}"
            ) from error
        if kept is None:
            message = (
                f"nonce {request.nonce} of {request.address} was signed without being recorded"
            )
            raise ServiceError(message)
        return kept


async def _fence(connection: Connection, request: SignRequest) -> None:
    epoch = await connection.fetchval("select hold_lane($1, $2)", request.chain_id, request.address)
    if epoch != request.epoch:
        reason = (
            f"epoch {request.epoch} asks, but the lane of {request.address} is at {epoch or 'none'}"
        )
        raise SigningRefusedError("stale_epoch", reason)


async def _stored(connection: Connection, request: SignRequest, digest: bytes) -> Signed | None:
    row = await connection.fetchrow(_LOOK_UP, request.chain_id, request.address, request.nonce)
    if row is None:
        return None
    if row["digest"] != digest:
        reason = f"nonce {request.nonce} of {request.address} belongs to another intent"
        raise SigningRefusedError("digest_conflict", reason)
    if row["raw"] is None:
        return None
    return Signed(raw=row["raw"], tx_hash=row["tx_hash"], region=row["signed_by"], digest=digest)
