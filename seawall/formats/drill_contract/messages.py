"""The messages of the drill contract, as models.

Amounts are decimal strings of whole base units; times are Unix seconds. Where None is the default,
it means that a venue does not say: not every venue has all of it, and nothing is made up for it.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from seawall.policy import Function, Tier

AMOUNT_MAX = 10**77 - 1
"""The largest amount, in base units, that a message can say."""
AmountText = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{1,77}$", description="integer base units of the asset, as a decimal string"
    ),
]
PositiveAmountText = Annotated[
    str, Field(pattern=r"^[1-9][0-9]{0,76}$", description="as above, and not zero")
]
Size = Literal["small", "large"]
WithdrawalState = Literal[
    "reserved", "slotted", "signed", "broadcast", "included", "posted", "voided", "unknown"
]
RefusalCode = Literal[
    "unauthorized",
    "malformed",
    "not_found",
    "insufficient_balance",
    "insufficient_inventory",
    "escrow_full",
    "own_listing",
    "below_minimum",
    "over_limit",
    "value_limit_reached",
    "number_limit_reached",
    "unknown_asset",
    "bad_address",
    "id_reused",
    "too_late",
    "suspended",
    "price_out_of_bounds",
    "unavailable",
]


class Message(BaseModel):
    """Base of all messages: unknown keys are refused, and messages are immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Refusal(Message):
    """Why a request was refused: ``code`` for a program, ``reason`` for the customer."""

    code: RefusalCode
    reason: str


class Login(Message):
    """A session of a customer."""

    customer_id: str | int | None = None
    session: str


class Balance(Message):
    """What a customer may still spend of one asset on one network."""

    network: str
    asset: str
    available: AmountText


class Balances(Message):
    """Every balance of a customer."""

    balances: tuple[Balance, ...]


class WithdrawalRequest(Message):
    """Pay ``amount`` of ``asset`` to ``destination`` on ``network``.

    ``id`` is chosen by the client: a replay returns the first outcome. With ``source_network`` the
    money comes from the customer's balance there (a cross-rail transfer).
    """

    id: UUID
    network: str
    source_network: str | None = None
    asset: str
    amount: PositiveAmountText
    destination: str


class WithdrawalReceipt(Message):
    """The withdrawal is durably reserved; ``deferred`` if the present tier pays it later.

    ``venue_id`` is the venue's own name of it, where that is not the client's ``id``.
    """

    id: UUID | None = None
    venue_id: str | None = None
    seq: int | None = None
    state: WithdrawalState | None = None
    size: Size | None = None
    outcome: Literal["accepted", "replayed"]
    deferred: bool | None = None


class Withdrawal(Message):
    """The state of a withdrawal (docs/withdrawal-states.md)."""

    id: UUID | None = None
    venue_id: str | None = None
    seq: int | None = None
    state: WithdrawalState
    reason: str | None = None
    tx_hash: str | None = None


class Quote(Message):
    """What a swap would buy now; valid for ``valid_ms``."""

    buy_amount: AmountText | None = None
    valid_ms: int | None = None


class SwapRequest(Message):
    """Sell ``amount`` of ``sell`` for ``buy``, both on ``network``.

    ``id`` is chosen by the client.
    """

    id: UUID
    network: str
    sell: str
    buy: str
    amount: PositiveAmountText


class SwapReceipt(Message):
    """The swap is durably booked."""

    id: UUID | None = None
    buy_amount: AmountText | None = None


class Status(Message):
    """The mode in force, from the committed row, and what it means for customers."""

    tier: Tier
    epoch: int | None = None
    since: float | None = None
    reason: str | None = None
    guarantees: tuple[Function, ...] | None = None
    defers: tuple[Function, ...] | None = None
    suspends: tuple[Function, ...] | None = None


class TicketRequest(Message):
    """A customer's support ticket; no database keeps a zero byte as text."""

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,31}$")]
    text: Annotated[str, Field(max_length=4_000, pattern=r"^[^\x00]*$")]


class Ticket(Message):
    """The ticket is recorded."""

    id: int | str | None = None
