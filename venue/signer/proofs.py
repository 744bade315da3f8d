"""Proof that a signer controls a key.

It signs a text that is no transaction, and keeps what it signed.

The text is signed as EIP-191 version 0x45 ("personal message") says, so its bytes begin with 0x19
and can never be those of a transaction; and only texts that say what they are for are signed at
all.
"""

from __future__ import annotations

from dataclasses import dataclass

from seawall.keys.proofs import is_proof_text
from venue.database import FAILURES, Pool
from venue.signer.errors import SigningRefusedError

_ASKED = (
    "insert into proof_log (wallet, address, region, text) values ($1, $2, $3, $4) returning id"
)
_GIVEN = "insert into proof_signatures (proof_id, signature) values ($1, $2)"


@dataclass(frozen=True, kw_only=True)
class ProofLog:
    """What the signer of ``region`` was asked to prove, written before it signs, and the signature
    that it gave.
    """

    pool: Pool
    region: str

    async def asked(self, wallet: str, address: str, text: str) -> int:
        """Write the request down; its number.

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
                "provider_unavailable", f"the proof log does not answer: {error}"
            ) from error
        return number

    async def given(self, number: int, signature: bytes) -> None:
        """Keep the signature of request ``number``. Raises as :meth:`asked`."""
        try:
            await self.pool.execute(_GIVEN, number, signature)
        except FAILURES as error:
            raise SigningRefusedError(
                "provider_unavailable", f"the proof log does not answer: {error}"
            ) from error
