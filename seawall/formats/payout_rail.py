"""What a venue and a provider that pays for it tell each other: an exchange, or a processor.

The provider pays each instruction once, whoever asks how often, because the venue names it by an id
of its own (``client_id``):

    POST /payouts                 an instruction -> 201, or 200 for a replay, with its payout
    POST /payouts/{id}/cancel     -> 200: it is never paid; 409 ``too_late``: it was accepted
    GET  /payouts/{id}            -> 200 its payout, or 404 ``unknown_id``
    GET  /statement?after=N       -> 200 what has happened to payouts since line N, oldest first
    GET  /balances                -> 200 what the venue may still have paid, by asset
    GET  /health                  -> 200

An id that the provider does not know is used up by its cancellation: an instruction that arrives
later, however late, is refused with 410 ``cancelled``. That is to a provider what setting a bit is
to a payout contract, and the only proof that an instruction will never be carried out.
Another instruction under a known id is 409 ``id_reused``. What is refused with 422 is not known
afterwards, and may be asked for again.

``Authorization: Bearer CREDENTIAL`` is the payer's, or the reader's, who may only look at
statements and balances. Amounts are decimal strings of base units, times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

PayoutState = Literal["accepted", "settled", "returned", "cancelled"]
"""Accepted is on its way; the others are final. Returned: it was paid back to the venue."""
RefusalCode = Literal[
    "unauthorized",
    "malformed",
    "not_found",
    "unknown_id",
    "id_reused",
    "cancelled",
    "too_late",
    "unknown_asset",
    "bad_destination",
    "over_limit",
    "insufficient_funds",
]
STATUS_OF: Mapping[RefusalCode, int] = {
    "unauthorized": 401,
    "malformed": 400,
    "not_found": 404,
    "unknown_id": 404,
    "id_reused": 409,
    "too_late": 409,
    "cancelled": 410,
    "unknown_asset": 422,
    "bad_destination": 422,
    "over_limit": 422,
    "insufficient_funds": 422,
}
"""The status with which a provider says each refusal."""
_YEAR_9999 = 253_000_000_000
ClientId = Annotated[str, Field(pattern=r"^[0-9A-Za-z.-]{1,80}$")]
Destination = Annotated[str, Field(pattern=r"^[0-9A-Za-z]{4,64}$")]
AmountText = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,76})$")]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Instruction(_Message):
    """Pay ``amount`` base units of ``asset`` to ``destination``, once."""

    client_id: ClientId
    asset: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,31}$")]
    amount: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,76}$")]
    destination: Destination


class Payout(_Message):
    """What a provider knows of an id; one that was cancelled unknown has no instruction."""

    client_id: ClientId
    state: PayoutState
    instruction: Instruction | None
    reason: Annotated[str, Field(pattern=r"^[^\x00]{1,500}$")] | None = None

    @model_validator(mode="after")
    def _names_its_instruction(self) -> Payout:
        if self.instruction is None:
            consistent = self.state == "cancelled"
        else:
            consistent = self.state != "cancelled" and self.instruction.client_id == self.client_id
        if not consistent:
            message = f"{self.client_id} is {self.state} with instruction {self.instruction!r}"
            raise ValueError(message)
        return self


class StatementLine(_Message):
    """A payout reached a state; ``n`` counts the lines of a provider from 1, without gaps."""

    n: int = Field(ge=1, le=2**53)
    at: float = Field(ge=0, le=_YEAR_9999)
    payout: Payout


class Statement(_Message):
    """Lines in order; ``more`` if others follow the last one."""

    lines: tuple[StatementLine, ...]
    more: bool


class Balances(_Message):
    """What the provider would still pay out, by asset; its credit line is left out."""

    available: dict[str, Annotated[str, Field(pattern=r"^-?(0|[1-9][0-9]{0,76})$")]]


class Refusal(_Message):
    """Why not; ``payout`` is what stands in the way, if a payout does."""

    code: RefusalCode
    reason: str
    payout: Payout | None = None
