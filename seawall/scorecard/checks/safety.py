"""Checks of safety: was any money paid twice, lost, or made up?

The venue's records are compared with the chains, and with each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from seawall.scorecard.chain_rows import LaneNonce
from seawall.scorecard.facts import Facts, format_s
from seawall.scorecard.hot_wallets import hot_at, moves
from seawall.scorecard.outcome import Finding, check, violations
from seawall.scorecard.over_rails import ever_alive, ever_settled
from seawall.scorecard.readers import Instant
from seawall.scorecard.rows import Slot
from seawall.scorecard.sources import Doubts

NATIVE_TOKEN = "0x" + "0" * 40
"""The address that stands for a chain's own coin in ``Paid`` events."""

_Line = tuple[str, int | None, str | None, str, int, str, bool]
"""A payout: network, number, withdrawal, asset, amount, recipient, whether it was the own coin."""

_OF_PAYOUTS = (
    *("timeline.jsonl", "chain/payouts.csv", "rails/statements.csv"),
    *("records/instructions.csv", "records/withdrawals.csv"),
)
_SETTLED = ("posted", "voided")
_SIGNED = ("signed", "broadcast", "included", "final")


@check(
    "safety.paid_once",
    question="Was each withdrawal paid at most once, on any chain?",
    motivation="A double payment cannot be taken back.",
    evidence=_OF_PAYOUTS,
    adapts_to=("withdrawals", "statements", "instructions"),
    numbered=True,
    remediation="Stop payouts; the bitmap or the assignment of sequence numbers is broken.",
    proves_alone=True,
    believes={
        "networks": "a payout that they leave out",
        "providers": "a payout that they leave out",
    },
)
def paid_once(facts: Facts) -> Finding:
    """Numbers and withdrawals that finalized ``Paid`` events name are unique over all networks.

    The contract sees to the numbers alone: a withdrawal that is given a second one, for example by
    a ledger that was restored, could be paid under both. So could one over a rail, by two providers
    or by one and a network.
    """
    doubts = Doubts()
    payouts = doubts.ask(lambda: facts.run.payouts) or ()
    times = Counter(payout.seq for payout in payouts)
    value = {payout.seq: payout.amount for payout in payouts}
    twice = [seq for seq, count in times.items() if count > 1]
    found = [f"seq {seq} was paid {times[seq]} times" for seq in twice]
    numbers: dict[str, set[int | None]] = {}
    for payout in payouts:
        if payout.withdrawal_id is not None:
            numbers.setdefault(payout.withdrawal_id, set()).add(payout.seq)
    for identity, seqs in numbers.items():
        if len(seqs) > 1:
            found.append(f"withdrawal {identity} was paid under {len(seqs)} numbers")
            twice.append(max(seqs, key=lambda seq: value[seq]))
    worst = found[twice.index(max(twice, key=lambda seq: value[seq]))] if twice else None
    over_rails = Counter(payout.withdrawal_id or payout.key for payout in ever_alive(facts, doubts))
    for which, count in over_rails.items():
        paid = count + len(numbers.get(str(which), ()))
        if paid > 1:
            found.append(f"withdrawal {which} was paid {paid} times, {count} of them over a rail")
    return violations(
        found,
        checked=len(times) + len(over_rails),
        what="payouts",
        reason="each sequence number, and each withdrawal, was paid once",
        worst=worst,
        doubts=doubts.reasons,
    )


