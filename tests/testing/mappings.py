"""The mapping file of docs/speaking.md, as a test may change it, and customers to ask with."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml

from adapters.mapping import load
from seawall.cache import repository_root
from seawall.formats.drill_contract import Credentials, VenueAdapter

DECIMALS = {"ASTR": 18, "USDX": 6}
CUSTOMER = Credentials(customer_id="c-1", credential="s3cret")


def example() -> dict[str, Any]:
    """The first YAML block of the documentation: the example is what is tested."""
    text = (repository_root() / "docs" / "speaking.md").read_text(encoding="utf-8")
    block = text.split("```yaml\n", 1)[1].split("```", 1)[0]
    parsed: dict[str, Any] = yaml.safe_load(block)
    return parsed


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """The example with values at dotted paths replaced; None removes one."""
    document = copy.deepcopy(example())
    for path, value in changes.items():
        *parents, last = path.split(".")
        inner = document
        for name in parents:
            inner = inner.setdefault(name, {})
        if value is None:
            del inner[last]
        else:
            inner[last] = copy.deepcopy(value)
    return document


def write_mapping(folder: Path, changes: dict[str, Any] | None = None) -> Path:
    """A mapping file in ``folder``."""
    path = folder / "mapping.json"
    path.write_text(json.dumps(changed(changes or {})), encoding="utf-8")
    return path


def mapped(folder: Path, changes: dict[str, Any] | None = None) -> VenueAdapter:
    """The adapter of such a file."""
    return load(write_mapping(folder, changes), DECIMALS)
