"""Readiness as a table for people, as JSON for machines, as Markdown and as JUnit."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from seawall.readiness.model import DAY_S, PastRun, Readiness, Row, Trend
from seawall.scorecard.junit import Case
from seawall.scorecard.junit import junit as junit_of
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.report.terminal import STYLE

_HEADINGS = (
    *("drill", "stack", "within", "last run", "of commit", "outcome", "claimed", "age", "state"),
)
_SHOWN = 5
"""How many values of a trend people see; machines get all."""


def document(readiness: Readiness) -> dict[str, Any]:
    """For machines."""
    return {
        "outcome": str(readiness.outcome),
        "exit_code": int(readiness.outcome.exit_code),
        "requirements": [
            {
                "drill": row.required.drill,
                "stack": row.required.stack,
                "within_s": row.required.within / 1_000,
                "run": None if row.run is None else row.run.name,
                "commit": None if row.run is None else row.run.commit,
                "dirty": None if row.run is None else row.run.dirty,
                "run_outcome": None if row.run is None else str(row.run.outcome),
                "claimed": None if row.run is None else row.run.claimed,
                "age_s": row.age_s,
                "state": str(row.state),
                "outcome": str(row.outcome),
            }
            for row in readiness.rows
        ],
        "trends": [
            {
                "drill": trend.drill,
                "stack": trend.stack,
                "name": trend.name,
                "unit": trend.unit,
                "values": list(trend.values),
                "change": trend.change,
            }
            for trend in readiness.trends
        ],
        "breaches": dict(readiness.breaches),
    }


def panel(readiness: Readiness) -> Group:
    """For a person at a terminal; the outcome comes last."""
    requirements = Table(box=None, pad_edge=False)
    for heading in _HEADINGS:
        requirements.add_column(heading, overflow="fold")
    for row in readiness.rows:
        *cells, state = _cells(row)
        requirements.add_row(*cells, Text(state, style=STYLE[row.outcome]))
    times = Table(box=None, pad_edge=False)
    for heading in ("figure", "drill", "stack", "values, the last one last", "change"):
        times.add_column(heading, overflow="fold")
    for trend in readiness.trends:
        times.add_row(trend.name, trend.drill, trend.stack, _values(trend), _change(trend))
    breaches = ", ".join(f"{check} {count}" for check, count in readiness.breaches.items())
    shown: list[RenderableType] = [requirements, Text("")]
    if readiness.trends:
        shown += [times, Text("")]
    return Group(
        *shown,
        Text(f"checks that failed, over all runs: {breaches or 'none'}"),
        Text.assemble(
            (str(readiness.outcome), STYLE[readiness.outcome]), f"  {sentence(readiness)}"
        ),
    )


def markdown(readiness: Readiness) -> str:
    """For a page or a comment on a change."""
    lines = [
        f"**{readiness.outcome}**: {sentence(readiness)}",
        "",
        f"| {' | '.join(_HEADINGS)} |",
        f"|{'---|' * len(_HEADINGS)}",
        *(f"| {' | '.join(_cells(row))} |" for row in readiness.rows),
    ]
    if readiness.trends:
        lines += [
            "",
            "| figure | drill | stack | values | change |",
            "|---|---|---|---|---|",
            *(
                f"| {trend.name} | {trend.drill} | {trend.stack} | {_values(trend)} |"
                f" {_change(trend)} |"
                for trend in readiness.trends
            ),
        ]
    return "\n".join(lines) + "\n"


def junit(readiness: Readiness) -> str:
    """For CI: a test case for each requirement, a suite for each stack."""
    return junit_of(
        Case(
            suite=f"readiness.{row.required.stack}",
            name=row.required.drill,
            outcome=row.outcome,
            reason=_why(row),
        )
        for row in readiness.rows
    )


def sentence(readiness: Readiness) -> str:
    """The outcome in one sentence, with what stands against it."""
    if not readiness.rows:
        return "the policy requires no drill, so nothing is known"
    against = [row for row in readiness.rows if row.outcome is not Outcome.PASS]
    if not against:
        return f"all {len(readiness.rows)} required drills passed recently enough"
    worst = [row for row in against if row.outcome is readiness.outcome]
    others = f" (and {len(against) - 1} more)" if len(against) > 1 else ""
    return f"{_why(worst[0])}{others}"


def _why(row: Row) -> str:
    named = f"{row.required.drill} on {row.required.stack}"
    if row.run is None:
        return f"{named} was never run"
    return f"{named} is {row.state}: {row.run.name}, {row.run.outcome}, {_age(row)} old"


def _cells(row: Row) -> tuple[str, ...]:
    run = row.run
    return (
        row.required.drill,
        row.required.stack,
        _duration(row.required.within / 1_000),
        "-" if run is None else run.name,
        "-" if run is None else _commit(run),
        "-" if run is None else str(run.outcome),
        "-" if run is None or run.claimed is None else "{} of {}".format(*run.claimed),
        _age(row),
        str(row.state),
    )


def _commit(run: PastRun) -> str:
    return f"{(run.commit or 'unknown')[:12]}{', changed' if run.dirty else ''}"


def _age(row: Row) -> str:
    return "-" if row.age_s is None else _duration(row.age_s)


def _duration(seconds: float) -> str:
    if seconds >= DAY_S:
        return f"{seconds / DAY_S:.1f} d"
    return f"{seconds / 3_600:.1f} h"


def _values(trend: Trend) -> str:
    shown = trend.values[-_SHOWN:]
    more = "... " if len(shown) < len(trend.values) else ""
    unit = " s" if trend.unit == "s" else ""
    return more + ", ".join(f"{value:.3f}" for value in shown) + unit


def _change(trend: Trend) -> str:
    if trend.change is None:
        return "-"
    return f"{trend.change:+.3f}{' s' if trend.unit == 's' else ''}"
