"""Endpoints that hang: for the prober at the same address, and for who uses them, by its counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from seawall.conventions import components, metrics
from seawall.scorecard.facts import MILLISECOND, Facts, format_s
from seawall.scorecard.outcome import Finding, Outcome, passed, unknown
from seawall.scorecard.probed import STILL_LATE_US_MAX, both, first_of, hung
from seawall.scorecard.readers import Instant
from seawall.scorecard.seen import FaultSeen
from seawall.scorecard.series import growth, recorded


def rpc_dark(facts: Facts, fault: FaultSeen) -> Finding:
    """The endpoint was dark for the prober, and by its own count for the settler that uses it."""
    samples = [
        sample
        for sample in facts.samples("rpc")
        if sample.detail
        and components.rpc_proxy(str(sample.detail.get("network")), str(sample.detail.get("side")))
        == fault.planned.target
    ]
    endpoint = hung(fault, samples, fault.planned.target)
    if endpoint.outcome is not Outcome.PASS:
        return endpoint
    _, network, side = fault.planned.target.split(".")
    who = _User(
        metric=metrics.RPC_REQUESTS, labels={"network": network}, name=f"settler of {network}"
    )
    user = _silent_for(facts, fault, who, side=side)
    if user is None:
        return replace(endpoint, reason=f"{endpoint.reason} (no settler counts what it was asked)")
    return both(endpoint, user)


def counterparty_dark(facts: Facts, fault: FaultSeen) -> Finding:
    """The provider was dark for the prober, and by its own count for who pays over the rail."""
    samples = [
        sample
        for sample in facts.samples("provider")
        if (sample.detail or {}).get("proxy") == fault.planned.target
    ]
    endpoint = hung(fault, samples, fault.planned.target)
    if endpoint.outcome is not Outcome.PASS:
        return endpoint
    kind, _, side = fault.planned.target.partition(".")
    user = None
    for rail, declared in facts.run.policy.paying_rails().items():
        if declared.kind == kind and user is None:
            who = _User(
                metric=metrics.RAIL_REQUESTS, labels={"rail": rail}, name=f"payer of {rail}"
            )
            user = _silent_for(facts, fault, who, side=side)
    if user is None:
        return replace(endpoint, reason=f"{endpoint.reason} (no payer counts what it was asked)")
    return both(endpoint, user)


@dataclass(frozen=True, kw_only=True)
class _User:
    """Who uses one of two endpoints, and counts its requests to each, by side and outcome."""

    metric: str
    labels: Mapping[str, str]
    name: str


def _silent_for(facts: Facts, fault: FaultSeen, user: _User, *, side: str) -> Finding | None:
    """``user`` asked the endpoint in vain, and was answered by it no more.

    By its own counts, as Prometheus recorded them, which look at no address of the injector's. None
    where it does not count. Whether the other endpoint answered it instead is shown, and is the
    venue's business.

    Answers are counted from two scrapes after the fault. The evidence has one count for each step
    of a grid whose step is one scrape, so the last one until a moment stands up to one scrape
    before it; and what stands there was scraped up to one scrape earlier still. With one scrape,
    the count might be of before the fault, and its answers be taken for those of the dark. One more
    scrape is needed to see the next count, so a shorter fault shows nothing: UNKNOWN.
    """
    if not facts.offers("metrics") or not recorded(facts, user.metric):
        return None
    scrape_us = facts.run.policy.monitoring.scrape_every * MILLISECOND
    applied, ends = Instant(fault.applied or 0), Instant(fault.reverted or 0)
    starts = Instant((fault.effective or 0) + STILL_LATE_US_MAX + 2 * scrape_us)
    target = f"the {user.name} is not answered by {fault.planned.target}"
    lacks_us = starts + scrape_us - ends
    if lacks_us > 0:
        return unknown(
            target=target,
            reason=(
                f"the fault is {format_s(lacks_us)} too short for the counts of the {user.name},"
                " which begin two scrapes after it and take one more"
            ),
        )

    def counted(where: str, outcome: str, since: Instant) -> float | None:
        labels = {**user.labels, "side": where, "outcome": outcome}
        return growth(facts, user.metric, labels, starts=since, ends=ends)

    other = next(each for each in components.SIDES if each != side)
    silent = counted(side, "silent", applied)
    answered, elsewhere = counted(side, "answered", starts), counted(other, "answered", starts)
    if silent is None or answered is None or elsewhere is None:
        return unknown(target=target, reason=f"metrics.json lacks counts of the {user.name}")
    who = user.name.partition(" of ")[0]
    measured = (
        f"its {who} asked {silent:.0f} times in vain, was answered {elsewhere:.0f} times by {other}"
    )
    doubt = first_of(
        (answered > 0, f"{fault.planned.target} still answered the {who} {answered:.0f} times"),
        (silent <= 0, f"the {user.name} never asked {fault.planned.target}"),
    )
    if doubt is not None:
        return unknown(target=target, measured=measured, reason=doubt)
    return passed(measured=measured, target=target, reason=f"and for the {who} that uses it")
