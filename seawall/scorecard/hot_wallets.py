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
from seawall.scorecard.facts import Facts
from seawall.scorecard.readers import Instant
from seawall.scorecard.rows import Payout, Slot, Surplus, TopUp

Pool = tuple[str, str]


def hot_at(facts: Facts, moment: Instant) -> dict[Pool, int]:
    """What each payout wallet held on its chain at ``moment``.

    That is its balance at the end, plus the payouts and sweeps since, less the top-ups since, by
    block, and less what came from outside and was booked since.

    Raises :class:`EvidenceError` if the records do not say which wallet made a payout, or in which
    block a top-up came.
    """
    end = held_at_end(facts)
    wallets = {slot.tx_hash: slot.wallet for slot in facts.run.slots if slot.tx_hash is not None}
    found = Counter(end)
    for payout in facts.run.payouts:
        if facts.paid_at(payout) >= moment:
            found[_payer(wallets, payout), payout.asset] += payout.amount
    slots = {slot.id: slot for slot in facts.run.slots}
    for top_up in facts.run.top_ups:
        if top_up.state == "posted" and _mined_at(facts, slots, top_up) >= moment:
            swept = swept_from(facts.run.policy, top_up)
            if swept is None:
                found[top_up.to_wallet, top_up.asset] -= top_up.amount
            else:
                found[swept, top_up.asset] += top_up.amount
    for surplus in _surpluses(facts):
        if surplus.booked_at >= moment:
            found[surplus.wallet, surplus.asset] -= surplus.amount
    unlisted = sorted(found.keys() - end.keys())
    if unlisted:
        raise EvidenceError(f"chain/balances.csv lacks {unlisted[0][1]} of {unlisted[0][0]}")
    return dict(found)


def held_at_end(facts: Facts) -> dict[Pool, int]:
    """What each payout wallet holds when the evidence ends.

    Raises :class:`EvidenceError` if the chains' export lacks one.
    """
    held = {(row.wallet, row.asset): row.balance for row in facts.run.chain_balances}
    found = {}
    for name, wallet in facts.run.policy.payout_wallets().items():
        for asset in wallet.holdings:
            if (name, asset) not in held:
                raise EvidenceError(f"chain/balances.csv lacks {asset} of {name}")
            found[name, asset] = held[name, asset]
    return found


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


def _payer(wallets: Mapping[str, str], payout: Payout) -> str:
    if payout.tx_hash not in wallets:
        raise EvidenceError(
            f"records/slots.csv lacks {payout.tx_hash}, which chain/payouts.csv names"
        )
    return wallets[payout.tx_hash]


def _mined_at(facts: Facts, slots: Mapping[int, Slot], top_up: TopUp) -> Instant:
    slot = slots.get(top_up.slot_id or 0)
    seen = None if slot is None else facts.block_seen.get((top_up.network, slot.block_number or 0))
    if seen is None:
        raise EvidenceError(f"nothing says in which block the top-up {top_up.id} was made")
    return seen
