"""What the rules read: resources as the program declares them, and what is demanded of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from infra.expected_resources import ExpectedResource
from seawall.keys import access
from seawall.policy import Policy


class _Unknown:
    """Stands for a value that only AWS can tell; it is judged once it is known."""

    def __repr__(self) -> str:
        return "(not known yet)"


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One resource.

    Args:
        kind: the type's token, such as ``aws:kms/key:Key``.
        name: the logical name.
        inputs: by the engine's names, such as ``enableKeyRotation``.
        protect: as in its resource options.
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


@dataclass(frozen=True, kw_only=True)
class Demands:
    """What is demanded of the program.

    Args:
        policy: what the business promises.
        protected: whether nothing that matters may be removed.
        key_window_days: how long a key must wait for its deletion.
        expected: what must be declared; rendered from the policy, committed and reviewed.
    """

    policy: Policy
    protected: bool
    key_window_days: int
    expected: Sequence[ExpectedResource]

    @cached_property
    def signing_keys(self) -> frozenset[str]:
        """Logical names of the keys that sign: each is an address."""
        return frozenset(key.name for key in access.keys(self.policy))

    @cached_property
    def listed_as_protected(self) -> frozenset[tuple[str, str]]:
        """Type and name of what a protected stack must protect according to the list."""
        return frozenset((each.kind, each.name) for each in self.expected if each.protected)
