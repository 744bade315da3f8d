"""Checks of a drill's faults: did each take effect, for long enough, under load, and end?

A fault that did not is UNKNOWN, never FAIL: then nothing was shown about the venue.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from seawall.conventions import components, faults, signing
from seawall.scorecard.aws_log import signed_inside
from seawall.scorecard.budgets import CLOCK_TOLERANCE_US, OBSERVER_GAP_US_MAX
from seawall.scorecard.facts import MILLISECOND, Facts, FaultSeen, format_s, longest_gap_us
from seawall.scorecard.outcome import Finding, Outcome, check, passed, unknown
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import ProbeSample

SIGNED_LATE_US_MAX = SECOND
"""A signature that KMS made before the dark may be written down this much after its beginning."""

DARK_PROBES_PERCENT_MIN = 90
"""Share of the KMS probes begun in the dark that must have timed out.

The others ended while the fault was being undone. None may have been answered before that.
"""

SERVED_PERCENT_MIN = 50
"""Of the run's distinct requests must have been paid: a venue that pays fewer was not drilled, it
was down. What it promises to pay in time is a target of its own.
"""

HELD_PERCENT_MIN = 90
"""Share of a fault's own observations that must have shown it; none may have shown its absence."""

HELD_GAP_MS_MAX = 2_000
"""The longest time without an observation of a fault that was in force."""

REFUSED_PERCENT_OF_SHARE = 60
"""Share of the prober's requests that must be refused, of the share that the fault declares.

They are few, one a second: of thirty that are refused nine times in ten, half are served only once
in a million runs.
"""

REFUSED_GAP_US_MAX = 3 * SECOND
"""The longest time without a request of the prober to a signer, which is asked once a second."""


@check(
    "drill.fault_length",
    question="Was each fault in force for long enough, and did it begin under load?",
    motivation="An outage that begins in idleness finds nothing in flight to lose.",
    evidence=("timeline.jsonl", "requests.csv"),
    remediation="Lengthen the fault, or move its `after` into the flood.",
    belongs=lambda drill: bool(drill.faults),
)
def fault_length(facts: Facts) -> Finding:
    """The time from each fault seen effective to its undo.

    It began no earlier than the run, and requests were acknowledged in the second before it.
    """
    least_us = (facts.run.drill.smallest.fault or 0) * MILLISECOND
    target = f">= {format_s(least_us)}, from within the flood"
    measured, doubts = [], []
    for fault in facts.faults:
        if fault.effective is None or fault.reverted is None:
            return unknown(
                target=target, reason=f"timeline.jsonl does not show {fault.name} begin and end"
            )
        length_us = fault.reverted - fault.effective
        loaded = sum(
            1
            for promise in facts.acknowledged.values()
            if fault.effective - SECOND <= promise.acknowledged_at <= fault.effective
        )
        measured.append(f"{length_us / SECOND:.1f} s, {loaded} acknowledged in the second before")
        if fault.effective < facts.run_starts:
            doubts.append(f"{fault.name} began before the run")
        if loaded == 0:
            doubts.append(f"nothing was acknowledged just before {fault.name}")
        if length_us < least_us:
            doubts.append(f"{fault.name} was too short")
    if doubts:
        return unknown(target=target, measured="; ".join(measured), reason="; ".join(doubts))
    return passed(
        measured="; ".join(measured), target=target, reason="it began in the middle of the run"
    )


