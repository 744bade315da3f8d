"""Which withdrawals are paid together: decided by floats, floors and the room that caps leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A reserved withdrawal that could be paid next; ``amount`` in base units."""

    id: UUID
    seq: int
    asset: str
    amount: int
    size: Literal["small", "large"]
    destination: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Candidate:
        """Made from a row of ``withdrawals``."""
        return cls(
            **{name: row[name] for name in ("id", "seq", "asset", "amount", "size", "destination")}
        )


def select_batch(
    candidates: Iterable[Candidate],
    *,
    floats: Mapping[str, int],
    floors: Mapping[str, int],
    room: Mapping[str, int],
    limit: int,
) -> list[Candidate]:
    """At most ``limit`` candidates that leave every asset's float at or above its floor.

    They fit into ``room``, which the signer's caps leave at the moment.

    Small withdrawals come first, then large ones, each in the order in which they were accepted.
    Within an asset no withdrawal overtakes another: the first one that the float cannot pay waits
    for a top-up, or for the window of a cap, and those behind it wait too.
    """
    left = {
        asset: min(available - floors.get(asset, 0), room.get(asset, 0))
        for asset, available in floats.items()
    }
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


def split_batch(
    batch: Iterable[Candidate], *, sizes: Collection[str], caps: Mapping[str, int]
) -> tuple[list[Candidate], list[Candidate]]:
    """What of a batch may be signed, and what waits again.

    The first are of ``sizes``, and all of them together fit into one window with ``caps``.
    """
    left = dict(caps)
    kept: list[Candidate] = []
    deferred: list[Candidate] = []
    for each in batch:
        fits = each.size in sizes and each.amount <= left.get(each.asset, 0)
        (kept if fits else deferred).append(each)
        if fits:
            left[each.asset] -= each.amount
    return kept, deferred


def sums(moved: Iterable[Candidate]) -> dict[str, int]:
    """Base units by asset."""
    sums: Counter[str] = Counter()
    for each in moved:
        sums[each.asset] += each.amount
    return sums
