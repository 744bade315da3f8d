"""``seawall runs``: which runs there are, and how two of them differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from seawall.cli import listing
from seawall.cli.options import JsonOption, console, emit
from seawall.errors import ExitCode, UsageError

app = typer.Typer(
    help="List runs, or compare two of them.", no_args_is_help=True, rich_markup_mode=None
)
app.command("list")(listing.runs)
_SAME = (
    "policy_digest",
    "drill",
    "stack",
    "faults",
    "experiment_digest",
    "sabotage",
    "commit",
    "dirty",
    "seed",
)
"""What must be the same for two runs to say something about each other."""


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="A run directory.")],
    second: Annotated[Path, typer.Argument(help="A later one.")],
    *,
    as_json: JsonOption = False,
) -> int:
    """Show what differs between two runs: what was run, their times, and their checks.

    By the verdicts that stand in them. The exit code says nothing about either.
    """
    documents = _verdict(first), _verdict(second)
    try:
        found = comparison(*documents)
    except (AttributeError, KeyError, TypeError) as error:
        raise UsageError(
            f"the verdict of {first} or {second} is malformed: {type(error).__name__} {error}",
            remedy="judge both runs again with `seawall scorecard`",
        ) from error
    if as_json:
        emit(found)
        return ExitCode.PASS
    for heading, rows in (
        ("what was run", found["identity"]),
        ("seconds", found["times"]),
        ("checks", found["checks"]),
    ):
        table = Table(box=None, pad_edge=False)
        for column in (heading, first.resolve().name, second.resolve().name):
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(row["name"], *(str(row[side]) for side in ("first", "second")))
        if not rows:
            table.add_row("no difference", "", "")
        console().print(table)
    return ExitCode.PASS


def comparison(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """What differs between two documents of ``verdict.json``; times are shown in any case."""
    identities = [document.get("identity") or {} for document in (first, second)]
    times = [
        {time["id"]: time["shown"] for time in document.get("times") or []}
        for document in (first, second)
    ]
    checks = [document.get("checks") or {} for document in (first, second)]
    return {
        "identity": [
            {"name": name, "first": one, "second": other}
            for name in _SAME
            if (one := identities[0].get(name)) != (other := identities[1].get(name))
        ],
        "times": [
            {"name": name, "first": times[0].get(name, "-"), "second": times[1].get(name, "-")}
            for name in dict.fromkeys([*times[0], *times[1]])
        ],
        "checks": [
            {"name": name, "first": one, "second": other}
            for name in dict.fromkeys([*checks[0], *checks[1]])
            if (one := checks[0].get(name, "not asked"))
            != (other := checks[1].get(name, "not asked"))
        ],
    }


def _verdict(run: Path) -> dict[str, Any]:
    path = run / "verdict.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}", remedy="judge the run with `seawall scorecard` first"
        ) from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} holds no verdict", remedy="judge the run again")
    return found
