"""Facts of a run, worked out from its evidence and not judged yet.

When the shock began and ended, which tier was in force when, which withdrawals were acknowledged.
Pure over a :class:`Run`. A fact whose evidence is missing raises :class:`EvidenceError`, which
makes every check UNKNOWN that needs it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property, wraps
from itertools import pairwise
from typing import TypeVar

from seawall.controls.modes import settling_ms
from seawall.conventions import components
from seawall.conventions.evidence import Port
from seawall.errors import EvidenceError
from seawall.policy import TIERS, PlannedFault, Tier
from seawall.scorecard.chain_rows import Payout
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import Arrival, Demand, Followed, LoggedRequest, ProbeSample, Withdrawal
from seawall.scorecard.run import Run
from seawall.scorecard.seen import FaultSeen, TierSpan
from seawall.scorecard.sources import Doubts
from seawall.scorecard.statements import Stated, stated, unstated

MILLISECOND = SECOND // 1_000
_Made = TypeVar("_Made")

ACKNOWLEDGED = frozenset({"accepted", "replayed"})
"""Outcomes with which a venue promised to pay; their statuses differ from venue to venue."""
REPEATED_PERCENT_MAX = 1
"""Of first attempts may be repetitions, which the sender makes after a broken connection."""
WITHDRAWAL_PROBES = ("small_withdrawal", "large_transfer")
"""Probes that ask for a withdrawal."""

FOREVER = Instant(1 << 62)

PLANNED_TOLERANCE_US = MILLISECOND
"""A planned instant is a sum of two numbers, which are written with six decimals."""
RUN_US_MAX = 24 * 3600 * SECOND
"""One day, longer than any drill.

A moment further from the run's start is broken evidence, and would make plots of years.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Acknowledged:
    """A withdrawal that the venue acknowledged.

    ``arrival`` is its entry in the schedule, ``planned_at`` the planned instant of the first
    attempt that was acknowledged.
    """

    arrival: Arrival
    planned_at: Instant
    acknowledged_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """The first sample that shows something; ``gap_us`` is the time without a sample before it."""

    seen_at: Instant
    gap_us: int