@check(
    "safety.chain_equals_posted",
    question="Do the chains' payouts equal what the ledger posted, to the base unit?",
    motivation="Records that differ from the chain promise or hide money.",
    evidence=_OF_PAYOUTS,
    adapts_to=("statements", "instructions"),
    numbered=True,
    remediation="Reconcile the named withdrawals by hand before paying on.",
    believes={
        "networks": "a payout that was never made, or one left out",
        "providers": "the same of theirs",
    },
)
def chain_equals_posted(facts: Facts) -> Finding:
    """Both sides have the same payouts, equally often.

    Network, number, asset, amount and recipient are compared, and the withdrawal where payouts name
    theirs; over a rail, what its provider's statement calls settled. A source in doubt may have
    paid what was posted; what another one shows beyond the records is wrong in any case.
    """
    doubts = Doubts()
    chains = doubts.ask(lambda: facts.run.payouts)
    settled = ever_settled(facts, doubts)
    payouts = (*(chains or ()), *settled)
    named = any(paid.withdrawal_id is not None for paid in chains or ())
    natives = {name: network.native for name, network in facts.run.policy.networks.items()}
    on_chain: Counter[_Line] = Counter(
        (
            paid.network,
            paid.seq,
            paid.withdrawal_id,
            paid.asset,
            paid.amount,
            paid.to.lower(),
            paid.token == NATIVE_TOKEN,
        )
        for paid in payouts
    )
    rails = facts.run.policy.paying_rails()
    unseen = {rail for rail in rails if not facts.is_stated(rail)}
    if chains is None:
        unseen |= natives.keys()
    posted: Counter[_Line] = Counter(
        (
            row.network,
            None if row.network in rails else row.seq,
            row.id if named or row.network in rails else None,
            row.asset,
            row.amount,
            row.destination.lower(),
            natives.get(row.network) == row.asset,
        )
        for row in facts.run.withdrawals
        if row.state == "posted"
    )
    odd = [(item, "paid, not posted") for item in on_chain - posted] + [
        (item, "posted, not paid") for item in posted - on_chain if item[0] not in unseen
    ]
    found = [
        f"{f'seq {seq}' if seq else identity}: {amount} {asset} to {to} on {network}: {what}"
        for (network, seq, identity, asset, amount, to, _), what in sorted(
            odd, key=lambda pair: pair[0][1] or 0
        )
    ]
    return violations(
        found,
        checked=len(on_chain | posted),
        what="payouts",
        reason="both sides list the same payouts",
        doubts=doubts.reasons,
    )


@check(
    "safety.nothing_voided_paid",
    question="Was nothing paid that was voided?",
    motivation="A refund and a payment of the same money is a double payment.",
    evidence=_OF_PAYOUTS,
    adapts_to=("statements", "instructions"),
    numbered=True,
    remediation="Stop voiding; a void needs a fenced slot with nothing in the sign log.",
    proves_alone=True,
    believes={"venue": "that it voided nothing", "networks": "a payout left out"},
)
def nothing_voided_paid(facts: Facts) -> Finding:
    """No voided withdrawal has a ``Paid`` event, or is paid by a provider of a rail."""
    voided = {row.seq: row.id for row in facts.run.withdrawals if row.state == "voided"}
    names = {*voided.values()}
    doubts = Doubts()
    payouts = (*(doubts.ask(lambda: facts.run.payouts) or ()), *ever_alive(facts, doubts))
    found = [
        f"{f'seq {payout.seq}' if payout.seq else payout.withdrawal_id} was voided and paid"
        f" {payout.amount} {payout.asset}"
        for payout in payouts
        if payout.seq in voided or payout.withdrawal_id in names
    ]
    return violations(
        found,
        checked=len(facts.run.withdrawals),
        what="withdrawals",
        reason=f"{len(voided):,} were voided, none of them paid",
        doubts=doubts.reasons,
    )


@check(
    "safety.acknowledged_resolved",
    question="Is every acknowledged withdrawal posted, or voided with a reason?",
    motivation="To the customer, a request that was acknowledged and vanished is a theft.",
    evidence=(
        "arrivals.csv",
        "requests.csv",
        "flood.json",
        "probes.jsonl",
        "records/withdrawals.csv",
    ),
    remediation="Follow the named withdrawals through slots and chain.",
    believes={"venue": "that it paid, which the chains may contradict"},
)
def acknowledged_resolved(facts: Facts) -> Finding:
    """None is missing from the records, open, held or unknown.

    Withdrawals that were not acknowledged must be resolved too.
    """
    doubts = Doubts()
    promised = facts.known_promises(doubts)
    found = [
        f"{identity} was acknowledged and is not on record"
        for identity in sorted(promised.keys() - facts.withdrawals_by_id.keys())
    ]
    for row in facts.run.withdrawals:
        if row.state not in _SETTLED:
            found.append(f"seq {row.seq} is {row.state}: {row.reason or 'no reason given'}")
        elif row.state == "voided" and not row.reason:
            found.append(f"seq {row.seq} was voided without a reason")
        elif row.resolved_at is None:
            found.append(f"seq {row.seq} is {row.state} without a posting")
    return violations(
        found,
        checked=len(promised),
        what="acknowledged withdrawals",
        reason=f"unknown and held: 0 of {len(facts.run.withdrawals):,} on record",
        doubts=doubts.reasons,
    )