@check(
    "drill.payouts",
    question="Was the run served, and were enough payouts seen while the fault was in force?",
    motivation="What counts is that customers are paid meanwhile, not that processes are alive.",
    evidence=(
        "arrivals.csv",
        "requests.csv",
        "chain/payouts.csv",
        "chain/blocks.csv",
        "timeline.jsonl",
    ),
    remediation="If failover worked, payouts are too slow: look at claims, batches and block gas.",
)
def payouts(facts: Facts) -> Finding:
    """Final payouts of this drill's own requests; what was paid to others proves nothing.

    Of the distinct requests of the run, a share must have been acknowledged and paid, whenever that
    was: below it the venue served hardly anybody, and nothing was shown about it. Where the drill
    says how many, so many must have been paid between the fault seen effective and its undo.
    """
    asked = {arrival.id for arrival, _ in facts.sent if arrival.phase == "run"}
    served = [
        each for each in asked if each in facts.acknowledged and facts.payment_of(each) is not None
    ]
    target = f">= {SERVED_PERCENT_MIN} % of the run's requests"
    measured = f"{len(served):,} of {len(asked):,}"
    if facts.repeated is not None:
        return unknown(target=target, measured=measured, reason=facts.repeated)
    least = facts.run.drill.smallest.payouts
    if least is not None:
        target += f", >= {least:,} in the fault"
        ours = {demand.destination for demand in facts.demands}
        count = sum(
            1
            for payout in facts.payouts_since
            if payout.to.lower() in ours
            and facts.fault_effective <= facts.paid_at(payout) <= facts.fault_reverted
        )
        rate = count * SECOND / max(1, facts.fault_reverted - facts.fault_effective)
        measured += f", {count:,} in the fault ({rate:.0f}/s)"
        if count < least:
            return unknown(
                target=target, measured=measured, reason="too few payouts were confirmed meanwhile"
            )
    if not asked or len(served) * 100 < len(asked) * SERVED_PERCENT_MIN:
        return unknown(
            target=target, measured=measured, reason="hardly anybody who asked in the run was paid"
        )
    return passed(
        measured=measured, target=target, reason="counted outside the venue, by final payouts"
    )


@check(
    "drill.fault_landed",
    question="Did each fault take effect and end, as seen from outside the injector?",
    motivation="A fault that was only reported by its injector may never have happened.",
    evidence=("timeline.jsonl", "probes.jsonl", "records/sign_log.csv", "aws/sign_calls.csv"),
    adapts_to=("signatures", "aws_log"),
    remediation="Check that the venue and the prober take the path that the fault cuts.",
    belongs=lambda drill: bool(drill.faults),
)
def fault_landed(facts: Facts) -> Finding:
    """Each fault's own observer saw it throughout, and the prober saw it where it takes that path.

    The timeline must name the faults of the drill, with their targets and parameters, and no other.
    A dark key service must also be silent for the prober, and sign nothing: by the signers' log,
    and by AWS's own.
    """
    target = "each fault seen from outside, throughout and then gone"
    doubt = _another_fault(facts)
    if doubt is not None:
        return unknown(target=target, reason=doubt)
    measured, reasons = [], []
    for fault in facts.faults:
        seen = _observed(fault)
        if seen.outcome is not Outcome.PASS:
            return seen
        outside = OUTSIDE.get(fault.planned.fault)
        also = None if outside is None else outside(facts, fault)
        if also is not None and also.outcome is not Outcome.PASS:
            return also
        measured.append(seen.measured if also is None else f"{seen.measured}, {also.measured}")
        reasons.append(
            f"{fault.name}: {seen.reason}" + ("" if also is None else f", {also.reason}")
        )
    return passed(measured="; ".join(measured), target=target, reason="; ".join(reasons))


def _another_fault(facts: Facts) -> str | None:
    """Why what was injected is not what the drill plans; None if it is."""
    planned = {
        (fault.planned.fault, fault.planned.target): dict(fault.planned.parameters)
        for fault in facts.faults
    }
    for event in facts.run.timeline:
        if not event.event.startswith("fault."):
            continue
        detail = event.detail or {}
        named = (detail.get("fault"), detail.get("target"))
        if named not in planned:
            wanted = ", ".join(fault.name for fault in facts.faults)
            return (
                f"timeline.jsonl has {event.event} of the fault {named[0]} on {named[1]}, not of"
                f" {wanted}"
            )
        if detail.get("parameters", {}) != planned[named]:
            return (
                f"timeline.jsonl has {event.event} of {named[0]} with the parameters"
                f" {detail.get('parameters')}, and the drill plans {planned[named]}"
            )
    return None


