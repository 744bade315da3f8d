"""Facts of a reconciliation: rows of the venue's records, and what the networks show.

Amounts are integer base units. Addresses and hashes are lower case. Files of records may have
further columns; a column whose field has a default here may be missing.
"""

from __future__ import annotations

from dataclasses import dataclass

from seawall.scorecard.readers import Instant

Holding = tuple[str, str]
"""(wallet, asset)."""
Place = tuple[str, str]
"""(network, asset)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Withdrawal:
    """A withdrawal as the venue has it on record.

    ``destination`` is where it is to be paid, ``resolved_at`` when it was posted or voided.
    """

    id: str
    seq: int
    network: str
    asset: str
    amount: int
    destination: str
    state: str
    reason: str | None
    slot_id: int | None
    resolved_at: Instant | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """One nonce of a wallet's key, and what it is for, as the venue has it on record.

    ``payload_digest`` is the SHA-256 of the calldata in hex.
    """

    id: int
    network: str
    wallet: str
    address: str
    nonce: int
    purpose: str
    state: str
    tx_hash: str | None
    block_number: int | None
    digest: str
    payload_digest: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """A row of the signer's own log; without ``tx_hash`` it was asked for and not given."""

    chain_id: int
    address: str
    nonce: int
    digest: str
    tx_hash: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TopUp:
    """A refill of a hot wallet, or a sweep out of it, as the venue has it on record."""

    id: str
    network: str
    asset: str
    to_wallet: str
    amount: int
    state: str
    slot_id: int | None
    from_wallet: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Approval:
    """What approvers were asked to sign, as the venue has it on record.

    A transfer out of the reserve ``from_wallet``, or without an ``asset`` that it refills
    ``to_address`` from then on. ``slot_id`` is of the transaction that carries it out. To the class
    :data:`IN_TRANSIT` it goes to a carrier, and comes out in ``to_wallet`` on another network.
    """

    id: str
    network: str
    from_wallet: str
    to_wallet: str
    to_address: str
    amount: int
    state: str
    asset: str | None = None
    slot_id: int | None = None
    to_class: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ColdTransfer:
    """What was to come from a cold wallet to its reserve, as the venue has it on record.

    A custodian has made its transaction, so it has no slot; its id is the one in the event.
    ``tx_hash`` is the transaction that the venue has seen, if it has.
    """

    id: str
    network: str
    from_wallet: str
    to_wallet: str
    to_address: str
    asset: str
    amount: int
    state: str
    tx_hash: str | None = None
    block_number: int | None = None


CARRIER = "carrier"
"""What stands for a wallet where the contract of a carrier between networks has paid."""
IN_TRANSIT = "in_transit"
"""The kind of account of what a carrier has, and the class of that which a reserve pays to it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rebalance:
    """What goes from the reserve of one network to that of another, as the venue has it on record.

    ``network`` is the second one. ``left``: an approval with the same id was carried out, by which
    the first reserve has paid the carrier; the carrier pays the second one under it as well, with a
    transaction of its own. ``tx_hash`` is the one that the venue has seen, if it has.
    """

    id: str
    from_network: str
    from_wallet: str
    network: str
    to_wallet: str
    to_address: str
    asset: str
    amount: int
    state: str
    left: int
    tx_hash: str | None = None
    block_number: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Surplus:
    """Money from outside that the venue has booked, and the final block in which it found it."""

    wallet: str
    asset: str
    amount: int
    block_number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerLine:
    """The sum of all entries of one kind of account; what the venue owes is negative."""

    bucket: str
    network: str
    asset: str
    kind: str
    balance: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PostingLine:
    """The sum of the entries that postings of one kind made in one kind of account."""

    bucket: str
    network: str
    asset: str
    kind: str
    posting: str
    amount: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Bid:
    """What a customer has bid; in escrow while it is open."""

    id: str
    network: str
    asset: str
    amount: int
    state: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Payment:
    """Money that was seen leaving a wallet, outside the venue.

    ``seq`` and ``withdrawal`` are the number and the id in a contract's event; a transfer has none,
    nor need a line of a statement.
    ``sender`` and ``nonce`` are those of the transaction, ``payload_digest`` the SHA-256 of its
    calldata. A line of a statement has no block and no wallet, and ``at`` is its own time.
    """

    network: str
    wallet: str | None
    seq: int | None
    to: str
    asset: str
    amount: int
    tx_hash: str
    block_number: int | None
    sender: str | None = None
    nonce: int | None = None
    payload_digest: str | None = None
    withdrawal: str | None = None
    at: Instant | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A payment that a contract tried and could not make."""

    network: str
    seq: int
    withdrawal: str
    tx_hash: str
    block_number: int
    sender: str
    nonce: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """What a reserve's contract did because approvers had signed it.

    Without an ``asset`` it refills ``to`` from then on. The rest is as of :class:`Payment`.
    """

    network: str
    wallet: str
    approval: str
    to: str
    asset: str | None
    amount: int
    tx_hash: str
    block_number: int
    sender: str
    nonce: int
    payload_digest: str


@dataclass(frozen=True, kw_only=True)
class Pin:
    """The final block at which a network was read."""

    network: str
    number: int
    hash: str


@dataclass(frozen=True, kw_only=True)
class Sight:
    """How far payments of a network were seen.

    Attributes:
        pinned: The block at which the venue's books are compared; everything up to it was final
            before the records were read. None for a statement.
        until: The last block that was read, final too. It is there to find what was posted between
            the two. None for a statement.
        complete: Whether a payment that the records say was made must be among those that were
            seen.
        statement_until: Payments up to this moment are on the statement; None for a network.
        records_at: The moment at which a statement's lines are compared with the venue's records;
            None for a network.
    """

    pinned: int | None
    until: int | None
    complete: bool
    statement_until: Instant | None = None
    records_at: Instant | None = None

    def at_pin(self, payment: Payment | Execution) -> bool:
        """Whether the venue's records must know ``payment``: it was final before they were read."""
        at = payment.at if isinstance(payment, Payment) else None
        if self.records_at is not None and at is not None:
            return at <= self.records_at
        block = payment.block_number
        return self.pinned is None or block is None or block <= self.pinned