@check(
    "safety.one_digest_per_nonce",
    question="Was one intent signed per nonce, and was it the one on record?",
    motivation="Two signed intents for a nonce are two payments waiting for a race.",
    evidence=("records/sign_log.csv", "records/slots.csv"),
    remediation="Stop the signers; find who asked for the second digest.",
    proves_alone=True,
    believes={
        "venue": "a log without the second intent, or with another digest than was signed: the "
        "adapter of the reference venue computes digests and hashes from the logged bytes, a file "
        "is taken at its word"
    },
)
def one_digest_per_nonce(facts: Facts) -> Finding:
    """For every nonce signed, the sign log and the slots name the same digest and transaction.

    A transaction that replaces another of its nonce for higher fees is logged as well; the slot
    names one of them.
    """
    found = []
    doubts = Doubts()
    on_record = doubts.ask(lambda: facts.run.slots)
    slots = {(slot.chain_id, slot.address, slot.nonce): slot for slot in on_record or ()}
    logged = Counter(
        (row.chain_id, row.address, row.nonce, row.tx_hash) for row in facts.run.signatures
    )
    found += [
        f"nonce {nonce} of {address} on chain {chain} is logged {count} times"
        for (chain, address, nonce, _), count in logged.items()
        if count > 1
    ]
    for row in () if on_record is None else facts.run.signatures:
        slot = slots.get((row.chain_id, row.address, row.nonce))
        if slot is None:
            found.append(
                f"nonce {row.nonce} of {row.address} on chain {row.chain_id} was signed for no slot"
            )
        elif slot.digest != row.digest:
            found.append(
                f"nonce {row.nonce} of {slot.wallet} was signed with digest "
                f"{row.digest[:12]}, its slot says {slot.digest[:12]}"
            )
        elif (
            slot.tx_hash is not None
            and (row.chain_id, row.address, row.nonce, slot.tx_hash) not in logged
        ):
            found.append(
                f"nonce {row.nonce} of {slot.wallet} was signed as {row.tx_hash}, its slot "
                f"says {slot.tx_hash}"
            )
    return violations(
        found,
        checked=len(facts.run.signatures),
        what="signatures",
        reason="the sign log and the slots agree",
        doubts=doubts.reasons,
    )


@check(
    "safety.signed_is_logged",
    question="Is every signed slot in the signer's own log?",
    motivation="A signature outside the log cannot be fenced.",
    evidence=("records/sign_log.csv", "records/slots.csv"),
    remediation="Find who signed past the signer.",
    believes={"venue": "a log with what its signers never wrote"},
)
def signed_is_logged(facts: Facts) -> Finding:
    """Every slot in state `signed` or later has a row in the sign log."""
    logged = {(row.chain_id, row.address, row.nonce) for row in facts.run.signatures}
    signed = [slot for slot in facts.run.slots if slot.state in _SIGNED]
    found = [
        f"nonce {slot.nonce} of {slot.wallet} is {slot.state} and not in the sign log"
        for slot in signed
        if (slot.chain_id, slot.address, slot.nonce) not in logged
    ]
    return violations(found, checked=len(signed), what="signed slots", reason="each has its row")


@check(
    "safety.nonces_contiguous",
    question=(
        "Are the nonces of every lane contiguous, all of them final, and as many as the chain "
        "has counted?"
    ),
    motivation=(
        "A gap stops every later payout of the lane; a transaction without a slot was sent "
        "past the venue."
    ),
    evidence=("records/slots.csv", "chain/lanes.csv"),
    remediation=(
        "Look at how the lane's next nonce was allocated across the failover, and who else can "
        "use its key. Name every key of the policy in the deployment file, or it is not counted."
    ),
    believes={
        "networks": "another count of transactions",
        "venue": "another transaction as the one that used a nonce: the chain is asked how many"
        " there were, and not which",
    },
)
def nonces_contiguous(facts: Facts) -> Finding:
    """No nonce is missing or doubled, from a lane's first to the chain's own count.

    No slot is left in flight either. A key that the records have no slot of has sent nothing since
    the drill began. What a key had sent before its first slot is older than the drill: a venue may
    be founded with a key that was used before, and the chain alone says how often. But what it sent
    between two drills of a game day is not: of that a record must be there.

    On a network where nobody counts, the records are held against themselves alone.
    """
    doubts = Doubts()
    if not facts.counted:
        doubts.note("manifest.json names no network on which keys are counted")
    counted: dict[str, list[LaneNonce]] = {}
    for row in doubts.ask(lambda: facts.run.lane_nonces) or ():
        counted.setdefault(row.wallet, []).append(row)
    lanes: dict[str, list[Slot]] = {wallet: [] for wallet in (*_keys(facts), *counted)}
    for slot in facts.run.slots:
        lanes.setdefault(slot.wallet, []).append(slot)
    found: list[str] = []
    uncounted = {*facts.chains} - {*facts.counted}
    for wallet, slots in sorted(lanes.items()):
        nonces = sorted(slot.nonce for slot in slots)
        found += [
            f"{wallet}: nonce {later} follows {earlier}"
            for earlier, later in pairwise(nonces)
            if later != earlier + 1
        ]
        found += [
            f"{wallet}: nonce {slot.nonce} is still {slot.state}"
            for slot in slots
            if slot.state != "final"
        ]
        on = _networks_of(facts, wallet, slots)
        match counted.get(wallet, []):
            case [lane]:
                found += _against_chain(facts, lane, slots, doubts)
            case [] if not on & {*facts.counted}:
                uncounted |= on
            case []:
                doubts.note(f"chain/lanes.csv does not say how many transactions {wallet} has sent")
            case _:
                doubts.note(f"chain/lanes.csv has more than one count of {wallet}")
    return violations(
        found,
        checked=len(facts.run.slots),
        what="nonces",
        reason=f"{sum(map(bool, lanes.values()))} lanes without a gap, {len(counted)} keys counted"
        + _but_for(uncounted, facts.counted),
        doubts=doubts.reasons,
    )


