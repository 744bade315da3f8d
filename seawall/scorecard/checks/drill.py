"""Checks of the drill itself: was it large enough to count, and was the experiment sound?

Below the smallest size that the policy declares a verdict would say nothing, so that is UNKNOWN,
never FAIL.
"""

from __future__ import annotations

from fractions import Fraction

from seawall.errors import EvidenceError
from seawall.experiments import experiment_of
from seawall.scorecard.facts import MILLISECOND, Facts, format_s
from seawall.scorecard.hot_wallets import hot_at
from seawall.scorecard.journal import DEVIATED_DURING, problems_of_journal
from seawall.scorecard.orders import in_force
from seawall.scorecard.outcome import Finding, check, failed, passed, unknown
from seawall.scorecard.readers import SECOND
from seawall.scorecard.rows import ClockOffset

MISSED_PER_MILLE_MAX = 1
"""Share of planned requests that may not have left; of the generator and not of any drill."""

WORKER_CLOCK_MS_MAX = 20.0
"""How far a worker's clock may be from the master's, with the uncertainty of the measurement.

Two workers at opposite ends are then less apart than :data:`CLOCK_TOLERANCE_US`, by which two
observers of one moment may differ anyway. Clocks that NTP keeps are within a few milliseconds.
"""


@check(
    "drill.calm",
    question="Was there a calm before the shock to compare with?",
    motivation="Without a baseline a shock cannot be distinguished from a bad day.",
    evidence=("arrivals.csv", "requests.csv", "flood.json", "probes.jsonl", "records/mode_log.csv"),
    adapts_to=("mode_changes",),
    remediation="Lengthen `calm` of the drill's flood, or find out why the venue was not calm.",
    steerable=True,
    believes={
        "venue": "a tier that it calls normal, in its records and to the prober",
        "generator": "a calm that was none, and answers that it never got",
    },
)
def calm(facts: Facts) -> Finding:
    """The calm is long enough, its requests were acknowledged, and the tier stayed normal."""
    least_us = facts.run.drill.smallest.calm * MILLISECOND
    target = f">= {format_s(least_us)}, tier normal"
    length_us = facts.run_starts - facts.calm_starts
    acknowledged = sum(
        1 for promise in facts.acknowledged.values() if promise.arrival.phase == "calm"
    )
    measured = f"{length_us / SECOND:.1f} s, {acknowledged:,} acknowledged"
    if acknowledged == 0:
        return unknown(
            target=target, measured=measured, reason="nothing was acknowledged in the calm"
        )
    recorded = facts.offers("mode_changes")
    at_start = facts.tier_at(facts.calm_starts) if recorded else "normal"
    if at_start != "normal":
        return unknown(
            target=target,
            measured=measured,
            reason=f"the tier was {at_start} when the calm began, from before this drill",
        )
    told = {
        str((sample.detail or {})["tier"])
        for sample in facts.status_samples
        if facts.calm_starts <= sample.at and sample.done_at < facts.run_starts
    }
    if facts.asks("status") and not told:
        return unknown(
            target=target, measured=measured, reason="no probe of the status was answered meanwhile"
        )
    if other := told - {"normal"}:
        return unknown(
            target=target,
            measured=measured,
            reason=f"the status said {', '.join(sorted(other))} in the calm",
        )
    restless = [
        flip
        for flip in (facts.run.flips if recorded else ())
        if facts.calm_starts <= flip.committed_at < facts.run_starts
    ]
    if restless:
        return unknown(
            target=target,
            measured=measured,
            reason=f"the tier became {restless[0].tier} in the calm: {restless[0].reason}",
        )
    if length_us < least_us:
        return unknown(target=target, measured=measured, reason="the calm was too short")
    if not recorded and not told:
        # Nobody says which tier was in force, so the requests are the only proof of a calm.
        return passed(measured=measured, target=target, reason="acknowledged; no tier is told")
    return passed(measured=measured, target=target, reason="normal all the time")


@check(
    "drill.flood",
    question=(
        "Was the flood offered as planned, however slow the venue was, by workers that agreed "
        "about the time?"
    ),
    motivation=(
        "A generator that waits for the venue hides the overload that it should show, and one "
        "whose clocks disagree offers it at another time than it says."
    ),
    evidence=("arrivals.csv", "requests.csv", "flood.json"),
    remediation=(
        "Leave the generator more of the machine; look at flood.json for lost workers, and for "
        "clocks that nobody keeps (NTP). If all workers were off by the same after the flood, the "
        "clock was set meanwhile: drill again."
    ),
    believes={"generator": "requests that never left; `drill.payouts` wants half of them paid"},
)
def flood(facts: Facts) -> Finding:
    """Length, rate and missed arrivals, counted from the request log.

    The generator's own summary is used for its workers' clocks alone. How late requests left is a
    goal and no gate: latency counts from the planned instant, so a late request hides nothing.
    """
    smallest = facts.run.drill.smallest
    least_us = smallest.flood * MILLISECOND
    target = (
        f">= {format_s(least_us)} at >= {smallest.offered_per_s}/s, missed <= "
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
            (length_us < least_us, "the flood was too short"),
            (left * SECOND < smallest.offered_per_s * length_us, "too few requests were offered"),
            (missed * 1000 > planned * MISSED_PER_MILLE_MAX, "too many arrivals were missed"),
        )
        if wrong
    ]
    faults += _clock_faults(facts)
    if faults:
        return unknown(target=target, measured=measured, reason="; ".join(faults))
    return passed(measured=measured, target=target, reason="the schedule was kept")


