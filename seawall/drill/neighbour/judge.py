"""Noisy neighbour: one bucket's flood of signatures must not starve another's; pure.

KMS counts elliptic-curve operations of an account and region over all keys together (Developer
Guide, "Request quotas"), so one key per bucket is no isolation. The flood asks for several times
that quota in the name of one bucket while another asks, calmly, for its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Literal

from seawall.policy import Policy
from seawall.scorecard.outcome import Finding, Outcome, failed, passed, unknown

CALM_S = 4.0
FLOOD_S = 15.0
FLOOD_OVER_QUOTA = Fraction(5, 2)
"""How much the noisy bucket asks for, in quotas.

Enough that without a bulkhead most of what anyone asks is refused.
"""
QUIET_PER_S = 7
LAG_MS_MAX = 100.0
"""A generator that is later than this measures itself."""
_P99 = Fraction(99, 100)

Who = Literal["noisy", "quiet"]
SIGNED = "signed"


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One planned request, ``at_s`` after the start."""

    at_s: float
    who: Who


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a request: ``outcome`` is ``signed``, a refusal's code, or how it failed.

    ``latency_ms`` counts from the plan.
    """

    at_s: float
    who: Who
    lag_ms: float
    latency_ms: float
    outcome: str


def plan(*, operations_per_s: int, seed: int) -> list[Ask]:
    """Arrivals in order: the quiet bucket's all along, the noisy one's after the calm.

    The noisy one's are a Poisson process. The quiet one's are even: what it is refused must be the
    neighbour's doing, never a burst of its own.
    """
    rng = Random(f"{seed}/neighbour")
    quiet = _even(rng, rate=float(QUIET_PER_S), end_s=CALM_S + FLOOD_S)
    noisy = _arrivals(
        rng, rate=float(operations_per_s * FLOOD_OVER_QUOTA), begin_s=CALM_S, end_s=CALM_S + FLOOD_S
    )
    asks = [Ask(at_s=at, who="quiet") for at in quiet] + [Ask(at_s=at, who="noisy") for at in noisy]
    return sorted(asks, key=lambda ask: ask.at_s)


def _even(rng: Random, *, rate: float, end_s: float) -> list[float]:
    """One in each interval, a quarter of it early or late."""
    return [(index + 0.5 + rng.uniform(-0.25, 0.25)) / rate for index in range(int(end_s * rate))]


def _arrivals(rng: Random, *, rate: float, begin_s: float, end_s: float) -> list[float]:
    times, at = [], begin_s
    while (at := at + rng.expovariate(rate)) < end_s:
        times.append(at)
    return times


def judge(
    policy: Policy, answers: Sequence[Answer], *, noisy: str, quiet: str, operations_per_s: int
) -> dict[str, Finding]:
    """The findings over ``answers``; ``noisy`` and ``quiet`` are the buckets."""
    within_ms, wanted = policy.signing.within, policy.signing.completed_min
    calm = [answer for answer in answers if answer.who == "quiet" and answer.at_s < CALM_S]
    beside = [answer for answer in answers if answer.who == "quiet" and answer.at_s >= CALM_S]
    flood = [answer for answer in answers if answer.who == "noisy"]
    target = f">= {float(wanted):.2%} within {within_ms / 1000:g} s"
    generator = _on_time(answers)
    before = _completed(calm, within_ms, wanted, target, why=f"{quiet} before the flood")
    quiet_completed = _completed(beside, within_ms, wanted, target, why=f"{quiet} beside the flood")
    # Only a flood that began from a steady state, sent on time, can be blamed for what follows.
    if generator.outcome is not Outcome.PASS:
        blame = "the generator was late, so the delay may be its own"
    elif before.outcome is not Outcome.PASS:
        blame = "it was no better before the flood, so the flood need not be the cause"
    else:
        blame = ""
    return {
        "neighbour.calm": _undecided(before, "no steady state before the flood"),
        "neighbour.pressed": _pressed(flood, operations_per_s),
        "neighbour.generator": generator,
        "neighbour.quiet_completed": _undecided(quiet_completed, blame),
        "neighbour.noisy_share": _share(
            flood,
            share=policy.signing.shares[noisy] * operations_per_s,
            wanted=Fraction(4, 5),
            noisy=noisy,
        ),
    }


def _undecided(finding: Finding, why: str) -> Finding:
    """A failure becomes unknown if there is a reason ``why`` it proves nothing."""
    if finding.outcome is not Outcome.FAIL or not why:
        return finding
    return unknown(
        measured=finding.measured, target=finding.target, reason=f"{why}; {finding.reason}"
    )


def _completed(
    answers: Sequence[Answer], within_ms: int, wanted: Fraction, target: str, *, why: str
) -> Finding:
    if not answers:
        return unknown(target=target, reason=f"no request for {why}")
    good = [
        answer for answer in answers if answer.outcome == SIGNED and answer.latency_ms <= within_ms
    ]
    measured = (
        f"{len(good) / len(answers):.2%} ({len(good):,} of {len(answers):,}),"
        f" p99 {_quantile_ms(answers):.0f} ms"
    )
    reason = f"{why}: {_tally(answers)}"
    if Fraction(len(good), len(answers)) >= wanted:
        return passed(measured=measured, target=target, reason=reason)
    return failed(measured=measured, target=target, reason=reason)


def _pressed(flood: Sequence[Answer], operations_per_s: int) -> Finding:
    """Proof that the flood took effect.

    More was asked than the quota has, and not all of it was served.
    """
    target = f"> {operations_per_s} asked for a second, some of it refused"
    asked = len(flood) / FLOOD_S
    refused = sum(answer.outcome != SIGNED for answer in flood)
    measured = f"{asked:.0f} asked for a second, {refused:,} of {len(flood):,} refused"
    if asked > operations_per_s and refused:
        return passed(measured=measured, target=target, reason=f"the flood: {_tally(flood)}")
    return unknown(
        measured=measured,
        target=target,
        reason="the flood did not fill the signer, so nothing was shown",
    )


def _on_time(answers: Sequence[Answer]) -> Finding:
    target = f"dispatch lag p99 <= {LAG_MS_MAX:g} ms"
    if not answers:
        return unknown(target=target, reason="nothing was sent")
    lag = sorted(answer.lag_ms for answer in answers)[int(_P99 * (len(answers) - 1))]
    measured = f"{lag:.0f} ms"
    if lag <= LAG_MS_MAX:
        return passed(
            measured=measured, target=target, reason="requests left when they were planned"
        )
    return unknown(
        measured=measured, target=target, reason="the generator was late, so latencies are its own"
    )


def _share(flood: Sequence[Answer], *, share: Fraction, wanted: Fraction, noisy: str) -> Finding:
    """The bulkhead keeps the noisy bucket to its share, and leaves it that share."""
    target = (
        f">= {float(wanted):.0%} of its share of {float(share):.0f}/s,"
        " and no more than its share and a burst"
    )
    signed = sum(answer.outcome == SIGNED for answer in flood)
    most = share * (Fraction(FLOOD_S) + 1)
    measured = f"{signed / FLOOD_S:.0f} signed a second"
    reason = f"{noisy}: {_tally(flood)}"
    if wanted * share * Fraction(FLOOD_S) <= signed <= most:
        return passed(measured=measured, target=target, reason=reason)
    return failed(measured=measured, target=target, reason=reason)


def _quantile_ms(answers: Sequence[Answer]) -> float:
    return sorted(answer.latency_ms for answer in answers)[int(_P99 * (len(answers) - 1))]


def _tally(answers: Sequence[Answer]) -> str:
    counts: dict[str, int] = {}
    for answer in answers:
        counts[answer.outcome] = counts.get(answer.outcome, 0) + 1
    return (
        ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items())) or "nothing"
    )
