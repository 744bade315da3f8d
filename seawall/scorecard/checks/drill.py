"""Checks of the drill itself: was it large enough to count, and was the experiment sound?

Below any of these sizes a verdict would say nothing, so that is UNKNOWN, never FAIL.
"""

from __future__ import annotations

from seawall.conventions import components, faults
from seawall.scorecard.budgets import CLOCK_TOLERANCE_US, OBSERVER_GAP_US_MAX
from seawall.scorecard.facts import Facts, format_s
from seawall.scorecard.hot_wallets import hot_at
from seawall.scorecard.journal import DEVIATED_DURING, problems_of_journal
from seawall.scorecard.outcome import Finding, check, failed, passed, unknown
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import ProbeSample

# The smallest drill that counts. This is the size of the proof and not of the venue, so it is not
# in the policy.
CALM_S_MIN = 15
FLOOD_S_MIN = 45
OFFERED_PER_S_MIN = 200
MISSED_PER_MILLE_MAX = 1
REQUESTED_HOT_BALANCES_MIN = 3
DARK_S_MIN = 25
DARK_PAYOUTS_MIN = 2_000

SIGNED_LATE_US_MAX = SECOND
"""A signature that KMS made before the dark may be written down this much after its beginning."""

DARK_PROBES_PERCENT_MIN = 90
"""Share of the KMS probes begun in the dark that must have timed out.

The others ended while the fault was being undone. None may have been answered before that.
"""


@check(
    "drill.calm",
    question="Was there a calm before the shock to compare with?",
    motivation="Without a baseline a shock cannot be distinguished from a bad day.",
    evidence=("arrivals.csv", "requests.csv", "records/mode_log.csv"),
    remediation="Lengthen `calm` of the game day, or find out why the venue was not calm.",
)
def calm(facts: Facts) -> Finding:
    """The calm is long enough, its requests were acknowledged, and the tier stayed normal."""
    target = f">= {CALM_S_MIN} s, tier normal"
    length_us = facts.run_starts - facts.calm_starts
    acknowledged = sum(
        1 for promise in facts.acknowledged.values() if promise.arrival.phase == "calm"
    )
    measured = f"{length_us / SECOND:.1f} s, {acknowledged:,} acknowledged"
    if acknowledged == 0:
        return unknown(
            target=target, measured=measured, reason="nothing was acknowledged in the calm"
        )
    restless = [
        flip
        for flip in facts.run.flips
        if facts.calm_starts <= flip.committed_at < facts.run_starts
    ]
    if restless:
        return unknown(
            target=target,
            measured=measured,
            reason=f"the tier became {restless[0].tier} in the calm: {restless[0].reason}",
        )
    if length_us < CALM_S_MIN * SECOND:
        return unknown(target=target, measured=measured, reason="the calm was too short")
    return passed(measured=measured, target=target, reason="normal all the time")


@check(
    "drill.flood",
    question="Was the flood offered as planned, however slow the venue was?",
    motivation="A generator that waits for the venue hides the overload that it should show.",
    evidence=("arrivals.csv", "requests.csv"),
    remediation="Leave the generator more of the machine; look at flood.json for lost workers.",
)
def flood(facts: Facts) -> Finding:
    """Length, rate and missed arrivals, counted from the request log.

    The generator's own summary is not used. How late requests left is a goal and no gate: latency
    counts from the planned instant, so a late request hides nothing.
    """
    target = (
        f">= {FLOOD_S_MIN} s at >= {OFFERED_PER_S_MIN}/s, missed <= "
        f"{MISSED_PER_MILLE_MAX / 10:.1f} %"
    )
    planned = sum(1 for arrival in facts.run.arrivals if arrival.phase == "run")
    length_us = facts.run_ends - facts.run_starts
    left = sum(1 for arrival, _ in facts.sent if arrival.phase == "run")
    if not left or length_us <= 0:
        return unknown(target=target, reason="no request of the run left")
    missed = planned - left
    rate = left * SECOND / length_us
    measured = (
        f"{length_us / SECOND:.1f} s at {rate:.0f}/s, missed {missed} of {planned:,} "
        f"({100 * missed / planned:.2f} %)"
    )
    faults = [
        fault
        for wrong, fault in (
            (length_us < FLOOD_S_MIN * SECOND, "the flood was too short"),
            (left * SECOND < OFFERED_PER_S_MIN * length_us, "too few requests were offered"),
            (missed * 1000 > planned * MISSED_PER_MILLE_MAX, "too many arrivals were missed"),
        )
        if wrong
    ]
    if faults:
        return unknown(target=target, measured=measured, reason="; ".join(faults))
    return passed(measured=measured, target=target, reason="the schedule was kept")


