"""The report for people: one HTML file with inline SVG that loads nothing from anywhere.

In: a verdict and the facts of its run. Out: HTML, readable in light and dark mode.
"""

from __future__ import annotations

import time as clock
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from seawall.errors import EvidenceError
from seawall.scorecard.facts import Facts, format_s
from seawall.scorecard.outcome import combine
from seawall.scorecard.report import control
from seawall.scorecard.report.plots import all_plots
from seawall.scorecard.report.terminal import GATES
from seawall.scorecard.report.waterfall import STYLES, waterfall
from seawall.scorecard.verdict import Verdict

_HERE = Path(__file__).parent

SECTIONS = {
    "Evidence: was everyone watching?": ("evidence",),
    "The drill: was it large enough to count, and sound?": ("drill", "experiment"),
    "Times: did it happen in time?": ("failover", "protection", "page", "recovery"),
    "Tiers: were the right ones reached?": ("tiers",),
    "Promises: was each one kept under stress?": ("stress", "protected", "reads"),
    "Customers: what they were told, and what they were paid": ("customer",),
    "The lost database: what was lost with it, and how soon it was back": ("database",),
    "Safety: the records against the chains": ("safety",),
    "Signatures: the records against AWS's own log": ("signing",),
}
"""Headings of the checks' tables, and the categories below each."""


def render(verdict: Verdict, facts: Facts) -> str:
    """The report as one HTML document; a figure without evidence is replaced by the reason."""
    if facts.run.control is not None:
        return control.render(verdict, facts.run, when=_when(verdict))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["seconds"] = format_s
    environment.filters["signs"] = lambda text: text.replace("<=", "≤").replace(">=", "≥")
    groups = [
        (title, combine(result.outcome for result in results), results)
        for title, categories in SECTIONS.items()
        if (results := [result for result in verdict.results if result.category in categories])
    ]
    return environment.get_template("page.html.j2").render(
        verdict=verdict,
        gates=[result for result in verdict.results if result.id in GATES],
        drill=[result for result in verdict.results if result.category == "drill"],
        groups=groups,
        plots=all_plots(facts),
        # S704: every text in it is escaped.
        budgets=[(time, Markup(waterfall(time))) for time in verdict.times],  # noqa: S704
        observers=STYLES.items(),
        scaling=_scaling(facts),
        components=_components(facts),
        when=_when(verdict),
        # S704: a file of this package.
        style=Markup((_HERE / "style.css").read_text(encoding="utf-8")),  # noqa: S704
        svg=Markup,
    )


def _when(verdict: Verdict) -> str:
    if verdict.identity is None:
        return "at an unknown time"
    return clock.strftime("%Y-%m-%d %H:%M:%S UTC", clock.gmtime(verdict.identity.started_at))


def _scaling(facts: Facts) -> list[tuple[str, str]]:
    try:
        return list(flatten(facts.run.flood.scaling))
    except EvidenceError as error:
        return [("unknown", str(error))]


def _components(facts: Facts) -> list[tuple[str, str]]:
    try:
        components = facts.run.manifest.components
    except EvidenceError as error:
        return [("unknown", str(error))]
    return [
        (
            part.name,
            "lived to the end" if part.died_at is None else f"died on its own, {part.death}",
        )
        for part in components
    ]


def flatten(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """A nested document as (dotted name, text) rows; a list of plain values is one row."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from flatten(item, f"{name}.{key}".lstrip("."))
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, item in enumerate(value):
            yield from flatten(item, f"{name}.{index}".lstrip("."))
    else:
        yield (
            name.replace("_", " "),
            "; ".join(map(str, value)) if isinstance(value, list) else str(value),
        )
