"""What a settler holds in memory; the database is the truth, this is its reading of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from seawall.errors import InternalError
from venue.chain.transaction import Fees, Intent

Purpose = Literal["payout", "topup"]
SlotState = Literal["open", "signed", "broadcast", "included", "final"]


class LaneLostError(InternalError):
    """Another holder has taken a lane, or moved a slot, that this process believed to be its own."""


@dataclass(kw_only=True)
class Lane:
    """A lane that this process holds.

    Whose wallet it moves, through which contract, under which epoch.

    Nothing is claimed for it before ``rest_until_s`` of the monotonic clock.
    """

    chain_id: int
    address: str
    network: str
    wallet: str
    contract: str
    purpose: Purpose
    epoch: int = 0
    signer_region: str = ""
    in_flight: int = 0
    rest_until_s: float = 0.0


@dataclass(kw_only=True)
class Slot:
    """One nonce: its intent and how far its transaction is.

    ``sent_at_block`` is the head when it was last broadcast.
    """

    id: int
    lane: Lane
    nonce: int
    to: str
    value: int
    data: bytes
    fees: Fees
    state: SlotState
    items: int = 0
    signer_region: str | None = None
    tx_hash: str | None = None
    raw: bytes | None = field(default=None, repr=False)
    block_number: int | None = None
    block_hash: str | None = None
    sent_at_block: int = 0

    @property
    def intent(self) -> Intent:
        """What the nonce was claimed for."""
        return Intent(
            chain_id=self.lane.chain_id,
            sender=self.lane.address,
            nonce=self.nonce,
            to=self.to,
            value=self.value,
            data=self.data,
        )
