"""Custody: what a venue and the custodian of its cold wallets say to each other over HTTP.

    POST /v1/transfers        TransferRequest -> Transfer: 201, 200 for a replay, or a refusal
    GET  /v1/transfers/{id}   Transfer, or 404
    GET  /v1/statement        Statement: every transfer that was signed and has ended
    GET  /v1/condition        Condition
    POST /v1/condition        Condition, of the custodian's own people: they pause it

A refusal is ``{"code", "reason"}`` with a status of 4xx or 503. Requests carry
``Authorization: Bearer TOKEN``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

TransferState = Literal["accepted", "signed", "sent", "moved", "failed", "expired"]
"""`expired`: its approval ended before it was signed, and it never will be."""
AMOUNT_MAX = 2**256 - 1
"""Base units: what a contract can count (`uint256`)."""
ENDED: tuple[TransferState, ...] = ("moved", "failed")
"""States after a signature that are final: a finalized block says which of the two."""
EXPIRES_AT_MAX = 253_402_300_799
"""Unix seconds: the last of the year 9999, after which a moment has no text."""


def _countable(amount: str) -> str:
    if int(amount) > AMOUNT_MAX:
        raise ValueError(f"{amount} is more than any contract can count")
    return amount


BaseUnits = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,77}$"), AfterValidator(_countable)]
Address = Annotated[str, Field(pattern=r"^0x[0-9a-f]{40}$")]


class Message(BaseModel):
    """What the two sides say: whole, or not at all."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RoleSignature(Message):
    """One approver's word: the role, and the signature of the request's text (EIP-191), 0x-hex."""

    role: str
    signature: str = Field(pattern=r"^0x[0-9a-f]{130}$")


class TransferRequest(Message):
    """A movement out of a cold wallet; ``amount`` is in base units.

    ``client_id`` is the venue's own: whatever is asked for under it is done once. ``expires_at``,
    Unix seconds, is when the approval ends: from then on it is not signed any more.
    """

    client_id: UUID
    network: str
    wallet: str
    asset: str
    amount: BaseUnits
    destination: Address
    expires_at: int = Field(ge=0, le=EXPIRES_AT_MAX)
    approvals: tuple[RoleSignature, ...]

    @property
    def text(self) -> str:
        """What approvers sign: all that the custodian will do, that it does it once, and when."""
        before = datetime.fromtimestamp(self.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return (
            f"Move {self.amount} base units of {self.asset} on {self.network} out of {self.wallet}"
            f" to {self.destination}, once, as {self.client_id}, signed before {before}."
        )


class Transfer(Message):
    """How far a request has come.

    ``waits_for`` says why nothing is signed yet. ``release_at`` is the earliest moment of that,
    Unix seconds. ``tx_hash`` and ``block_number`` are those of its transaction.
    """

    client_id: UUID
    network: str
    wallet: str
    asset: str
    amount: str
    destination: str
    expires_at: int
    state: TransferState
    waits_for: str = ""
    release_at: float
    tx_hash: str | None = None
    block_number: int | None = None


class Refusal(Message):
    """What the custodian does not do; ``code`` is one of its own words."""

    code: str
    reason: str


class Condition(Message):
    """How the custodian is; in an incident it takes no request, paused it takes and signs none."""

    state: Literal["normal", "paused", "incident"]
    reason: str = ""


class Statement(Message):
    """Every transfer that was signed and has ended, in the order of signing, at the moment ``at``.

    Unix seconds.
    """

    at: float
    transfers: tuple[Transfer, ...]
