"""What a reconciliation has found: totals, comparisons, and every exception."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from seawall.reconciliation.books import AssetLine, WalletLine
from seawall.reconciliation.contradictions import (
    COMPARISONS,
    Comparison,
    Contradiction,
    Doubt,
    Notice,
)
from seawall.reconciliation.facts import Pin, Place, Sight
from seawall.reconciliation.payouts import Stage
from seawall.scorecard.outcome import Outcome, combine

KEPT_MAX = 10_000
"""Contradictions, doubts and notices that are kept one by one; the others are counted."""
Each = TypeVar("Each")


@dataclass(kw_only=True)
class Total:
    """So many withdrawals or top-ups, and base units."""

    count: int = 0
    amount: int = 0

    def add(self, amount: int) -> None:
        """Count one more."""
        self.count += 1
        self.amount += amount


@dataclass(kw_only=True)
class Kept(Generic[Each]):
    """The first :data:`KEPT_MAX` of something, and how many there were in all."""

    each: list[Each] = field(default_factory=list)
    count: int = 0

    def add(self, found: Each) -> None:
        """Keep it if there is room."""
        self.count += 1
        if len(self.each) < KEPT_MAX:
            self.each.append(found)


@dataclass(frozen=True, kw_only=True)
class ComparisonLine:
    """What became of a comparison.

    ``outcome`` is None where the venue does not offer what it needs, so that it is not
    ``claimed``, or where there was nothing to compare. ``checked`` counts what was compared.
    """

    name: Comparison
    claimed: bool
    outcome: Outcome | None
    checked: int
    reason: str

    @property
    def question(self) -> str:
        """What it proves."""
        return COMPARISONS[self.name]


@dataclass(kw_only=True)
class Reconciliation:
    """What explains a venue's money, and what does not. Amounts are base units."""

    stack: str
    read_at: float
    pins: dict[str, Pin]
    sights: dict[str, Sight]
    stages: dict[Place, dict[Stage, Total]] = field(default_factory=dict)
    top_ups: dict[Place, dict[str, Total]] = field(default_factory=dict)
    approvals: dict[Place, dict[str, Total]] = field(default_factory=dict)
    assets: list[AssetLine] = field(default_factory=list)
    wallets: list[WalletLine] = field(default_factory=list)
    comparisons: list[ComparisonLine] = field(default_factory=list)
    contradictions: Kept[Contradiction] = field(default_factory=Kept)
    doubts: Kept[Doubt] = field(default_factory=Kept)
    notices: Kept[Notice] = field(default_factory=Kept)

    @property
    def outcome(self) -> Outcome:
        """FAIL if anything contradicts, UNKNOWN if anything claimed is not proven.

        Where payments and withdrawals are not both offered, or there are none, there is no PASS.
        """
        claimed = [each.outcome for each in self.comparisons if each.outcome is not None]
        floor = any(
            each.name == "payouts" and each.outcome is not None for each in self.comparisons
        )
        return combine([*claimed, *([] if floor else [Outcome.UNKNOWN])])
