"""The exposure map: what each payout route has, what one cycle of stress takes, and what is left.

A row is one asset of a wallet, one asset or the credit line of a rail's provider, a bucket, or a
function of customers on one network or rail. Rows of wallets and of a provider's assets are in
whole units of the asset; all others are in the unit of account, at reference prices.

In every row ``available - taken + returned = left``. Nothing is netted: what one wallet or asset
has to spare covers no shortfall of another one.

What the policy does not declare is ``not declared``, and what could not be read is ``unknown``.
Neither is a number, and no row that needs one of them is ``enough``.

Pure: a policy and what was observed in, rows out. What a cycle brings and lets out is what
:mod:`seawall.feasibility.money` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seawall.feasibility.exposure.cold import ColdWindow, cold_windows
from seawall.feasibility.exposure.figures import Figure
from seawall.feasibility.exposure.functions import function_rows, promise_of, without_money
from seawall.feasibility.exposure.observed import Level, Observed, as_declared
from seawall.feasibility.exposure.providers import provider_rows
from seawall.feasibility.exposure.rows import COLUMNS, Column, Row, Status, together
from seawall.feasibility.exposure.wallets import wallet_rows

if TYPE_CHECKING:
    from seawall.policy.model import Function, Policy

__all__ = [
    "COLUMNS",
    "ColdWindow",
    "Column",
    "Exposure",
    "Figure",
    "Level",
    "Observed",
    "Row",
    "Status",
    "as_declared",
    "exposure_of",
    "promise_of",
]


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """The map. ``without_money`` are functions that need none."""

    policy: str
    length_ms: int
    routes: tuple[Row, ...]
    buckets: tuple[Row, ...]
    functions: tuple[Row, ...]
    cold: tuple[ColdWindow, ...]
    without_money: tuple[Function, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """Those of every kind."""
        return (*self.routes, *self.buckets, *self.functions)


def exposure_of(policy: Policy, observed: Observed) -> Exposure:
    """The map of ``policy`` for what was ``observed``.

    Raises KeyError if a wallet, provider or place of the policy is missing in ``observed``.
    """
    cold = tuple(cold_windows(policy, observed))
    wallets = wallet_rows(policy, observed, cold)
    providers = list(provider_rows(policy, observed))
    return Exposure(
        policy=policy.policy,
        length_ms=policy.stress.length,
        routes=(*wallets.values(), *providers),
        buckets=tuple(
            together(
                policy,
                [row for row in wallets.values() if row.group == bucket],
                kind="bucket",
                group=bucket,
                name=kept.purpose,
                role="",
            )
            for bucket, kept in policy.buckets.items()
            if any(row.group == bucket for row in wallets.values())
        ),
        functions=tuple(function_rows(policy, wallets, providers)),
        cold=cold,
        without_money=without_money(policy),
    )
