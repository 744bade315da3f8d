"""The last lines that a drill prints: times against targets, what went wrong first, where to read on, and the verdict last."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from seawall.scorecard.outcome import NO_GROUND, Outcome
from seawall.scorecard.verdict import Result, Verdict

STYLE = {Outcome.PASS: "bold green", Outcome.FAIL: "bold red", Outcome.UNKNOWN: "bold yellow"}

GATES = (
    "failover.time",
    "protection.time",
    "page.failover",
    "page.protection",
    "recovery.time",
    "stress.small_completed",
)
"""What the policy's targets gate, in the order of a shock."""

_LINES_MAX = 8
"""So many bad checks are spelled out; the report has the rest."""


def terminal_summary(verdict: Verdict, run_dir: Path) -> RenderableType:
    """Plain lines or, on a terminal, the same in colour; the verdict is the last line."""
    gates = Table(box=None, pad_edge=False, show_header=True, header_style="dim")
    for title in ("", "measured", "target", ""):
        gates.add_column(title)
    for result in verdict.results:
        if result.id in GATES:
            gates.add_row(result.id, result.measured, result.target, Text(result.outcome, style=STYLE[result.outcome]))
    safe = [result for result in verdict.results if result.category == "safety"]
    held = sum(1 for result in safe if result.outcome is Outcome.PASS)
    bad = [  # a finding that only lost its ground is told by the one that took it away
        result
        for outcome in (Outcome.FAIL, Outcome.UNKNOWN)
        for result in verdict.results
        if result.outcome is outcome and result.reason != NO_GROUND
    ]
    parts: list[RenderableType] = [
        gates,
        Text(f"safety: {held} of {len(safe)} hold", style="" if held == len(safe) else "bold"),
    ]
    for result in bad[:_LINES_MAX]:
        parts += _explain(result)
    if len(bad) > _LINES_MAX:
        parts.append(Text(f"  ... and {len(bad) - _LINES_MAX} more, in the report"))
    if verdict.identity is not None and verdict.outcome is not Outcome.PASS:
        parts.append(Text(f"replay: {verdict.identity.replay}"))
    parts.append(Text(f"report: {run_dir / 'report.html'}"))
    parts.append(Text.assemble((str(verdict.outcome), STYLE[verdict.outcome]), f"  {verdict.sentence}"))
    return Group(*parts)


def _explain(result: Result) -> list[RenderableType]:
    lines: list[RenderableType] = [
        Text.assemble((f"{result.outcome} ", STYLE[result.outcome]), (result.id, "bold"), f": {result.reason}"),
    ]
    if result.category == "evidence":
        lines += [Text(f"    {detail}", style="dim") for detail in result.details]
    if result.outcome is Outcome.FAIL:
        lines.append(Text(f"    {result.remediation}", style="dim"))
    return lines
