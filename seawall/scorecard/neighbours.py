"""What must show that a venue met what its neighbours did: strangers, markets, silent clients.

Their own observers see that they did it. That alone would let a drill pass that met nothing of it:
a flip that was over before the clients held their lock, fees that left nothing behind, a stranger
whose coins came while no top-up was due.
"""

from __future__ import annotations

from collections import defaultdict

from seawall.conventions import components
from seawall.conventions.evidence import SESSIONS_EVERY_MS, SESSIONS_PROBE
from seawall.scorecard.facts import Facts
from seawall.scorecard.outcome import Finding, passed, unknown
from seawall.scorecard.readers import Instant
from seawall.scorecard.rows import Flip
from seawall.scorecard.seen import FaultSeen

_NEAR_US = 2_000_000
"""Sessions that end further away from a flip than this were not ended for it."""


def _span(fault: FaultSeen) -> tuple[Instant, Instant]:
    """From when it was seen in force until its undo began."""
    return Instant(fault.effective or 0), Instant(fault.held_until or 0)


def flipped_meanwhile(facts: Facts, fault: FaultSeen) -> Finding | None:
    """A flip to protected mode was decided and committed while the clients held its lock.

    And the server ended sessions just then, by its own count: a client that let go by itself, or
    whose fault ended it, would leave the flip its way as well. Which sessions, it does not count.
    """
    if not facts.offers("mode_changes"):
        return None
    starts, ends = _span(fault)
    flips = [
        flip
        for flip in facts.run.flips
        if flip.tier == "protected" and starts <= flip.sampled_at and flip.committed_at <= ends
    ]
    target = "a flip to protected mode is decided and committed, past sessions that the server ends"
    measured = f"{len(flips)} flips to protected mode"
    if not flips:
        reason = "no flip to protected mode had to get past the silent clients"
        return unknown(target=target, measured=measured, reason=reason)
    ended = [_ended_for(facts, flip, ends=ends) for flip in flips]
    counted = [count for count in ended if count is not None]
    if not counted:
        reason = "the prober did not have the database count its sessions before and after a flip"
        return unknown(target=target, measured=measured, reason=reason)
    measured += f", {max(counted)} sessions ended by the server"
    if max(counted) < 1:
        reason = "the server ended no session, so the clients let go of the lock by themselves"
        return unknown(target=target, measured=measured, reason=reason)
    reason = "as the venue's records have it, and the database's own count"
    return passed(measured=measured, target=target, reason=reason)


def _ended_for(facts: Facts, flip: Flip, *, ends: Instant) -> int | None:
    """Sessions that the server ended about ``flip``, in the second or two that it took.

    From the last count before it was decided to the first one that its commit must be in. None if
    one of them is missing, or further away: sessions end for other reasons, too.
    """
    counts = [
        (sample, ended)
        for sample in facts.samples(SESSIONS_PROBE)
        if sample.ok and isinstance(ended := (sample.detail or {}).get("ended"), int)
    ]
    before = [
        ended
        for sample, ended in counts
        if flip.sampled_at - _NEAR_US <= sample.at and sample.done_at <= flip.sampled_at
    ]
    told = flip.committed_at + 2 * SESSIONS_EVERY_MS * 1_000
    after = [
        ended
        for sample, ended in counts
        if told <= sample.at <= min(flip.committed_at + _NEAR_US, ends)
    ]
    return after[0] - before[-1] if before and after else None


def replaced_meanwhile(facts: Facts, fault: FaultSeen) -> Finding | None:
    """A transaction of before was signed again: nothing else takes it out of the pool."""
    if not facts.offers("signatures"):
        return None
    starts, ends = _span(fault)
    network = fault.planned.target.removeprefix(components.fees_target(""))
    chain_id = facts.run.policy.networks[network].chain_id
    signed: dict[tuple[str, int], list[Instant]] = defaultdict(list)
    for row in facts.run.signatures:
        if row.chain_id == chain_id and row.signed_at is not None:
            signed[row.address, row.nonce].append(row.signed_at)
    replaced = sum(
        min(times) < starts and any(starts <= at <= ends for at in times)
        for times in signed.values()
    )
    target = f"a transaction of {network} is signed again meanwhile"
    measured = f"{replaced} transactions of before signed again"
    if not replaced:
        reason = f"the fees of {network} left no transaction behind, so nothing had to be replaced"
        return unknown(target=target, measured=measured, reason=reason)
    return passed(measured=measured, target=target, reason="by the signers' own log")


def booked_and_topped_up(facts: Facts, fault: FaultSeen) -> Finding | None:
    """What came was booked in each asset, and the wallet was topped up all the same."""
    if not (facts.offers("surpluses") and facts.offers("top_ups")):
        return None
    starts, ends = _span(fault)
    policy = facts.run.policy
    wallet = fault.planned.target.removeprefix(components.contract_target(""))
    booked = {
        row.asset
        for row in facts.run.surpluses
        if row.wallet == wallet and starts <= row.booked_at <= ends
    }
    lacking = sorted(set(policy.networks[policy.wallets[wallet].network].assets) - booked)
    top_ups = sum(
        row.to_wallet == wallet
        and row.amount > 0
        and starts <= row.requested_at <= ends
        and row.posted_at is not None
        for row in facts.run.top_ups
    )
    target = f"units of each asset are booked, and {wallet} is topped up meanwhile"
    measured = f"units of {len(booked)} assets booked, {top_ups} top-ups"
    if lacking:
        reason = f"no {', '.join(lacking)} from outside was booked in {wallet}"
        return unknown(target=target, measured=measured, reason=reason)
    if not top_ups:
        reason = f"no top-up of {wallet} was due, so none could be stopped"
        return unknown(target=target, measured=measured, reason=reason)
    return passed(measured=measured, target=target, reason="as the venue's records have it")
