"""Shared by several commands: the repository's path, common options, JSON on standard output."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from seawall.conventions.sabotage import GAMEDAY_SABOTAGES

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_POLICY = ROOT / "policies" / "sandbox.yaml"

PolicyOption = Annotated[
    Path,
    typer.Option("--policy", help="The policy in force.", show_default="policies/sandbox.yaml"),
]
DrilledPolicyOption = Annotated[
    Path | None,
    typer.Option(
        "--policy", help="The policy in force of the sandbox.", show_default="policies/sandbox.yaml"
    ),
]
DeploymentOption = Annotated[
    Path | None,
    typer.Option(
        "--deployment",
        help="Drill a stack that is running: its deployment file (docs/own-venue.md). Without it a"
        " sandbox is started.",
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document for machines instead of the human view."),
]
SeedOption = Annotated[
    int | None,
    typer.Option("--seed", min=0, help="Replay a run: the same customers, arrivals and amounts."),
]
SabotageOption = Annotated[
    str | None,
    typer.Option(
        "--sabotage",
        help="Switch this control off; the drill that covers it must then FAIL.",
        metavar="|".join(GAMEDAY_SABOTAGES),
    ),
]
KeepOption = Annotated[
    bool, typer.Option("--keep", help="Leave the sandbox up afterwards; `seawall down` removes it.")
]
RUNS = ROOT / "runs"
RunsOption = Annotated[
    Path, typer.Option("--runs", help="The folder that holds runs.", show_default="runs")
]
_PIPED_COLUMNS = 240


def console() -> Console:
    """Where people read results.

    Output that is piped is wide, so that no path is broken over two lines.
    """
    return Console(width=None if sys.stdout.isatty() else _PIPED_COLUMNS)


def emit(document: Any) -> None:
    """Print ``document`` as JSON on standard output."""
    print(json.dumps(document, indent=1, default=str))