def _observed(fault: FaultSeen) -> Finding:
    """What the fault's own observer says, from its beginning to its end."""
    target = f"{fault.name} seen in force, throughout, and gone"
    moments = (fault.applied, fault.effective, fault.reverted, fault.cleared)
    if any(moment is None for moment in moments):
        names = ("applied", "effective", "reverted", "cleared")
        missing = [name for name, moment in zip(names, moments, strict=True) if moment is None]
        return unknown(
            target=target, reason=f"timeline.jsonl does not show {fault.name} {', '.join(missing)}"
        )
    if fault.held is None:
        return unknown(
            target=target, reason=f"timeline.jsonl does not say that {fault.name} was watched"
        )
    counts = {name: fault.held.get(name) for name in ("samples", "effective", "clear", "gap_ms")}
    if not all(isinstance(count, int) for count in counts.values()):
        return unknown(
            target=target, reason=f"timeline.jsonl says nothing countable of {fault.name}"
        )
    samples, effective, clear, gap_ms = (int(str(count)) for count in counts.values())
    measured = f"{effective} of {samples} own observations"
    for wrong, reason in (
        (not samples or effective * 100 < samples * HELD_PERCENT_MIN, "it was not seen throughout"),
        (clear > 0, f"it was seen to be gone {clear} times while it should be in force"),
        (gap_ms > HELD_GAP_MS_MAX, f"nobody looked at it for {gap_ms} ms"),
    ):
        if wrong:
            return unknown(target=target, measured=measured, reason=f"{fault.name}: {reason}")
    return passed(measured=measured, target=target, reason="seen throughout by its own observer")


def _kms_outside(facts: Facts, fault: FaultSeen) -> Finding:
    """The prober saw the region dark, and its signers signed nothing there."""
    regions = facts.run.policy.regions
    region = regions.primary if fault.planned.target == "kms.primary" else regions.standby
    doubt = _signed_in_the_dark(facts, fault, region=region)
    if doubt is not None:
        return unknown(target=f"KMS of {region} signs nothing", reason=doubt)
    samples = [
        sample for sample in facts.samples("kms") if (sample.detail or {}).get("region") == region
    ]
    return _silent_outside(fault, samples, f"KMS of {region}")


def _throttled_outside(facts: Facts, fault: FaultSeen) -> Finding:
    """The prober's own requests for a signature were throttled, about as often as declared."""
    share = Decimal(fault.planned.parameters["throttled"])
    return _refused_outside(
        facts, fault, code=signing.THROTTLED, percent_min=int(share * REFUSED_PERCENT_OF_SHARE)
    )


def _denied_outside(facts: Facts, fault: FaultSeen) -> Finding:
    """The prober's own requests for a signature were denied, and the region signed nothing."""
    regions = facts.run.policy.regions
    region = regions.primary if fault.planned.target == "kms.primary" else regions.standby
    doubt = _signed_in_the_dark(facts, fault, region=region)
    if doubt is not None:
        return unknown(target=f"KMS of {region} signs nothing", reason=doubt)
    return _refused_outside(facts, fault, code=signing.DENIED, percent_min=DARK_PROBES_PERCENT_MIN)


def _refused_outside(facts: Facts, fault: FaultSeen, *, code: str, percent_min: int) -> Finding:
    """The key service refused the prober's own requests with ``code``, and only meanwhile.

    They go through the region's signer, whose probe asks for a signature as a payout does.
    """
    regions = facts.run.policy.regions
    region = regions.primary if fault.planned.target == "kms.primary" else regions.standby
    target = f"KMS of {region} answers an outside probe with {code}, then signs again"
    starts, ends = Instant(fault.effective or 0), Instant(fault.reverted or 0)
    samples = [
        sample
        for sample in facts.samples("signer")
        if (sample.detail or {}).get("region") == region
    ]
    inside = [sample for sample in samples if starts <= sample.at and sample.done_at <= ends]
    refused = [sample for sample in samples if (sample.detail or {}).get("result") == code]
    meanwhile = sum(1 for sample in inside if sample in refused)
    measured = f"{meanwhile} of {len(inside)} probes met {code}"
    early = [sample for sample in refused if sample.done_at < (fault.applied or 0)]
    late = [sample for sample in refused if sample.at >= (fault.cleared or 0)]
    gap_us = longest_gap_us(sorted(sample.at for sample in inside), starts=starts, ends=ends)
    for wrong, reason in (
        (
            not inside or gap_us > REFUSED_GAP_US_MAX,
            f"the prober did not ask the signer of {region} for {format_s(gap_us)}",
        ),
        (
            meanwhile * 100 < len(inside) * percent_min,
            f"it should be at least {percent_min} of 100",
        ),
        (bool(early), f"the prober met {code} before the fault"),
        (bool(late), f"the prober met {code} after the fault"),
        (
            not any(sample.ok for sample in samples if sample.done_at < (fault.applied or 0)),
            f"the signer of {region} never signed for the prober before the fault",
        ),
        (
            not any(sample.ok for sample in samples if sample.at >= (fault.cleared or 0)),
            f"the signer of {region} never signed for the prober after the fault",
        ),
    ):
        if wrong:
            return unknown(target=target, measured=measured, reason=reason)
    return passed(measured=measured, target=target, reason="the prober met it, too, and only then")


