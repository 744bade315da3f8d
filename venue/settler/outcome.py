"""What became of a slot at finality.

The receipt's events and the contract's bitmap must tell the same story.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from venue.contracts.calls import Events, Item


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Sequence numbers: paid as intended, failed beyond doubt, never tried, and those of which
    event and bit disagree.

    Never tried is what a transaction was to pay that reverted as a whole, over a cap of the
    contract for one.
    """

    paid: tuple[int, ...]
    failed: tuple[int, ...]
    unclear: tuple[int, ...]
    untried: tuple[int, ...] = ()


def judge_outcome(
    items: Sequence[Item], *, events: Events, bits: Mapping[int, bool], succeeded: bool
) -> Outcome:
    """Sort ``items`` by what the chain says.

    A reverted transaction has tried nothing, if all the bits agree.
    """
    if not (succeeded or events.paid or any(bits.values())):
        return Outcome(paid=(), failed=(), unclear=(), untried=tuple(item.seq for item in items))
    paid: list[int] = []
    failed: list[int] = []
    unclear: list[int] = []
    for item in items:
        bit = bits[item.seq]
        if succeeded and bit and events.paid.get(item.seq) == item:
            paid.append(item.seq)
        elif (
            not bit and item.seq not in events.paid and (item.seq in events.failed or not succeeded)
        ):
            failed.append(item.seq)
        else:
            unclear.append(item.seq)
    return Outcome(paid=tuple(paid), failed=tuple(failed), unclear=tuple(unclear))
