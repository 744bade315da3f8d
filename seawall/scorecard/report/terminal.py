"""The verdict on a terminal: the last lines that a drill prints.

Times against targets first, then what went wrong, where the report is, and the verdict last.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from seawall.policy.drilling import CONTROL_DRILLS
from seawall.scorecard.checks.reads import SHOWN
from seawall.scorecard.outcome import NO_GROUND, Outcome
from seawall.scorecard.verdict import Result, Verdict

STYLE = {Outcome.PASS: "bold green", Outcome.FAIL: "bold red", Outcome.UNKNOWN: "bold yellow"}

GATES = (
    "failover.time",
    "failover.rails",
    "protection.time",
    "page.failover",
    "page.protection",
    "recovery.time",
    "stress.small_completed",
    *SHOWN,
)
"""The checks that the policy's targets gate, in the order of a shock, and what customers saw."""

_LINES_MAX = 8
"""How many bad checks are explained; the report has the others."""
_DETAILS_MAX = 12
"""How many details of a check are shown."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The lines, for rich.

    On a terminal they wrap at its width. Elsewhere they are not wrapped: scripts copy paths and
    search for verdicts, and a line break would spoil both.
    """

    verdict: Verdict
    run_dir: Path

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines; without a terminal the console is made as wide as the longest."""
        lines = [*_gates(self.verdict), *_findings(self.verdict, self.run_dir)]
        if not options.is_terminal:
            console.width = max(console.width, *(line.cell_len for line in lines))
            options = options.update(width=console.width)
        for line in lines:
            yield from console.render(line, options)


def terminal_summary(verdict: Verdict, run_dir: Path) -> RenderableType:
    """Return what to print; the last line is ``PASS  <run directory>``."""
    return Summary(verdict=verdict, run_dir=run_dir)


def _of_one_control(verdict: Verdict) -> bool:
    return verdict.identity is not None and verdict.identity.drill in CONTROL_DRILLS


def _gates(verdict: Verdict) -> list[Text]:
    """The gates as a table of plain lines; of a drill of one control every check."""
    whole = _of_one_control(verdict)
    gates = [result for result in verdict.results if whole or result.id in GATES]
    rows = [
        ("", "measured", "target"),
        *((result.id, result.measured, result.target) for result in gates),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    outcomes: list[Outcome | None] = [None, *(result.outcome for result in gates)]
    lines = []
    for row, outcome in zip(rows, outcomes, strict=True):
        text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        shown = ("", "") if outcome is None else (str(outcome), STYLE[outcome])
        lines.append(Text.assemble((text + "  ", "dim" if outcome is None else ""), shown))
    return lines


def _findings(verdict: Verdict, run_dir: Path) -> list[Text]:
    safe = [result for result in verdict.results if result.category in ("customer", "safety")]
    held = sum(1 for result in safe if result.outcome is Outcome.PASS)
    # A finding with the reason NO_GROUND is explained by evidence.complete.
    bad = [
        result
        for outcome in (Outcome.FAIL, Outcome.UNKNOWN)
        for result in verdict.results
        if result.outcome is outcome and result.reason != NO_GROUND
    ]
    lines = []
    if _of_one_control(verdict):
        for result in verdict.results:
            lines += _details(result, style="") if result.outcome is Outcome.PASS else []
    else:
        style = "" if held == len(safe) else "bold"
        lines.append(Text(f"safety: {held} of {len(safe)} hold", style=style))
    if verdict.not_claimed:
        needs = sorted({port for each in verdict.not_claimed for port in each.needs})
        lines.append(
            Text(
                f"not claimed: {len(verdict.not_claimed)} checks, for want of {', '.join(needs)}",
                style="bold",
            )
        )
    for result in bad[:_LINES_MAX]:
        lines += _explain(result, whole=_of_one_control(verdict))
    if len(bad) > _LINES_MAX:
        lines.append(Text(f"  ... and {len(bad) - _LINES_MAX} more, in the report"))
    if verdict.identity is not None and verdict.outcome is not Outcome.PASS:
        lines.append(Text(f"replay: {verdict.identity.replay}"))
    if verdict.note is not None:
        lines.append(Text(verdict.note, style=STYLE[Outcome.UNKNOWN]))
    lines.append(Text(f"report: {run_dir / 'report.html'}"))
    lines.append(Text(verdict.sentence))
    lines.append(
        Text.assemble((str(verdict.outcome), STYLE[verdict.outcome]), f"  {run_dir.resolve().name}")
    )
    return lines


def _details(result: Result, *, style: str) -> list[Text]:
    """What the check names one by one beside its reason, as far as it is shown."""
    details = [detail for detail in result.details if detail != result.reason]
    lines = [Text(f"    {detail}", style=style) for detail in details[:_DETAILS_MAX]]
    if len(details) > _DETAILS_MAX:
        lines.append(Text(f"    and {len(details) - _DETAILS_MAX} more, in the report"))
    return lines


def _explain(result: Result, *, whole: bool) -> list[Text]:
    """Why a check is no PASS; with ``whole`` or about evidence, also what it names one by one."""
    lines = [
        Text.assemble(
            (f"{result.outcome} ", STYLE[result.outcome]), (result.id, "bold"), f": {result.reason}"
        )
    ]
    if whole or result.category == "evidence":
        lines += _details(result, style="dim")
    if result.outcome is Outcome.FAIL:
        lines.append(Text(f"    {result.remediation}", style="dim"))
    return lines
