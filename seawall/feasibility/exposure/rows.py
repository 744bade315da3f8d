"""A row of the exposure map: what each column is, what follows from others, and its status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import compress
from typing import TYPE_CHECKING, Literal, get_args

from seawall.feasibility.exposure.figures import ZERO, Figure, derived

if TYPE_CHECKING:
    from seawall.policy.model import Policy

Status = Literal["short", "unknown", "not declared", "enough"]
"""The worst first."""
Kind = Literal["wallet", "provider", "credit line", "bucket", "function"]
Column = Literal[
    "available",
    "minimum",
    "buffer",
    "limit",
    "taken",
    "returned",
    "left",
    "shortfall",
    "over_limit",
]
COLUMNS: Mapping[Column, str] = {
    "available": "What is there now. Declared: at its target or minimum, as asked for. Read: in the"
    " newest final block, or what the provider says it would still pay.",
    "minimum": "What must be left. Of a wallet: its holding's minimum. Of a provider: its largest"
    " payout, since one payout must not use it up. Small withdrawals may use up a hot wallet,"
    " because protected mode pays them from below its minimum.",
    "buffer": "Target less minimum: what is kept to be used under stress. The target of a provider"
    " is its funding.",
    "limit": "The most that may leave. Of a hot or reserve wallet within the cycle, by the signer's"
    " cap; of a cold wallet in one window, by its contract's; of a provider in one payout.",
    "taken": "What one cycle takes: of a hot wallet that pays, stress.outflow and what customers"
    " wait for already; of a reserve, the top-ups; of a cold wallet, what its reserve gets.",
    "returned": "What comes back within the cycle: top-ups by their lead time, from cold by its"
    " lead time and within its window. Top-ups fill no further than the level at which they begin.",
    "left": "available - taken + returned. Below zero, so much of the outflow is not paid.",
    "shortfall": "What left lacks to the minimum.",
    "over_limit": "What of taken exceeds the limit, and so has to wait beyond the cycle.",
}
"""What each column is; a figure says itself where it comes from."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the map; figures are in ``unit``.

    Attributes:
        kind: What it is about.
        group: Its bucket, rail or function.
        name: Wallet and asset, provider and asset, or where a function is used.
        role: Class of a wallet, side of a provider; of a function, what protected mode does.
        unit: An asset, or the unit of account.
        status: ``short`` if left is below the minimum or a limit holds back what is asked for.
    """

    kind: Kind
    group: str
    name: str
    role: str
    unit: str
    available: Figure
    minimum: Figure
    buffer: Figure
    limit: Figure
    taken: Figure
    returned: Figure
    left: Figure
    shortfall: Figure
    over_limit: Figure
    status: Status

    def figure(self, column: Column) -> Figure:
        """The figure of ``column``."""
        found: Figure = getattr(self, column)
        return found


def new_row(
    *,
    kind: Kind,
    group: str,
    name: str,
    role: str,
    unit: str,
    available: Figure,
    minimum: Figure,
    buffer: Figure,
    limit: Figure,
    taken: Figure,
    returned: Figure,
) -> Row:
    """A row with what follows from the figures that are given."""
    left = derived(
        lambda has, out, back: has - out + back,
        available,
        taken,
        returned,
        source="available - taken + returned",
    )
    shortfall = derived(
        lambda kept, least: max(ZERO, least - kept), left, minimum, source="minimum - left"
    )
    if left.amount is None and _only_falls(taken, returned):
        now = derived(
            lambda has, least: max(ZERO, least - has),
            available,
            minimum,
            source="minimum - available, before the cycle takes anything",
        )
        shortfall = now if now.amount else shortfall
    over_limit = derived(
        lambda out, most: max(ZERO, out - most), taken, limit, source="taken - limit"
    )
    return Row(
        kind=kind,
        group=group,
        name=name,
        role=role,
        unit=unit,
        available=available,
        minimum=minimum,
        buffer=buffer,
        limit=limit,
        taken=taken,
        returned=returned,
        left=left,
        shortfall=shortfall,
        over_limit=over_limit,
        status=_status(shortfall, over_limit),
    )


def _only_falls(taken: Figure, returned: Figure) -> bool:
    """Whether no more can be left than is there: nothing that is known of comes back."""
    return taken.basis == "not declared" and (
        returned.basis == "not declared" or returned.amount == 0
    )


def _status(shortfall: Figure, over_limit: Figure) -> Status:
    """What is known to be short is short, whatever else is not known."""
    if shortfall.amount or over_limit.amount:
        return "short"
    if "unknown" in (shortfall.basis, over_limit.basis):
        return "unknown"
    return "not declared" if shortfall.basis == "not declared" else "enough"


def together(
    policy: Policy, rows: Sequence[Row], *, kind: Kind, group: str, name: str, role: str
) -> Row:
    """The value of ``rows``, added up column by column; as good as the worst of them."""

    def value(column: Column, *, at_least: bool = False) -> Figure:
        figures = [row.figure(column) for row in rows]
        prices = [Fraction(policy.assets[row.unit].reference_price) for row in rows]
        source = ", ".join(row.name for row in rows)
        if at_least and any(each.amount for each in figures):
            source += "; of those that are known"
            counted = [each.amount is not None for each in figures]
            figures, prices = list(compress(figures, counted)), list(compress(prices, counted))
        return derived(
            lambda *amounts: sum(
                (each * price for each, price in zip(amounts, prices, strict=True)), ZERO
            ),
            *figures,
            source=source,
        )

    return Row(
        kind=kind,
        group=group,
        name=name,
        role=role,
        unit=policy.venue.unit_of_account,
        available=value("available"),
        minimum=value("minimum"),
        buffer=value("buffer"),
        limit=value("limit"),
        taken=value("taken"),
        returned=value("returned"),
        left=value("left"),
        shortfall=value("shortfall", at_least=True),
        over_limit=value("over_limit", at_least=True),
        status=worst(row.status for row in rows),
    )


def worst(statuses: Iterable[Status]) -> Status:
    """The worst of ``statuses``; of none it is not known."""
    found = set(statuses)
    return next((each for each in get_args(Status) if each in found), "unknown")
