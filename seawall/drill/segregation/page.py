"""The matrix as a page: who can do what with which key, at a glance.

What differs from the policy is framed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from seawall.drill.result import DrillResult

_HERE = Path(__file__).parent
_STYLE = _HERE.parents[1] / "scorecard" / "report" / "style.css"
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


def render(result: DrillResult) -> str:
    """One HTML document that needs nothing else."""
    lines: Sequence[Mapping[str, Any]] = result.evidence["cells"]
    grouped: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        grouped[line["principal"], line["key"], line["region"]].append(line)
    principals = {line["principal"]: line for line in lines}
    order = sorted(
        principals.values(),
        key=lambda line: (line["bucket"] or "~", line["kind"], line["principal"]),
    )
    keys = list(
        dict.fromkeys(line["key"] for line in sorted(lines, key=lambda line: str(line["key"])))
    )
    regions = sorted({line["region"] for line in lines})
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("page.html.j2").render(
        result=result.document(),
        style=Markup(_STYLE.read_text(encoding="utf-8")),  # noqa: S704 - our own file
        principals=order,
        keys=keys,
        regions=regions,
        squares={place: square(cells) for place, cells in grouped.items()},
        proofs=result.evidence["proofs"],
        powers=[*POWERS, _NOTHING],
    )
