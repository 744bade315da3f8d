"""Whether money moves between the reserves of two networks, and how much; pure.

Each health check is a function of what was observed. What was not observed is ``unknown``, and
stops it as what is wrong does: a movement that waits costs little, one that is made in the dark may
cost the reserve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from seawall.controls.heartbeat import stale
from seawall.controls.prices import price_fault
from seawall.controls.sizing import lane_caps, signer_caps

if TYPE_CHECKING:
    from seawall.policy import Policy
    from seawall.policy.rebalancing import Rebalancing

CheckName = Literal["congestion", "custody", "oracle", "mode", "books"]
CHECKS: tuple[CheckName, ...] = get_args(CheckName)
Verdict = Literal["green", "red", "unknown"]
_WEI_PER_GWEI = 10**9


class Quote(NamedTuple):
    """A price of a source: whole units of ``buy`` per whole unit of ``sell``, and its age."""

    source: str
    sell: str
    buy: str
    price: Fraction
    age_ms: int


@dataclass(frozen=True, kw_only=True)
class Busyness:
    """How busy a network is: the base fee of its newest block, and transactions that wait."""

    base_fee_wei: int
    pending: int


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What the checks are made of; what could not be observed is None, or missing.

    Attributes:
        busy: By network.
        carrier: What the carrier says of itself: its state, and why.
        quotes: Prices of the asset in the coins of both networks.
        tier: The mode.
        lease_age_ms: Age of the mode controller's heartbeat.
        lacking: Base units that the chain lacks, by reserve.
    """

    busy: Mapping[str, Busyness | None]
    carrier: tuple[str, str] | None
    quotes: Sequence[Quote]
    tier: str | None
    lease_age_ms: int | None
    lacking: Mapping[str, int | None]


class Finding(NamedTuple):
    """What a check has found; ``reason`` for people, also where it is green."""

    check: CheckName
    verdict: Verdict
    reason: str


class Route(NamedTuple):
    """From which reserve to which, and their networks."""

    asset: str
    source: str
    target: str
    from_network: str
    to_network: str


def routes(policy: Policy) -> list[Route]:
    """Both directions of every pair of reserves; none if the policy names no carrier."""
    if policy.rebalancing is None:
        return []
    found = []
    for asset, declared in policy.rebalancing.assets.items():
        one, other = declared.between
        for source, target in ((one, other), (other, one)):
            places = policy.wallets[source].network, policy.wallets[target].network
            found.append(Route(asset, source, target, *places))
    return found


def most_at_once(policy: Policy, reserve: str, asset: str) -> int:
    """Base units of ``asset`` that ``reserve`` moves by one approval of the routine lane."""
    lane = lane_caps(policy, reserve, policy.approvals.routine)[asset]
    return min(lane, signer_caps(policy, reserve).amounts[asset])


def amount_to_move(
    policy: Policy, route: Route, *, source_held: int, target_held: int
) -> int | None:
    """Base units to move along ``route``; None if nothing is to be moved.

    Args:
        policy: Declares both reserves' targets, and from when on one gives and the other takes.
        route: From where to where.
        source_held: What the source holds, without what is on its way out of it.
        target_held: What the target holds, with what is on its way to it.

    Raises KeyError if the policy declares no such reserve, or no such asset of it.
    """
    declared = policy.rebalancing
    if declared is None:
        return None
    targets = [
        policy.base_units(route.asset, policy.wallets[name].holdings[route.asset].target)
        for name in (route.source, route.target)
    ]
    if target_held >= declared.to_below * targets[1]:
        return None
    amount = min(
        source_held - int(declared.from_above * targets[0]),
        targets[1] - target_held,
        most_at_once(policy, route.source, route.asset),
    )
    least = policy.base_units(route.asset, declared.assets[route.asset].amount_min)
    return amount if amount >= least else None


def health(policy: Policy, declared: Rebalancing, route: Route, seen: Observed) -> list[Finding]:
    """What every check finds, in the order of :data:`CHECKS`."""
    return [
        _congestion(declared, route, seen),
        _custody(seen),
        _oracle(policy, declared, route, seen),
        _mode(seen),
        _books(route, seen),
    ]


def blocking(findings: Sequence[Finding]) -> list[Finding]:
    """Those that are not green."""
    return [each for each in findings if each.verdict != "green"]


def _congestion(declared: Rebalancing, route: Route, seen: Observed) -> Finding:
    said = []
    for network in (route.from_network, route.to_network):
        levels, busy = declared.health.congestion[network], seen.busy.get(network)
        if busy is None:
            return Finding("congestion", "unknown", f"{network} does not say how busy it is")
        if busy.base_fee_wei > levels.base_fee_gwei_max * _WEI_PER_GWEI:
            most = f"{float(levels.base_fee_gwei_max):g} gwei"
            why = f"the base fee of {network} is {busy.base_fee_wei} wei, above {most}"
            return Finding("congestion", "red", why)
        if busy.pending > levels.pending_max:
            why = f"{busy.pending} transactions wait on {network}, above {levels.pending_max}"
            return Finding("congestion", "red", why)
        said.append(f"{network} {busy.base_fee_wei} wei, {busy.pending} waiting")
    return Finding("congestion", "green", "; ".join(said))


def _custody(seen: Observed) -> Finding:
    if seen.carrier is None:
        return Finding("custody", "unknown", "the carrier does not say how it is")
    state, why = seen.carrier
    if state != "normal":
        return Finding("custody", "red", f"the carrier says {state}: {why or 'no reason given'}")
    return Finding("custody", "green", "the carrier says normal")


def _oracle(policy: Policy, declared: Rebalancing, route: Route, seen: Observed) -> Finding:
    """Every quote counts, and each of the two coins needs one."""
    bounds = declared.health.oracle
    for each in seen.quotes:
        fault = price_fault(
            policy, each.price, sell=each.sell, buy=each.buy, age_ms=each.age_ms, bounds=bounds
        )
        what = f"{each.source} quotes {each.sell} at {float(each.price):g} {each.buy}"
        if fault == "far":
            most = f"{float(bounds.deviation_max):.0%}"
            return Finding("oracle", "red", f"{what}, more than {most} from the reference")
        if fault == "stale":
            return Finding("oracle", "red", f"{what}, of {each.age_ms} ms ago")
    for network in (route.from_network, route.to_network):
        coin = policy.networks[network].native
        if not any((each.sell, each.buy) == (coin, route.asset) for each in seen.quotes):
            return Finding("oracle", "unknown", f"nobody quotes {coin} in {route.asset}")
    return Finding("oracle", "green", f"{len(seen.quotes)} prices are near the reference")


def _mode(seen: Observed) -> Finding:
    if stale(seen.lease_age_ms) or seen.tier is None:
        return Finding("mode", "unknown", "the mode controller is silent")
    if seen.tier != "normal":
        return Finding("mode", "red", f"the tier is {seen.tier}")
    return Finding("mode", "green", "the tier is normal")


def _books(route: Route, seen: Observed) -> Finding:
    for wallet in (route.source, route.target):
        lacks = seen.lacking.get(wallet)
        if lacks is None:
            why = f"{wallet} has not been compared with the chain lately"
            return Finding("books", "unknown", why)
        if lacks:
            why = f"{wallet} lacks {lacks} base units of what the ledger says"
            return Finding("books", "red", why)
    return Finding("books", "green", "neither reserve lacks anything")
