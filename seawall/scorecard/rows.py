"""Rows and documents of a run directory, typed: one class per file, fields as in its header.

Amounts are integer base units, values integer millionths of the unit of account, moments
:data:`Instant`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from seawall.conventions.evidence import EVERY_PORT, Port
from seawall.errors import EvidenceError
from seawall.scorecard.readers import UNIX_SECONDS_MAX, Instant

UnixSeconds = Annotated[float, Field(ge=0, lt=UNIX_SECONDS_MAX)]
"""A moment as a document gives it."""


Key = tuple[str, str, str, int]
"""What a payout and the request for it have in common: network, asset, destination (lower case),
amount.
"""


LOST = "lost"
"""Of a request that is followed: the venue says that it knows no such one."""


class Document(BaseModel):
    """A JSON document of the run directory; keys that no check needs are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Component(Document):
    """A process of the sandbox as it was at the end; ``died_at`` is set if it ended on its own.

    It may have been started again ``restarts`` times; ``died_with`` is then the exit code with
    which it ended on its own.
    """

    name: str
    pid: int | None = None
    exit_code: int | None = None
    died_at: UnixSeconds | None = None
    log_tail: str | None = None
    died_with: int | None = None
    restarts: int = 0

    @property
    def death(self) -> str:
        """How it ended on its own, in words."""
        code = self.exit_code if self.died_with is None else self.died_with
        again = f", started again {self.restarts} times" if self.restarts else ""
        return f"exit code {code}{again}"


class Machine(Document):
    """The machine of flood and observers while they ran; see `seawall.processes.machine`."""

    processors: int
    addition_ms: float
    busy: float | None


class Manifest(Document):
    """What was run: enough to run it again.

    ``files`` are the digests of :func:`seawall.scorecard.run.digests`; without them, a file cut off
    between two lines looks whole. ``broke`` says which fault of the kit itself ended the drill
    early. ``offers`` is the evidence that the deployment has, ``operations`` what its venue can be
    asked, ``chains`` the networks that are read from a node (all, if it is not said), ``counted``
    those on which the transactions of keys are counted (likewise, all of ``chains``), ``api`` the
    address of its customers. Of ``repetitions`` of its drill on a game day it is the
    ``repetition``; ``earlier`` are the runs of before on that day whose requests are still watched.
    ``sabotage``, the control that was switched off, is shown and must not influence a check; nor
    must ``machine``, which only explains what is late.
    """

    run_id: str
    seed: int
    policy: str
    policy_digest: str
    policy_scale: dict[str, str] = {}
    gameday: str | None = None
    drill: str
    repetition: int = 1
    repetitions: int = 1
    earlier: tuple[str, ...] = ()
    stack: str | None = None
    kind: str | None = None
    api: str | None = None
    offers: tuple[Port, ...] = EVERY_PORT
    operations: tuple[str, ...] | None = None
    chains: tuple[str, ...] | None = None
    counted: tuple[str, ...] | None = None
    replay: str = ""
    sabotage: str | None = None
    commit: str | None = None
    dirty: bool | None = None
    versions: dict[str, str] = {}
    knobs: dict[str, Any] = {}
    started_at: UnixSeconds
    ended_at: UnixSeconds
    components: tuple[Component, ...]
    files: dict[str, str] = {}
    broke: str | None = None
    machine: Machine | None = None


class Lag(Document):
    """How late requests left, in milliseconds."""

    p50: float | None
    p99: float | None
    max: float | None


class FloodPhase(Document):
    """Counts of one phase of the flood."""

    planned: int
    sent: int
    missed: int
    acknowledged: int
    offered_per_s: float


class ClockOffset(Document):
    """By how much a clock was ahead of the flood's master, and how far that may be wrong."""

    offset_ms: float
    uncertainty_ms: float = Field(ge=0)


class WorkerClock(Document):
    """The clock of one worker of the flood; None where the worker did not tell its time."""

    worker: str
    before: ClockOffset | None
    after: ClockOffset | None


