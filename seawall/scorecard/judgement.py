"""Makes the verdict on a run: runs every check and combines the findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from seawall.errors import EvidenceError
from seawall.experiments import digest_of
from seawall.policy.drilling import SEGREGATION
from seawall.processes.machine import BUSY_MAX, SLOW_MS
from seawall.scorecard import budgets, goals, recovery
from seawall.scorecard.budgets import Budget
from seawall.scorecard.checks import ALL, COMPLETE, OF_CONTROL
from seawall.scorecard.claims import Claim, claims_of, claims_of_control
from seawall.scorecard.facts import Facts, format_s
from seawall.scorecard.failover import failover
from seawall.scorecard.figures import figures
from seawall.scorecard.lost_database import restoration
from seawall.scorecard.orders import but_for_orders
from seawall.scorecard.outcome import NO_GROUND, Check, Finding, Outcome, combine, unknown
from seawall.scorecard.rail_failover import rail_failover
from seawall.scorecard.run import Run
from seawall.scorecard.verdict import Figure, Identity, Moment, Result, Time, Unclaimed, Verdict

TIMES: dict[str, tuple[str, Callable[[Facts], Budget]]] = {
    "failover_max": ("failover.time", failover),
    "protected_max": ("protection.time", budgets.protection),
    "recovery_max": ("recovery.time", recovery.recovery),
    "database_rto_max": ("database.rto", restoration),
    "rail_failover_max": ("failover.rails", rail_failover),
}
"""The measured times by the target that gates each, with the check that judges it."""

OF_MONEY = frozenset({"customer", "safety"})
"""Categories of checks about what was paid, lost or said, and not about when."""


def judge(run_dir: Path) -> Verdict:
    """The verdict on a run directory; a broken directory is UNKNOWN and never raises.

    If a part died or a file is missing, every other finding becomes UNKNOWN too, except a violation
    that its own rows prove (money paid twice stays paid twice).
    """
    return judge_facts(Facts(Run(run_dir)))


def judge_facts(facts: Facts, checks: Sequence[Check] | None = None) -> Verdict:
    """The verdict on ``facts``; see :func:`judge`.

    By ``checks``, or by those of the drill that was run.
    """
    control = facts.run.control
    if checks is None:
        checks = ALL if control is None else OF_CONTROL[control]
    claims = claimed(facts, checks)
    findings = [(claim.check, _answer(claim, facts)) for claim in claims if claim.made]
    found = {check.id: finding for check, finding in findings}
    not_claimed = tuple(
        Unclaimed(id=claim.check.id, question=claim.check.question, needs=claim.missing)
        for claim in claims
        if not claim.made
    )
    ground = next((finding for check, finding in findings if check.id == COMPLETE.id), None)
    if ground is not None and ground.outcome is not Outcome.PASS:
        findings = [
            (check, finding if check.id == COMPLETE.id else _without_ground(check, finding))
            for check, finding in findings
        ]
    outcome = combine(finding.outcome for _, finding in findings)
    results = tuple(_result(check, finding) for check, finding in findings)
    times = tuple(
        time
        for target, (identity, measure) in TIMES.items()
        if identity in found
        and _is_target(facts, target)
        and (time := _time(facts, measure, found[identity])) is not None
    )
    return Verdict(
        outcome=outcome,
        sentence=_sentence(outcome, results, not_claimed, _subject(facts, times), control),
        failed=tuple(result.id for result in results if result.outcome is Outcome.FAIL),
        unknown=tuple(result.id for result in results if result.outcome is Outcome.UNKNOWN),
        identity=_identity(facts),
        times=times,
        results=results,
        not_claimed=not_claimed,
        goals=goals.reported(facts) if control is None else (),
        figures=_figures(facts) if control is None else (),
        note=_note(facts, results),
    )


def claimed(facts: Facts, checks: Sequence[Check]) -> tuple[Claim, ...]:
    """The claims of ``checks`` that belong to the run's drill.

    All of them, if it is not known which drill it was or what the deployment offers.
    """
    try:
        if facts.run.control is not None:
            return claims_of_control(checks, play_money=_with_play_money(facts.run))
        manifest = facts.run.manifest
        return claims_of(
            facts.run.policy,
            facts.run.drill,
            offers=manifest.offers,
            operations=manifest.operations,
            checks=checks,
        )
    except EvidenceError:
        return tuple(Claim(check=check, missing=(), demanded=True) for check in checks)


def _with_play_money(run: Run) -> bool:
    """Whether all must be claimed that is tried with play money only; a sandbox has no other."""
    return run.control != SEGREGATION or run.segregation.harm or run.manifest.kind == "sandbox"


def _answer(claim: Claim, facts: Facts) -> Finding:
    if not claim.missing:
        return ask(claim.check, facts)
    return unknown(
        target="",
        reason=f"it must be claimed, and the deployment offers no {', '.join(claim.missing)}",
    )


def _is_target(facts: Facts, target: str) -> bool:
    try:
        return target in facts.run.drill.expects.targets
    except EvidenceError:
        return False


def ask(check: Check, facts: Facts) -> Finding:
    """The check's finding; missing evidence and a check that crashes are UNKNOWN."""
    try:
        finding = check.answer(facts)
        return but_for_orders(facts, finding) if check.steerable else finding
    except EvidenceError as error:
        return unknown(target="", reason=str(error))
    # A crashed checker is UNKNOWN (Jepsen's rule), and the reason says what crashed.
    except Exception as error:  # noqa: BLE001
        return unknown(target="", reason=f"the check itself broke: {type(error).__name__}: {error}")


