"""The sums of feasibility, as a table and as JSON: terms of each promise, and the room left."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.table import Table

from seawall.feasibility.sums import show

if TYPE_CHECKING:
    from seawall.feasibility import Sum


def as_table(sums: Iterable[Sum]) -> Table:
    """One row per sum, in the order given."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, justify in (
        ("in", "left"),
        ("promise", "left"),
        ("bound", "right"),
        ("terms", "left"),
        ("room", "right"),
    ):
        # rich expects its own literal type
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for each in sums:
        table.add_row(each.kind, each.name, each.bound, each.addition, show(each.margin, each.unit))
    return table


def as_document(sums: Iterable[Sum]) -> list[dict[str, Any]]:
    """The same; numbers are exact, as whole numbers or quotients in text."""
    return [
        {
            "kind": each.kind,
            "name": each.name,
            "path": each.path,
            "relation": each.relation,
            "unit": each.unit,
            "limit": str(each.limit),
            "terms": [
                {"name": term.name, "value": str(term.value), "detail": term.detail}
                for term in each.terms
            ],
            "total": str(each.total),
            "margin": str(each.margin),
            "holds": each.holds,
            "text": str(each),
        }
        for each in sums
    ]
