"""Finds names of inputs, however deeply nested, that the installed SDK does not have."""

from __future__ import annotations

import json
from typing import Any

from localaws.provider.registry import RESOURCES
from localaws.provider.schema import schema_text

SCHEMA: dict[str, Any] = json.loads(schema_text(RESOURCES, version="7.0.0"))


def unknown(inputs: Any, spec: dict[str, Any], *, path: str = "") -> list[str]:
    """Every name in ``inputs`` that the SDK does not have where it stands."""
    if "$ref" in spec and spec["$ref"].startswith("#/types/"):
        fields = SCHEMA["types"][spec["$ref"].removeprefix("#/types/")]["properties"]
        return unknown_fields(inputs, fields, path=path) if isinstance(inputs, dict) else []
    if spec.get("type") == "array" and isinstance(inputs, list):
        return [found for each in inputs for found in unknown(each, spec["items"], path=path)]
    return []


def unknown_fields(inputs: dict[str, Any], fields: dict[str, Any], *, path: str = "") -> list[str]:
    """Every name among ``inputs``, and within them, that is not one of ``fields``."""
    missing = [f"{path}{name}" for name in inputs if name not in fields]
    deeper = [
        unknown(value, fields[name], path=f"{path}{name}.")
        for name, value in inputs.items()
        if name in fields
    ]
    return missing + [found for each in deeper for found in each]


def inputs_of_type(kind: str) -> dict[str, Any]:
    """The inputs of a resource type as the schema has them."""
    found: dict[str, Any] = SCHEMA["resources"][kind]["inputProperties"]
    return found
