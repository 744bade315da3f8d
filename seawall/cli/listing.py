"""``seawall list``: what a policy declares, what can be injected, checks, and which runs are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from seawall.cli.options import (
    DEFAULT_POLICY,
    RUNS,
    JsonOption,
    PolicyOption,
    RunsOption,
    console,
    emit,
)
from seawall.errors import ExitCode

app = typer.Typer(
    help="List drills, faults, shock profiles, game days, checks or runs.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def drills(*, policy: PolicyOption = DEFAULT_POLICY, as_json: JsonOption = False) -> int:
    """The drills of a policy: their floods, faults, expectations and the controls that they cover.

    With `--sabotage CONTROL` a drill that covers it must FAIL.
    """
    from seawall.drill.sabotage import controls_of  # noqa: PLC0415
    from seawall.policy_file import load_policy  # noqa: PLC0415

    rows = [
        {
            "drill": name,
            "title": drill.title,
            "profile": drill.flood.profile,
            "length_s": (drill.flood.calm + drill.flood.length) / 1_000,
            "faults": [f"{fault.fault} of {fault.target}" for fault in drill.faults],
            "reaches": list(drill.expects.reaches),
            "avoids": list(drill.expects.avoids),
            "targets": list(drill.expects.targets),
            "controls": list(controls_of(drill)),
        }
        for name, drill in load_policy(policy).drills.items()
    ]
    return _shown(rows, as_json=as_json)


@app.command()
def faults(*, policy: PolicyOption = DEFAULT_POLICY, as_json: JsonOption = False) -> int:
    """The faults that a drill may plan, with their targets and parameters."""
    from seawall.drill_check import FAULTS, ask  # noqa: PLC0415

    return _shown(_described("fault", ask(FAULTS, policy).known), as_json=as_json)


@app.command()
def profiles(*, policy: PolicyOption = DEFAULT_POLICY, as_json: JsonOption = False) -> int:
    """The shock profiles that a flood may have."""
    from seawall.drill_check import FLOODS, ask  # noqa: PLC0415

    return _shown(_described("profile", ask(FLOODS, policy).known), as_json=as_json)


@app.command()
def gamedays(*, policy: PolicyOption = DEFAULT_POLICY, as_json: JsonOption = False) -> int:
    """The game days of a policy: their drills in order, and their schedules."""
    from seawall.policy_file import load_policy  # noqa: PLC0415

    rows = [
        {"gameday": day.name, "drills": list(day.drills), "schedule": day.schedule}
        for day in load_policy(policy).gamedays
    ]
    return _shown(rows, as_json=as_json)


@app.command()
def checks(*, as_json: JsonOption = False) -> int:
    """The checks of the scorecard: who writes their evidence, and whom each believes alone."""
    from seawall.scorecard.catalogue import rows  # noqa: PLC0415

    found = rows()
    if as_json:
        return _shown(found, as_json=True)
    shown = ("check", "written by")
    return _shown(
        [
            {
                **{name: row[name] for name in shown},
                "believes": [f"{who}: {lie}" for who, lie in row["believes"].items()],
            }
            for row in found
        ],
        as_json=False,
    )


@app.command()
def runs(*, folder: RunsOption = RUNS, as_json: JsonOption = False) -> int:
    """The runs in a folder, the latest first, with the outcome that stands in each."""
    found = [path for path in folder.glob("*/manifest.json") if not path.parent.is_symlink()]
    return _shown([_run(path.parent) for path in sorted(found, reverse=True)], as_json=as_json)


def _run(directory: Path) -> dict[str, Any]:
    from seawall.readiness.history import read_object  # noqa: PLC0415

    manifest = read_object(directory / "manifest.json")
    verdict = read_object(directory / "verdict.json")
    return {
        "run": directory.name,
        "drill": manifest.get("drill", "unknown"),
        "policy": manifest.get("policy", "unknown"),
        "seed": manifest.get("seed"),
        "sabotage": manifest.get("sabotage"),
        "outcome": verdict.get("outcome", "not judged"),
    }


def _described(what: str, described: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{what: name, **rest} for name, rest in described.items()]


def _shown(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> int:
    if as_json:
        emit(list(rows))
        return ExitCode.PASS
    if not rows:
        print("none")
        return ExitCode.PASS
    table = Table(box=None, pad_edge=False)
    for heading in rows[0]:
        table.add_column(heading.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_text(value) for value in row.values()))
    console().print(table)
    return ExitCode.PASS


def _text(value: Any) -> str:
    if value in (None, [], {}):
        return "-"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
