"""The exposure map for people, and as JSON for machines; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from seawall.feasibility.exposure import COLUMNS, ColdWindow, Column, Exposure, Figure, Row, Status
from seawall.feasibility.steps import span
from seawall.scorecard.outcome import Outcome, combine
from seawall.scorecard.report.terminal import STYLE

OUTCOME_OF: dict[Status, Outcome | None] = {
    "short": Outcome.FAIL,
    "unknown": Outcome.UNKNOWN,
    "not declared": None,
    "enough": Outcome.PASS,
}
"""What a row counts for; one that the policy does not let anybody judge counts for nothing."""
HEADINGS: dict[Column, str] = {
    "available": "now",
    "minimum": "minimum",
    "buffer": "buffer",
    "limit": "limit",
    "taken": "takes",
    "returned": "back",
    "left": "left",
    "shortfall": "short by",
    "over_limit": "over limit",
}
NOT_DECLARED, UNKNOWN = "n/d", "?"
"""In place of a number."""
_ALWAYS: tuple[Column, ...] = (
    "available",
    "minimum",
    "buffer",
    "taken",
    "returned",
    "left",
    "shortfall",
)
_STYLES: dict[Status, str] = {
    "short": "bold red",
    "unknown": "bold yellow",
    "not declared": "dim",
    "enough": "green",
}
_DIGITS = 3
_NAMED_MAX = 3


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A map with what people must know of it: of which stack, and how its figures came about."""

    exposure: Exposure
    stack: str | None
    basis: str
    at_s: float | None

    @property
    def outcome(self) -> Outcome:
        """FAIL if anything is short, UNKNOWN if anything is not known or nothing can be judged."""
        found = (OUTCOME_OF[row.status] for row in self.exposure.rows)
        return combine(each for each in found if each is not None)

    @property
    def title(self) -> str:
        """Of what it is the map."""
        whose = f"policy {self.exposure.policy}"
        if self.stack is not None:
            whose = f"stack {self.stack}, {whose}"
        return f"{whose}: one cycle of stress, {span(self.exposure.length_ms)}; {self.basis}"

    @property
    def sentence(self) -> str:
        """The outcome in one line; wallets and providers are counted, which all else adds up."""
        routes = self.exposure.routes
        count = Counter(row.status for row in routes)
        parts = []
        if count["short"]:
            short = [_lack(row) for row in routes if row.status == "short"]
            more = len(short) - _NAMED_MAX
            named = "; ".join(short[:_NAMED_MAX]) + (f"; and {more} more" if more > 0 else "")
            parts.append(f"{count['short']} of {len(routes)} routes are short ({named})")
        else:
            parts.append("nothing that could be judged is short")
        if count["unknown"]:
            parts.append(f"{count['unknown']} are not known")
        parts.append(f"{count['enough']} have enough")
        if count["not declared"]:
            parts.append(
                f"{count['not declared']} cannot be judged, because the policy does not declare"
                " what a cycle does to them"
            )
        return ", ".join(parts)


def _lack(row: Row) -> str:
    if row.shortfall.amount:
        return f"{row.name} by {amount(row.shortfall, row.unit)}"
    return f"{row.name}: {amount(row.over_limit, row.unit)} above its limit"


def amount(figure: Figure, unit: str = "") -> str:
    """A figure as text: exact up to three digits after the point, and never 0 if it is not."""
    if figure.amount is None:
        return UNKNOWN if figure.basis == "unknown" else NOT_DECLARED
    return f"{_number(figure.amount)} {unit}".rstrip()


def _number(value: Fraction) -> str:
    scaled = round(value * 10**_DIGITS)
    if not scaled and value:
        return "<0.001" if value > 0 else ">-0.001"
    whole, digits = divmod(abs(scaled), 10**_DIGITS)
    text = f"{whole:,}.{digits:0{_DIGITS}d}".rstrip("0").rstrip(".")
    return f"-{text}" if scaled < 0 else text


def age(figure: Figure) -> str:
    """How old a figure is, or what else it is."""
    if figure.age_ms is not None:
        return f"{span(figure.age_ms)} old"
    return figure.basis


def sections(exposure: Exposure) -> list[tuple[str, Sequence[Row]]]:
    """The tables of the map, with their headings."""
    routes = exposure.routes
    value = "".join({f", in {row.unit}" for row in (*exposure.buckets, *exposure.functions)})
    return [
        ("By route: network wallets", [row for row in routes if row.kind == "wallet"]),
        ("By route: providers of rails", [row for row in routes if row.kind != "wallet"]),
        (f"By bucket{value}", exposure.buckets),
        (f"By function{value}, and what protected mode does with it", exposure.functions),
    ]