@check(
    "drill.flood_value",
    question="Was more requested than the hot wallets held?",
    motivation=(
        "A run that the hot wallets can pay from stock tests neither the top-ups nor protected "
        "mode."
    ),
    evidence=(
        "arrivals.csv",
        "requests.csv",
        "chain/balances.csv",
        "chain/payouts.csv",
        "records/topups.csv",
    ),
    remediation="Raise the profile's share of assets that leaves.",
)
def flood_value(facts: Facts) -> Finding:
    """Value of distinct withdrawals requested in the run, against the hot balance at its start.

    The balance is that of all hot wallets, by the chains.
    """
    policy = facts.run.policy
    target = f">= {REQUESTED_HOT_BALANCES_MIN} x the hot balance at the start of the run"
    values = {
        arrival.id: arrival.value_micro for arrival, _ in facts.sent if arrival.phase == "run"
    }
    requested = sum(values.values())
    hot = sum(
        policy.value_micro(asset, held)
        for (_, asset), held in hot_at(facts, facts.run_starts).items()
    )
    if not values or hot <= 0:
        return unknown(target=target, reason="nothing was requested, or nothing was held")
    unit = policy.venue.unit_of_account
    measured = (
        f"{requested / hot:.2f} x ({requested / 1e6:,.0f} {unit} against {hot / 1e6:,.0f} {unit})"
    )
    if requested < REQUESTED_HOT_BALANCES_MIN * hot:
        return unknown(target=target, measured=measured, reason="too little was requested")
    return passed(measured=measured, target=target, reason=f"{len(values):,} distinct withdrawals")


@check(
    "drill.dark",
    question="Was the region dark long enough, and did the dark begin under load?",
    motivation="An outage that begins in idleness finds nothing in flight to lose.",
    evidence=("timeline.jsonl", "requests.csv"),
    remediation="Lengthen `dark` or move `dark_after` of the game day into the flood.",
)
def dark(facts: Facts) -> Finding:
    """The time from the fault seen effective to its undo.

    Requests must have been acknowledged in the second before it.
    """
    target = f">= {DARK_S_MIN} s, from within the flood"
    length_us = facts.fault_reverted - facts.fault_effective
    loaded = sum(
        1
        for promise in facts.acknowledged.values()
        if promise.arrival.phase == "run"
        and facts.fault_effective - SECOND <= promise.acknowledged_at <= facts.fault_effective
    )
    measured = f"{length_us / SECOND:.1f} s, {loaded} acknowledged in the second before"
    if loaded == 0:
        return unknown(
            target=target, measured=measured, reason="nothing was acknowledged just before the dark"
        )
    if length_us < DARK_S_MIN * SECOND:
        return unknown(target=target, measured=measured, reason="the dark was too short")
    return passed(
        measured=measured, target=target, reason="the region went dark in the middle of the run"
    )


@check(
    "drill.dark_payouts",
    question="Were enough payouts confirmed on the chains while the region was dark?",
    motivation="What counts is that customers are paid in the dark, not that processes are alive.",
    evidence=("chain/payouts.csv", "chain/blocks.csv", "timeline.jsonl"),
    remediation="If failover worked, payouts are too slow: look at claims, batches and block gas.",
)
def dark_payouts(facts: Facts) -> Finding:
    """Finalized payouts whose block appeared between the fault seen effective and its undo."""
    target = f">= {DARK_PAYOUTS_MIN:,}"
    count = sum(
        1
        for payout in facts.run.payouts
        if facts.fault_effective <= facts.paid_at(payout) <= facts.fault_reverted
    )
    rate = count * SECOND / max(1, facts.fault_reverted - facts.fault_effective)
    measured = f"{count:,} ({rate:.0f}/s)"
    if count < DARK_PAYOUTS_MIN:
        return unknown(
            target=target, measured=measured, reason="too few payouts were confirmed in the dark"
        )
    return passed(
        measured=measured, target=target, reason="counted on the chains, by finalized events"
    )


