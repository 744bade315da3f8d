"""PASS, FAIL, UNKNOWN, and how many of them make one verdict.

FAIL beats UNKNOWN beats PASS, and nothing at all is UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from seawall.errors import ExitCode

if TYPE_CHECKING:
    from seawall.scorecard.facts import Facts


class Outcome(StrEnum):
    """What a check found; only PASS opens a gate."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"

    @property
    def exit_code(self) -> ExitCode:
        """What a process tells its caller."""
        return {
            Outcome.PASS: ExitCode.PASS,
            Outcome.FAIL: ExitCode.FAIL,
            Outcome.UNKNOWN: ExitCode.UNKNOWN,
        }[self]


def combine(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome of many checks together."""
    found = set(outcomes)
    for outcome in (Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS):
        if outcome in found:
            return outcome
    return Outcome.UNKNOWN


NO_GROUND = "the evidence is not complete"
"""Why a finding does not count when evidence is missing that it did not look at."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found.

    The outcome, what was measured against what target, why, and examples of what was wrong.
    """

    outcome: Outcome
    measured: str
    target: str
    reason: str
    details: tuple[str, ...] = ()


def passed(*, measured: str, target: str, reason: str, details: Iterable[str] = ()) -> Finding:
    """A finding with evidence for it."""
    return Finding(
        outcome=Outcome.PASS,
        measured=measured,
        target=target,
        reason=reason,
        details=tuple(details),
    )


def failed(*, measured: str, target: str, reason: str, details: Iterable[str] = ()) -> Finding:
    """A finding with evidence against it."""
    return Finding(
        outcome=Outcome.FAIL,
        measured=measured,
        target=target,
        reason=reason,
        details=tuple(details),
    )


def unknown(
    *, target: str, reason: str, measured: str = "not measured", details: Iterable[str] = ()
) -> Finding:
    """A finding without enough evidence."""
    return Finding(
        outcome=Outcome.UNKNOWN,
        measured=measured,
        target=target,
        reason=reason,
        details=tuple(details),
    )


def violations(
    found: list[str],
    *,
    checked: int,
    what: str,
    reason: str,
    worst: str | None = None,
    details: Iterable[str] = (),
) -> Finding:
    """PASS if nothing was ``found`` among ``checked`` things, FAIL with the first, worst and last
    example, UNKNOWN if there were none.

    ``found`` is in order of time; ``worst`` is one of them; ``what`` names the things in the
    plural.
    """
    target = f"0 wrong of all {what}"
    if checked == 0:
        return unknown(
            target=target, reason=f"there are no {what} to look at", measured="no samples"
        )
    if not found:
        return passed(
            measured=f"0 wrong of {checked:,} {what}", target=target, reason=reason, details=details
        )
    examples = {"first": found[0], "worst": worst, "last": found[-1] if len(found) > 1 else None}
    return failed(
        measured=f"{len(found):,} wrong of {checked:,} {what}",
        target=target,
        reason=found[0],
        details=(
            *(f"{label}: {text}" for label, text in examples.items() if text is not None),
            *details,
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Check:
    """One readiness question as data, and the pure function that answers it.

    ``proves_alone``: a violation found is proven by the rows that show it, whatever other evidence
    is missing.
    """

    id: str
    question: str
    motivation: str
    evidence: tuple[str, ...]
    remediation: str
    answer: Callable[[Facts], Finding]
    proves_alone: bool = False

    @property
    def category(self) -> str:
        """The part of the id before the dot."""
        return self.id.partition(".")[0]


def check(
    identity: str,
    *,
    question: str,
    motivation: str,
    evidence: tuple[str, ...],
    remediation: str,
    proves_alone: bool = False,
) -> Callable[[Callable[[Facts], Finding]], Check]:
    """Make a function from facts to a finding into the :class:`Check` called ``identity``."""

    def wrap(answer: Callable[[Facts], Finding]) -> Check:
        return Check(
            id=identity,
            question=question,
            motivation=motivation,
            evidence=evidence,
            remediation=remediation,
            answer=answer,
            proves_alone=proves_alone,
        )

    return wrap
