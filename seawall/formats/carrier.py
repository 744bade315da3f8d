"""What a venue and the carrier between two networks say to each other over HTTP.

    POST /v1/transfers        CarriageRequest -> Carriage: 201, 200 for a replay, or a refusal
    GET  /v1/transfers/{id}   Carriage, or 404
    GET  /v1/condition        Condition
    POST /v1/condition        Condition, of the carrier's own people: they pause it

It pays on one network what it was paid on another. Whoever asks pays it afterwards, by an approval
with the same id (``Executed`` of a reserve's contract), so that it knows whose money came. Refusals
and credentials are as in `seawall.formats.custody`.
"""

from __future__ import annotations

from uuid import UUID

from seawall.formats.custody import Address, BaseUnits, Message, TransferState


class CarriageRequest(Message):
    """A movement from ``from_network`` to ``network``; ``amount`` is in base units.

    ``client_id`` is the venue's own: whatever is asked for under it is done once. ``deposit_by`` is
    the reserve's contract that pays the carrier, ``destination`` whom the carrier pays.
    """

    client_id: UUID
    asset: str
    amount: BaseUnits
    from_network: str
    deposit_by: Address
    network: str
    destination: Address

    @property
    def text(self) -> str:
        """Everything that the carrier will do, and that it does it once."""
        return (
            f"Take {self.amount} base units of {self.asset} from {self.deposit_by} on"
            f" {self.from_network}, and pay them to {self.destination} on {self.network}, once, as"
            f" {self.client_id}."
        )


class Carriage(CarriageRequest):
    """How far a request has come; as of a custodian's transfer."""

    state: TransferState
    waits_for: str = ""
    release_at: float
    tx_hash: str | None = None
    block_number: int | None = None
