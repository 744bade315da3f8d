"""The benchmark's report: measurements against limits, as a table, as JSON and as a plot."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from benchmarks.phases import PHASES, StackRun
from seawall.scorecard.report.svg import WIDTH, Chart

SANDBOX = "sandbox"
"""Name of the stack that the sandbox itself brings up."""
LIMITS_S: Mapping[str, Mapping[str, int]] = {
    SANDBOX: {"up": 20, "unchanged": 5, "destroy": 15},
    "100": {"up": 60},
}
"""Seconds by name of the stack and phase: on two cores of our own."""
_GROWTH_MIN = 2
_COLORS = {"up": "#2563eb", "unchanged": "#059669", "refresh": "#d97706", "destroy": "#dc2626"}
_STYLE = (
    "svg{background:#fff;font:12px sans-serif}"
    ".grid{stroke:#ddd}.level{stroke:#888;stroke-dasharray:4 4}.line{fill:none;stroke-width:2}"
    ".end{text-anchor:end}.mid{text-anchor:middle}.tick,.note{fill:#444}"
) + "".join(f".{phase}{{stroke:{color}}}" for phase, color in _COLORS.items())


@dataclass(frozen=True, kw_only=True)
class LimitResult:
    """A limit and what was measured against it.

    Args:
        seconds: wall time of the phase; None if it failed.
        crowding: how many programs wanted each core on average while it ran.
    """

    stack: str
    phase: str
    limit_s: int
    seconds: float | None
    crowding: float

    @property
    def holds(self) -> bool:
        """Whether the wall time was within the limit, whatever else used the machine."""
        return self.seconds is not None and self.seconds <= self.limit_s


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How the seconds of a phase grow with wallets.

    A straight line through all sizes, and the largest over the smallest.
    """

    phase: str
    fixed_s: float
    per_wallet_s: float
    ratio: float
    sizes: tuple[int, int]


def limit_results(runs: Sequence[StackRun]) -> list[LimitResult]:
    """Every limit that applies to ``runs``, with its result."""
    return [
        LimitResult(
            stack=run.name,
            phase=phase,
            limit_s=limit,
            seconds=run.seconds(phase),
            crowding=run.crowding,
        )
        for run in runs
        for phase, limit in LIMITS_S.get(run.name, {}).items()
    ]


def failures(runs: Sequence[StackRun]) -> list[str]:
    """The engine's message of every phase that failed."""
    return [
        f"{run.name}, {each.name}: {each.complaint}"
        for run in runs
        for each in run.phases
        if each.complaint
    ]


def growths(runs: Sequence[StackRun]) -> list[Growth]:
    """The growth of every phase that was measured with two generated sizes or more."""
    sizes = sorted((run for run in runs if run.name != SANDBOX), key=lambda run: run.wallets)
    found = []
    for phase in PHASES:
        points = [
            (run.wallets, seconds) for run in sizes if (seconds := run.seconds(phase)) is not None
        ]
        if len({wallets for wallets, _ in points}) >= _GROWTH_MIN:
            line = statistics.linear_regression(*zip(*points, strict=True))
            (least, short), (most, long) = points[0], points[-1]
            found.append(
                Growth(
                    phase=phase,
                    fixed_s=line.intercept,
                    per_wallet_s=line.slope,
                    ratio=long / short,
                    sizes=(least, most),
                )
            )
    return found


def document(runs: Sequence[StackRun]) -> dict[str, Any]:
    """Everything, for machines; seconds, bytes."""
    return {
        "stacks": [
            {
                **asdict(run),
                "crowding": run.crowding,
                "speeds": [{**asdict(each), "crowding": each.crowding} for each in run.speeds],
            }
            for run in runs
        ],
        "limits": [{**asdict(each), "holds": each.holds} for each in limit_results(runs)],
        "growth": [asdict(each) for each in growths(runs)],
        "failures": failures(runs),
    }


