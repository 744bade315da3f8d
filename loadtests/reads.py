"""What customers look at beside their withdrawals, ``planned_reads.csv``: who, what, and when.

A run on the bank looks at its balance first. Each read belongs to a withdrawal of the schedule: the
same customer logs in, looks at the balances or at the status before it, or comes back afterwards.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

from loadtests.arrivals import MICROSECONDS, PHASES, Arrival, Phase
from loadtests.population import Population
from loadtests.shock import Choices
from seawall.conventions.reads import FOLLOW_READ, READS
from seawall.errors import UsageError
from seawall.formats.customers import Pool

PLANNED_READS = "planned_reads.csv"
"""The file beside ``arrivals.csv``."""
COLUMNS = ("index", "offset_s", "phase", "operation", "request", "customer_id", "names")


@dataclass(frozen=True, kw_only=True)
class PlannedRead:
    """One planned read.

    Attributes:
        index: Its position among the reads, from 0.
        offset_us: Microseconds after the planned zero.
        phase: By its instant: ``calm`` before the run, or ``run``.
        operation: Its name in the drill contract, one of ``READS``.
        request: Index of the arrival that it belongs to, which is a first attempt.
        customer_id: Whose arrival that is.
        names: For a view of the balances: the pools that a right answer must name. The customer
            still holds something there after all requests of the schedule.
    """

    index: int
    offset_us: int
    phase: Phase
    operation: str
    request: int
    customer_id: str
    names: tuple[Pool, ...] = ()


def plan_reads(
    arrivals: Sequence[Arrival],
    assumed: Choices,
    left: Population,
    *,
    calm_us: int,
    ends_us: int,
    rng: Random,
) -> tuple[PlannedRead, ...]:
    """The reads beside ``arrivals``, in order of time.

    Args:
        arrivals: The schedule.
        assumed: Says for each operation how many reads there are for each first attempt.
        left: The customers with what they hold after all of ``arrivals``.
        calm_us: When the run begins, in microseconds after the zero.
        ends_us: When the flood ends; what would come later is not planned.
        rng: The randomness of the plan.
    """
    firsts = [arrival for arrival in arrivals if arrival.attempt == 1]
    used = {arrival.pool for arrival in arrivals}
    asking = {arrival.customer_id for arrival in firsts}
    names = {
        customer.customer_id: tuple(
            sorted(pool for pool, held in customer.balances.items() if held > 0 and pool in used)
        )
        for customer in left.customers
        if customer.customer_id in asking
    }
    shares = {
        "login": assumed.logins_per_request,
        "balances": assumed.balance_views_per_request,
        "status": assumed.status_views_per_request,
        FOLLOW_READ: assumed.follows_per_request,
    }
    delays = _Delays(assumed)
    drawn: list[tuple[int, str, Arrival]] = []
    for operation in READS:
        fitting = [
            (offset_us, operation, arrival)
            for arrival in firsts
            if 0 <= (offset_us := arrival.offset_us + delays.draw_us(operation, rng)) < ends_us
        ]
        wanted = round(len(firsts) * shares[operation].value)
        drawn += rng.sample(fitting, min(len(fitting), wanted))
    drawn.sort(key=lambda each: (each[0], each[1], each[2].index))
    return tuple(
        PlannedRead(
            index=index,
            offset_us=offset_us,
            phase="calm" if offset_us < calm_us else "run",
            operation=operation,
            request=arrival.index,
            customer_id=arrival.customer_id,
            names=names[arrival.customer_id] if operation == "balances" else (),
        )
        for index, (offset_us, operation, arrival) in enumerate(drawn)
    )


class _Delays:
    """How long before or after its withdrawal a read comes, within the bounds of a profile."""

    def __init__(self, assumed: Choices) -> None:
        self._before_us_max, self._after_us_min, self._after_us_max = (
            int(bound.value * MICROSECONDS)
            for bound in (
                assumed.look_before_s_max,
                assumed.look_after_s_min,
                assumed.look_after_s_max,
            )
        )

    def draw_us(self, operation: str, rng: Random) -> int:
        """From the withdrawal to the read, in microseconds; negative before it.

        Balances are looked at as often before as afterwards.
        """
        if operation == FOLLOW_READ or (operation == "balances" and rng.random() < 1 / 2):
            return rng.randint(self._after_us_min, self._after_us_max)
        return -rng.randint(1, self._before_us_max)


def write_reads_planned(reads: Iterable[PlannedRead], path: Path) -> None:
    """Write the reads; times are decimal seconds with six decimals."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for read in reads:
            seconds = f"{read.offset_us // MICROSECONDS}.{read.offset_us % MICROSECONDS:06d}"
            names = " ".join("/".join(pool) for pool in read.names)
            whose = (read.operation, read.request, read.customer_id, names)
            writer.writerow((read.index, seconds, read.phase, *whose))


def reads_beside(path: Path, arrivals: Sequence[Arrival]) -> list[PlannedRead]:
    """The reads that are planned beside the schedule at ``path``; none if it has no such file.

    Raises:
        UsageError: The file is malformed, out of order, or does not belong to ``arrivals``.
    """
    beside = path.with_name(PLANNED_READS)
    if not beside.exists():
        return []
    try:
        with beside.open(encoding="utf-8", newline="") as file:
            reads = [_parse(row, arrivals) for row in csv.DictReader(file)]
    except OSError as error:
        raise UsageError(f"cannot read the planned reads {beside}: {error.strerror}") from error
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise UsageError(
            f"{beside} is no plan of reads beside {path.name}: {error!r}",
            remedy="make both with python -m loadtests.plan",
        ) from error
    if any(read.index != index for index, read in enumerate(reads)) or any(
        earlier.offset_us > later.offset_us for earlier, later in pairwise(reads)
    ):
        raise UsageError(
            f"{beside} is out of order", remedy="number the lines from 0 and sort them by offset_s"
        )
    return reads


def _parse(row: dict[str, str], arrivals: Sequence[Arrival]) -> PlannedRead:
    whole, _, part = row["offset_s"].partition(".")
    request = int(row["request"])
    if row["phase"] not in PHASES or row["operation"] not in READS or request < 0:
        raise ValueError(f"{row['phase']!r}, {row['operation']!r}, request {request}")
    if arrivals[request].customer_id != row["customer_id"] or arrivals[request].attempt != 1:
        raise ValueError(f"request {request} is no first attempt of {row['customer_id']!r}")
    return PlannedRead(
        index=int(row["index"]),
        offset_us=int(whole) * MICROSECONDS + int(part.ljust(6, "0")),
        phase=row["phase"],
        operation=row["operation"],
        request=request,
        customer_id=row["customer_id"],
        names=tuple(_pool(text) for text in row["names"].split()),
    )


def _pool(text: str) -> Pool:
    network, asset = text.split("/")
    return network, asset
