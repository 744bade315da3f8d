"""The report of a drill of one control; of segregation with the matrix.

The matrix shows who can do what with which key, at a glance. What differs from the policy is
framed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from seawall.errors import EvidenceError
from seawall.policy.drilling import SEGREGATION
from seawall.scorecard.one_control import Tried
from seawall.scorecard.run import Run
from seawall.scorecard.verdict import Verdict

_HERE = Path(__file__).parent
POWERS: Mapping[str, tuple[str, ...]] = {
    "sign": ("kms:Sign",),
    "stop": ("kms:DisableKey", "kms:EnableKey", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"),
    "change": (
        "kms:PutKeyPolicy",
        "kms:TagResource",
        "kms:UpdateKeyDescription",
        "kms:CreateGrant",
        "kms:UpdateAlias",
        "kms:ReplicateKey",
        "kms:UpdatePrimaryRegion",
    ),
    "read": ("kms:GetPublicKey", "kms:DescribeKey", "kms:GetKeyPolicy"),
}
"""What a square shows: the strongest power that was found, in this order."""
_NOTHING = "none"


def square(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One principal with one key in one region.

    The strongest power found, all that is allowed, and all that differs.

    ``cells`` are lines of the evidence (``action``, ``expected``, ``found``).
    """
    allowed = {cell["action"] for cell in cells if cell["found"] == "allowed"}
    power = next((name for name, actions in POWERS.items() if allowed & set(actions)), _NOTHING)
    wrong = sorted(
        f"{cell['action']} {cell['found']}, not {cell['expected']}"
        for cell in cells
        if cell["found"] != cell["expected"]
    )
    return {"power": power, "allowed": sorted(allowed), "wrong": wrong}


def render(verdict: Verdict, run: Run, *, when: str) -> str:
    """One HTML document that needs nothing else; ``when`` is when the run began, in words.

    Without evidence that can be read there is no matrix.
    """
    try:
        matrix = _matrix(run.segregation) if run.control == SEGREGATION else None
    except EvidenceError:
        matrix = None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("control.html.j2").render(
        verdict=verdict,
        control=run.control,
        when=when,
        matrix=matrix,
        # S704: a file of this package.
        style=Markup((_HERE / "style.css").read_text(encoding="utf-8")),  # noqa: S704
    )


@dataclass(frozen=True, kw_only=True)
class _Matrix:
    """The matrix as the template needs it; a square is what :func:`square` makes of its cells."""

    stack: Tried
    principals: list[dict[str, Any]]
    keys: list[str]
    regions: list[str]
    squares: Mapping[tuple[str, str, str], dict[str, Any]]


def _matrix(tried: Tried) -> _Matrix:
    lines = [trial.line() for trial in tried.trials]
    grouped: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        grouped[line["principal"], line["key"], line["region"]].append(line)
    principals = sorted(
        {line["principal"]: line for line in lines}.values(),
        key=lambda line: (line["bucket"] or "~", line["kind"], line["principal"]),
    )
    keys = sorted({str(line["key"]) for line in lines})
    regions = sorted({str(line["region"]) for line in lines})
    # Also of a principal and a key that were not tried together there is a square: an empty one.
    places = product((line["principal"] for line in principals), keys, regions)
    return _Matrix(
        stack=tried,
        principals=principals,
        keys=keys,
        regions=regions,
        squares={place: square(grouped[place]) for place in places},
    )
