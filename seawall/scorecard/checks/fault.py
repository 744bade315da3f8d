"""Checks of a drill's faults: did each take effect, for long enough, under load, and end?

A fault that did not is UNKNOWN, never FAIL: then nothing was shown about the venue.
"""

from __future__ import annotations

from seawall.scorecard.facts import ACKNOWLEDGED, MILLISECOND, Facts, format_s
from seawall.scorecard.outcome import Finding, Outcome, check, passed, unknown
from seawall.scorecard.outside import seen_outside
from seawall.scorecard.payments import payment_of
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.seen import FaultSeen
from seawall.scorecard.storm import storm_of

SERVED_PERCENT_MIN = 50
"""Of the run's distinct requests must have been paid: a venue that pays fewer was not drilled, it
was down. What it promises to pay in time is a target of its own.
"""

CUSTOMER_LIMITS = ("value_limit_reached", "number_limit_reached")
"""Codes of the drill contract with which a limit of customers answers."""

LIMITED_PERCENT_MIN = 50
"""Share of a storm that must have met a limit of customers: it asks for several times as much."""

HELD_PERCENT_MIN = 90
"""Share of a fault's own observations that must have shown it; none may have shown its absence."""

HELD_GAP_MS_MAX = 2_000
"""The longest time without an observation of a fault that was in force."""


@check(
    "drill.fault_length",
    question="Was each fault in force for long enough, and did it begin under load?",
    motivation="An outage that begins in idleness finds nothing in flight to lose.",
    evidence=("timeline.jsonl", "arrivals.csv", "requests.csv", "flood.json"),
    remediation="Lengthen the fault, or move its `after` into the flood.",
    belongs=lambda drill: bool(drill.faults),
    believes={
        "runner": (
            "another beginning or end; `drill.fault_landed` holds both against what others saw"
        )
    },
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
        "flood.json",
        "probes.jsonl",
        "timeline.jsonl",
        "chain/payouts.csv",
        "chain/blocks.csv",
        "rails/statements.csv",
        "records/instructions.csv",
        "records/withdrawals.csv",
    ),
    adapts_to=("withdrawals", "statements", "instructions"),
    remediation="If failover worked, payouts are too slow: look at claims, batches and block gas.",
    believes={"networks": "payouts that were never made"},
)
def payouts(facts: Facts) -> Finding:
    """Final payouts of this drill's own requests; what was paid to others proves nothing.

    Of the distinct requests of the run, a share must have been acknowledged and paid, whenever that
    was: below it the venue served hardly anybody, and nothing was shown about it. Where the drill
    says how many, so many must have been paid between the fault seen effective and its undo, and
    not by an address that nobody knows as the venue's.
    """
    # A storm is refused on purpose: whoever asks for too much must not be paid.
    asked = {arrival.id for arrival, _ in facts.sent if arrival.phase == "run"}
    asked -= {arrival.id for arrival, _ in storm_of(facts)}
    served = [
        each for each in asked if each in facts.acknowledged and payment_of(facts, each) is not None
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
            and payout.stranger is None
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
    "drill.storm",
    question="Did the one customer's storm get through to the limits of customers?",
    motivation="A storm that is turned away at the door shows nothing of the limits behind it.",
    evidence=("arrivals.csv", "requests.csv", "flood.json"),
    remediation="Look at the errors of the stormer's requests in requests.csv.",
    belongs=lambda drill: drill.flood.storm is not None,
    believes={"generator": "answers that the venue never gave"},
)
def storm_landed(facts: Facts) -> Finding:
    """Some of it was accepted, and most of it was refused by a limit of customers, and said so."""
    sent = storm_of(facts)
    accepted = sum(1 for _, request in sent if request.outcome in ACKNOWLEDGED)
    limited = sum(1 for _, request in sent if request.error in CUSTOMER_LIMITS)
    target = f"some accepted, >= {LIMITED_PERCENT_MIN} % refused by a limit of customers"
    measured = f"{accepted:,} accepted and {limited:,} limited of {len(sent):,}"
    if not accepted:
        return unknown(target=target, measured=measured, reason="nothing of the storm was accepted")
    if limited * 100 < len(sent) * LIMITED_PERCENT_MIN:
        return unknown(
            target=target, measured=measured, reason="most of the storm met something else"
        )
    return passed(measured=measured, target=target, reason="the limits of customers answered it")


@check(
    "drill.fault_landed",
    question="Did each fault take effect and end, as seen from outside the injector?",
    motivation="A fault that was only reported by its injector may never have happened.",
    evidence=(
        "timeline.jsonl",
        "probes.jsonl",
        "arrivals.csv",
        "requests.csv",
        "flood.json",
        "metrics.json",
        "records/sign_log.csv",
        "records/slots.csv",
        "records/mode_log.csv",
        "records/topups.csv",
        "records/surpluses.csv",
        "aws/sign_calls.csv",
        "chain/payouts.csv",
    ),
    adapts_to=("signatures", "aws_log", "metrics", "mode_changes", "top_ups", "surpluses"),
    remediation="Check that the venue and the prober take the path that the fault cuts.",
    belongs=lambda drill: bool(drill.faults),
    steerable=True,
    believes={
        "runner": "a fault that nobody else can see, which the finding then says",
        "networks": "payouts of a paused asset that they leave out",
    },
)
def fault_landed(facts: Facts) -> Finding:
    """Each fault's own observer saw it throughout, and so did others, where it shows elsewhere.

    The timeline must name the faults of the drill, with their targets and parameters, and no other.
    What others must have seen says :mod:`seawall.scorecard.outside`; the reason names a fault that
    nobody else can see.
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
        also = seen_outside(facts, fault)
        if also is not None and also.outcome is not Outcome.PASS:
            return also
        measured.append(seen.measured if also is None else f"{seen.measured}, {also.measured}")
        reasons.append(
            f"{fault.name}: {seen.reason}, {'and by nobody else' if also is None else also.reason}"
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
    starts, watched_until = Instant(fault.effective or 0), Instant(fault.held_until or 0)
    unwatched_us = (fault.reverted or 0) - watched_until
    for wrong, reason in (
        (
            (samples + 1) * gap_ms * MILLISECOND < watched_until - starts,
            f"{samples} looks at most {gap_ms} ms apart are no {format_s(watched_until - starts)}",
        ),
        (
            not 0 <= unwatched_us <= HELD_GAP_MS_MAX * MILLISECOND or watched_until < starts,
            f"its observer's count ended {format_s(unwatched_us)} before it was undone",
        ),
        (not samples or effective * 100 < samples * HELD_PERCENT_MIN, "it was not seen throughout"),
        (clear > 0, f"it was seen to be gone {clear} times while it should be in force"),
        (gap_ms > HELD_GAP_MS_MAX, f"nobody looked at it for {gap_ms} ms"),
    ):
        if wrong:
            return unknown(target=target, measured=measured, reason=f"{fault.name}: {reason}")
    return passed(measured=measured, target=target, reason="seen throughout by its own observer")


CHECKS = (fault_length, payouts, storm_landed, fault_landed)