@dataclass(frozen=True)
class Facts:
    """Facts of one run, each worked out once."""

    run: Run

    def offers(self, port: Port) -> bool:
        """Whether the deployment has this kind of evidence."""
        return port in self.run.manifest.offers

    def asks(self, operation: str) -> bool:
        """Whether the venue can be asked this at all; it can if the prober ever did."""
        operations = self.run.manifest.operations
        return operations is None or operation in operations or bool(self.samples(operation))

    @cached_property
    def chains(self) -> tuple[str, ...]:
        """The networks that are read from a node; the others are known by a statement only."""
        named = self.run.manifest.chains
        return tuple(self.run.policy.networks) if named is None else named

    @cached_property
    def counted(self) -> tuple[str, ...]:
        """The networks on which it is counted how many transactions each key has sent."""
        named = self.run.manifest.counted
        return self.chains if named is None else named

    # --- the shock
    def moment(self, event: str) -> Instant | None:
        """When ``event`` first stands in the timeline, or None."""
        for line in self.run.timeline:
            if line.event == event:
                return self._within(line.at, f"timeline.jsonl: {event}")
        return None

    @cached_property
    def faults(self) -> tuple[FaultSeen, ...]:
        """The drill's faults in their order, each with what the timeline has of it."""
        return tuple(self._fault(planned) for planned in self.run.drill.faults)

    def _fault(self, planned: PlannedFault) -> FaultSeen:
        of_it = {
            line.event: line
            for line in reversed(self.run.timeline)
            if line.event.startswith("fault.")
            and ((line.detail or {}).get("fault"), (line.detail or {}).get("target"))
            == (planned.fault, planned.target)
        }
        moments = {
            event: self._within(line.at, f"timeline.jsonl: {event}")
            for event, line in of_it.items()
        }
        held = of_it.get("fault.held")
        return FaultSeen(
            planned=planned,
            applied=moments.get("fault.applied"),
            effective=moments.get("fault.effective"),
            reverted=moments.get("fault.reverted"),
            cleared=moments.get("fault.cleared"),
            held=None if held is None else held.detail,
            held_until=moments.get("fault.held"),
        )

    def _of_first_fault(self, moment: str) -> Instant:
        if not self.faults:
            raise EvidenceError("the drill plans no fault")
        found: Instant | None = getattr(self.faults[0], moment)
        if found is None:
            raise EvidenceError(f"timeline.jsonl has no fault.{moment} of {self.faults[0].name}")
        return found

    @cached_property
    def fault_applied(self) -> Instant:
        """When the injector applied the first fault."""
        return self._of_first_fault("applied")

    @cached_property
    def fault_effective(self) -> Instant:
        """When its own observer first saw the first fault; failover is measured from here."""
        return self._of_first_fault("effective")

    @cached_property
    def fault_reverted(self) -> Instant:
        """When the injector had undone the first fault."""
        return self._of_first_fault("reverted")

    @cached_property
    def healing(self) -> Instant:
        """When the last fault was seen to be gone; recovery is measured from here.

        A drill without a fault heals when its flood ends.
        """
        found = self._healing()
        if found is None:
            raise EvidenceError("timeline.jsonl does not say that every fault was seen to be gone")
        return found

    @cached_property
    def api_down(self) -> tuple[tuple[Instant, Instant], ...]:
        """When the venue's api could serve nobody by a fault of the drill: from its act to its end.

        It was down itself, or the database was away that it has everything from.
        """
        api = components.process_target(components.API_PROCESS)
        return self._away(api, components.DATABASE_TARGET)

    @cached_property
    def database_down(self) -> tuple[tuple[Instant, Instant], ...]:
        """When the ledger's database was away by a fault of the drill."""
        return self._away(components.DATABASE_TARGET)

    def _away(self, *targets: str) -> tuple[tuple[Instant, Instant], ...]:
        return tuple(
            (fault.applied, fault.cleared)
            for fault in self.faults
            if fault.planned.target in targets
            and fault.applied is not None
            and fault.cleared is not None
        )

    def _healing(self) -> Instant | None:
        if not self.faults:
            return self.run_ends
        cleared = [fault.cleared for fault in self.faults]
        return None if None in cleared else max(moment for moment in cleared if moment is not None)

    @cached_property
    def run_starts(self) -> Instant:
        """Planned instant of the first arrival of the run."""
        return self._phase("run")[0]

    @cached_property
    def run_ends(self) -> Instant:
        """Planned instant of the last arrival of the run."""
        return self._phase("run")[1]

    @cached_property
    def calm_starts(self) -> Instant:
        """The flood's zero: the calm begins."""
        return self._within(Instant(round(self.run.flood.t_zero * SECOND)), "flood.json: t_zero")

    @cached_property
    def observed_until(self) -> Instant:
        """The end of the evidence: the moment at which the records were gathered."""
        collected = self.moment("collected")
        if collected is not None:
            return collected
        return self._within(
            Instant(round(self.run.manifest.ended_at * SECOND)), "manifest.json: ended_at"
        )

    @cached_property
    def broke(self) -> str | None:
        """Why the kit itself ended the drill early, or None."""
        reason = self.run.manifest.broke
        if reason is not None or self.run.control is not None:
            return reason
        for line in self.run.timeline:
            if reason is None and line.event == "broke":
                reason = str((line.detail or {}).get("reason") or "no reason given")
        return reason

    @cached_property
    def shock_ends(self) -> Instant:
        """When the shock was over, which has two halves: its faults and its flood."""
        return max(self.healing, self.run_ends)

    @cached_property
    def settling_us(self) -> int:
        """How long the tier machine may flip after the recovery; less if all say it never did."""
        told = [str((sample.detail or {})["tier"]) for sample in self.status_samples]
        if self.offers("mode_changes"):
            told += [tier for tier in TIERS if self.spans_of(tier)]
        left = not told or set(told) != {"normal"}
        return settling_ms(self.run.policy, left_normal=left) * MILLISECOND

    @cached_property
    def watch_ends(self) -> Instant:
        """Until when the observers had to watch: recovery and what may follow it, or its bound.

        After the recovery they watch for as long as the tier machine could still flip.
        """
        if self._healing() is None:
            return self.observed_until
        drained = self.moment("drained")
        bound = Instant(self.shock_ends + self.run.policy.targets.recovery_max * MILLISECOND)
        if drained is None:
            return min(bound, self.observed_until)
        returned = min(bound, max(drained, self.shock_ends))
        return min(Instant(returned + self.settling_us), self.observed_until)

    def _phase(self, phase: str) -> tuple[Instant, Instant]:
        offsets = [arrival.offset_s for arrival in self.run.arrivals if arrival.phase == phase]
        if not offsets:
            raise EvidenceError(f"arrivals.csv plans no arrival of the {phase}")
        first, last = (
            self._within(
                Instant(self.calm_starts + round(offset * SECOND)),
                f"arrivals.csv: an arrival of the {phase}",
            )
            for offset in (min(offsets), max(offsets))
        )
        return first, last

    def _within(self, moment: Instant, what: str) -> Instant:
        """Return ``moment``.

        Raises :class:`EvidenceError` if it is more than :data:`RUN_US_MAX` from the run's start.
        """
        if abs(moment - round(self.run.manifest.started_at * SECOND)) > RUN_US_MAX:
            raise EvidenceError(
                f"{what} is not within a day of the start of the run that manifest.json names"
            )
        return moment

    # --- requests
    @cached_property
    def sent(self) -> tuple[tuple[Arrival, LoggedRequest], ...]:
        """Every request that left, with the arrival that it carried out."""
        by_index = {arrival.index: arrival for arrival in self.run.arrivals}
        pairs = []
        for request in self.run.requests:
            arrival = by_index.get(request.index)
            if arrival is None:
                raise EvidenceError(
                    f"requests.csv has index {request.index}, which arrivals.csv never planned"
                )
            self.require_planned("requests.csv", request.planned_at, arrival.offset_s)
            if request.sent_at is not None:
                pairs.append((arrival, request))
        return tuple(pairs)

    def require_planned(self, name: str, planned_at: Instant, offset_s: float) -> None:
        """Raise :class:`EvidenceError` for a log that counts from another instant than planned."""
        wanted = self.calm_starts + round(offset_s * SECOND)
        if abs(planned_at - wanted) > PLANNED_TOLERANCE_US:
            raise EvidenceError(
                f"{name} counts from an instant {format_s(planned_at - wanted)} after the one that"
                " the schedule and the flood's zero say"
            )

    @cached_property
    def acknowledged(self) -> dict[str, Acknowledged]:
        """Withdrawals that the venue acknowledged to the flood, by id.

        Retries count once, from the first acknowledged attempt.
        """
        found: dict[str, Acknowledged] = {}
        for arrival, request in self.sent:
            if request.outcome not in ACKNOWLEDGED or request.done_at is None:
                continue
            known = found.get(arrival.id)
            if known is None or request.planned_at < known.planned_at:
                found[arrival.id] = Acknowledged(
                    arrival=arrival, planned_at=request.planned_at, acknowledged_at=request.done_at
                )
        return found

    @cached_property
    def promised(self) -> dict[str, Instant]:
        """When each withdrawal was acknowledged, by id: the flood's, and those of the prober.

        Raises :class:`EvidenceError` if none of the flood's was: then the log may be gone, and
        nothing that was promised to customers is known.
        """
        return self._promised_by_flood() | self._promised_by_prober()

    def known_promises(self, doubts: Doubts) -> dict[str, Instant]:
        """The same, of those who can tell; ``doubts`` gets why another one cannot."""
        return (doubts.ask(self._promised_by_flood) or {}) | (
            doubts.ask(self._promised_by_prober) or {}
        )

    def _promised_by_flood(self) -> dict[str, Instant]:
        if not self.acknowledged:
            raise EvidenceError("requests.csv has no request that was acknowledged")
        return {each: promise.acknowledged_at for each, promise in self.acknowledged.items()}

    def _promised_by_prober(self) -> dict[str, Instant]:
        return {
            str(sample.detail["id"]): sample.done_at
            for probe in WITHDRAWAL_PROBES
            for sample in self.samples(probe)
            if sample.ok and sample.detail and "id" in sample.detail
        }

    @cached_property
    def demands(self) -> tuple[Demand, ...]:
        """Every withdrawal that may have been asked for, once each, whatever the answer was.

        Those that were planned count: of a flood that was stopped, some left without a line in its
        log.
        """
        return tuple(self._demands.values())

    def demand_of(self, identity: str) -> Demand | None:
        """What was asked for under this id; None if nothing was."""
        return self._demands.get(identity)

    @cached_property
    def _demands(self) -> dict[str, Demand]:
        found = {
            arrival.id: Demand(
                id=arrival.id,
                network=arrival.network,
                asset=arrival.asset,
                destination=arrival.destination.lower(),
                amount=arrival.amount,
            )
            for arrival in self.run.arrivals
        }
        for probe in WITHDRAWAL_PROBES:
            for sample in self.samples(probe):
                detail = sample.detail or {}
                if "id" in detail:
                    found[str(detail["id"])] = Demand.of_probe(detail)
        return found

    # --- the venue's records
    @cached_property
    def withdrawals_by_id(self) -> dict[str, Withdrawal]:
        """Withdrawals on record by id."""
        return {withdrawal.id: withdrawal for withdrawal in self.run.withdrawals}

    @cached_property
    def followed_by_id(self) -> dict[str, Followed]:
        """What the venue said at the end, by id."""
        return {row.id: row for row in self.run.followed}

    @cached_property
    def stated(self) -> Stated:
        """What providers of rails state, and the doubts about it; of no rail that must have one."""
        return stated(self.run, lambda: self.faults)

    def is_stated(self, rail: str) -> bool:
        """Whether all is there that providers of ``rail`` have stated."""
        return not self.stated.partial(rail) and bool(self.stated.of_rail(rail))

    def require_stated(self, used: Collection[str]) -> None:
        """Raise :class:`EvidenceError` for a rail that was ``used`` and has no statement."""
        for doubt in unstated(used, (line for own in self.stated.lines.values() for line in own)):
            raise EvidenceError(doubt.said)

    @cached_property
    def payouts_since(self) -> tuple[Payout, ...]:
        """Payouts since the run began, to the second: earlier ones pay no request of this drill."""
        return tuple(payout for payout in self.run.payouts if self.since(payout))

    def since(self, payout: Payout) -> bool:
        """Whether ``payout`` is not from before the run, to the second."""
        return self.is_since(self.paid_at(payout))

    def is_since(self, moment: Instant) -> bool:
        """Whether a payout of ``moment`` is not from before the run, to the second."""
        return moment >= round(self.run.manifest.started_at * SECOND) - SECOND

    @cached_property
    def repeated(self) -> str | None:
        """Why the flood was none of this drill's own; None if it was.

        A first attempt that the venue knows already was made by an earlier run of the same seed. A
        few are the sender's own, after a connection broke.
        """
        first = [request for arrival, request in self.sent if arrival.attempt == 1]
        known = sum(1 for request in first if request.outcome == "replayed")
        if known * 100 <= len(first) * REPEATED_PERCENT_MAX:
            return None
        return (
            f"the venue knew {known:,} of {len(first):,} first attempts already: this seed was used"
            " on this stack before"
        )

    def tier_at(self, moment: Instant) -> str:
        """The tier in force, by the venue's records."""
        return next(span.tier for span in self.tiers if span.ends > moment)

    @cached_property
    def tiers(self) -> tuple[TierSpan, ...]:
        """Which tier was in force when.

        Before the first flip that is the flip's previous tier; without any flip it is normal.
        """
        flips = self.run.flips
        starts = Instant(0)
        tier = flips[0].previous if flips else "normal"
        epoch = flips[0].epoch - 1 if flips else 1
        spans = []
        for flip in flips:
            spans.append(TierSpan(tier=tier, epoch=epoch, starts=starts, ends=flip.committed_at))
            tier, epoch, starts = flip.tier, flip.epoch, flip.committed_at
        return (*spans, TierSpan(tier=tier, epoch=epoch, starts=starts, ends=FOREVER))

    def spans_of(self, tier: Tier) -> tuple[TierSpan, ...]:
        """When ``tier`` was in force from the start of the run on."""
        return tuple(
            span for span in self.tiers if span.tier == tier and span.ends > self.run_starts
        )

    # --- the outside observers
    def samples(self, probe: str) -> tuple[ProbeSample, ...]:
        """Samples of one probe in order of time; empty if there is none."""
        return self.run.probes.get(probe, ())

    @cached_property
    def status_samples(self) -> tuple[ProbeSample, ...]:
        """Samples of the status that were answered with a tier."""
        return tuple(
            sample
            for sample in self.samples("status")
            if sample.ok and "tier" in (sample.detail or {})
        )

    @cached_property
    def block_seen(self) -> dict[tuple[str, int], Instant]:
        """When the prober first saw each block; the block's own timestamp where it did not."""
        return {
            (block.network, block.number): block.observed_at or block.timestamp
            for block in self.run.blocks
        }

    def paid_at(self, payout: Payout) -> Instant:
        """When the block of ``payout`` appeared, or when a statement says that it was paid.

        Raises :class:`EvidenceError` for a block that blocks.csv lacks.
        """
        if payout.block_number is None:
            return payout.block_timestamp
        seen = self.block_seen.get((payout.network, payout.block_number))
        if seen is None:
            raise EvidenceError(
                f"chain/blocks.csv lacks block {payout.block_number} of {payout.network}, "
                "which chain/payouts.csv names"
            )
        return seen