class Flood(Document):
    """What the generator says about itself; the checks count again from its request log.

    ``clocks`` is taken from here, because nothing else says how far a worker's clock was off, and
    ``api``, the address at which its workers asked.
    """

    t_zero: UnixSeconds
    seed: int
    knobs: dict[str, Any] = {}
    scaling: dict[str, Any] = {}
    calm: FloodPhase
    run: FloodPhase
    dispatch_lag_ms: Lag
    duration_s: float
    workers: int
    clocks: tuple[WorkerClock, ...] = ()
    api: str | None = None


class LedgerFaults(Document):
    """Counts made inside the database over all of the ledger."""

    unbalanced_postings: int
    negative_balances: int
    balance_mismatches: int


class Series(Document):
    """One Prometheus series: labels, and (Unix seconds, value) pairs; a value may be no number."""

    metric: dict[str, str]
    values: tuple[tuple[UnixSeconds, float], ...]


class Metrics(Document):
    """What Prometheus recorded."""

    step_s: float
    series: tuple[Series, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """A line of the timeline."""

    at: Instant
    source: str
    event: str
    detail: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """A planned request; ``offset_s`` counts from the flood's zero."""

    index: int
    offset_s: float
    phase: str
    attempt: int
    id: str
    customer_id: str
    network: str
    asset: str
    amount: int
    value_micro: int
    size: str
    destination: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """A withdrawal that was asked for, whatever the answer was."""

    id: str
    network: str
    asset: str
    destination: str
    amount: int

    @property
    def key(self) -> Key:
        """What its payout must have."""
        return self.network, self.asset, self.destination, self.amount

    @classmethod
    def of_probe(cls, detail: Mapping[str, Any]) -> Demand:
        """What a probe asked for. Raises :class:`EvidenceError` if ``detail`` does not say it."""
        try:
            return cls(
                id=str(detail["id"]),
                network=str(detail["network"]),
                asset=str(detail["asset"]),
                destination=str(detail["destination"]).lower(),
                amount=int(detail["amount"]),
            )
        except (KeyError, ValueError) as error:
            raise EvidenceError(
                f"probes.jsonl does not say what was asked for as {detail['id']}: {error!r}"
            ) from error


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlierDemand:
    """How often ``run``, an earlier drill of the game day, asked for a payout.

    What was refunded does not count in ``asked``. ``paid`` is how often the payout had been seen
    when the drill before this one was over, whoever asked.
    """

    run: str
    network: str
    asset: str
    destination: str
    amount: int
    asked: int
    paid: int

    @property
    def key(self) -> Key:
        """What its payout must have."""
        return self.network, self.asset, self.destination.lower(), self.amount


@dataclass(frozen=True, kw_only=True, slots=True)
class LoggedRequest:
    """What became of an arrival; a missed one has no ``sent_at``.

    ``venue_id`` is the venue's own name of the withdrawal, if it gave one; ``worker`` sent it.
    """

    index: int
    planned_at: Instant
    sent_at: Instant | None
    done_at: Instant | None
    latency_ms: float | None
    status: int | None
    outcome: str | None
    error: str | None
    worker: str | None = None
    venue_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRead:
    """A planned look of the customer whose first attempt has the index ``request``."""

    index: int
    offset_s: float
    phase: str
    operation: str
    request: int
    customer_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LoggedRead:
    """What became of a planned read; of one that was not sent there is no row.

    ``outcome`` is `seawall.conventions.reads.ANSWERED` if the answer was right.
    """

    index: int
    operation: str
    planned_at: Instant
    sent_at: Instant
    done_at: Instant
    status: int
    outcome: str
    error: str | None
    worker: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeSample:
    """One sample of the black-box prober.

    What it saw was true at some moment from ``at`` to ``done_at``.
    """

    at: Instant
    done_at: Instant
    probe: str
    ok: bool
    detail: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A notification as the pager received it."""

    received_at: Instant
    status: str
    alertname: str
    severity: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Withdrawal:
    """A withdrawal with the commit times of its reservation and of its posting or voiding."""

    id: str
    seq: int
    network: str
    asset: str
    amount: int
    value_micro: int
    size: str
    destination: str
    state: str
    reason: str | None
    slot_id: int | None
    reserved_at: Instant
    resolved_at: Instant | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Followed:
    """What the venue said of an acknowledged request when it was asked for the last time.

    ``state`` is one of the drill contract, or ``lost`` (the venue knows no such request), or
    ``unanswered``. ``asked_at`` is None if it was never asked for.
    """

    id: str
    venue_id: str | None
    network: str
    asset: str
    amount: int
    destination: str
    state: str
    reason: str | None
    tx_hash: str | None
    seq: int | None
    asked_at: Instant | None

    @property
    def key(self) -> Key:
        """What its payout must have."""
        return self.network, self.asset, self.destination.lower(), self.amount


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """One nonce, one intent, one transaction, with the commit times of its arrows."""

    id: int
    chain_id: int
    network: str
    wallet: str
    address: str
    nonce: int
    epoch: int
    mode_epoch: int
    purpose: str
    state: str
    signer_region: str | None
    tx_hash: str | None
    block_number: int | None
    digest: str
    opened_at: Instant
    broadcast_at: Instant | None
    final_at: Instant | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """A row of the signer's own memory."""

    chain_id: int
    address: str
    nonce: int
    digest: str
    signed_by: str | None
    signed_at: Instant | None
    tx_hash: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SignCall:
    """A request for a signature, in AWS's own log of a region; ``at`` is cut off to the second.

    ``wallet`` and ``address`` are those of the key, absent for one that is no wallet's.
    ``principal`` is the name of the role that asked (of a user, ``user/NAME``). ``error`` is absent
    if the key signed.
    """

    event_id: str
    region: str
    at: Instant
    wallet: str | None
    address: str | None
    principal: str
    error: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Flip:
    """A committed change of the mode, with the sample that it was decided on."""

    epoch: int
    previous: str
    tier: str
    reason: str
    trigger_name: str | None
    sample_flow_id: int
    sampled_at: Instant
    committed_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalEntry:
    """A decision of the venue with its reason; hashes in hex, ``body`` a JSON object as text."""

    writer: str
    n: int
    kind: str
    justification: str
    body: str
    previous_hash: str
    hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What a person ordered: in force from ``made_at`` until the earlier of its two ends.

    ``kind``: ``halt`` (nothing is claimed, on ``network`` or on all), ``at_least`` or ``exactly`` a
    ``tier``. ``ends_at`` is the end that it was made with, ``ended_at`` when ``ended_by`` ended it.
    """

    id: str
    kind: str
    network: str | None
    tier: str | None
    operator: str
    made_at: Instant
    ends_at: Instant
    ended_at: Instant | None
    ended_by: str | None

    @property
    def end(self) -> Instant:
        """Since when it is not in force any more."""
        return self.ends_at if self.ended_at is None else min(self.ends_at, self.ended_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneChange:
    """A committed change of a lane's holder or signing region."""

    network: str
    wallet: str
    address: str
    epoch: int
    signer_region: str
    reason: str
    detected_at: Instant | None
    committed_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowRow:
    """A counter committed with a batch: what the mode controller reads.

    ``reserved_at``: of a cancellation, when its reservation was committed.
    """

    id: int
    kind: str
    network: str
    asset: str | None
    size: str | None
    count: int
    value_micro: int
    committed_at: Instant
    reserved_at: Instant | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TopUp:
    """A refill of a hot wallet from its reserve, or a sweep back into the reserve."""

    id: str
    network: str
    asset: str
    to_wallet: str
    amount: int
    state: str
    slot_id: int | None
    requested_at: Instant
    posted_at: Instant | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Surplus:
    """Money from outside that was found in a wallet at a final block, with the time of booking."""

    wallet: str
    asset: str
    amount: int
    block_number: int
    booked_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerLine:
    """The sum of all entries of one kind of account."""

    bucket: str
    network: str
    asset: str
    kind: str
    balance: int
