"""AWS's own log of signatures, held against what the venue recorded and what the prober saw.

The log says which key signed in which region, and who asked for it. It times nothing: an event
carries the second in which the request was completed. So signatures and events are matched by
counting: each signature takes one successful event of its key in its region, within
:data:`APART_S` of its own second, and no event is taken twice. More events than signatures are no
contradiction, because retries, probes and canaries sign, too.

What is not in the log may only not be there yet. That it has been delivered is known by what the
kit itself saw: the log of every region goes on after the last signature, and has an event for each
probe that a signer answered to the prober.

Pure over :class:`Facts`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from seawall.conventions import aws
from seawall.errors import EvidenceError
from seawall.scorecard.facts import Facts, once
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import SignCall
from seawall.scorecard.sources import Doubts

APART_S = 2
"""A signature and its event may be so many whole seconds apart.

An event's time is cut off to the second (less than 1 s), and the venue writes a signature down
after it was made, by a clock of its own.
"""

WRONG_CLOCK_US_MAX = 60 * SECOND
"""An event of the right key and region so near that nothing else explains is no proof of a lie."""

KeyInRegion = tuple[str, str]
"""(region, address of the key in lower case)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """A signature that the venue says was made, in which region and when."""

    chain_id: int
    address: str
    nonce: int
    region: str
    at: Instant

    @property
    def key(self) -> KeyInRegion:
        """Where its event must be."""
        return self.region, self.address.lower()


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The log held against the records.

    Attributes:
        recorded: How many signatures the venue recorded in this drill.
        uncovered: Those without an event in the region that they name.
        elsewhere: Of these, by their place in ``uncovered``: the event of the same key in another
            region that nothing else explains.
        gaps: By region: why its log is not known to be complete.
    """

    recorded: int
    uncovered: tuple[Recorded, ...]
    elsewhere: Mapping[int, SignCall]
    gaps: Mapping[str, str]

    @property
    def gap(self) -> str | None:
        """Why the log of some region is not known to be complete; None if all are."""
        return next(iter(self.gaps.values()), None)


@once
def compared(facts: Facts) -> Compared:
    """Match every recorded signature of the drill that has a region and a time with the log."""
    recorded = signatures(facts)
    left = _by_key(facts)
    # In order of time, so that the earliest event is the right one.
    uncovered = [each for each in recorded if _take(left[each.key], each.at) is None]
    elsewhere = {}
    for place, signature in enumerate(uncovered):
        region, address = signature.key
        for other in (key for key in list(left) if key[1] == address and key[0] != region):
            found = _take(left[other], signature.at)
            if found is not None and not _near(left[signature.key], signature.at):
                elsewhere[place] = found
                break
    return Compared(
        recorded=len(recorded),
        uncovered=tuple(uncovered),
        elsewhere=elsewhere,
        gaps=_gaps(facts, recorded, left),
    )


def signatures(facts: Facts) -> tuple[Recorded, ...]:
    """Every signature that the venue recorded in this drill, in order of time.

    Of earlier ones the log need not say anything; but one whose transaction was broadcast in this
    drill is of this drill, whatever time it is given. Empty if the deployment offers no records of
    signatures. One without a region or a time is in :func:`unplaced`.
    """
    if not facts.offers("signatures"):
        return ()
    begins = Instant(round(facts.run.manifest.started_at * SECOND))
    broadcast = {
        (slot.chain_id, slot.address, slot.nonce)
        for slot in facts.run.slots
        if (slot.broadcast_at or 0) >= begins
    }
    found = []
    for row in facts.run.signatures:
        if row.tx_hash is None and row.signed_at is None:
            continue  # asked for, and never signed
        if row.signed_by is None or row.signed_at is None:
            continue
        if row.signed_at >= begins or (row.chain_id, row.address, row.nonce) in broadcast:
            found.append(
                Recorded(
                    chain_id=row.chain_id,
                    address=row.address,
                    nonce=row.nonce,
                    region=row.signed_by,
                    at=row.signed_at,
                )
            )
    return tuple(sorted(found, key=lambda each: each.at))


@once
def unplaced(facts: Facts) -> dict[tuple[int, str, int], str]:
    """By (chain, address, nonce): that the records do not say where and when it was signed."""
    if not facts.offers("signatures"):
        return {}
    return {
        (row.chain_id, row.address, row.nonce): (
            f"records/sign_log.csv does not say where and when nonce {row.nonce} of"
            f" {row.address} was signed"
        )
        for row in facts.run.signatures
        if not (row.tx_hash is None and row.signed_at is None)
        and (row.signed_by is None or row.signed_at is None)
    }


def contradicted(facts: Facts, nonces: Collection[tuple[int, str, int]]) -> str | None:
    """Why the records of these signatures cannot be believed; None if the log bears them out.

    ``nonces`` are (chain, address, nonce) of signatures that were broadcast in this drill. What is
    not in the log of a region that is not complete contradicts nothing, and confirms nothing.
    """
    found = compared(facts)
    doubtful = [
        each
        for each in found.uncovered
        if (each.chain_id, each.address, each.nonce) in nonces and each.region not in found.gaps
    ]
    if doubtful:
        return described(doubtful[0])
    nowhere = unplaced(facts)
    unrecorded = {*nonces} - {
        (each.chain_id, each.address, each.nonce) for each in signatures(facts)
    }
    for nonce in sorted(unrecorded):
        _, address, number = nonce
        return nowhere.get(
            nonce, f"records/sign_log.csv does not say who signed nonce {number} of {address}"
        )
    return None


def described(signature: Recorded) -> str:
    """A sentence about a signature that is not in the log."""
    return (
        f"nonce {signature.nonce} of {signature.address} was signed in {signature.region} by"
        " records/sign_log.csv, and aws/sign_calls.csv has no such signature there at that time"
    )


def strangers(facts: Facts, doubts: Doubts) -> tuple[SignCall, ...]:
    """Signatures of wallets' keys that others asked for than the signer's role of the region.

    ``doubts`` gets a wallet that the policy does not know.
    """
    found = []
    for call in facts.run.sign_calls:
        if call.wallet is not None and call.error is None:
            role = doubts.ask(partial(_role, facts, call))
            if role is not None and call.principal != role:
                found.append(call)
    return tuple(found)


def signed_inside(
    facts: Facts, region: str, *, starts: Instant, ends: Instant
) -> tuple[SignCall, ...]:
    """Signatures of wallets' keys in ``region`` that were surely made from ``starts`` to ``ends``.

    An event lies within its second, which must lie inside by :data:`APART_S` - 1 on both sides,
    because the clocks of AWS and of the drill may differ.
    """
    spare_us = (APART_S - 1) * SECOND
    return tuple(
        call
        for call in facts.run.sign_calls
        if (call.region, call.error) == (region, None)
        and call.wallet is not None
        and starts + spare_us <= call.at
        and call.at + SECOND <= ends - spare_us
    )


def _role(facts: Facts, call: SignCall) -> str:
    if call.wallet not in facts.run.policy.wallets:
        raise EvidenceError(f"aws/sign_calls.csv names a wallet {call.wallet}, the policy none")
    return aws.signer_role(facts.run.policy.venue.name, str(call.wallet), call.region)


def _by_key(facts: Facts) -> dict[KeyInRegion, list[SignCall]]:
    """Successful events of the wallets' keys by region and address, in order of time."""
    found: dict[KeyInRegion, list[SignCall]] = defaultdict(list)
    for call in facts.run.sign_calls:
        if call.error is None and call.address is not None:
            found[call.region, call.address.lower()].append(call)
    return found


