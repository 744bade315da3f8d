"""Shared by several commands: the repository's path, common options, JSON on standard output."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_POLICY = ROOT / "policies" / "sandbox.yaml"

PolicyOption = Annotated[
    Path,
    typer.Option("--policy", help="The policy in force.", show_default="policies/sandbox.yaml"),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document for machines instead of the human view."),
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
