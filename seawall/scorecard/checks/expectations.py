"""Checks of what a drill expects of the tiers, and of silence where nothing is wrong."""

from __future__ import annotations

from collections.abc import Iterable

from seawall.conventions import metrics
from seawall.policy import Drill
from seawall.scorecard.facts import MILLISECOND, Facts, format_s, longest_gap_us
from seawall.scorecard.outcome import Finding, check, failed, passed, unknown
from seawall.scorecard.rows import ProbeSample
from seawall.scorecard.series import scrapes
from seawall.scorecard.sources import Doubts

RECORDING_GAPS_MAX = 5
"""The longest time without a recorded sample, in times of the policy's own between two scrapes."""


def _tiers_to_reach(drill: Drill) -> tuple[str, ...]:
    """Tiers that must be reached, without the one whose time is a target of its own."""
    timed = {"protected"} if "protected_max" in drill.expects.targets else set()
    return tuple(tier for tier in drill.expects.reaches if tier not in timed)


@check(
    "tiers.reached",
    question="Was every tier reached that this drill must reach?",
    motivation="A shock that leaves no trace in the tiers was too small, or was not seen.",
    evidence=("probes.jsonl", "arrivals.csv", "flood.json", "records/mode_log.csv"),
    remediation="Look at the triggers: their levels, and whether the shock moves their indicators.",
    belongs=lambda drill: bool(_tiers_to_reach(drill)),
    steerable=True,
    believes={"venue": "a tier that it shows, in its records and to the prober"},
)
def reached(facts: Facts) -> Finding:
    """From the run on, by the records and by the status that customers see."""
    wanted = _tiers_to_reach(facts.run.drill)
    target = f"{', '.join(wanted)} reached"
    missing = [
        tier
        for tier in wanted
        if not any(span.tier == tier and span.starts >= facts.run_starts for span in facts.tiers)
    ]
    if missing:
        return failed(
            measured=_reached_text(facts), target=target, reason=f"never {', '.join(missing)}"
        )
    samples = [sample for sample in facts.status_samples if sample.at >= facts.run_starts]
    unseen = [tier for tier in wanted if not _seen(samples, tier)]
    if unseen:
        return unknown(
            measured=_reached_text(facts),
            target=target,
            reason=f"the records show {', '.join(unseen)}, and no probe of the status does",
        )
    return passed(
        measured=_reached_text(facts), target=target, reason="by the records and by the status"
    )


@check(
    "tiers.avoided",
    question="Did the venue stay out of every tier that this drill must not reach?",
    motivation="Protection that acts without need is an outage of its own making.",
    evidence=("probes.jsonl", "flood.json", "records/mode_log.csv"),
    remediation="Look at the trigger that acted, and at the indicator's value in the journal.",
    belongs=lambda drill: bool(drill.expects.avoids),
    steerable=True,
    believes={"venue": "a tier that it hides, in its records and from the prober"},
)
def avoided(facts: Facts) -> Finding:
    """Neither the records nor the status may show one, from the calm to the end of the watch."""
    unwanted = facts.run.drill.expects.avoids
    target = f"never {', '.join(unwanted)}"
    doubts = Doubts()
    flips = [
        flip
        for flip in (doubts.ask(lambda: facts.run.flips) or ())
        if flip.tier in unwanted and flip.committed_at >= facts.calm_starts
    ]
    if flips:
        at = format_s(flips[0].committed_at - facts.calm_starts)
        return failed(
            measured=f"{flips[0].tier} {at} after the calm began",
            target=target,
            reason=f"{flips[0].trigger_name or 'a person'}: {flips[0].reason}",
        )
    samples = [sample for sample in facts.status_samples if sample.at >= facts.calm_starts]
    seen = [tier for tier in unwanted if _seen(samples, tier)]
    if seen:
        return failed(
            measured=f"the status said {', '.join(seen)}",
            target=target,
            reason=f"the status names a tier, and {doubts.reasons[0]}"
            if doubts.reasons
            else "the status names a tier that the records do not have",
        )
    if doubts:
        return unknown(target=target, reason=doubts.reasons[0])
    if not samples:
        return unknown(target=target, reason="no probe of the status was answered")
    return passed(
        measured=f"never in {len(samples):,} probes of the status",
        target=target,
        reason="by the records and by the status",
    )


@check(
    "page.none",
    question="Was nobody paged, although nothing was wrong?",
    motivation="People who are paged for nothing do not come when it matters.",
    evidence=(
        "pages.jsonl",
        "metrics.json",
        "arrivals.csv",
        "flood.json",
        "timeline.jsonl",
        "probes.jsonl",
        "records/mode_log.csv",
    ),
    adapts_to=("mode_changes",),
    remediation="Look at the alert's expression and level.",
    belongs=lambda drill: not drill.faults and not drill.expects.reaches,
    steerable=True,
    believes={"pager": "a page that it leaves out", "Prometheus": "that no alert was raised"},
)
def page_none(facts: Facts) -> Finding:
    """No alert was firing when the calm began, and none arrived at the pager since.

    Tickets that anybody can cause alone are no pages: a coin from a stranger, or an address that
    takes no money, must fail nobody's drill.

    That a page would have arrived is shown by the drills that have a page for a target, not here;
    but a Prometheus that recorded nothing could not have raised any.
    """
    target = "no page"
    pages = [page for page in facts.run.pages if page.alertname not in metrics.ANYBODY_RAISES]
    firing = {
        page.alertname: page.status == "firing"
        for page in pages
        if page.received_at < facts.calm_starts
    }
    if any(firing.values()):
        names = ", ".join(name for name, still in firing.items() if still)
        return unknown(target=target, reason=f"{names} was firing before the calm began")
    received = [
        page for page in pages if page.status == "firing" and page.received_at >= facts.calm_starts
    ]
    if received:
        return failed(
            measured=f"{len(received)} pages",
            target=target,
            reason=f"the first is {received[0].alertname},"
            f" {format_s(received[0].received_at - facts.calm_starts)} after the calm began",
        )
    gap_us = _recording_gap_us(facts)
    if gap_us > RECORDING_GAPS_MAX * facts.run.policy.monitoring.scrape_every * MILLISECOND:
        return unknown(target=target, reason=f"Prometheus recorded nothing for {format_s(gap_us)}")
    return passed(measured="no page", target=target, reason="the pager received nothing")


def _recording_gap_us(facts: Facts) -> int:
    """The longest time from the calm to the end of the watch without a sample in Prometheus."""
    return longest_gap_us(scrapes(facts), starts=facts.calm_starts, ends=facts.watch_ends)


def _seen(samples: Iterable[ProbeSample], tier: str) -> bool:
    return any((sample.detail or {}).get("tier") == tier for sample in samples)


def _reached_text(facts: Facts) -> str:
    tiers = dict.fromkeys(span.tier for span in facts.tiers if span.ends > facts.run_starts)
    return f"reached {', '.join(tiers)}"


CHECKS = (reached, avoided, page_none)
