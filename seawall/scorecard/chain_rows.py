"""Rows read from the networks past the venue, as those of :mod:`seawall.scorecard.rows`."""

from __future__ import annotations

from dataclasses import dataclass

from seawall.scorecard.readers import Instant
from seawall.scorecard.rows import Key


@dataclass(frozen=True, kw_only=True, slots=True)
class Payout:
    """A payout that is final, seen outside the venue.

    A ``Paid`` event of a payout contract, with the venue's ``seq`` and the withdrawal it names; a
    plain transfer, without either; or a line of a rail's statement, without a block and with its
    own time in ``block_timestamp``. ``stranger`` sent a plain transfer and is none of the addresses
    that the venue is known to have.
    """

    network: str
    seq: int | None
    to: str
    token: str
    asset: str
    amount: int
    tx_hash: str
    block_number: int | None
    block_timestamp: Instant
    withdrawal_id: str | None = None
    stranger: str | None = None

    @property
    def key(self) -> Key:
        """What the request for it must have."""
        return self.network, self.asset, self.to.lower(), self.amount


@dataclass(frozen=True, kw_only=True, slots=True)
class Unseen:
    """What a destination of the drill holds at the end, less the payouts to it that were seen.

    Without ``to`` and ``amount``: not every destination was read in time.
    """

    network: str
    asset: str
    to: str | None = None
    amount: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedItem:
    """A finalized ``Failed`` event, read from the chain."""

    network: str
    seq: int
    tx_hash: str
    block_number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A block; ``observed_at`` is when the prober first saw it."""

    network: str
    number: int
    timestamp: Instant
    observed_at: Instant | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainBalance:
    """What the chain says a wallet holds at the end."""

    network: str
    wallet: str
    address: str
    asset: str
    balance: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneNonce:
    """Final transactions of a wallet's key: after the drill and, if somebody asked, before it.

    ``nonce_earlier`` is the count after the drill before this one, on the same game day.
    """

    network: str
    wallet: str
    address: str
    nonce: int
    nonce_before: int | None = None
    nonce_earlier: int | None = None
