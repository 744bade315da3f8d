"""The breach: the moment from which protected mode was called for.

The venue's records say when a committed row reached the trigger's level. That row was written by
the venue, and read by the same code that decides about the mode: a venue that takes requests in
slowly, or dates its rows later, would start the clock late on itself. So the moment is also
computed from the flood's own log, over the withdrawals that the venue acknowledged:

- by their **planned instants**: when customers had asked for so much. From then on whatever the
  venue takes until a row is committed is its own time.
- by their **acknowledgements**: by then each must have been committed, because the venue may
  acknowledge only what it has committed.

In a calm intake the row lies between the two, some milliseconds after the first. The clock starts
at the row, unless that is later than the planned instants by more than :data:`TOLERANCE_US`: then
it starts at these. A row that is earlier counts, because other customers may have withdrawn as
well, and an earlier start favours nobody but them. A row that is later than the acknowledgements
contradicts the log, and then nothing passes (decision 0022).

A cancellation takes its reservation out of the rows' sum. Nothing is taken out of the log's sums,
because neither flood nor prober cancels: a row that takes back what they asked for makes the rows
later than the log, which contradicts it.

Pure over :class:`Facts`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from seawall import indicators
from seawall.errors import EvidenceError
from seawall.policy import Trigger
from seawall.scorecard.facts import (
    ACKNOWLEDGED,
    MILLISECOND,
    WITHDRAWAL_PROBES,
    Facts,
    format_s,
    once,
)
from seawall.scorecard.readers import Instant

TOLERANCE_US = 50 * MILLISECOND
"""By how much the clocks of the database and of the flood may differ (design section 7).

There is nothing in it for the intake: how long a request waits there is the venue's own time.
"""


@dataclass(frozen=True, kw_only=True)
class Breach:
    """When a trigger of protected mode was reached, by all who can tell.

    Attributes:
        trigger: The one that was reached first.
        row: The committed row that reached it.
        planned: When the planned instants of acknowledged requests reached it; None for a trigger
            that is not about withdrawals.
        sent: The same by when they left; later than ``planned`` if the generator was late.
        acknowledged: The same by their acknowledgements; None if these never reached it.
    """

    trigger: Trigger
    row: indicators.Crossing
    planned: Instant | None
    sent: Instant | None
    acknowledged: Instant | None

    @property
    def by_log(self) -> bool:
        """Whether the clock starts at the planned instants, and not at the row."""
        return self.planned is not None and self.row.at_us - self.planned > TOLERANCE_US

    @property
    def starts(self) -> Instant:
        """From when on protected mode is late."""
        if self.planned is not None and self.by_log:
            return self.planned
        return Instant(self.row.at_us)

    @property
    def begins(self) -> str:
        """For people: what happened at ``starts``."""
        row = f"flow row {self.row.flow_id}"
        if not self.by_log:
            return f"{row} was committed, the first to reach {self.trigger.name}"
        return (
            f"the requests that were acknowledged had reached {self.trigger.name} by their planned "
            f"instants, {format_s(self.row.at_us - self.starts)} before {row} was committed"
        )

    @property
    def generator_late_us(self) -> int:
        """How much of a time from ``starts`` may be the generator's own, in microseconds."""
        return self.sent - self.starts if self.by_log and self.sent is not None else 0

    @property
    def contradiction(self) -> str | None:
        """Why the row cannot be what it says; None if it can."""
        if self.acknowledged is None or self.row.at_us - self.acknowledged <= TOLERANCE_US:
            return None
        return (
            f"flow row {self.row.flow_id}, the first to reach {self.trigger.name}, was committed "
            f"{format_s(self.row.at_us - self.acknowledged)} after as much had been acknowledged"
        )