@check(
    "drill.fault_landed",
    question="Did the fault take effect and end, as seen from outside the injector?",
    motivation="A fault that was only reported by its injector may never have happened.",
    evidence=("timeline.jsonl", "probes.jsonl", "records/sign_log.csv"),
    remediation="Check that the venue and the prober reach KMS through the proxy that was cut.",
)
def fault_landed(facts: Facts) -> Finding:
    """The prober's own requests to the region timed out in the dark and were answered after it.

    The first time-out must be when the injector says that the fault took effect. A refused
    connection does not count as one: that is what a part that died looks like, and it fails fast.
    The injector must say that it was this fault, and the signers must not have signed there.
    """
    region = facts.run.policy.regions.primary
    target = f"KMS of {region} silent for an outside probe, then back"
    starts, ends, healed = facts.fault_effective, facts.fault_reverted, facts.healing
    doubt = _another_fault(facts, region=region) or _signed_in_the_dark(facts, region=region)
    if doubt is not None:
        return unknown(target=target, reason=doubt)
    samples = [
        sample for sample in facts.samples("kms") if (sample.detail or {}).get("region") == region
    ]
    inside = [sample for sample in samples if starts <= sample.at and sample.done_at <= ends]
    silent = sum(1 for sample in inside if _timed_out(sample))
    before = any(sample.ok for sample in samples if sample.done_at < facts.fault_applied)
    after = any(sample.ok for sample in samples if sample.at >= healed)
    measured = f"{silent} of {len(inside)} probes timed out in the dark"
    if not inside or silent * 100 < len(inside) * DARK_PROBES_PERCENT_MIN:
        return unknown(
            target=target,
            measured=measured,
            reason="the prober still got answers or refusals from the region, or was not asking",
        )
    doubt = _answered_in_the_dark(inside, starts=starts, ends=ends) or _doubt_of_start(
        samples, effective=starts, applied=facts.fault_applied
    )
    if doubt is not None:
        return unknown(target=target, measured=measured, reason=doubt)
    if not before or not after:
        moment = "before" if not before else "after"
        return unknown(
            target=target,
            measured=measured,
            reason=f"the prober never reached the region {moment} the dark",
        )
    return passed(
        measured=measured,
        target=target,
        reason="dark and back, seen by the prober as well as by the fault's own probe",
    )


def _another_fault(facts: Facts, *, region: str) -> str | None:
    """Why what was injected is not a dark KMS in ``region``; None if it is."""
    wanted = {"fault": faults.KMS_DARK, "target": components.kms_proxy(region)}
    for event in facts.run.timeline:
        if not event.event.startswith("fault."):
            continue
        named = {name: (event.detail or {}).get(name) for name in wanted}
        if named != wanted:
            return (
                f"timeline.jsonl has {event.event} of the fault {named['fault']} on"
                f" {named['target']}, not of {wanted['fault']} on {wanted['target']}"
            )
    return None


def _answered_in_the_dark(
    samples: list[ProbeSample], *, starts: Instant, ends: Instant
) -> str | None:
    """That the region answered a probe well within the dark; None if it never did."""
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
    return f"the region answered {len(answered)} probes in the dark, the first {after} into it"


def _signed_in_the_dark(facts: Facts, *, region: str) -> str | None:
    """What contradicts a dark KMS in ``region``: signatures of its signers; None without any."""
    starts = facts.fault_effective + SIGNED_LATE_US_MAX
    ends = facts.fault_reverted - CLOCK_TOLERANCE_US
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


_DEVIATED = "the steady state was not met after the method"


@check(
    "experiment.sound",
    question=(
        "Did the experiment run as planned, steady before and after, with every activity and "
        "rollback succeeded?"
    ),
    motivation=(
        "`chaos run` alone reports success when the shock was never applied or nothing was checked."
    ),
    evidence=("chaos-journal.json",),
    remediation="Read the journal's failed activities; run `chaos run` by hand on a kept sandbox.",
)
def sound(facts: Facts) -> Finding:
    """FAIL if the venue left its steady state or did not return to it, UNKNOWN for all else."""
    target = "completed, steady before and after"
    problems = problems_of_journal(facts.run.journal)
    if not problems:
        return passed(
            measured="as planned",
            target=target,
            reason="completed, not deviated, all activities and rollbacks succeeded",
        )
    deviated = any(problem.startswith((_DEVIATED, DEVIATED_DURING)) for problem in problems)
    finding = failed if deviated and not _unsound_before(problems) else unknown
    return finding(
        measured=f"{len(problems)} problems",
        target=target,
        reason=problems[0],
        details=problems[1:],
    )


_AFTER = (
    _DEVIATED,
    DEVIATED_DURING,
    "steady state after",
    "the journal does not say that the steady state held",
    "the experiment ended as 'failed'",
)
"""Beginnings of the problems that follow when the venue leaves its steady state.

Chaos Toolkit then ends as failed and deviated.
"""


def _unsound_before(problems: list[str]) -> bool:
    """Whether anything else was wrong: then the shock may not have been the planned one."""
    return not all(problem.startswith(_AFTER) for problem in problems)


CHECKS = (calm, flood, flood_value, dark, dark_payouts, fault_landed, sound)