# --- for machines


def document(shown: Shown) -> dict[str, Any]:
    """For machines: amounts are exact, as whole numbers or quotients in text."""
    exposure = shown.exposure
    return {
        "version": 1,
        "policy": exposure.policy,
        "stack": shown.stack,
        "basis": shown.basis,
        "read_at": shown.at_s,
        "length_ms": exposure.length_ms,
        "outcome": str(shown.outcome),
        "exit_code": int(shown.outcome.exit_code),
        "sentence": shown.sentence,
        "columns": dict(COLUMNS),
        "rows": [_row(row) for row in exposure.rows],
        "cold_windows": [_window(each) for each in exposure.cold],
        "functions_without_money": list(exposure.without_money),
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "group": row.group,
        "name": row.name,
        "role": row.role,
        "unit": row.unit,
        "status": row.status,
        **{column: _figure(row.figure(column)) for column in COLUMNS},
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "amount": None if figure.amount is None else str(figure.amount),
        "basis": figure.basis,
        "source": figure.source,
        "age_ms": figure.age_ms,
    }


def _window(window: ColdWindow) -> dict[str, Any]:
    return {
        "reserve": window.reserve,
        "asset": window.asset,
        "custodian": window.custodian,
        "opens": window.opens,
        "closes": window.closes,
        "lead_time_ms": window.lead_time_ms,
        "is_open": window.is_open,
        "asked": _figure(window.asked),
        "within_the_cycle": window.counts,
        "reason": window.reason,
    }


# --- for people


def panel(shown: Shown) -> RenderableType:
    """The tables, then what is not known or short and why, and the outcome last."""
    exposure = shown.exposure
    parts: list[RenderableType] = [Text(shown.title, style="bold")]
    for heading, rows in sections(exposure):
        if rows:
            parts += [Text(), Text(heading, style="bold"), _table(rows)]
    if exposure.cold:
        parts += [Text(), Text("Cold windows", style="bold"), _cold(exposure.cold)]
    parts.append(Text())
    if exposure.without_money:
        parts.append(Text(f"need no money: {', '.join(exposure.without_money)}"))
    parts += [Text(line) for line in reasons(exposure)]
    outcome = shown.outcome
    parts.append(Text.assemble((str(outcome), STYLE[outcome]), "  ", shown.sentence))
    return Group(*parts)


def reasons(exposure: Exposure) -> list[str]:
    """Why a number is missing, each reason once, with the first of those that lack it."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in exposure.routes:
        for each in (row.available, row.taken, row.returned, row.minimum):
            if each.amount is None:
                names = found.setdefault((each.basis, each.source), [])
                names.extend([row.name] if row.name not in names else [])
    lines = []
    for (basis, source), names in sorted(found.items(), key=lambda each: each[0][0] != "unknown"):
        mark = UNKNOWN if basis == "unknown" else NOT_DECLARED
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        lines.append(f"{mark}  {basis}: {source} ({names[0]}{more})")
    return lines


def _table(rows: Sequence[Row]) -> Table:
    """As narrow as it can be: a column that says the same of every row is left out."""
    columns = [*_ALWAYS]
    if any(row.over_limit.amount for row in rows):
        columns += ["limit", "over_limit"]
    is_read = any(row.available.age_ms is not None for row in rows)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for _ in range(2):
        table.add_column("", overflow="fold")
    for column in columns:
        table.add_column(HEADINGS[column], justify="right", overflow="fold")
    if is_read:
        table.add_column("now is", justify="right")
    table.add_column("then")
    for row in rows:
        table.add_row(
            row.name if row.kind == "wallet" else f"{row.group}: {row.name}",
            row.role,
            *(amount(row.figure(column)) for column in columns),
            *([age(row.available)] if is_read else []),
            Text(row.status, style=_STYLES[row.status]),
        )
    return table


def _cold(windows: Iterable[ColdWindow]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("reserve", "window (UTC)", "now", "would get", "within the cycle"):
        table.add_column(heading, overflow="fold")
    for each in windows:
        opened = {True: "open", False: "closed", None: NOT_DECLARED}[each.is_open]
        table.add_row(
            f"{each.reserve} {each.asset}",
            f"{each.opens} to {each.closes}, {each.custodian}",
            opened,
            amount(each.asked, each.asset),
            f"{'yes' if each.counts else 'no'}: {each.reason}",
        )
    return table


def when(at_s: float) -> str:
    """Unix seconds as a time of UTC."""
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