def _take(calls: list[SignCall], at: Instant) -> SignCall | None:
    """Remove and return the earliest of ``calls`` that may be of a signature at ``at``.

    Windows are equally long, so taking the earliest leaves the most for later signatures.
    """
    second = at // SECOND
    for index, call in enumerate(calls):
        apart = call.at // SECOND - second
        if apart > APART_S:
            break
        if apart >= -APART_S:
            return calls.pop(index)
    return None


def _near(calls: Iterable[SignCall], at: Instant) -> bool:
    """Whether one of ``calls`` could be of ``at`` if the venue's clock were wrong."""
    return any(abs(call.at - at) <= WRONG_CLOCK_US_MAX for call in calls)


def _gaps(
    facts: Facts, recorded: Sequence[Recorded], left: Mapping[KeyInRegion, list[SignCall]]
) -> dict[str, str]:
    """By region: why its log is not known to be complete; it ends early, or lacks a probe."""
    ends = _must_go_on_to(facts, recorded)
    answered = _answered(facts)
    policy = facts.run.policy.regions
    found = {}
    for region in (policy.primary, policy.standby):
        last = max(
            (call.at for call in facts.run.sign_calls if call.region == region), default=None
        )
        if last is None:
            found[region] = f"aws/sign_calls.csv has nothing of {region}"
        elif last // SECOND < ends // SECOND:
            found[region] = (
                f"aws/sign_calls.csv has nothing of {region} from the last"
                f" {(ends - last) // SECOND} s of what it must cover"
            )
    for region, moments in answered.items():
        there = sorted(
            (call for key, calls in left.items() if key[0] == region for call in calls),
            key=lambda call: call.at,
        )
        missing = sum(1 for moment in moments if _take(there, moment) is None)
        if missing and region not in found:
            found[region] = (
                f"aws/sign_calls.csv lacks {missing} of {len(moments)} probes that the signer of"
                f" {region} answered, so it is not complete"
            )
    return found


def _must_go_on_to(facts: Facts, recorded: Iterable[Recorded]) -> Instant:
    """The last moment that matters: all that was recorded was gathered by then."""
    return max(
        (
            facts.observed_until,
            *(each.at for each in recorded),
            *(moment for moments in _answered(facts).values() for moment in moments),
        )
    )


def _answered(facts: Facts) -> dict[str, list[Instant]]:
    """When the prober's probes of each region's signer were answered, in order of time."""
    found: dict[str, list[Instant]] = defaultdict(list)
    for sample in facts.samples("signer"):
        if sample.ok:
            found[str((sample.detail or {}).get("region"))].append(sample.done_at)
    return {region: sorted(moments) for region, moments in found.items()}
