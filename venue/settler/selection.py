"""Which withdrawals the next slot pays.

Small ones first, then large ones, each in the order in which they were accepted.

Within an asset nobody overtakes: the first one that the float cannot pay waits for a top-up, and
those behind it wait too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A reserved withdrawal; ``amount`` in base units."""

    id: UUID
    seq: int
    asset: str
    amount: int
    size: Literal["small", "large"]
    destination: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Candidate:
        """A row of ``withdrawals``."""
        return cls(
            **{name: row[name] for name in ("id", "seq", "asset", "amount", "size", "destination")}
        )


def select_batch(
    candidates: Iterable[Candidate],
    *,
    floats: Mapping[str, int],
    floors: Mapping[str, int],
    limit: int,
) -> list[Candidate]:
    """At most ``limit`` candidates that leave every asset's float at or above its floor."""
    left = {asset: available - floors.get(asset, 0) for asset, available in floats.items()}
    stopped: set[str] = set()
    chosen: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda each: (each.size != "small", each.seq)):
        if len(chosen) == limit:
            break
        if candidate.asset in stopped:
            continue
        if candidate.amount > left.get(candidate.asset, 0):
            stopped.add(candidate.asset)
            continue
        left[candidate.asset] -= candidate.amount
        chosen.append(candidate)
    return chosen
