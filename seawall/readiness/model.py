"""Decides whether a venue is ready: pure, over summaries of runs.

Nothing but a recent PASS of the latest run counts. A missing, stale, unknown or foreign run is
UNKNOWN, and one failed drill fails the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from seawall.policy import Policy, RequiredDrill
from seawall.scorecard.outcome import Outcome, combine

DAY_S = 86_400.0


class State(StrEnum):
    """Why a requirement is met or not."""

    MET = "met"
    FAILED = "failed"
    UNKNOWN = "unknown"
    STALE = "stale"
    MISSING = "missing"
    OTHER_POLICY = "other policy"


OUTCOME_OF: Mapping[State, Outcome] = {
    State.MET: Outcome.PASS,
    State.FAILED: Outcome.FAIL,
    State.UNKNOWN: Outcome.UNKNOWN,
    State.STALE: Outcome.UNKNOWN,
    State.MISSING: Outcome.UNKNOWN,
    State.OTHER_POLICY: Outcome.UNKNOWN,
}


@dataclass(frozen=True, kw_only=True)
class PastRun:
    """What a run says of itself; times in seconds, moments in Unix seconds.

    Attributes:
        directory: Where it is.
        stack: Where it was run; None if it is not known, as of a run that did not get so far. It
            then counts for every stack.
        policy_digest: Of the promises that it was judged by.
        commit: Of the checkout that it was run from; None if it is not known.
        dirty: Whether that had been changed.
        sabotage: The control that was switched off; such a run counts for nothing.
        outcome: Of its verdict; UNKNOWN without one.
        times: Measured times by their id; a time that never came is missing.
        failed: Ids of the checks that failed.
        claimed: How many of its checks were claimed, and how many belong to its drill; None if its
            verdict does not say.
        figures: Value and unit of each figure, by its id.
    """

    directory: Path
    drill: str
    stack: str | None
    policy_digest: str
    commit: str | None
    dirty: bool | None
    sabotage: str | None
    started_at: float
    outcome: Outcome
    times: Mapping[str, float]
    failed: tuple[str, ...]
    claimed: tuple[int, int] | None = None
    figures: Mapping[str, tuple[float, str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of its directory."""
        return self.directory.name


@dataclass(frozen=True, kw_only=True)
class Row:
    """One requirement with the run that counts for it; None if there is none."""

    required: RequiredDrill
    run: PastRun | None
    state: State
    age_s: float | None

    @property
    def outcome(self) -> Outcome:
        """PASS, FAIL or UNKNOWN."""
        return OUTCOME_OF[self.state]


@dataclass(frozen=True, kw_only=True)
class Trend:
    """A measured time or a figure over runs of one drill on one stack, the oldest first.

    ``unit`` is ``s`` or ``ratio``.
    """

    drill: str
    stack: str
    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def change(self) -> float | None:
        """The last value less the mean of the others; None with a single one."""
        *before, last = self.values
        return last - sum(before) / len(before) if before else None


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """Rows in the order of the policy, trends, and how often each check failed."""

    rows: tuple[Row, ...]
    trends: tuple[Trend, ...]
    breaches: Mapping[str, int]

    @property
    def outcome(self) -> Outcome:
        """Of all rows together; no requirement at all proves nothing."""
        return combine(row.outcome for row in self.rows)


def judge(policy: Policy, runs: Sequence[PastRun], *, now: float) -> Readiness:
    """Hold ``runs``, in any order, against what ``policy`` requires at ``now`` (Unix seconds)."""
    honest = sorted((run for run in runs if run.sabotage is None), key=lambda run: run.started_at)
    return Readiness(
        rows=tuple(_row(policy, required, honest, now=now) for required in policy.readiness),
        trends=tuple(_trends(honest)),
        breaches=_breaches(honest),
    )


def latest(required: RequiredDrill, runs: Sequence[PastRun]) -> PastRun | None:
    """The run that counts for ``required``: the last one, whatever its outcome."""
    candidates = [
        run
        for run in runs
        if run.drill == required.drill
        and run.stack in (required.stack, None)
        and run.sabotage is None
    ]
    return max(candidates, key=lambda run: run.started_at, default=None)


def _row(policy: Policy, required: RequiredDrill, runs: Sequence[PastRun], *, now: float) -> Row:
    run = latest(required, runs)
    if run is None:
        return Row(required=required, run=None, state=State.MISSING, age_s=None)
    age_s = now - run.started_at
    if run.outcome is Outcome.FAIL:
        state = State.FAILED
    elif run.outcome is not Outcome.PASS or run.stack is None:
        state = State.UNKNOWN
    elif run.policy_digest != policy.digest:
        state = State.OTHER_POLICY
    elif not 0 <= age_s <= required.within / 1_000:
        state = State.STALE  # also a run of the future, whose clock or manifest is wrong
    else:
        state = State.MET
    return Row(required=required, run=run, state=state, age_s=age_s)


def _trends(runs: Sequence[PastRun]) -> list[Trend]:
    found: dict[tuple[str, str, str, str], list[float]] = {}
    for run in runs:
        measured = {name: (value, "s") for name, value in run.times.items()} | dict(run.figures)
        for name, (value, unit) in measured.items():
            found.setdefault((run.drill, run.stack or "unknown", name, unit), []).append(value)
    return [
        Trend(drill=drill, stack=stack, name=name, unit=unit, values=tuple(values))
        for (drill, stack, name, unit), values in found.items()
    ]


def _breaches(runs: Sequence[PastRun]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for run in runs:
        for check in run.failed:
            counts[check] = counts.get(check, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
