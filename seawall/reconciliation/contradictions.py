"""Everything that a reconciliation can find wrong, by name, with what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Comparison = Literal[
    "payouts",
    "slots",
    "signatures",
    "nonces",
    "top_ups",
    "approvals",
    "holdings",
    "reservations",
    "postings",
    "ledger",
]
"""What is compared, by name; :data:`COMPARISONS` says what each proves."""

COMPARISONS: Mapping[Comparison, str] = {
    "payouts": "each payment has its withdrawal and each posted withdrawal its payment: once, to"
    " the address and of the amount that was asked for",
    "slots": "each payment was made by a transaction that the venue has on record",
    "signatures": "each signature is for what the venue has on record",
    "nonces": "no key has sent a transaction that is on no record, from its first one on record on",
    "top_ups": "each movement between wallets has its top-up, sweep, cold transfer or rebalance,"
    " and each of these that is posted its movement",
    "approvals": "each act of a reserve that approvers had to sign has its approval and its slot,"
    " and each executed approval its act",
    "holdings": "each wallet holds on the chain what the ledger says, at the pinned block",
    "reservations": "the ledger reserves what open withdrawals ask for, and has in escrow what open"
    " bids are of",
    "postings": "each posting of the ledger follows from a withdrawal, a top-up, an approval, a"
    " cold transfer, a rebalance, a bid or a surplus, and what is in transit from what left",
    "ledger": "the ledger sums to zero",
}

ContradictionName = Literal[
    "paid-without-withdrawal",
    "paid-twice",
    "posted-without-payment",
    "paid-under-another-number",
    "paid-elsewhere",
    "paid-other-amount",
    "paid-other-asset",
    "voided-yet-paid",
    "held-yet-paid",
    "paid-while-waiting",
    "number-used-twice",
    "final-yet-open",
    "paid-without-slot",
    "paid-by-other-transaction",
    "paid-by-other-slot",
    "slot-missing",
    "signature-without-slot",
    "signed-something-else",
    "signed-twice",
    "signed-past-the-signer",
    "nonce-used-twice",
    "nonce-without-slot",
    "moved-without-top-up",
    "top-up-without-movement",
    "top-up-differs",
    "top-up-final-yet-open",
    "cold-transfer-without-movement",
    "cold-transfer-differs",
    "rebalance-without-movement",
    "rebalance-differs",
    "executed-without-approval",
    "executed-by-other-slot",
    "executed-twice",
    "approval-without-execution",
    "approval-differs",
    "approval-final-yet-open",
    "deficit",
    "surplus",
    "reservations-differ",
    "escrow-differs",
    "postings-differ",
    "ledger-does-not-balance",
]
"""What can be wrong."""

_STOP = "stop payouts of the network before anything else"
_STOLEN = (
    "treat it as a stolen key: stop that region's signer, at the signer"
    " (docs/runbooks/ledger-deficit.md, step 3)"
)
_NUMBERS = (
    f"{_STOP}: under its own number it can be paid again; after a restore, catch up with the chain"
    " first (docs/decisions/0033-each-restore-opens-a-generation.md)"
)
_CALLDATA = f"{_STOP}; compare the slot's calldata with the withdrawal"
_PAY = (
    "pay that customer, after two people have looked at the transaction"
    " (docs/runbooks/unidentified-money.md, step 2)"
)
_REFUNDED = (
    f"{_STOP}; the customer has the money twice, and the refund rule is broken"
    " (docs/withdrawal-states.md)"
)
_RESOLVE = (
    "resolve it: the settler finds the payment and posts it (docs/runbooks/held-withdrawals.md)"
)
_APPROVERS = (
    "ask every approver what was signed; until that is known, a quorum of their keys is stolen"
    " (docs/decisions/0043-approvals-are-checked-by-the-reserve.md)"
)
_COLD = (
    "call the custodian, and let it pause; it is the venue's money, and somebody moved it otherwise"
    " than approvers have signed (docs/runbooks/cold-transfers.md)"
)
_CARRIER = (
    "call the carrier, and let it pause; it was paid, and has paid something else"
    " (docs/runbooks/rebalancing.md)"
)
_SETTLER = "see the settler's log: what a final slot was for is settled in the same transaction"
_RESTORED = (
    "after a restore, let the settler agree with the chain first"
    f" (docs/runbooks/lane-disputed.md); else {_STOLEN}"
)
_BOOKED = (
    "the treasury books what comes from outside at its next pass; if it does not, see"
    " docs/runbooks/unidentified-money.md"
)

TABLE: Mapping[ContradictionName, tuple[Comparison, str]] = {
    "paid-without-withdrawal": ("payouts", _STOLEN),
    "paid-twice": ("payouts", f"{_STOP}; the contract's bits or the numbers are broken"),
    "posted-without-payment": ("payouts", _PAY),
    "paid-under-another-number": ("payouts", _NUMBERS),
    "paid-elsewhere": ("payouts", f"{_STOP}; somebody changed an address on its way to the signer"),
    "paid-other-amount": ("payouts", _CALLDATA),
    "paid-other-asset": ("payouts", _CALLDATA),
    "voided-yet-paid": ("payouts", _REFUNDED),
    "held-yet-paid": ("payouts", _RESOLVE),
    "paid-while-waiting": ("payouts", f"{_STOP}: the venue would pay it again; then {_STOLEN}"),
    "number-used-twice": ("payouts", f"{_STOP}; two withdrawals share one bit in the contract"),
    "final-yet-open": ("payouts", _SETTLER),
    "paid-without-slot": ("slots", _STOLEN),
    "paid-by-other-transaction": ("slots", _STOLEN),
    "paid-by-other-slot": ("slots", _CALLDATA),
    "slot-missing": ("slots", "compare with a backup: slots are never deleted"),
    "signature-without-slot": ("signatures", _STOLEN),
    "signed-something-else": ("signatures", _STOLEN),
    "signed-twice": ("signatures", _STOLEN),
    "signed-past-the-signer": ("signatures", _STOLEN),
    "nonce-used-twice": ("signatures", f"{_STOP}; two slots would pay with one nonce"),
    "nonce-without-slot": ("nonces", _RESTORED),
    "moved-without-top-up": ("top_ups", _STOLEN),
    "top-up-without-movement": ("top_ups", "look at its transaction; do not post a correction yet"),
    "top-up-differs": ("top_ups", _STOLEN),
    "top-up-final-yet-open": ("top_ups", _SETTLER),
    "cold-transfer-without-movement": ("top_ups", _COLD),
    "cold-transfer-differs": ("top_ups", _COLD),
    "rebalance-without-movement": ("top_ups", _CARRIER),
    "rebalance-differs": ("top_ups", _CARRIER),
    "executed-without-approval": ("approvals", _APPROVERS),
    "executed-by-other-slot": ("approvals", _STOLEN),
    "executed-twice": ("approvals", f"{_STOP}; the contract's states of approvals are broken"),
    "approval-without-execution": (
        "approvals",
        "look at its transaction; do not post a correction yet",
    ),
    "approval-differs": ("approvals", _APPROVERS),
    "approval-final-yet-open": ("approvals", _SETTLER),
    "deficit": ("holdings", "see docs/runbooks/ledger-deficit.md"),
    "surplus": ("holdings", _BOOKED),
    "reservations-differ": ("reservations", "find the withdrawal whose posting is missing"),
    "escrow-differs": ("reservations", "find the bid whose posting is missing; settle none before"),
    "postings-differ": ("postings", "find the posting that no row explains; correct nothing yet"),
    "ledger-does-not-balance": ("ledger", f"{_STOP}; find the posting that does not balance"),
}
"""By name: what it contradicts, and what to do."""


@dataclass(frozen=True, kw_only=True)
class _Located:
    """Something about money, and where to look.

    ``amount`` is in base units of ``asset`` on ``network``, where money is at stake. ``ids`` say
    where to look: withdrawal, seq, slot, wallet, nonce, tx_hash, block.
    """

    text: str
    network: str | None = None
    asset: str | None = None
    amount: int | None = None
    ids: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Contradiction(_Located):
    """Something that contradicts the records or the networks."""

    name: ContradictionName

    @property
    def comparison(self) -> Comparison:
        """What it contradicts."""
        return TABLE[self.name][0]

    @property
    def remedy(self) -> str:
        """What to do."""
        return TABLE[self.name][1]


NoticeName = Literal["held", "failed", "not-posted", "unlisted-asset", "newer", "in-transit"]
"""What is explained, and still wants somebody to look."""

NOTICES: Mapping[NoticeName, str] = {
    "held": "decide what is to become of it (docs/runbooks/held-withdrawals.md)",
    "failed": "the settler settles it when its block is final; if it stays, see the settler's log",
    "not-posted": "the settler posts it within one poll; if it stays, see the settler's log",
    "unlisted-asset": "nobody's: the policy gives the wallet no such asset, so no ledger has it",
    "in-transit": "it comes within the lead time; if it does not, docs/runbooks/rebalancing.md",
    "newer": "they became final after the records were read; reconcile again to have them judged",
}
"""By name: what to do."""


@dataclass(frozen=True, kw_only=True)
class Notice(_Located):
    """Something explained that wants somebody to look."""

    name: NoticeName

    @property
    def remedy(self) -> str:
        """What to do."""
        return NOTICES[self.name]


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Something that could not be seen, so that ``comparison`` is not proven."""

    comparison: Comparison
    text: str


def ids_of(**named: str | int | None) -> dict[str, str | int]:
    """The ids that are known."""
    return {name: value for name, value in named.items() if value is not None}