def _clock_faults(facts: Facts) -> list[str]:
    """A sentence per worker whose clock was off, or was not measured before or after the flood."""
    clocks = {clock.worker: clock for clock in facts.run.flood.clocks}
    senders = {request.worker for _, request in facts.sent}
    faults = []
    for worker in sorted({*senders, *clocks}, key=str):
        clock = clocks.get(worker or "")
        for moment in ("before", "after"):
            offset: ClockOffset | None = None if clock is None else getattr(clock, moment)
            where = f"the clock of worker {worker or '?'} {moment} the flood"
            if offset is None:
                faults.append(f"{where} is not known")
            elif not _surely_near(offset):
                faults.append(
                    f"{where} was {offset.offset_ms:+.1f} ms off, give or take "
                    f"{offset.uncertainty_ms:.1f} ms, and {WORKER_CLOCK_MS_MAX:g} ms are allowed"
                )
    return faults


def _surely_near(offset: ClockOffset) -> bool:
    return abs(offset.offset_ms) + offset.uncertainty_ms <= WORKER_CLOCK_MS_MAX


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
        "flood.json",
        "chain/balances.csv",
        "chain/payouts.csv",
        "chain/blocks.csv",
        "records/slots.csv",
        "records/topups.csv",
        "records/surpluses.csv",
    ),
    adapts_to=("surpluses",),
    remediation="Raise the profile's share of assets that leaves.",
    belongs=lambda drill: drill.smallest.hot_balances is not None,
    believes={
        "generator": "more value than it asked for",
        "networks": (
            "balances that are too low; `safety.hot_reconciles` holds them against the ledger"
        ),
    },
)
def flood_value(facts: Facts) -> Finding:
    """Value of distinct withdrawals requested in the run, against the hot balance at its start.

    The balance is that of all hot wallets, by the chains.
    """
    policy = facts.run.policy
    least = facts.run.drill.smallest.hot_balances or Fraction(0)
    target = f">= {float(least):g} x the hot balance at the start of the run"
    values = {
        arrival.id: arrival.value_micro for arrival, _ in facts.sent if arrival.phase == "run"
    }
    requested = sum(values.values())
    hot = sum(
        policy.value_micro(asset, held)
        for (_, asset), held in hot_at(facts, facts.run_starts).whole().items()
    )
    if not values or hot <= 0:
        return unknown(target=target, reason="nothing was requested, or nothing was held")
    unit = policy.venue.unit_of_account
    measured = (
        f"{requested / hot:.2f} x ({requested / 1e6:,.0f} {unit} against {hot / 1e6:,.0f} {unit})"
    )
    if requested < least * hot:
        return unknown(target=target, measured=measured, reason="too little was requested")
    return passed(measured=measured, target=target, reason=f"{len(values):,} distinct withdrawals")


@check(
    "drill.no_orders",
    question="Was no order of a person about payouts or tiers in force during the drill?",
    motivation=(
        "A tier that somebody ordered looks like one that the venue's controls reached by "
        "themselves, and a halt looks like payouts that were deferred."
    ),
    evidence=("records/orders.csv",),
    remediation="Run the drill again when the order that is named has ended.",
    believes={
        "venue": "that nobody ordered anything; `safety.journal_chain` holds the journal against it"
    },
)
def no_orders(facts: Facts) -> Finding:
    """UNKNOWN with every order that was in force, from the start of the drill to its evidence.

    What each check makes of them says :mod:`seawall.scorecard.orders`.
    """
    target = "0 orders in force"
    orders = in_force(facts)
    if orders:
        return unknown(
            target=target, measured=f"{len(orders)} in force", reason=orders[0], details=orders[1:]
        )
    return passed(
        measured=f"0 of {len(facts.run.orders)} on record",
        target=target,
        reason="none was in force",
    )


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
    believes={"runner": "a journal of an experiment that was not run"},
)
def sound(facts: Facts) -> Finding:
    """FAIL if the venue left its steady state or did not return to it, UNKNOWN for all else."""
    target = "completed, steady before and after"
    journal = facts.run.journal
    problems = problems_of_journal(journal)
    name = facts.run.manifest.drill
    try:
        declared = experiment_of(facts.run.policy, name)
    except KeyError as error:
        raise EvidenceError(f"policy.json declares no drill {name!r}, which was run") from error
    if _as_declared(journal.get("experiment")) != _as_declared(declared):
        problems.insert(0, "the experiment that was run is not the one of the drill")
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


def _as_declared(experiment: object) -> object:
    """An experiment without the empty members that Chaos Toolkit adds to what it was given."""
    if not isinstance(experiment, dict):
        return None
    return {key: value for key, value in experiment.items() if value or key not in _ADDED}


_ADDED = ("dry", "controls", "secrets", "contributions", "extensions")
"""What Chaos Toolkit may add; with a value it is a difference."""
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


CHECKS = (calm, flood, flood_value, no_orders, sound)