def _without_ground(check: Check, finding: Finding) -> Finding:
    if finding.outcome is Outcome.FAIL and check.proves_alone:
        return finding
    partial = f"{finding.outcome} by what is there: {finding.reason}"
    return Finding(
        outcome=Outcome.UNKNOWN,
        measured=finding.measured,
        target=finding.target,
        reason=finding.reason if finding.outcome is Outcome.UNKNOWN else NO_GROUND,
        details=finding.details
        if finding.outcome is Outcome.UNKNOWN
        else (partial, *finding.details),
    )


def _result(check: Check, finding: Finding) -> Result:
    return Result(
        id=check.id,
        category=check.category,
        outcome=finding.outcome,
        question=check.question,
        motivation=check.motivation,
        measured=finding.measured,
        target=finding.target,
        reason=finding.reason,
        details=finding.details,
        evidence=check.evidence,
        remediation=check.remediation,
    )


def _time(facts: Facts, measure: Callable[[Facts], Budget], judged: Finding) -> Time | None:
    """The time of ``measure``, which its check ``judged``; None if there is none to show."""
    try:
        budget = measure(facts)
    # The check of the same name says why, even if the code itself broke.
    except Exception:  # noqa: BLE001
        return None
    return Time(
        id=budget.id,
        title=budget.title,
        begins=budget.begins,
        outcome=judged.outcome,
        reason=judged.reason,
        limit_us=budget.limit_us,
        measured_us=budget.measured_us,
        witness_us=budget.witness_us,
        tolerance_us=budget.tolerance_us,
        shown=budget.measured,
        moments=tuple(
            Moment(
                name=mark.name,
                observer=mark.observer,
                offset_us=mark.offset_us,
                limit_us=mark.limit_us,
            )
            for mark in budget.marks
        ),
    )


def _identity(facts: Facts) -> Identity | None:
    try:
        manifest = facts.run.manifest
    except EvidenceError:
        return None
    return Identity(
        run_id=manifest.run_id,
        seed=manifest.seed,
        policy=manifest.policy,
        policy_digest=manifest.policy_digest,
        policy_scale=manifest.policy_scale,
        gameday=manifest.gameday,
        drill=manifest.drill,
        repetition=manifest.repetition,
        repetitions=manifest.repetitions,
        stack=manifest.stack,
        kind=manifest.kind,
        faults=_faults(facts),
        experiment_digest=_experiment_digest(facts),
        sabotage=manifest.sabotage,
        commit=manifest.commit,
        dirty=manifest.dirty,
        started_at=manifest.started_at,
        ended_at=manifest.ended_at,
        versions=manifest.versions,
        knobs=manifest.knobs,
        replay=manifest.replay,
    )


