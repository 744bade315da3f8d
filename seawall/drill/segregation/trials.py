"""What became of a cell of the matrix when it was tried, and of a key when it was challenged."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from seawall.keys.access import Cell


class Found(StrEnum):
    """What the account answered."""

    ALLOWED = "allowed"
    DENIED = "denied"
    UNCLEAR = "unclear"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One cell, tried. ``on``: the key itself, or a canary with the key's own policy.

    ``code`` is the account's word.
    """

    cell: Cell
    found: Found
    code: str
    on: Literal["key", "canary"]

    @property
    def as_expected(self) -> bool:
        """Whether the account does what the policy says."""
        return self.found is (Found.ALLOWED if self.cell.allowed else Found.DENIED)

    def sentence(self) -> str:
        """The cell in words, with what the policy wants."""
        cell = self.cell
        may = {Found.ALLOWED: "may", Found.DENIED: "may not", Found.UNCLEAR: "may or may not"}[
            self.found
        ]
        wanted = "allows" if cell.allowed else "denies"
        return (
            f"{cell.principal.name} {may} {cell.tried.action} with {cell.key.name} in"
            f" {cell.region}; the policy {wanted} it (answered {self.code}, on the {self.on})"
        )

    def line(self) -> dict[str, Any]:
        """For the evidence file."""
        cell = self.cell
        return {
            "principal": cell.principal.name,
            "kind": cell.principal.kind,
            "bucket": cell.principal.bucket,
            "key": cell.key.name,
            "region": cell.region,
            "action": cell.tried.action,
            "expected": "allowed" if cell.allowed else "denied",
            "found": self.found.value,
            "code": self.code,
            "on": self.on,
        }


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A key's answer to a challenge in a region.

    ``recovered`` is None if it did not answer; ``logged``: the signer's log has it.

    ``logged`` is None if it is not known: there is no signer in front of the key, or its log could
    not be read.
    """

    name: str
    region: str
    declared: str
    recovered: str | None
    logged: bool | None
    reason: str
    text: str

    @property
    def proven(self) -> bool:
        """Whether the key that answered is the declared one."""
        return self.recovered == self.declared.lower()

    def line(self) -> dict[str, Any]:
        """For the evidence file."""
        return {**vars(self), "proven": self.proven}
