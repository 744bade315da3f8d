"""What several commands share: where the repository is, the options that mean the same everywhere, and JSON on standard output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_POLICY = ROOT / "policies" / "sandbox.yaml"

PolicyOption = Annotated[
    Path, typer.Option("--policy", help="The policy in force.", show_default="policies/sandbox.yaml")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document for machines instead of the human view.")
]


def emit(document: Any) -> None:
    """Print ``document`` as JSON on standard output."""
    print(json.dumps(document, indent=1, default=str))
