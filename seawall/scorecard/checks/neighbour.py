"""Checks of the noisy-neighbour drill: one bucket's flood must not starve another's signatures.

``seawall.drill.neighbour.plan`` says what is sent. The quiet bucket asks all along, the noisy one
for `FLOOD_S` seconds after a calm of `CALM_S`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from seawall.scorecard.facts import Facts
from seawall.scorecard.one_control import Answer, Flooded
from seawall.scorecard.outcome import Finding, Outcome, check, failed, passed, unknown
from seawall.scorecard.producers import Producer

CALM_S = 4.0
FLOOD_S = 15.0
LAG_MS_MAX = 100.0
"""A generator that is later than this measures itself."""
SHARE_MIN = Fraction(4, 5)
"""How much of its share the noisy bucket must get at least."""
SIGNED = "signed"
"""The outcome of a request that was served."""
_P99 = Fraction(99, 100)
_EVIDENCE = ("policy.json", "noisy-neighbour.json")
_BELIEVES: Mapping[Producer, str] = {
    "control drill": "answers and times that it never got; CloudTrail has each signature, to the"
    " second"
}
_ROOM = "Give the drill the machine for itself; on two slow, shared cores it is late by itself."


@check(
    "neighbour.calm",
    question="Was the quiet bucket served in time before the flood?",
    motivation="What was slow before the flood is not the flood's doing.",
    evidence=_EVIDENCE,
    believes=_BELIEVES,
    remediation=_ROOM,
)
def calm(facts: Facts) -> Finding:
    """UNKNOWN without a steady state before the flood."""
    return _undecided(_before(facts), "no steady state before the flood")


@check(
    "neighbour.pressed",
    question="Did the flood ask for more than the account's quota of signatures?",
    motivation="A flood that fits into the quota takes nothing from anyone.",
    evidence=_EVIDENCE,
    believes=_BELIEVES,
    remediation="Compare the quota in the deployment file with the account's own.",
)
def pressed(facts: Facts) -> Finding:
    """UNKNOWN unless more was asked than the quota has, and not all of it was served."""
    found = facts.run.neighbour
    flood, quota = _flood(found), found.operations_per_s
    target = f"> {quota} asked for a second, some of it refused"
    asked = len(flood) / FLOOD_S
    refused = sum(answer.outcome != SIGNED for answer in flood)
    measured = f"{asked:.0f} asked for a second, {refused:,} of {len(flood):,} refused"
    if asked > quota and refused:
        return passed(measured=measured, target=target, reason=f"the flood: {_tally(flood)}")
    return unknown(
        measured=measured,
        target=target,
        reason="the flood did not fill the signer, so nothing was shown",
    )


@check(
    "neighbour.generator",
    question="Did the requests leave when they were planned?",
    motivation="A generator that is late measures itself.",
    evidence=_EVIDENCE,
    believes=_BELIEVES,
    remediation=_ROOM,
)
def generator(facts: Facts) -> Finding:
    """UNKNOWN if they left late."""
    answers = facts.run.neighbour.answers
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


@check(
    "neighbour.quiet_completed",
    question="Was the quiet bucket served in time beside the flood?",
    motivation="One bucket's run must not stop the payouts of another.",
    evidence=_EVIDENCE,
    believes=_BELIEVES,
    remediation="Look at the shares of `signing` in the policy, and at the signers' bulkhead.",
)
def quiet_completed(facts: Facts) -> Finding:
    """FAIL if not, and UNKNOWN if something else than the flood may be the cause."""
    found = facts.run.neighbour
    beside = [each for each in found.answers if each.who == "quiet" and each.at_s >= CALM_S]
    completed = _completed(facts, beside, why=f"{found.quiet} beside the flood")
    # Only a flood that began from a steady state, sent on time, can be blamed for what follows.
    if generator.answer(facts).outcome is not Outcome.PASS:
        blame = "the generator was late, so the delay may be its own"
    elif _before(facts).outcome is not Outcome.PASS:
        blame = "it was no better before the flood, so the flood need not be the cause"
    else:
        blame = ""
    return _undecided(completed, blame)


@check(
    "neighbour.noisy_share",
    question="Did the noisy bucket get its share of the quota, and no more?",
    motivation="A bulkhead that starves the noisy bucket has only moved the harm.",
    evidence=_EVIDENCE,
    believes=_BELIEVES,
    remediation="Look at the shares of `signing` in the policy, and at the signers' bulkhead.",
)
def noisy_share(facts: Facts) -> Finding:
    """FAIL if it got less than `SHARE_MIN` of its share, or more than the share and a burst.

    UNKNOWN if it got less and the generator was late, because a slow machine serves less as well.
    Nothing but a bulkhead that lets too much pass explains more than the share.
    """
    found = facts.run.neighbour
    flood = _flood(found)
    share = facts.run.policy.signing.shares[found.noisy] * found.operations_per_s
    target = (
        f">= {float(SHARE_MIN):.0%} of its share of {float(share):.0f}/s,"
        " and no more than its share and a burst"
    )
    signed = sum(answer.outcome == SIGNED for answer in flood)
    most = share * (Fraction(FLOOD_S) + 1)
    measured = f"{signed / FLOOD_S:.0f} signed a second"
    reason = f"{found.noisy}: {_tally(flood)}"
    if SHARE_MIN * share * Fraction(FLOOD_S) <= signed <= most:
        return passed(measured=measured, target=target, reason=reason)
    late = signed <= most and generator.answer(facts).outcome is not Outcome.PASS
    return _undecided(
        failed(measured=measured, target=target, reason=reason),
        "the machine was late, so the shortfall may be its own" if late else "",
    )


CHECKS = (calm, pressed, generator, quiet_completed, noisy_share)


def _flood(found: Flooded) -> list[Answer]:
    return [answer for answer in found.answers if answer.who == "noisy"]


def _before(facts: Facts) -> Finding:
    """How the quiet bucket was served before the flood."""
    found = facts.run.neighbour
    asked = [each for each in found.answers if each.who == "quiet" and each.at_s < CALM_S]
    return _completed(facts, asked, why=f"{found.quiet} before the flood")


def _undecided(finding: Finding, why: str) -> Finding:
    """A failure becomes unknown if there is a reason ``why`` it proves nothing."""
    if finding.outcome is not Outcome.FAIL or not why:
        return finding
    return unknown(
        measured=finding.measured, target=finding.target, reason=f"{why}; {finding.reason}"
    )


def _completed(facts: Facts, answers: Sequence[Answer], *, why: str) -> Finding:
    signing = facts.run.policy.signing
    within_ms, wanted = signing.within, signing.completed_min
    target = f">= {float(wanted):.2%} within {within_ms / 1000:g} s"
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


def _quantile_ms(answers: Sequence[Answer]) -> float:
    return sorted(answer.latency_ms for answer in answers)[int(_P99 * (len(answers) - 1))]


def _tally(answers: Sequence[Answer]) -> str:
    counts: dict[str, int] = {}
    for answer in answers:
        counts[answer.outcome] = counts.get(answer.outcome, 0) + 1
    return (
        ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items())) or "nothing"
    )
