"""The second venue shares no code with the kit or the reference venue; its sources are parsed."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = "tests.testing.second_venue"
LIBRARIES = {"Crypto", "coincurve", "pydantic", "starlette", "uvicorn"}


def strangers(source: str) -> Iterator[str]:
    """Yield whatever ``source`` imports that is neither its own, a library, nor Python's."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            names = [f"{'.' * node.level}{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            own = name.startswith(f"{PACKAGE}.")
            first = name.partition(".")[0]
            if not own and first not in LIBRARIES | sys.stdlib_module_names:
                yield name


def test_it_imports_nothing_of_ours() -> None:
    paths = sorted((ROOT / PACKAGE.replace(".", "/")).glob("**/*.py"))
    assert len(paths) >= 8
    found = [
        f"{path.name}: {name}" for path in paths for name in strangers(path.read_text("utf-8"))
    ]
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "import venue.api",
        "from seawall.ethereum.keys import keccak256",
        "def f():\n    from sandbox import ports",
        "from adapters import reference_venue",
        "import localaws",
        "from tests.testing.venue_harness import free_port",
        "from .. import second_venue_harness",
    ],
)
def test_an_import_of_ours_is_seen(source: str) -> None:
    assert len(list(strangers(source))) == 1