def _rpc_outside(facts: Facts, fault: FaultSeen) -> Finding:
    """The prober saw the endpoint dark."""
    samples = [
        sample
        for sample in facts.samples("rpc")
        if sample.detail
        and components.rpc_proxy(str(sample.detail.get("network")), str(sample.detail.get("side")))
        == fault.planned.target
    ]
    return _silent_outside(fault, samples, fault.planned.target)


def _process_outside(facts: Facts, fault: FaultSeen) -> Finding | None:
    """The prober got no answer from the api; of another process it sees nothing."""
    if fault.planned.target != components.process_target(components.API_PROCESS):
        return None
    target = "no status for an outside probe, then back"
    starts, ends = Instant(fault.effective or 0), Instant(fault.reverted or 0)
    samples = facts.samples("status")
    inside = [sample for sample in samples if starts <= sample.at and sample.done_at <= ends]
    failed = sum(1 for sample in inside if not sample.ok)
    measured = f"{failed} of {len(inside)} probes failed meanwhile"
    doubt = _answered_in_the_dark(inside, starts=starts, ends=ends)
    if doubt is not None:
        return unknown(target=target, measured=measured, reason=doubt)
    if not any(sample.ok for sample in samples if sample.done_at < (fault.applied or 0)):
        return unknown(
            target=target, measured=measured, reason="the prober never reached the api before it"
        )
    if not inside or failed * 100 < len(inside) * DARK_PROBES_PERCENT_MIN:
        return unknown(
            target=target,
            measured=measured,
            reason="the prober still got answers from the api, or was not asking",
        )
    if not any(sample.ok for sample in samples if sample.at >= (fault.cleared or 0)):
        return unknown(
            target=target, measured=measured, reason="the prober never reached the api after it"
        )
    return passed(measured=measured, target=target, reason="down and back for the prober, too")


def _silent_outside(fault: FaultSeen, samples: list[ProbeSample], what: str) -> Finding:
    """The prober's own requests timed out in the dark and were answered before and after it.

    The first time-out must be when the injector says that the fault took effect. A refused
    connection does not count as one: that is what a part that died looks like, and it fails fast.
    """
    target = f"{what} silent for an outside probe, then back"
    applied, starts = Instant(fault.applied or 0), Instant(fault.effective or 0)
    ends, healed = Instant(fault.reverted or 0), Instant(fault.cleared or 0)
    inside = [sample for sample in samples if starts <= sample.at and sample.done_at <= ends]
    silent = sum(1 for sample in inside if _timed_out(sample))
    before = any(sample.ok for sample in samples if sample.done_at < applied)
    after = any(sample.ok for sample in samples if sample.at >= healed)
    measured = f"{silent} of {len(inside)} probes timed out in the dark"
    if not inside or silent * 100 < len(inside) * DARK_PROBES_PERCENT_MIN:
        return unknown(
            target=target,
            measured=measured,
            reason=f"the prober still got answers or refusals from {what}, or was not asking",
        )
    doubt = _answered_in_the_dark(inside, starts=starts, ends=ends) or _doubt_of_start(
        samples, effective=starts, applied=applied
    )
    if doubt is not None:
        return unknown(target=target, measured=measured, reason=doubt)
    if not before or not after:
        moment = "before" if not before else "after"
        return unknown(
            target=target,
            measured=measured,
            reason=f"the prober never reached {what} {moment} the dark",
        )
    return passed(measured=measured, target=target, reason="dark and back for the prober, too")