@once
def breach(facts: Facts) -> Breach:
    """The breach of the run; rows and requests from the start of the calm on count.

    Raises :class:`EvidenceError` if no row ever reached a trigger, if one did before the run, or if
    the requests that were acknowledged never did: then nothing outside the venue says when.
    """
    trigger, row = _by_rows(facts)
    planned = sent = acknowledged = None
    if trigger.indicator == "drawdown_velocity":
        requests = _requests(facts)
        planned = _by_log(facts, trigger, [(each.planned, each.value_micro) for each in requests])
        sent = _by_log(facts, trigger, [(each.sent, each.value_micro) for each in requests])
        acknowledged = _by_log(
            facts, trigger, [(each.acknowledged, each.value_micro) for each in requests]
        )
        if planned is None:
            raise EvidenceError(
                f"flow row {row.flow_id} reached {trigger.name}, but the requests that were "
                "acknowledged never did, so nothing outside the venue says when"
            )
    for moment in (row.at_us, planned):
        if moment is not None and moment < facts.run_starts:
            raise EvidenceError(
                f"the trigger {trigger.name} was reached "
                f"{format_s(facts.run_starts - moment)} before the run began"
            )
    return Breach(trigger=trigger, row=row, planned=planned, sent=sent, acknowledged=acknowledged)


def _by_rows(facts: Facts) -> tuple[Trigger, indicators.Crossing]:
    """The trigger of protected mode that was reached first, and the committed row that did it."""
    policy = facts.run.policy
    flow = [
        indicators.FlowRow(
            id=row.id,
            kind=row.kind,
            count=row.count,
            value_micro=row.value_micro,
            committed_at_us=row.committed_at,
            reserved_at_us=row.reserved_at,
        )
        for row in facts.run.flow
        if (row.reserved_at or row.committed_at) >= facts.calm_starts
    ]
    found: list[tuple[Trigger, indicators.Crossing]] = []
    for trigger in policy.triggers:
        if trigger.tier == "protected" and policy.indicators[trigger.indicator].window is not None:
            crossing = indicators.first_crossing(flow, trigger, policy)
            if crossing is not None:
                found.append((trigger, crossing))
    if not found:
        raise EvidenceError(
            "no committed row ever reached a trigger of protected mode, so protection "
            "was not called for"
        )
    return min(found, key=lambda pair: pair[1].at_us)


def _by_log(
    facts: Facts, trigger: Trigger, requests: Iterable[tuple[Instant, int]]
) -> Instant | None:
    """When ``requests`` (moment, value) reached ``trigger``, by the indicator's own code."""
    rows = [
        indicators.FlowRow(
            id=number, kind="reserved", count=1, value_micro=value, committed_at_us=moment
        )
        for number, (moment, value) in enumerate(requests, start=1)
        if moment >= facts.calm_starts
    ]
    crossing = indicators.first_crossing(rows, trigger, facts.run.policy)
    return None if crossing is None else Instant(crossing.at_us)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Request:
    """An acknowledged withdrawal: its value, and its moments by three clocks."""

    planned: Instant
    sent: Instant
    acknowledged: Instant
    value_micro: int


def _requests(facts: Facts) -> list[_Request]:
    """Each acknowledged withdrawal: the flood's, and those of the prober.

    Of one that was repeated, the first attempt that was acknowledged counts.
    """
    first: dict[str, _Request] = {}
    for arrival, request in facts.sent:
        if request.outcome not in ACKNOWLEDGED or request.done_at is None:
            continue
        known = first.get(arrival.id)
        if known is None or request.planned_at < known.planned:
            first[arrival.id] = _Request(
                planned=request.planned_at,
                sent=max(request.planned_at, request.sent_at or request.planned_at),
                acknowledged=request.done_at,
                value_micro=arrival.value_micro,
            )
    found = [*first.values()]
    for probe in WITHDRAWAL_PROBES:
        for sample in facts.samples(probe):
            demand = facts.demand_of(str((sample.detail or {}).get("id")))
            if sample.ok and demand is not None:
                if demand.asset not in facts.run.policy.assets:
                    raise EvidenceError(f"probes.jsonl has a withdrawal of {demand.asset}")
                found.append(
                    _Request(
                        planned=sample.at,
                        sent=sample.at,
                        acknowledged=sample.done_at,
                        value_micro=facts.run.policy.value_micro(demand.asset, demand.amount),
                    )
                )
    return found
