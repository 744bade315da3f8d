"""All examples as one program: what each needs, the thing itself, and what of it may change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from localaws.provider.values import Properties
from tests.testing.stack_types.example import Example, reference


def name_of(kind: str) -> str:
    """What the example of a type is called in the program."""
    return kind.rpartition(":")[2]


def program_of(examples: Mapping[str, Example], *, changed: bool = False) -> dict[str, Any]:
    """The resources of a program with every example.

    ``changed``: each as it may be changed in place.

    What several examples need in the same form is there once. A need comes after those that stand
    before it in its example.
    """
    declared: dict[str, Any] = {}
    shared: dict[str, str] = {}
    things: dict[str, Any] = {}
    for kind, example in examples.items():
        names: dict[str, str] = {}
        for alias, (needed, inputs) in example.needs.items():
            wanted = renamed(inputs, names)
            nth = sum(1 for name in names.values() if name.startswith(f"{name_of(needed)}-needed"))
            key = json.dumps([needed, wanted, nth], sort_keys=True)
            if key not in shared:
                shared[key] = f"{name_of(needed)}-needed-{len(shared)}"
                declared[shared[key]] = _resource(needed, wanted, after=list(names.values()))
            names[alias] = shared[key]
        inputs = {**example.inputs, **(example.changed if changed else {})}
        things[name_of(kind)] = _resource(kind, renamed(inputs, names), after=list(names.values()))
    return {**declared, **things}


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """``value`` with ``$alias.property`` under the names of the program."""
    if isinstance(value, dict):
        return {key: renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [renamed(item, names) for item in value]
    found = reference(value)
    return value if found is None else f"${names[found[0]]}.{found[1]}"


def _resource(kind: str, inputs: Properties, *, after: list[str]) -> dict[str, Any]:
    return {"kind": kind, "provider": "aws", "inputs": inputs, "after": after}