OUTSIDE: dict[str, Callable[[Facts, FaultSeen], Finding | None]] = {
    faults.KMS_DARK: _kms_outside,
    faults.KMS_THROTTLED: _throttled_outside,
    faults.SIGNING_DENIED: _denied_outside,
    faults.RPC_DARK: _rpc_outside,
    faults.PROCESS_FROZEN: _process_outside,
    faults.PROCESS_KILLED: _process_outside,
}
"""What the prober must have seen of a fault, by its name; a fault without an entry is beyond it."""


def _answered_in_the_dark(
    samples: list[ProbeSample], *, starts: Instant, ends: Instant
) -> str | None:
    """That a probe was answered well within the dark; None if none was."""
    answered = [
        sample
        for sample in samples
        if sample.ok
        and starts + CLOCK_TOLERANCE_US <= sample.at
        and sample.done_at <= ends - CLOCK_TOLERANCE_US
    ]
    if not answered:
        return None
    after = format_s(answered[0].at - starts)
    return f"it answered {len(answered)} probes in the dark, the first {after} into it"


def _signed_in_the_dark(facts: Facts, fault: FaultSeen, *, region: str) -> str | None:
    """What contradicts a dark KMS in ``region``: signatures that were made; None without any."""
    doubt = _logged_in_the_dark(facts, fault, region=region)
    if doubt is not None or not facts.offers("signatures"):
        return doubt
    starts = (fault.effective or 0) + SIGNED_LATE_US_MAX
    ends = (fault.reverted or 0) - CLOCK_TOLERANCE_US
    signed = [
        row
        for row in facts.run.signatures
        if row.signed_by == region and (row.signed_at is None or starts < row.signed_at < ends)
    ]
    if not signed:
        return None
    return (
        f"records/sign_log.csv has {len(signed):,} signatures of {region} from the dark or without"
        f" a time, the first"
        f" of {signed[0].address} for nonce {signed[0].nonce}"
    )


def _logged_in_the_dark(facts: Facts, fault: FaultSeen, *, region: str) -> str | None:
    """The same by AWS's own log, from well within the dark.

    It has probes of the signers as well, and the undo of a denial frees one role after the other:
    so only the time until the undo began counts.
    """
    if not facts.offers("aws_log"):
        return None
    starts, ends = Instant(fault.effective or 0), Instant(fault.held_until or 0)
    signed = signed_inside(facts, region, starts=starts, ends=ends)
    if not signed:
        return None
    return (
        f"AWS's own log has {len(signed):,} signatures of {region} from the dark, the first with"
        f" the key of {signed[0].wallet} by {signed[0].principal}"
    )


def _timed_out(sample: ProbeSample) -> bool:
    """Whether a probe of a key service got no answer: the prober's time-out or the system's."""
    error = str((sample.detail or {}).get("error", ""))
    return not sample.ok and (error == "TimeoutError" or "timed out" in error)


def _doubt_of_start(
    samples: list[ProbeSample], *, effective: Instant, applied: Instant
) -> str | None:
    """Why the prober's first time-out does not match ``effective``.

    None if the two are no further apart than the prober's sampling explains.
    """
    asked = [sample for sample in samples if sample.done_at >= applied]
    first = next((sample for sample in asked if _timed_out(sample)), None)
    if first is None:
        return "no probe timed out once the fault was applied"
    gap_us = first.at - max(
        (sample.at for sample in samples if sample.at < first.at), default=applied
    )
    if gap_us > OBSERVER_GAP_US_MAX:
        return f"the prober did not ask for {format_s(gap_us)} before the first silence"
    apart_us = abs(first.at - effective)
    if apart_us > gap_us + CLOCK_TOLERANCE_US:
        return (
            f"the prober's first silence and the injector's are {format_s(apart_us)} apart, "
            "more than sampling explains"
        )
    return None


CHECKS = (fault_length, payouts, fault_landed)