def _keys(facts: Facts) -> Iterator[str]:
    """The wallets with a key on a network where keys are counted."""
    for name, wallet in facts.run.policy.signing_wallets().items():
        if wallet.network in facts.counted:
            yield name


def _networks_of(facts: Facts, wallet: str, slots: Sequence[Slot]) -> set[str]:
    """Where the key of ``wallet`` is, by the policy; of one that it does not know, by its slots."""
    known = facts.run.policy.wallets.get(wallet)
    return {slot.network for slot in slots} if known is None else {known.network}


def _but_for(uncounted: Collection[str], counted: Sequence[str]) -> str:
    """Which networks the finding does not speak of; empty if it speaks of all."""
    if not uncounted:
        return ""
    return (
        f", on {' and '.join(counted)}; on {' and '.join(sorted(uncounted))} nobody counts what a"
        " key has sent"
    )


def _against_chain(
    facts: Facts, lane: LaneNonce, slots: Sequence[Slot], doubts: Doubts
) -> Iterator[str]:
    """What is wrong with the nonces of a key against the chain's own counts, ``lane``.

    ``doubts`` gets one if nobody has asked how many there were before the drill.
    """
    wallet, before = lane.wallet, lane.nonce_before
    declared = facts.run.policy.networks.get(lane.network)
    own = (None if declared is None else declared.chain_id, lane.address)
    for chain_id, address in sorted({(slot.chain_id, slot.address) for slot in slots} - {own}):
        yield (
            f"{wallet}: signed from {address} on chain {chain_id}, but its key is at"
            f" {lane.address} on {lane.network}"
        )
    if slots:
        last = max(slot.nonce for slot in slots)
        if lane.nonce != last + 1:
            yield (
                f"{wallet}: the last nonce on record is {last}, the chain's next one {lane.nonce}"
            )
    if before is not None and lane.nonce < before:
        doubts.note(
            f"{wallet}: the chain counted {before} transactions before the drill, and"
            f" {lane.nonce} after it"
        )
    _between_drills(lane, slots, doubts)
    first = min((slot.nonce for slot in slots), default=lane.nonce)
    if before is None and first > 0:
        doubts.note(
            f"{wallet}: nothing is on record of its first {first:,} transactions, and"
            " chain/lanes.csv does not say how many there were before the drill"
        )
    elif before is not None and before < first:
        known = f"the first nonce on record is {first}" if slots else "no nonce is on record"
        yield (
            f"{wallet}: the chain counts {lane.nonce} transactions, {before} of them from before"
            f" the drill, and {known}"
        )


def _between_drills(lane: LaneNonce, slots: Sequence[Slot], doubts: Doubts) -> None:
    """Note in ``doubts`` what a key sent after the drill before and is not on record.

    It is no violation: records that were exported for the time of a drill may lack it.
    """
    before, earlier = lane.nonce_before, lane.nonce_earlier
    if before is None or earlier is None:
        return
    if before < earlier:
        doubts.note(
            f"{lane.wallet}: the chain counted {earlier} transactions after the drill before, and"
            f" {before} when this one began"
        )
    recorded = len({slot.nonce for slot in slots if earlier <= slot.nonce < before})
    if before - earlier > recorded:
        doubts.note(
            f"{lane.wallet}: the chain counted {earlier} transactions after the drill before and"
            f" {before} when this one began, and {recorded} of those between are on record"
        )