def _figures(facts: Facts) -> tuple[Figure, ...]:
    """Reported beside the verdict, so that nothing that breaks them may break it."""
    try:
        return figures(facts)
    except Exception:  # noqa: BLE001 - evidence may break them anywhere
        return ()


def _note(facts: Facts, results: Sequence[Result]) -> str | None:
    """That the machine had nothing left, in which case what was late may be its fault.

    Money that is gone or was paid twice is not late, so of that alone nothing is said.
    """
    try:
        manifest = facts.run.manifest
    except EvidenceError:
        return None
    machine = manifest.machine
    bad = {result.category for result in results if result.outcome is not Outcome.PASS}
    if machine is None or not bad - OF_MONEY:
        return None
    busy = machine.busy is not None and machine.busy > BUSY_MAX
    slow = machine.addition_ms > SLOW_MS
    if not busy and not slow:
        return None
    seen = []
    if busy:
        seen.append(f"its {machine.processors} processors were busy {machine.busy:.0%} of the time")
    if slow:
        seen.append(
            f"a million additions took {machine.addition_ms:.0f} ms"
            f" (at most {SLOW_MS:.0f} where the default game day passes)"
        )
    whose = "which it shared with the venue" if manifest.kind == "sandbox" else "of the flood"
    return (
        f"The machine {whose} had nothing left: {' and '.join(seen)}. What is late may be late for"
        " that reason alone: repeat the drill on a faster or quieter machine. It excuses nothing"
        f" that is wrong under {' or '.join(sorted(OF_MONEY))}."
    )


def _faults(facts: Facts) -> tuple[str, ...]:
    """The drill's faults for people: which, against what, with which parameters."""
    try:
        planned = facts.run.drill.faults
    except EvidenceError:
        return ()
    return tuple(
        f"{fault.fault} of {fault.target}"
        + "".join(f", {name} {value}" for name, value in fault.parameters.items())
        for fault in planned
    )


def _experiment_digest(facts: Facts) -> str | None:
    """Of the experiment that the journal says was run; None without one."""
    try:
        experiment = facts.run.journal.get("experiment")
    except EvidenceError:
        return None
    return digest_of(experiment) if isinstance(experiment, dict) else None


def _subject(facts: Facts, times: Sequence[Time]) -> str:
    """What was measured or, of a drill of one control, what was drilled; empty if not known."""
    run = facts.run
    if run.control is None:
        return ", ".join(f"{time.id} {time.shown} of {format_s(time.limit_us)}" for time in times)
    try:
        found = run.segregation if run.control == SEGREGATION else run.neighbour
        stack = run.manifest.stack
    except EvidenceError:
        return ""
    return f"{found.subject} of stack {stack}"


def _sentence(
    outcome: Outcome,
    results: Sequence[Result],
    not_claimed: Sequence[Unclaimed],
    subject: str,
    control: str | None,
) -> str:
    """The verdict in one sentence for people, with the ``subject`` and how much is claimed."""
    good, bad = (
        ("The venue survived", "The venue did not keep its promises")
        if control is None
        else ("The control holds", "The control does not hold")
    )
    if outcome is Outcome.PASS:
        held = (
            f"all {len(results)} checks hold"
            if not not_claimed
            else f"{len(results)} of {len(results) + len(not_claimed)} checks are claimed and hold,"
            f" {len(not_claimed)} are not claimed"
        )
        return f"{good}: {subject}{'; ' if subject else ''}{held}."
    worst = [result for result in results if result.outcome is outcome]
    if not worst:
        return "Nothing was checked, so nothing is known."
    others = f" (and {len(worst) - 1} more)" if len(worst) > 1 else ""
    why = f"{worst[0].id}: {worst[0].reason}{others}"
    tail = f"; {subject}" if subject else ""
    if not_claimed:
        tail += f"; {len(not_claimed)} of {len(results) + len(not_claimed)} are not claimed"
    if outcome is Outcome.FAIL:
        return f"{bad}: {why}{tail}."
    return f"The drill proves nothing either way: {why}{tail}."
