"""What the prober's own samples say of a fault: silent meanwhile, and answered before and after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seawall.scorecard.budgets import OBSERVER_GAP_US_MAX
from seawall.scorecard.facts import format_s
from seawall.scorecard.outcome import Finding, Outcome, passed, unknown
from seawall.scorecard.readers import CLOCK_TOLERANCE_US, SECOND, Instant
from seawall.scorecard.rows import ProbeSample
from seawall.scorecard.seen import FaultSeen

STILL_LATE_US_MAX = SECOND // 2
"""What a process had sent before it stood still may arrive this much after it was seen to."""

DARK_PROBES_PERCENT_MIN = 90
"""Share of the probes begun in the dark that must have had no answer.

The others ended while the fault was being undone. None may have been answered before that.
"""


def hung(fault: FaultSeen, samples: Sequence[ProbeSample], what: str) -> Finding:
    """The prober's own requests timed out in the dark and were answered before and after it.

    The first time-out must be when the injector says that the fault took effect. A refused
    connection does not count as one: that is what a part that died looks like, and it fails fast.
    """
    target = f"{what} silent for an outside probe, then back"
    applied, starts = Instant(fault.applied or 0), Instant(fault.effective or 0)
    ends = Instant(fault.reverted or 0)
    inside = inside_of(samples, starts=starts, ends=ends)
    silent = sum(1 for sample in inside if timed_out(sample))
    measured = f"{silent} of {len(inside)} probes timed out in the dark"
    doubt = (
        first_of(
            (
                not inside or silent * 100 < len(inside) * DARK_PROBES_PERCENT_MIN,
                f"the prober still got answers or refusals from {what}, or was not asking",
            )
        )
        or answered_meanwhile(inside, starts=starts, ends=ends)
        or _doubt_of_start(samples, effective=starts, applied=applied)
        or first_of(*before_and_after(fault, samples, f"the prober never reached {what}"))
    )
    if doubt is not None:
        return unknown(target=target, measured=measured, reason=doubt)
    return passed(measured=measured, target=target, reason="dark and back for the prober, too")


def both(first: Finding, second: Finding) -> Finding:
    """``second``, with what ``first`` measured and why before it; ``first`` is a PASS."""
    if second.outcome is not Outcome.PASS:
        return second
    return passed(
        measured=f"{first.measured}, {second.measured}",
        target=first.target,
        reason=f"{first.reason}, {second.reason}",
    )


def first_of(*doubts: tuple[bool, str]) -> str | None:
    """The first reason whose condition holds; None if none does."""
    return next((reason for wrong, reason in doubts if wrong), None)


def inside_of(
    samples: Iterable[ProbeSample], *, starts: Instant, ends: Instant
) -> list[ProbeSample]:
    """Those that were begun and answered from ``starts`` to ``ends``."""
    return [sample for sample in samples if starts <= sample.at and sample.done_at <= ends]


def before_and_after(
    fault: FaultSeen, samples: Sequence[ProbeSample], never: str
) -> tuple[tuple[bool, str], ...]:
    """Doubts of a part that was not there before the fault, or not after it."""
    before = any(sample.ok for sample in samples if sample.done_at < (fault.applied or 0))
    after = any(sample.ok for sample in samples if sample.at >= (fault.cleared or 0))
    return ((not before, f"{never} before the fault"), (not after, f"{never} after the fault"))


def answered_meanwhile(
    samples: Iterable[ProbeSample], *, starts: Instant, ends: Instant
) -> str | None:
    """That a probe was answered well within the fault; None if none was."""
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


def timed_out(sample: ProbeSample) -> bool:
    """Whether a probe got no answer: the time-out of the prober, of its client, or the system's."""
    error = str((sample.detail or {}).get("error", ""))
    return not sample.ok and (error in {"TimeoutError", "ReadTimeout"} or "timed out" in error)


def _doubt_of_start(
    samples: Sequence[ProbeSample], *, effective: Instant, applied: Instant
) -> str | None:
    """Why the prober's first time-out does not match ``effective``.

    None if the two are no further apart than the prober's sampling explains.
    """
    asked = [sample for sample in samples if sample.done_at >= applied]
    first = next((sample for sample in asked if timed_out(sample)), None)
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
