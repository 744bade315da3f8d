"""What the loss of the ledger's database cost beside withdrawals: swaps, cancellations, bids, ends.

None of these is on a chain. So they are named by the logs of those who asked, and whether there
are others is told by the api's own count of what it acknowledged, which Prometheus keeps: of what
it counts and no log names, nobody outside the database can say whether it is lost.
"""

from __future__ import annotations

from dataclasses import dataclass

from seawall.conventions import metrics
from seawall.conventions.promises import (
    ACKNOWLEDGED_OUTCOME,
    COUNTED_AS,
    PROMISE_KINDS,
    PromiseKind,
)
from seawall.scorecard.facts import MILLISECOND, Facts, format_s
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import ProbeSample
from seawall.scorecard.series import growth
from seawall.scorecard.sources import Doubts

_PROBES: dict[PromiseKind, str] = {"swap": "swap"}
"""By kind: the prober's samples that ask for it, with its id in ``detail.id``."""
_FIRST_SAMPLE_US = 10 * MILLISECOND
"""Prometheus rounds the moment of a query's first sample, which stands for all that was before."""


@dataclass(frozen=True, kw_only=True)
class LostPromise:
    """Something that a customer was told and that the venue does not have on record."""

    kind: str
    id: str
    before_us: int

    def __str__(self) -> str:
        return (
            f"{self.kind} {self.id}, acknowledged {format_s(self.before_us)} before the loss; it is"
            " on no chain"
        )


def named_promises(facts: Facts) -> dict[tuple[PromiseKind, str], Instant]:
    """When each was acknowledged, of those that a log outside the database names, by kind and id.

    Withdrawals are left out: `seawall.scorecard.lost_database` has them.
    """
    return {
        (kind, str(sample.detail["id"])): sample.done_at
        for kind, probe in _PROBES.items()
        for sample in facts.samples(probe)
        if sample.ok and sample.detail and "id" in sample.detail
    }


def lost_promises(facts: Facts) -> tuple[LostPromise, ...]:
    """Those of :func:`named_promises` that are not on record, oldest first.

    Raises :class:`EvidenceError` if the records cannot be read.
    """
    recorded = {(row.kind, row.id) for row in facts.run.promises}
    lost = [
        LostPromise(kind=kind, id=identity, before_us=max(0, facts.fault_effective - at))
        for (kind, identity), at in named_promises(facts).items()
        if (kind, identity) not in recorded
    ]
    return tuple(sorted(lost, key=lambda each: (-each.before_us, each.kind, each.id)))


def count_unnamed(facts: Facts, doubts: Doubts) -> dict[PromiseKind, int]:
    """By kind: how many the api acknowledged before the loss that no log outside of it names.

    Only kinds of which there are any. ``doubts`` gets the kinds that nobody counted.
    """
    starts = Instant(round(facts.run.manifest.started_at * SECOND) + _FIRST_SAMPLE_US)
    found: dict[PromiseKind, int] = {}
    for kind in PROMISE_KINDS:
        if kind not in COUNTED_AS:
            continue
        labels = {"operation": COUNTED_AS[kind], "outcome": ACKNOWLEDGED_OUTCOME}
        counted = growth(facts, metrics.REQUESTS, labels, starts=starts, ends=facts.fault_effective)
        if counted is None:
            doubts.note(
                f"nothing outside the database counts each {kind} that was acknowledged, so nobody"
                " knows whether more were than the logs name"
            )
            continue
        unnamed = round(counted) - _may_be_acknowledged(facts, kind)
        if unnamed > 0:
            found[kind] = unnamed
    return found


def _may_be_acknowledged(facts: Facts, kind: PromiseKind) -> int:
    """How many requests of the observers the venue may have acknowledged before the loss.

    One whose answer did not come is none of somebody else's.
    """
    if kind not in _PROBES:
        return 0
    return sum(
        1
        for sample in facts.samples(_PROBES[kind])
        if sample.at <= facts.fault_effective and not _refused(sample)
    )


def _refused(sample: ProbeSample) -> bool:
    return not sample.ok and "code" in (sample.detail or {})
