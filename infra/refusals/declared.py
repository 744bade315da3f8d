"""A resource as the program declares it, before anything is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


class _Unknown:
    """Stands for a value that only AWS can tell; it is judged once it is known."""

    def __repr__(self) -> str:
        return "(not known yet)"


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True, kw_only=True)
class Declared:
    """``kind`` is the type's token, ``name`` the logical one; ``inputs`` have the engine's names.

    ``protect`` as in its options.
    """

    kind: str
    name: str
    inputs: Mapping[str, Any]
    protect: bool

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    def given(self, name: str) -> Any:
        """An input, None if it was not given, :data:`UNKNOWN` if it is not known yet."""
        return self.inputs.get(name)

    def is_known(self, name: str) -> bool:
        """Whether the input can be judged; one that was not given can."""
        return self.inputs.get(name) is not UNKNOWN
