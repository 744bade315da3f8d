"""What the policy and the stack's settings demand of the program."""

from __future__ import annotations

from dataclasses import dataclass

from seawall.keys import access as segregation
from seawall.policy import Policy


@dataclass(frozen=True, kw_only=True)
class Demands:
    """``protected``: nothing that matters may be removed.

    ``key_window_days``: how long a key must wait for its deletion.
    """

    policy: Policy
    protected: bool
    key_window_days: int

    @property
    def signing_keys(self) -> frozenset[str]:
        """Logical names of the keys that sign: each is an address."""
        return frozenset(key.name for key in segregation.keys(self.policy))