@check(
    "safety.old_epoch",
    question="Was nothing claimed under a mode that had been left?",
    motivation="A claim under the old mode pays what the new mode has just deferred.",
    evidence=("records/slots.csv", "records/mode_log.csv"),
    remediation="Look at the lock order of claims and flips.",
    proves_alone=True,
    believes={"venue": "another epoch or time of a claim"},
)
def old_epoch(facts: Facts) -> Finding:
    """Every payout slot was committed within the mode epoch under which it was claimed."""
    spans = {span.epoch: span for span in facts.tiers}
    payouts = [slot for slot in facts.run.slots if slot.purpose == "payout"]
    late: list[tuple[Instant, str]] = []
    for slot in payouts:
        span = spans.get(slot.mode_epoch)
        if span is None:
            late.append(
                (
                    slot.opened_at,
                    (
                        f"nonce {slot.nonce} of {slot.wallet} was claimed under mode epoch "
                        f"{slot.mode_epoch}, which never was"
                    ),
                )
            )
        elif not span.starts <= slot.opened_at <= span.ends:
            off_us = max(span.starts - slot.opened_at, slot.opened_at - span.ends)
            late.append(
                (
                    slot.opened_at,
                    (
                        f"nonce {slot.nonce} of {slot.wallet} was claimed {format_s(off_us)} "
                        f"outside mode epoch {slot.mode_epoch}"
                    ),
                )
            )
    found = [text for _, text in sorted(late)]
    return violations(
        found,
        checked=len(payouts),
        what="claims",
        reason=f"{len(facts.run.flips)} flips, no claim under an old epoch",
    )


@check(
    "safety.floor_held",
    question=(
        "Did every claim leave the hot wallet its minimum, or at least nothing less than zero "
        "while protected?"
    ),
    motivation="In protected mode, the minimum pays small withdrawals until a refill comes.",
    evidence=(
        "chain/balances.csv",
        "chain/payouts.csv",
        "chain/blocks.csv",
        "records/slots.csv",
        "records/withdrawals.csv",
        "records/topups.csv",
        "records/surpluses.csv",
        "records/mode_log.csv",
    ),
    adapts_to=("surpluses",),
    remediation="Look at the settler's selection: the float it reads and the floor it keeps.",
    steerable=True,
    believes={"venue": "other times of claims", "networks": "balances that are not there"},
)
def floor_held(facts: Facts) -> Finding:
    """What each claim left in its wallet, against the floor of the mode it was claimed under.

    That is the wallet's balance on its chain at first, plus top-ups posted and what came from
    outside, less all claims so far.
    """
    policy = facts.run.policy
    protected = {span.epoch for span in facts.tiers if span.tier == "protected"}
    doubts = Doubts()
    start = hot_at(facts, Instant(0))
    left = Counter(start.held)
    found = []
    checked = 0
    for move in moves(facts):
        for asset, amount in move.amounts.items():
            left[move.wallet, asset] += amount
            if move.claim is None:
                continue
            checked += 1
            doubt = start.doubts.get((move.wallet, asset))
            wallet = policy.wallets.get(move.wallet)
            if wallet is None or asset not in wallet.holdings:
                doubt = f"records/slots.csv has a payment of {asset} by {move.wallet}"
            if doubt is not None or wallet is None:
                doubts.note(str(doubt))
                continue
            minimum = policy.base_units(asset, wallet.holdings[asset].minimum)
            floor = 0 if move.claim.mode_epoch in protected else minimum
            if left[move.wallet, asset] < floor:
                found.append(
                    f"nonce {move.claim.nonce} of {move.wallet} left "
                    f"{left[move.wallet, asset]} {asset}, its floor was {floor}"
                )
    for doubt in start.doubts.values():
        doubts.note(doubt)
    return violations(
        found,
        checked=checked,
        what="claims",
        reason="every claim left at least the floor of its mode",
        doubts=tuple(dict.fromkeys(doubts.reasons)),
    )


CHECKS = (
    paid_once,
    chain_equals_posted,
    nothing_voided_paid,
    acknowledged_resolved,
    one_digest_per_nonce,
    signed_is_logged,
    nonces_contiguous,
    old_epoch,
    floor_held,
)
