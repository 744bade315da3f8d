"""An example of one resource type for the contract test, and how the modules here fit together.

A module per AWS service exports ``EXAMPLES``, by type; a new module in this folder is found by
itself.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localaws.provider.values import Properties

_REFERENCE = re.compile(r"\$([A-Za-z][\w-]*)\.(\w+)")


@dataclass(frozen=True, kw_only=True)
class Example:
    """Inputs of one type, what may change in place, and the resources that it needs.

    ``$name.property`` as a value, however deep, is a property of what it ``needs`` under that name;
    what is needed may itself use what stands before it. ``stays``: AWS has no way to take it back;
    a bucket under object lock stays versioned. ``together``: those of ``changed`` that AWS takes
    only with each other; ``one_way``: those that it does not take back.
    """

    inputs: Properties
    changed: Properties = field(default_factory=dict)
    needs: dict[str, tuple[str, Properties]] = field(default_factory=dict)
    stays: bool = False
    together: tuple[str, ...] = ()
    one_way: tuple[str, ...] = ()

    def drifts(self) -> list[list[str]]:
        """What of ``changed`` can change by itself, in a fixed order."""
        alone = [
            [name] for name in sorted(self.changed) if name not in (*self.together, *self.one_way)
        ]
        return [*alone, sorted(self.together)] if self.together else alone


def all_examples() -> dict[str, Example]:
    """The examples of every module of this folder.

    Raises :class:`ValueError` if two have one of the same type.
    """
    found: dict[str, Example] = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        module = importlib.import_module(f"tests.testing.stack_types.{path.stem}")
        examples: dict[str, Example] = getattr(module, "EXAMPLES", {})
        twice = set(found) & set(examples)
        if twice:
            raise ValueError(
                f"{path.name} has examples that another module has too: {', '.join(sorted(twice))}"
            )
        found.update(examples)
    return found


def resolved(value: Any, made: dict[str, Properties]) -> Any:
    """``$name.property`` of what an example needs becomes its value, however deep it is."""
    if isinstance(value, dict):
        return {name: resolved(item, made) for name, item in value.items()}
    if isinstance(value, list):
        return [resolved(item, made) for item in value]
    found = reference(value)
    return value if found is None else made[found[0]][found[1]]


def reference(value: Any) -> tuple[str, str] | None:
    """Name and property in ``$name.property``; None for anything else, such as a JSON path."""
    match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return None if match is None else (match[1], match[2])
