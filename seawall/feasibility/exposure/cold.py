"""When money comes from cold wallets, and whether it comes within the cycle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from seawall.controls.sizing import from_cold
from seawall.feasibility.exposure.figures import Figure, derived
from seawall.feasibility.exposure.observed import Observed
from seawall.feasibility.steps import span

if TYPE_CHECKING:
    from seawall.policy.custody import Custody
    from seawall.policy.model import Policy

_MS_PER_S = 1_000
_DAY_S = 86_400


@dataclass(frozen=True, kw_only=True)
class ColdWindow:
    """When money comes from cold to a reserve, and how much if the reserve asked now.

    ``counts``: whether it arrives within the cycle; ``reason`` says why, or why not.
    """

    reserve: str
    asset: str
    custodian: str
    opens: str
    closes: str
    lead_time_ms: int
    is_open: bool | None
    asked: Figure
    counts: bool
    reason: str


def cold_windows(policy: Policy, observed: Observed) -> Iterator[ColdWindow]:
    """Of each reserve that a cold wallet fills; none without a custodian: people see to it then."""
    custody = policy.custody
    if custody is None:
        return
    for reserve, wallet in policy.wallets.items():
        source = policy.cold_of(reserve) if wallet.wallet_class == "reserve" else None
        if source is None:
            continue
        for asset in wallet.holdings:
            if asset not in policy.wallets[source].holdings:
                continue
            asked = derived(
                lambda held, cold, reserve=reserve, asset=asset: _asked(
                    policy, reserve, asset, held=held, cold=cold
                ),
                observed.holdings[reserve, asset],
                observed.holdings[source, asset],
                source=f"{source}, which fills {reserve} to its target from below its minimum",
            )
            counts, reason = _in_time(custody, policy.stress.length, observed.at_s)
            yield ColdWindow(
                reserve=reserve,
                asset=asset,
                custodian=custody.custodian,
                opens=custody.opens,
                closes=custody.closes,
                lead_time_ms=custody.lead_time,
                is_open=None if observed.at_s is None else custody.is_open(observed.at_s),
                asked=asked,
                counts=counts,
                reason=reason,
            )


def _asked(policy: Policy, reserve: str, asset: str, *, held: Fraction, cold: Fraction) -> Fraction:
    scale = 10 ** policy.assets[asset].decimals
    amount = from_cold(policy, reserve, asset, held=int(held * scale), cold=int(cold * scale))
    return Fraction(amount or 0, scale)


def _in_time(custody: Custody, length_ms: int, at_s: float | None) -> tuple[bool, str]:
    """Whether what is asked for at the beginning of the cycle arrives within it, and why."""
    if custody.lead_time > length_ms:
        return False, (
            f"the lead time of cold, {span(custody.lead_time)}, is longer than the cycle,"
            f" {span(length_ms)}"
        )
    if custody.opens_s == custody.closes_s:
        return True, f"within {span(custody.lead_time)}; the window never closes"
    if at_s is None:
        return False, "a cycle may begin while the window of cold is closed"
    open_ms = int(((custody.closes_s - at_s) % _DAY_S) * _MS_PER_S)
    if not custody.is_open(at_s):
        return False, f"the window of cold is closed until {custody.opens} UTC"
    if open_ms <= custody.delay:
        return False, f"the window of cold closes at {custody.closes} UTC, before its delay is over"
    return True, f"within {span(custody.lead_time)}; the window closes at {custody.closes} UTC"
