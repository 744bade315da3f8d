"""The exposure map as one HTML file that loads nothing from anywhere.

A bar a row: what is there, what the cycle takes, and what is left, against the minimum.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import jinja2
from markupsafe import Markup

from seawall.exposure.views import HEADINGS, OUTCOME_OF, Shown, age, amount, reasons, sections
from seawall.feasibility.exposure import COLUMNS, Row
from seawall.scorecard import report

_HERE = Path(__file__).parent
_REPORT = Path(report.__file__).parent


def render(shown: Shown) -> str:
    """The page; every text in it is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        shown=shown,
        sections=[
            (heading, [(row, bars(row)) for row in rows])
            for heading, rows in sections(shown.exposure)
            if rows
        ],
        reasons=reasons(shown.exposure),
        headings=HEADINGS,
        columns=COLUMNS,
        chip=lambda row: OUTCOME_OF[row.status] or "NONE",
        amount=amount,
        age=age,
        # S704: files of the kit.
        style=Markup(  # noqa: S704
            (_REPORT / "style.css").read_text(encoding="utf-8")
            + (_HERE / "page.css").read_text(encoding="utf-8")
        ),
    )


def bars(row: Row) -> dict[str, str] | None:
    """Widths of a row's bars in percent; None if nothing is known of what is there.

    The whole width is the largest of them. ``minimum`` is the place of its mark, and what is below
    zero has no width: the numbers beside it say so.
    """
    names = ("available", "taken", "returned", "left", "minimum")
    amounts = {name: getattr(row, name).amount for name in names}
    known = {name: max(Fraction(0), each) for name, each in amounts.items() if each is not None}
    if "available" not in known:
        return None
    whole = max(*known.values(), Fraction(0)) or Fraction(1)
    return {name: f"{float(100 * each / whole):.2f}" for name, each in known.items()}
