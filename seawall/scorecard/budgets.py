"""The time budgets: from which moment to which, by which observers, against which target.

Observer 1 is the venue's database (commit timestamps), observer 2 is outside the venue (status and
nonce probes, the pager). A time counts only if both saw it; see :func:`compare_observers`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from seawall.conventions import metrics
from seawall.errors import EvidenceError
from seawall.scorecard.breach import Breach, breach
from seawall.scorecard.facts import (
    FOREVER,
    MILLISECOND,
    Facts,
    Sighting,
    format_s,
    longest_gap_us,
    once,
    sighting,
)
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.readers import CLOCK_TOLERANCE_US, SECOND, Instant
from seawall.scorecard.rows import Flip
from seawall.scorecard.sources import Doubts

OBSERVER_GAP_US_MAX = SECOND
"""An observer without a sample for longer than this was not watching."""

WITNESS_GAP_US_MAX = 500 * MILLISECOND
"""The longest time without a sample before the one that shows the moment (decision 0019).

The gap is by how much the two observers may differ, so a witness that slept would confirm anything.
"""

RECORDS = "venue records"
OUTSIDE = "outside probe"
PAGER = "pager"
CHAINS = "request log and chains"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A moment within a budget, ``offset_us`` after its start.

    ``limit_us`` is set where the moment has a target of its own.
    """

    name: str
    offset_us: int
    observer: str
    limit_us: int | None = None


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A measured time: its start, its end as each observer saw it, and the comparison.

    ``measured_us`` is by the venue's records, ``witness_us`` by the outside observer; None where
    that observer did not see the end.
    """

    id: str
    title: str
    begins: str
    starts: Instant | None
    limit_us: int
    marks: tuple[Mark, ...] = ()
    measured_us: int | None = None
    witness_us: int | None = None
    tolerance_us: int | None = None
    outcome: Outcome
    reason: str

    @property
    def later_us(self) -> int | None:
        """The later of the two times, which is the one that is judged; None if there is none."""
        return max(
            (time for time in (self.measured_us, self.witness_us) if time is not None), default=None
        )

    @property
    def measured(self) -> str:
        """The time for people: ``0.412 s``, ``> 10.000 s`` if it never came, or ``unknown``."""
        if self.later_us is not None:
            return format_s(self.later_us)
        return f"> {format_s(self.limit_us)}" if self.outcome is Outcome.FAIL else "unknown"


SEVERITY = {Outcome.PASS: 0, Outcome.UNKNOWN: 1, Outcome.FAIL: 2}
"""Which outcome counts of several parts, lanes or rails: the highest."""


def worst_of(judged: Collection[Budget], doubts: Doubts, *, none: str) -> Budget:
    """The budget that counts of several lanes or rails: one that failed, or without proof, or last.

    Raises :class:`EvidenceError` with the first of ``doubts`` about another one if none failed, and
    with ``none`` if there is none at all.
    """
    if not any(budget.outcome is Outcome.FAIL for budget in judged):
        doubts.require_none()
    if not judged:
        raise EvidenceError(none)
    return max(
        judged,
        key=lambda budget: (
            SEVERITY[budget.outcome],
            FOREVER if budget.later_us is None else budget.later_us,
        ),
    )


def compare_observers(
    *,
    limit_us: int,
    measured_us: int | None,
    witness_us: int | None,
    tolerance_us: int,
    bound_passed: bool,
    watched_to_bound: bool,
    watched_to_moment: bool,
    witness: str = OUTSIDE,
) -> tuple[Outcome, str]:
    """Return what two observers of one moment prove about a bound, and why.

    The later of their two times is judged. PASS needs both to have watched until that moment, and
    both to have seen it within the bound. FAIL needs both to have seen it, the later one after the
    bound; or one or both not at all although both watched until after it.

    Args:
        limit_us: The bound, counted from the same start as the two times.
        measured_us: When the venue's records say that it happened; None if never.
        witness_us: When the outside observer saw it; None if never.
        tolerance_us: By how much the two may differ.
        bound_passed: Whether the evidence goes on until after the bound.
        watched_to_bound: Whether both watched without a gap until the bound.
        watched_to_moment: Whether both watched without a gap until the later of the two times.
        witness: Who the outside observer is.
    """
    if measured_us is None and witness_us is None:
        if bound_passed and watched_to_bound:
            return (
                Outcome.FAIL,
                "it never happened, and both observers watched until the bound had passed",
            )
        missing = (
            "an observer was not watching all the time"
            if bound_passed
            else "the evidence ends before the bound"
        )
        return Outcome.UNKNOWN, f"it was not seen to happen, but {missing}"
    if (
        all(time is None or time > limit_us for time in (measured_us, witness_us))
        and watched_to_bound
        and bound_passed
    ):
        return Outcome.FAIL, "it happened after the bound"
    if measured_us is None or witness_us is None:
        blind, seeing = (RECORDS, witness) if measured_us is None else (witness, RECORDS)
        return Outcome.UNKNOWN, f"the {seeing} saw it, the {blind} did not"
    difference_us = abs(measured_us - witness_us)
    if difference_us > tolerance_us:
        return Outcome.UNKNOWN, (
            f"the observers differ by {format_s(difference_us)}, more than the "
            f"{format_s(tolerance_us)} that sampling explains"
        )
    if min(measured_us, witness_us) > limit_us:
        return Outcome.FAIL, "it happened after the bound"
    if not watched_to_moment:
        return Outcome.UNKNOWN, "both observers saw it, but one did not watch all the time before"
    if max(measured_us, witness_us) > limit_us:
        return Outcome.FAIL, "the later of the two observers saw it after the bound"
    return Outcome.PASS, f"both observers saw it, {format_s(difference_us)} apart"


def tolerance_of(seen: Sighting | None) -> int:
    """By how much the records may differ from what the outside observer saw, in microseconds."""
    gap_us = 0 if seen is None else min(seen.gap_us, WITNESS_GAP_US_MAX)
    return gap_us + CLOCK_TOLERANCE_US


def watched(
    moments: Iterable[Instant], *, starts: Instant, ends: Instant, seen: Sighting | None = None
) -> bool:
    """Whether an observer with a sample at each of ``moments`` watched from ``starts`` to ``ends``.

    ``seen`` is its sighting, which counts only if a sample shortly before did not show it.
    """
    if seen is not None and seen.gap_us > WITNESS_GAP_US_MAX:
        return False
    return longest_gap_us(sorted(moments), starts=starts, ends=ends) <= OBSERVER_GAP_US_MAX


def records_and_probe(
    facts: Facts,
    *,
    starts: Instant,
    limit_us: int,
    measured_us: int | None,
    witness_us: int | None,
    seen: Sighting | None,
    answered: Collection[Instant],
    known_until: Instant,
) -> tuple[Outcome, str]:
    """:func:`compare_observers` for the venue's records and one outside probe.

    Args:
        facts: Of the run; its database commits show that the records went on.
        starts: The start of the two times.
        limit_us: As in :func:`compare_observers`.
        measured_us: As there.
        witness_us: As there.
        seen: The probe's sighting that ``witness_us`` comes from.
        answered: When each answer to the probe came.
        known_until: Until when what happened says something about the bound.
    """
    deadline = Instant(starts + limit_us)
    later = Instant(starts + max(measured_us or 0, witness_us or 0))
    return compare_observers(
        limit_us=limit_us,
        measured_us=measured_us,
        witness_us=witness_us,
        tolerance_us=tolerance_of(seen),
        bound_passed=known_until >= deadline,
        watched_to_bound=watched(answered, starts=starts, ends=deadline)
        and records_went_on(facts, deadline),
        watched_to_moment=watched(answered, starts=starts, ends=later, seen=seen)
        and records_went_on(facts, later),
    )


@once
def protection(facts: Facts) -> Budget:
    """Breach to protected mode committed; :mod:`seawall.scorecard.breach` says when it began.

    A time that begins at the planned instants of requests contains how late the generator was. A
    miss that this may explain is no FAIL. A row that contradicts the request log is no PASS.
    """
    limit_us = facts.run.policy.targets.protected_max * MILLISECOND
    called = breach(facts)
    starts = called.starts
    flip = _flip_to_protected(facts, called)
    samples = facts.status_samples
    seen = sighting(
        samples,
        tuple((sample.detail or {})["tier"] == "protected" for sample in samples),
        after=starts,
    )
    measured_us = None if flip is None else flip.committed_at - starts
    witness_us = None if seen is None else seen.seen_at - starts
    outcome, reason = records_and_probe(
        facts,
        starts=starts,
        limit_us=limit_us,
        measured_us=measured_us,
        witness_us=witness_us,
        seen=seen,
        answered=[sample.done_at for sample in facts.samples("status") if sample.ok],
        known_until=facts.observed_until,
    )
    late_us = called.generator_late_us
    times = [time for time in (measured_us, witness_us) if time is not None]
    if outcome is Outcome.FAIL and times and max(times) - late_us <= limit_us:
        outcome = Outcome.UNKNOWN
        reason = f"{reason}, but requests left up to {format_s(late_us)} late, which may be why"
    if outcome is Outcome.PASS and called.contradiction is not None:
        outcome, reason = Outcome.UNKNOWN, called.contradiction
    return Budget(
        id="protection",
        title="Protection: breach to protected mode committed",
        begins=called.begins,
        starts=starts,
        limit_us=limit_us,
        marks=(
            *_protection_marks(called, flip, seen),
            *page_mark(facts, protection_alerts(facts), starts),
        ),
        measured_us=measured_us,
        witness_us=witness_us,
        tolerance_us=tolerance_of(seen),
        outcome=outcome,
        reason=reason,
    )


def _flip_to_protected(facts: Facts, called: Breach) -> Flip | None:
    """The first commit of protected mode in the run; None if there is none.

    Raises :class:`EvidenceError` if it did not follow from the breach.
    """
    row = called.row
    flip = next(
        (
            flip
            for flip in facts.run.flips
            if flip.tier == "protected" and flip.committed_at >= facts.run_starts
        ),
        None,
    )
    if flip is not None and flip.committed_at < row.at_us:
        raise EvidenceError(
            f"protected mode was committed {format_s(row.at_us - flip.committed_at)} before "
            f"any row reached {called.trigger.name}"
        )
    if flip is not None and flip.sample_flow_id < row.flow_id:
        raise EvidenceError(
            f"the mode controller decided on a sample up to flow row {flip.sample_flow_id}, "
            f"but row {row.flow_id} is the first to reach {called.trigger.name}: "
            "the flip had another cause"
        )
    return flip


def _protection_marks(called: Breach, flip: Flip | None, seen: Sighting | None) -> list[Mark]:
    """What happened between the breach and protected mode, in order."""
    marks = []
    if called.by_log:
        offset_us = called.row.at_us - called.starts
        marks.append(Mark(name="breach committed", offset_us=offset_us, observer=RECORDS))
    if flip is not None:
        marks += [
            Mark(
                name="detect: the mode controller's sample",
                offset_us=flip.sampled_at - called.starts,
                observer=RECORDS,
            ),
            Mark(
                name="act: protected committed",
                offset_us=flip.committed_at - called.starts,
                observer=RECORDS,
            ),
        ]
    if seen is not None:
        marks.append(
            Mark(
                name="status says protected",
                offset_us=seen.seen_at - called.starts,
                observer=OUTSIDE,
            )
        )
    return marks


def failover_alerts(facts: Facts) -> tuple[str, ...]:
    """Names of the alerts that a dark signing region must raise."""
    triggers = (
        trigger.name
        for trigger in facts.run.policy.triggers
        if trigger.indicator == "signing_failures"
    )
    return (metrics.ALERT_SIGNING_DARK, *map(metrics.trigger_alert, triggers))


def protection_alerts(facts: Facts) -> tuple[str, ...]:
    """The alert that the breach must raise, whatever the mode controller does."""
    return (metrics.trigger_alert(breach(facts).trigger.name),)


def page(
    facts: Facts, *, identity: str, alerts: tuple[str, ...], starts: Instant, begins: str
) -> Budget:
    """The start of a shock to the pager's receipt of one of ``alerts``.

    One observer is enough here, because the pager is outside the venue.
    """
    limit_us = facts.run.policy.targets.page_max * MILLISECOND
    firing = {}
    for received in facts.run.pages:
        if received.received_at < starts and received.alertname in alerts:
            firing[received.alertname] = received.status == "firing"
    if any(firing.values()):
        raise EvidenceError(
            f"{', '.join(name for name, still in firing.items() if still)} was already "
            "firing when the shock began"
        )
    marks = page_mark(facts, alerts, starts)
    measured_us = marks[0].offset_us if marks else None
    if measured_us is not None:
        outcome = Outcome.PASS if measured_us <= limit_us else Outcome.FAIL
        reason = (
            marks[0].name if outcome is Outcome.PASS else f"{marks[0].name} arrived after the bound"
        )
    elif facts.observed_until >= starts + limit_us:
        outcome, reason = Outcome.FAIL, f"the pager received none of {', '.join(alerts)}"
    else:
        outcome, reason = Outcome.UNKNOWN, "the evidence ends before the bound"
    return Budget(
        id=identity,
        title="Page: the start of the shock to the page received",
        begins=begins,
        starts=starts,
        limit_us=limit_us,
        marks=marks,
        measured_us=measured_us,
        outcome=outcome,
        reason=reason,
    )


def page_mark(facts: Facts, alerts: tuple[str, ...], starts: Instant) -> tuple[Mark, ...]:
    """The first page about one of ``alerts`` at or after ``starts``; empty if none came.

    Nor is there one where the deployment has no pager, or its pages are lost: a time is measured
    without its page, too.
    """
    pages = (Doubts().ask(lambda: facts.run.pages) or ()) if facts.offers("pages") else ()
    limit_us = facts.run.policy.targets.page_max * MILLISECOND
    for received in pages:
        if (
            received.alertname in alerts
            and received.status == "firing"
            and received.received_at >= starts
        ):
            return (
                Mark(
                    name=f"page: {received.alertname}",
                    offset_us=received.received_at - starts,
                    observer=PAGER,
                    limit_us=limit_us,
                ),
            )
    return ()


def records_went_on(facts: Facts, ends: Instant) -> bool:
    """Whether the venue's database still recorded commits at ``ends`` or later."""
    return any(row.committed_at >= ends for row in facts.run.flow)
