"""What the hot wallets held at any moment of the run.

Counted back from what the chains say that they hold at the end, never from the policy's targets.
Keys are (wallet, asset), amounts integer base units.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from seawall.errors import EvidenceError
from seawall.policy import Policy
from seawall.scorecard.chain_rows import Payout
from seawall.scorecard.facts import Facts
from seawall.scorecard.readers import Instant
from seawall.scorecard.rows import Slot, Surplus, TopUp

Pool = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Held:
    """What payout wallets held at a moment, and of which of them that is in doubt."""

    held: Mapping[Pool, int]
    doubts: Mapping[Pool, str]

    def whole(self) -> Mapping[Pool, int]:
        """What they held. Raises :class:`EvidenceError` if one is in doubt."""
        for doubt in self.doubts.values():
            raise EvidenceError(doubt)
        return self.held


def hot_at(facts: Facts, moment: Instant) -> Held:
    """What each payout wallet held on its chain at ``moment``.

    That is its balance at the end, plus the payouts and sweeps since, less the top-ups since, by
    block, and less what came from outside and was booked since.

    A wallet is in doubt if the chains' export lacks it, or if the records do not say which wallet
    of its network made a payout of the asset, or in which block a top-up came.
    """
    doubts: dict[Pool, str] = {}
    found = Counter(_held_at_end(facts, doubts))
    known = found.keys() | doubts.keys()
    wallets = {slot.tx_hash: slot.wallet for slot in facts.run.slots if slot.tx_hash is not None}
    for payout in facts.run.payouts:
        if facts.paid_at(payout) < moment:
            continue
        if payout.tx_hash in wallets:
            found[wallets[payout.tx_hash], payout.asset] += payout.amount
            continue
        for pool in _pools_on(facts.run.policy, payout):
            doubts.setdefault(
                pool, f"records/slots.csv lacks {payout.tx_hash}, which chain/payouts.csv names"
            )
    slots = {slot.id: slot for slot in facts.run.slots}
    for top_up in facts.run.top_ups:
        if top_up.state != "posted":
            continue
        swept = swept_from(facts.run.policy, top_up)
        pool = (top_up.to_wallet if swept is None else swept), top_up.asset
        try:
            if _mined_at(facts, slots, top_up) >= moment:
                found[pool] += -top_up.amount if swept is None else top_up.amount
        except EvidenceError as error:
            doubts.setdefault(pool, str(error))
    for surplus in _surpluses(facts):
        if surplus.booked_at >= moment:
            found[surplus.wallet, surplus.asset] -= surplus.amount
    for wallet, asset in sorted(found.keys() - known):
        doubts.setdefault((wallet, asset), f"chain/balances.csv lacks {asset} of {wallet}")
    return Held(held=found, doubts=doubts)


def _held_at_end(facts: Facts, doubts: dict[Pool, str]) -> dict[Pool, int]:
    """What each payout wallet holds when the evidence ends, by the chains' export."""
    held = {(row.wallet, row.asset): row.balance for row in facts.run.chain_balances}
    found = {}
    for name, wallet in facts.run.policy.payout_wallets().items():
        for asset in wallet.holdings:
            if (name, asset) in held:
                found[name, asset] = held[name, asset]
            else:
                doubts[name, asset] = f"chain/balances.csv lacks {asset} of {name}"
    return found


def _pools_on(policy: Policy, payout: Payout) -> list[Pool]:
    """Whatever may have made a payout that no record names."""
    return [
        (name, payout.asset)
        for name, wallet in policy.payout_wallets().items()
        if wallet.network == payout.network and payout.asset in wallet.holdings
    ]


@dataclass(frozen=True, kw_only=True)
class Move:
    """A change, from ``at`` on, of the amounts by asset that a wallet may pay.

    ``claim`` is the slot that took the amounts, None if they were added.
    """

    at: Instant
    wallet: str
    amounts: Mapping[str, int]
    claim: Slot | None = None


def moves(facts: Facts) -> list[Move]:
    """Every change of what hot wallets may pay, in order of time.

    All are commit times of transactions that lock the same row, so this is the order in which they
    happened. The result is never less than the venue had: a held payment gives its amount back when
    its slot is final, whether or not the venue released it, and the claim of a payment that waits
    again is not on record.
    """
    claimed: dict[int, Counter[str]] = {}
    held: dict[int, Counter[str]] = {}
    for row in facts.run.withdrawals:
        if row.slot_id is not None:
            claimed.setdefault(row.slot_id, Counter())[row.asset] -= row.amount
            if row.state in ("unknown", "voided"):  # voided: it was held before
                held.setdefault(row.slot_id, Counter())[row.asset] += row.amount
    found = []
    for top_up in facts.run.top_ups:
        if swept_from(facts.run.policy, top_up) is None:
            if top_up.posted_at is not None:
                amounts = {top_up.asset: top_up.amount}
                found.append(Move(at=top_up.posted_at, wallet=top_up.to_wallet, amounts=amounts))
        elif top_up.slot_id is not None:
            claimed.setdefault(top_up.slot_id, Counter())[top_up.asset] -= top_up.amount
    found += [
        Move(at=surplus.booked_at, wallet=surplus.wallet, amounts={surplus.asset: surplus.amount})
        for surplus in _surpluses(facts)
    ]
    for slot in facts.run.slots:
        if slot.purpose in ("payout", "sweep") and slot.id in claimed:
            found.append(
                Move(at=slot.opened_at, wallet=slot.wallet, amounts=claimed[slot.id], claim=slot)
            )
        if slot.id in held and slot.final_at is not None:
            found.append(Move(at=slot.final_at, wallet=slot.wallet, amounts=held[slot.id]))
    return sorted(found, key=lambda move: (move.at, move.claim is not None))


def swept_from(policy: Policy, top_up: TopUp) -> str | None:
    """The hot wallet that a sweep emptied into its reserve; None for a top-up."""
    wallet = policy.wallets.get(top_up.to_wallet)
    if wallet is None or wallet.wallet_class != "reserve":
        return None
    return policy.refilled_by(top_up.to_wallet)


def _surpluses(facts: Facts) -> list[Surplus]:
    """Money from outside that came to payout wallets; none where no such record is offered."""
    if not facts.offers("surpluses"):
        return []
    wallets = facts.run.policy.payout_wallets()
    return [surplus for surplus in facts.run.surpluses if surplus.wallet in wallets]


def _mined_at(facts: Facts, slots: Mapping[int, Slot], top_up: TopUp) -> Instant:
    slot = slots.get(top_up.slot_id or 0)
    seen = None if slot is None else facts.block_seen.get((top_up.network, slot.block_number or 0))
    if seen is None:
        raise EvidenceError(f"nothing says in which block the top-up {top_up.id} was made")
    return seen
