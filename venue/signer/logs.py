"""The signer's two logs: what it signed for each nonce, and which proofs of key control it gave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from seawall.controls.sizing import Caps
from seawall.errors import ServiceError
from seawall.keys.proofs import is_proof_text
from venue.contracts.calls import outflow
from venue.crash_points import committed
from venue.database import FAILURES, Pool, open_pool
from venue.signer import velocity
from venue.signer.protocol import Signed, SigningRefusedError, SignRefusalCode, SignRequest

LOG_TIMEOUT_MS = 200
"""How long one statement of a signer may take; it needs a millisecond.

So that a slow database is told from a dark region: the settler waits three times as long for the
signer, and moves to the other region if it hears nothing. The other region has the same databases.
"""
_OFFER = "select * from offer_slot($1, $2, $3, $4, $5, $6, $7, $8, $9)"
_RECORD = "select * from record_digest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
_KEEP = "select * from keep_signature($1, $2, $3, $4, $5, $6, $7, $8, $9)"
_ANSWERS = "select true"


async def open_log_pool(url: str, *, name: str, size: int) -> Pool:
    """A pool of a signer, of either database: the server ends each statement in time.

    Raises :class:`ServiceError`.
    """
    return await open_pool(url, name=name, size=size, statement_ms_max=LOG_TIMEOUT_MS)


@dataclass(frozen=True, kw_only=True)
class SignLog:
    """The sign log: one digest per (chain, address, nonce), one signature per digest and fees.

    It lies in a database of the signers' own, ``log``, which all regions share and which is never
    restored with the venue's, ``records``. Without either nothing is signed.

    A digest is recorded only if the venue's own records have an open slot with it, under the lane's
    epoch, which the mode in force allows: whoever reaches the signer cannot have it sign anything
    else, nor take up a nonce. Higher fees for a digest that was signed are recorded only if the
    venue's records want that transaction replaced by exactly those. Even so, no more than ``caps``,
    by wallet, is recorded in a window.

    Each step is one statement, and one transaction, of one database.
    """

    records: Pool
    log: Pool
    region: str
    caps: Mapping[str, Caps]

    async def record(self, request: SignRequest) -> Signed | None:
        """Claim the nonce for the digest of the request; the stored signature, or None.

        First the venue's slot is marked, which keeps its use from then on; then the digest is
        recorded. If this is cut off in between, the request is made again, in any mode. The lane's
        epoch need not hold until the end: whoever has another one gets the same digest.

        Raises :class:`SigningRefusedError` (``stale_epoch``, ``digest_conflict``, ``no_slot``,
        ``stale_mode``, ``over_cap``), and ``records_unavailable`` or ``log_unavailable`` if a
        database does not answer in time.
        """
        digest, caps = request.intent.digest, self.caps[request.wallet]
        moved = outflow(request.data)
        over = velocity.over_alone(request.wallet, moved, caps)
        async with _in_time("records_unavailable"):
            offered = await committed(
                self.records,
                "offer the slot",
                _OFFER,
                *(*_key(request), request.epoch, digest, request.gas_limit, *_fees(request)),
                over is None,
            )
        if offered["lane_epoch"] != request.epoch:
            raise SigningRefusedError(
                "stale_epoch",
                f"the request has epoch {request.epoch}, "
                f"but the lane of {request.address} is at {offered['lane_epoch'] or 'none'}",
            )
        async with _in_time("log_unavailable"):
            found = await committed(
                self.log,
                "record the digest",
                _RECORD,
                *(*_key(request), digest, request.epoch, self.region, *_fees(request)),
                *(offered["wanted"], caps.window_ms, caps.transactions, list(moved)),
                list(moved.values()),
                [caps.amounts.get(token, 0) for token in moved],
            )
        if found["outcome"] == "recorded":
            return _kept(found, digest)
        if found["outcome"] == "digest_conflict":
            raise SigningRefusedError(
                "digest_conflict",
                f"nonce {request.nonce} of {request.address} belongs to another intent",
            )
        if found["outcome"] == "not_wanted":
            raise over or _unwanted(request, offered)
        raise velocity.over_window(
            request.wallet, caps, token=found["over_token"], amount=found["over_amount"]
        )

    async def keep(self, request: SignRequest, *, raw: bytes, tx_hash: str) -> Signed:
        """Store the signature, unless one is stored already; the stored one is returned.

        Raises :class:`SigningRefusedError` (``log_unavailable``).
        """
        digest = request.intent.digest
        async with _in_time("log_unavailable"):
            found = await committed(
                self.log,
                "keep the signature",
                _KEEP,
                *(*_key(request), digest, *_fees(request), raw, tx_hash, self.region),
            )
        kept = _kept(found, digest)
        if kept is None:
            raise ServiceError(
                f"nonce {request.nonce} of {request.address} was signed without being recorded"
            )
        return kept

    async def check(self) -> None:
        """Whether the log answers. Raises :class:`SigningRefusedError` (``log_unavailable``)."""
        async with _in_time("log_unavailable"):
            await self.log.fetchval(_ANSWERS)


_DATABASES: Mapping[SignRefusalCode, str] = {
    "records_unavailable": "the venue's records do",
    "log_unavailable": "the sign log does",
}


@asynccontextmanager
async def _in_time(code: SignRefusalCode) -> AsyncIterator[None]:
    """Whatever a database does not answer in time is refused with ``code``.

    The server ends what waits too long by itself; ending it from here takes another connection, and
    so longer than the settler waits. What was committed all the same is met again by the next
    request.
    """
    try:
        async with asyncio.timeout(2 * LOG_TIMEOUT_MS / 1_000):
            yield
    except FAILURES as error:
        raise SigningRefusedError(code, f"{_DATABASES[code]} not answer: {error!r}") from error


def _key(request: SignRequest) -> tuple[int, str, int]:
    return request.chain_id, request.address, request.nonce


def _fees(request: SignRequest) -> tuple[int, int]:
    return request.max_fee_wei, request.priority_fee_wei


def _kept(found: Any, digest: bytes) -> Signed | None:
    if found["kept_raw"] is None:
        return None
    return Signed(
        raw=found["kept_raw"], tx_hash=found["kept_tx_hash"], region=found["kept_by"], digest=digest
    )


def _unwanted(request: SignRequest, offered: Any) -> SigningRefusedError:
    if offered["admitted_epoch"] != offered["mode_epoch"]:
        return SigningRefusedError(
            "stale_mode",
            f"nonce {request.nonce} of {request.address} was allowed by mode epoch"
            f" {offered['admitted_epoch']}, and the mode is at {offered['mode_epoch']}",
        )
    return SigningRefusedError(
        "no_slot",
        f"the venue has no open slot with nonce {request.nonce} of {request.address}"
        ", this intent and these fees",
    )


_ASKED = (
    "insert into proof_log (wallet, address, region, text) values ($1, $2, $3, $4) returning id"
)
_GIVEN = "insert into proof_signatures (proof_id, signature) values ($1, $2)"


@dataclass(frozen=True, kw_only=True)
class ProofLog:
    """The proof log: texts that the signer was asked to sign, and the signatures that it gave.

    It lies in the venue's database, for it decides about nothing.

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
                "records_unavailable", f"the proof log does not answer: {error!r}"
            ) from error
        return number

    async def given(self, number: int, signature: bytes) -> None:
        """Store the signature of request ``number``. Raises as :meth:`asked`."""
        try:
            await self.pool.execute(_GIVEN, number, signature)
        except FAILURES as error:
            raise SigningRefusedError(
                "records_unavailable", f"the proof log does not answer: {error!r}"
            ) from error