def once(make: Callable[[Facts], _Made]) -> Callable[[Facts], _Made]:
    """``make``, worked out once for the same facts: checks, times and goals all ask for it."""

    @wraps(make)
    def made(facts: Facts) -> _Made:
        if made not in (known := facts.__dict__.setdefault("once", {})):
            known[made] = make(facts)
        found: _Made = known[made]
        return found

    return made


def sighting(
    samples: tuple[ProbeSample, ...], shows: tuple[bool, ...], *, after: Instant
) -> Sighting | None:
    """The first of ``samples`` begun at or after ``after`` for which ``shows`` is true, or None.

    What a sample shows was true at its ``done_at`` at the latest. The last sample that did not show
    it proves that it was not true at that sample's ``at``. The gap between the two is the largest
    error of the sighting.
    """
    start = bisect_right([sample.at for sample in samples], after - 1)
    last_without = after
    if start > 0 and not shows[start - 1]:
        last_without = samples[start - 1].at
    for sample, shown in zip(samples[start:], shows[start:], strict=True):
        if shown:
            return Sighting(seen_at=sample.done_at, gap_us=sample.done_at - last_without)
        last_without = sample.at
    return None


def longest_gap_us(moments: list[Instant], *, starts: Instant, ends: Instant) -> int:
    """The longest part of [starts, ends] without any of the sorted ``moments``."""
    inside = [moment for moment in moments if starts <= moment <= ends]
    edges = [starts, *inside, ends]
    return max(later - earlier for earlier, later in pairwise(edges))


def percentile(values: list[int], hundredths: int) -> int:
    """The smallest of ``values`` that at least ``hundredths`` percent of them do not exceed.

    Raises ValueError if empty.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * hundredths // 100) - 1)]


def format_s(duration_us: int) -> str:
    """Microseconds as seconds with three decimals: ``0.412 s``."""
    return f"{duration_us / SECOND:.3f} s"
