"""The schedule of a flood, ``arrivals.csv``: who sends what, and when after the planned zero."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Literal, cast

from seawall.errors import UsageError
from seawall.formats.customers import Pool

Phase = Literal["calm", "run"]
PHASES: tuple[Phase, ...] = ("calm", "run")
MICROSECONDS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """One planned request.

    Attributes:
        index: Its position in the schedule, from 0.
        offset_us: Microseconds after the planned zero.
        phase: ``calm`` before the run, or ``run``.
        attempt: 1, or 2 for a repeat with the same id.
        id: The withdrawal's id, made by the client.
        customer_id: Who withdraws.
        network: Where it is paid: a network, or a rail.
        asset: What is paid.
        amount: In base units of the asset.
        value_micro: Its value in millionths of the unit of account.
        size: As the policy divides small from large.
        destination: The address, or the account at a bank, to be paid.
        source_network: Of a request over a rail, whose balance pays; else empty.
    """

    index: int
    offset_us: int
    phase: Phase
    attempt: int
    id: str
    customer_id: str
    network: str
    asset: str
    amount: int
    value_micro: int
    size: Literal["small", "large"]
    destination: str
    source_network: str = ""

    @property
    def pool(self) -> Pool:
        """Whose balance pays."""
        return self.source_network or self.network, self.asset


COLUMNS = tuple(
    "offset_s" if field.name == "offset_us" else field.name for field in fields(Arrival)
)
"""The last one is left out where nothing goes over a rail."""


def write_arrivals(arrivals: Iterable[Arrival], path: Path) -> None:
    """Write the schedule; times are decimal seconds with six decimals."""
    rows = list(arrivals)
    columns = len(COLUMNS) if any(row.source_network for row in rows) else len(COLUMNS) - 1
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS[:columns])
        for row in rows:
            index, offset_us, *rest = astuple(row)
            seconds = f"{offset_us // MICROSECONDS}.{offset_us % MICROSECONDS:06d}"
            writer.writerow((index, seconds, *rest)[:columns])


def read_arrivals(path: Path) -> list[Arrival]:
    """The schedule at ``path``.

    Raises:
        UsageError: It is missing, malformed, empty or out of order.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            arrivals = [_parse(row) for row in csv.DictReader(file)]
    except OSError as error:
        raise UsageError(
            f"cannot read the arrivals {path}: {error.strerror}",
            remedy="make them with python -m loadtests.plan",
        ) from error
    except (KeyError, ValueError, TypeError) as error:
        raise UsageError(f"{path} is no schedule of arrivals: {error}") from error
    if not arrivals:
        raise UsageError(
            f"{path} plans no arrival", remedy="a flood without arrivals proves nothing"
        )
    if any(arrival.index != index for index, arrival in enumerate(arrivals)) or not _in_order(
        arrivals
    ):
        raise UsageError(
            f"{path} is out of order", remedy="number the lines from 0 and sort them by offset_s"
        )
    return arrivals


def _parse(row: dict[str, str]) -> Arrival:
    whole, _, part = row["offset_s"].partition(".")
    if row["phase"] not in PHASES or row["size"] not in ("small", "large"):
        raise ValueError(f"phase {row['phase']!r}, size {row['size']!r}")
    return Arrival(
        index=int(row["index"]),
        offset_us=int(whole) * MICROSECONDS + int(part.ljust(6, "0")),
        phase=row["phase"],
        attempt=int(row["attempt"]),
        id=row["id"],
        customer_id=_named(row["customer_id"]),
        network=row["network"],
        asset=row["asset"],
        amount=int(row["amount"]),
        value_micro=int(row["value_micro"]),
        size=cast("Literal['small', 'large']", row["size"]),
        destination=row["destination"],
        source_network=row.get("source_network", ""),
    )


def _named(text: str) -> str:
    if not text:
        raise ValueError("an arrival of no customer")
    return text


def _in_order(arrivals: Sequence[Arrival]) -> bool:
    return all(earlier.offset_us <= later.offset_us for earlier, later in pairwise(arrivals))