def table(runs: Sequence[StackRun]) -> str:
    """Everything, for people."""
    lines = [
        "stack     wallets  resources  phase       seconds   cpu s  peak MiB  of which",
        *(line for run in runs for line in _rows(run)),
        "",
        "machine (1.0 is a core to oneself)",
        *(
            f"  {run.name:8}  crowding {' '.join(f'{each.crowding:.1f}' for each in run.speeds)}"
            f", load {run.speeds[0].load:.1f} to {run.speeds[-1].load:.1f}"
            for run in runs
        ),
        "",
        "limits",
        *(_limit(each) for each in limit_results(runs)),
    ]
    if growing := growths(runs):
        least, most = growing[0].sizes
        lines += [
            "",
            f"growth from {least} to {most} wallets, which is {most / least:.1f} times as many",
        ]
        lines += [
            (
                f"  {each.phase:10}  {each.fixed_s:6.1f} s + {each.per_wallet_s:.3f} s a wallet; "
                f"{each.ratio:.1f} times as long"
            )
            for each in growing
        ]
    if failed := failures(runs):
        lines += ["", "failed", *(f"  {each}" for each in failed)]
    return "\n".join(lines)


def _rows(run: StackRun) -> list[str]:
    return [
        f"{run.name:8} {run.wallets:8} {run.resources:10}  {each.name:10} "
        f"{each.seconds:8.1f} {each.total.cpu_s:7.1f} {_mib(each.total.peak_bytes):9}  "
        + ", ".join(
            f"{part} {_mib(use.peak_bytes)} ({use.cpu_s:.1f} s)"
            for part, use in sorted(each.parts.items())
        )
        + ("  FAILED" if each.complaint else "")
        for each in run.phases
    ]


def _limit(each: LimitResult) -> str:
    verdict = "kept" if each.holds else "MISSED"
    if each.seconds is None:
        return f"  {each.stack:8}  {each.phase:10}  <= {each.limit_s} s: failed  {verdict}"
    ratio = each.seconds / each.limit_s
    alone = "" if each.holds else f"; {ratio / each.crowding:.2f} of it on an empty machine at best"
    return (
        f"  {each.stack:8}  {each.phase:10}  {each.seconds:.1f} s of {each.limit_s} s, "
        f"{ratio:.2f} of the limit  {verdict}{alone}"
    )


def _mib(count: int) -> int:
    return round(Fraction(count, 2**20))


def plot(runs: Sequence[StackRun]) -> str:
    """Seconds over wallets as an SVG of its own, a line per phase; one size is a row of dots."""
    ordered = sorted(runs, key=lambda run: run.wallets)
    longest = max((each.seconds for run in ordered for each in run.phases), default=1.0)
    most = max((run.wallets for run in ordered), default=1)
    chart = Chart(0, most * 1.02, longest * 1.15, height=360, y_unit=" s", x_unit="")
    for index, phase in enumerate(PHASES):
        points = [
            (float(run.wallets), seconds)
            for run in ordered
            if (seconds := run.seconds(phase)) is not None
        ]
        for pair in pairwise(
            points
        ):  # by twos: a chart breaks its lines where points lie far apart
            chart.line(pair, style=phase)
        chart.parts += [
            f'<circle cx="{chart.x(at):.1f}" cy="{chart.y(value):.1f}" r="3"'
            f' fill="{_COLORS[phase]}"/>'
            for at, value in points
        ]
        chart.parts.append(
            f'<text x="{WIDTH / 2 + 90 * index - 180:.0f}" y="24"'
            f' fill="{_COLORS[phase]}">{phase}</text>'
        )
    for name, limits in LIMITS_S.items():
        if name != SANDBOX and any(run.name == name for run in runs):
            chart.level(limits["up"], label=f"limit of up with {name} wallets")
    text = chart.svg(title="Seconds over signing wallets")
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{chart.height}" '
    return text.replace("<svg ", head, 1).replace(">", f"><style>{_STYLE}</style>", 1) + "\n"
