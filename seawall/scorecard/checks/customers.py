"""Checks of what customers were told and what they were paid, without the venue's records.

They need what any venue has: its answers to its customers, and payouts that can be seen outside it.
Its instructions to providers of rails, where it offers them, only add to the doubts.
So they are asked of every drill, and without them there is no PASS.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from seawall.errors import EvidenceError
from seawall.scorecard.chain_rows import Payout
from seawall.scorecard.earlier import destinations, paid_late, paid_too_often
from seawall.scorecard.facts import FOREVER, MILLISECOND, WITHDRAWAL_PROBES, Facts, format_s
from seawall.scorecard.outcome import Finding, check, unknown, violations
from seawall.scorecard.payments import by_statement
from seawall.scorecard.readers import Instant
from seawall.scorecard.rows import LOST, Demand, Key, LoggedRequest
from seawall.scorecard.sources import Doubts

UNANSWERED = "unanswered"
PAID, REFUNDED = "posted", "voided"
"""The two final states of a withdrawal under the drill contract."""
REFUSED = "refused"
"""Outcome of an attempt that the venue answered with a code of the drill contract."""
UNAVAILABLE = "unavailable"
"""The code that says nothing of a request: the venue cannot tell now whether it has it."""


@check(
    "customer.followed",
    question="Was every request that the venue acknowledged followed to its end?",
    motivation="To the customer, a request that was acknowledged and vanished is a theft.",
    evidence=(
        "arrivals.csv",
        "requests.csv",
        "flood.json",
        "probes.jsonl",
        "timeline.jsonl",
        "followed.csv",
    ),
    remediation="Ask the venue for the named requests; one that it does not know was lost.",
    believes={
        "venue": "a refund that it never made: nobody else sees refunds",
        "generator": "answers that the venue never gave",
    },
)
def followed(facts: Facts) -> Finding:
    """Each was asked for after the shock, in its customer's name, until it was paid or refunded.

    FAIL for one that the venue does not know, one that was refunded without a reason, and one that
    is still open although the bounds on recovery and on a withdrawal have both passed.
    """
    target = "all paid, or refunded with a reason"
    unseen = Doubts()
    bound = unseen.ask(lambda: _all_bounds(facts)) or FOREVER
    promised = facts.known_promises(unseen)
    found: list[str] = []
    doubts: list[str] = []
    for identity in promised:
        row = facts.followed_by_id.get(identity)
        if row is None:
            doubts.append(f"{identity} was acknowledged, and was not followed")
        elif row.asked_at is None:
            doubts.append(f"{identity} was acknowledged, and there was no time to ask for it")
        elif row.state == LOST:
            found.append(f"{identity} was acknowledged, and the venue does not know it")
        elif row.state == REFUNDED and not row.reason:
            found.append(f"{identity} was refunded without a reason")
        elif row.state == UNANSWERED:
            doubts.append(f"{identity}: the venue did not answer")
        elif row.state not in (PAID, REFUNDED):
            text = f"{identity} is still {row.state}"
            if row.asked_at >= bound:
                found.append(f"{text} {format_s(row.asked_at - bound)} after all bounds")
            else:
                doubts.append(f"{text}, and was not followed to the end of all bounds")
    if doubts and not found:
        return unknown(
            target=target,
            measured=f"{len(doubts):,} of {len(promised):,} not followed to the end",
            reason=doubts[0],
            details=doubts[1:4],
        )
    return violations(
        found,
        checked=len(promised),
        what="acknowledged requests",
        reason="each was paid, or refunded with a reason, by what its customer was told",
        details=doubts[:3],
        doubts=unseen.reasons,
    )


def _all_bounds(facts: Facts) -> Instant:
    """When the bounds on recovery and on a withdrawal have both passed."""
    targets = facts.run.policy.targets
    return Instant(
        max(facts.healing, facts.run_ends)
        + (targets.recovery_max + targets.small_withdrawal_within) * MILLISECOND
    )


@check(
    "customer.paid_once",
    question="Was nobody paid more often than they asked?",
    motivation="A double payment cannot be taken back.",
    evidence=(
        "arrivals.csv",
        "requests.csv",
        "flood.json",
        "probes.jsonl",
        "timeline.jsonl",
        "chain/payouts.csv",
        "chain/unseen.csv",
        "chain/blocks.csv",
        "rails/statements.csv",
        "records/instructions.csv",
        "earlier.csv",
    ),
    adapts_to=("statements", "instructions"),
    remediation="Stop payouts; look at how a payment is sent again after a failure.",
    proves_alone=True,
    believes={
        "networks": "a payout that they leave out",
        "providers": "a payout that they leave out",
        "generator": "a request that it never made",
        "game day": "a request of an earlier drill that was never made",
    },
)
def paid_once(facts: Facts) -> Finding:
    """Payouts to each destination of the drill, against what was asked for there.

    Destinations are made up for the drill, so nothing else is paid to them, on no network and by no
    provider of a rail; what one has accepted and not returned counts, for it will be paid, and by
    no clock of the provider's. Requests count whether or not they were acknowledged: an answer that
    got lost is no reason not to pay. Repeats of a request count once. What an address sent that is
    not known to be the venue's, and that is like no request, may be anybody's: a doubt. So is what
    a destination holds beyond the payouts that were seen, unless it makes a request more than was
    asked for. Too much on one network, or over one rail, is wrong whatever is not known of another.

    Where payouts carry no number, those to destinations of earlier drills of the game day count on:
    a second payment may come when its own drill is over.
    """
    doubts = Doubts()
    _require_own(facts, doubts)
    asked = Counter(demand.key for demand in facts.demands)
    ours = {demand.destination for demand in facts.demands} - destinations(facts)
    payouts = (*_on_networks(facts, doubts), *facts.stated.alive())
    _require_stated(facts, doubts)
    paid = Counter(payout.key for payout in payouts if payout.to.lower() in ours)
    dust = _dust(payouts, asked)
    doubts.reasons += [
        f"{stranger}, which is none of the venue's known addresses, sent {amount} {asset} to {to}"
        f" on {network}, and nobody had asked for that"
        for (network, asset, to, amount), stranger in dust.items()
        if to in ours
    ]
    over = [
        (count - asked[key], paid_too_often(key, paid=count, asked=asked[key]))
        for key, count in paid.items()
        if count > asked[key] and key not in dust
    ]
    found = [said for _, said in sorted([*over, *paid_late(facts, doubts)])]
    found += _held_too_much(facts, payouts, doubts)
    return violations(
        found,
        checked=paid.total(),
        what="payouts",
        reason="no destination got more, or anything else, than was asked for"
        + by_statement(facts),
        worst=found[-1] if found else None,
        doubts=doubts.reasons,
    )


def _held_too_much(facts: Facts, payouts: Iterable[Payout], doubts: Doubts) -> Iterator[str]:
    """Destinations that hold a request more than was asked for; ``doubts`` gets what is less."""
    asked: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for demand in facts.demands:
        asked[demand.network, demand.asset, demand.destination].append(demand.amount)
    seen: Counter[tuple[str, str, str]] = Counter()
    for payout in payouts:
        seen[payout.network, payout.asset, payout.to.lower()] += payout.amount
    for row in doubts.ask(lambda: facts.run.unseen) or ():
        if row.to is None or row.amount is None:
            doubts.note(f"not all that destinations hold of {row.asset} on {row.network} was read")
            continue
        place = (row.network, row.asset, row.to.lower())
        text = f"{row.to} holds {row.amount} {row.asset} on {row.network} more than was seen paid"
        wanted = asked[place]
        if wanted and seen[place] + row.amount >= sum(wanted) + min(wanted):
            yield f"{text}, and {sum(wanted)} was asked for"
        else:
            doubts.note(text)


def _dust(payouts: Iterable[Payout], asked: Mapping[Key, int]) -> dict[Key, str]:
    """By what strangers alone paid, and nobody had asked for: one of them."""
    by: dict[Key, set[str | None]] = defaultdict(set)
    for payout in payouts:
        by[payout.key].add(payout.stranger)
    return {
        key: min(each for each in strangers if each is not None)
        for key, strangers in by.items()
        if None not in strangers and not asked.get(key)
    }


@check(
    "customer.told_truth",
    question=(
        "Was everything paid that the venue called paid, and nothing that it called refunded or"
        " refused?"
    ),
    motivation="A status that is not true is what a run feeds on.",
    evidence=(
        "arrivals.csv",
        "requests.csv",
        "flood.json",
        "probes.jsonl",
        "timeline.jsonl",
        "followed.csv",
        "chain/payouts.csv",
        "chain/blocks.csv",
        "rails/statements.csv",
        "records/instructions.csv",
    ),
    adapts_to=("statements", "instructions"),
    remediation="Compare the named requests with the payouts; find where their state is written.",
    proves_alone=True,
    believes={
        "networks": "a payout that was never made, or one that they leave out",
        "providers": "the same of theirs",
        "generator": "something else than the venue said",
    },
)
def told_truth(facts: Facts) -> Finding:
    """What customers were told at the end, against payouts that are final outside the venue.

    What a provider of a rail has accepted and not returned is no payment yet, and no refund either.
    A request that the venue refused, with a code and each time that it was asked, is one more that
    must not be paid; one attempt without an answer, and it may be. What was called paid may be
    among what a network or rail in doubt does not show.
    """
    doubts = Doubts()
    _require_own(facts, doubts)
    found = sorted(_lies(facts, doubts))
    return violations(
        found,
        checked=len(facts.run.followed),
        what="requests",
        reason="what was called paid was paid, what was called refunded or refused was not"
        + by_statement(facts),
        doubts=doubts.reasons,
    )


def _require_own(facts: Facts, doubts: Doubts) -> None:
    """Raise :class:`EvidenceError` if requests and payouts cannot be told from earlier ones.

    If no payout of the drill was seen at all, that is a doubt: then the observer may be blind, or
    have looked elsewhere.
    """
    if facts.repeated is not None:
        raise EvidenceError(facts.repeated)
    if not _saw_any(facts):
        doubts.note("no payout to any destination of this drill was seen")


def _saw_any(facts: Facts) -> bool:
    """Whether a payout of the drill was seen on any network."""
    ours = {demand.destination for demand in facts.demands}
    return any(payout.to.lower() in ours for payout in _on_networks(facts, Doubts()))


def _on_networks(facts: Facts, doubts: Doubts) -> tuple[Payout, ...]:
    """Payouts on networks since the run began; ``doubts`` gets why some may be missing.

    Where it is not known when a block was seen, it came at its own time.
    """
    return doubts.ask(lambda: facts.payouts_since) or tuple(
        payout
        for payout in (Doubts().ask(lambda: facts.run.payouts) or ())
        if facts.is_since(payout.block_timestamp)
    )


def _require_stated(facts: Facts, doubts: Doubts) -> None:
    """Note in ``doubts`` why some of what was paid over rails may be missing."""
    doubts.reasons += [doubt.said for doubt in facts.stated.doubts]
    used = {each.network for each in facts.run.arrivals}
    doubts.ask(lambda: facts.require_stated(used & facts.run.policy.paying_rails().keys()))


def _lies(facts: Facts, doubts: Doubts) -> Iterator[str]:
    told: Counter[tuple[Key, str]] = Counter()
    by: dict[Key, list[str]] = defaultdict(list)
    seen = Doubts()
    on_networks = _on_networks(facts, seen)
    _require_stated(facts, doubts)
    unseen = {rail for rail in facts.run.policy.paying_rails() if not facts.is_stated(rail)}
    if seen or not _saw_any(facts):
        unseen |= facts.run.policy.networks.keys()
    doubts.reasons += seen.reasons
    for payout in (*on_networks, *filter(facts.since, facts.stated.settled())):
        by[payout.key].append(payout.tx_hash.lower())
    for row in facts.run.followed:
        demand = facts.demand_of(row.id)
        if demand is None:
            doubts.note(f"followed.csv has {row.id}, which nobody asked for")
            continue
        if demand.key != row.key:
            doubts.note(f"followed.csv has another request as {row.id} than was sent")
            continue
        told[demand.key, row.state] += 1
        if (
            row.state == PAID
            and row.tx_hash
            and row.tx_hash.lower() not in by[demand.key]
            and demand.network not in unseen
        ):
            yield f"{row.id} is called paid by {row.tx_hash}, which did not pay it"
    asked = Counter(demand.key for demand in facts.demands)
    living = Counter(payout.key for payout in (*on_networks, *facts.stated.alive()))
    refused = Counter(demand.key for demand in _refused(facts))
    for key in dict.fromkeys((*(key for key, _ in told), *refused)):
        network, asset, to, amount = key
        paid = len(by[key])
        called_paid, refunded = told[key, PAID], told[key, REFUNDED]
        if called_paid > paid and network not in unseen:
            yield (
                f"{amount} {asset} to {to} on {network} is called paid {called_paid} times, and"
                f" was paid {paid} times"
            )
        elif refunded and max(paid, living[key]) > asked[key] - refunded:
            yield (
                f"{amount} {asset} to {to} on {network} is called refunded, and was or will be paid"
            )
        elif refused[key] and max(paid, living[key]) > asked[key] - refunded - refused[key]:
            yield f"{amount} {asset} to {to} on {network} was refused, and was or will be paid"


def _refused(facts: Facts) -> list[Demand]:
    """What the venue refused, with a code, each time that it was asked.

    An attempt whose fate is not known takes its request out: it may have been accepted. So does one
    that was answered as unavailable, for a database may be lost between a commit and its answer.
    """
    answers: dict[str, set[str | None]] = defaultdict(set)
    logged = {request.index: request for request in facts.run.requests}
    for arrival in facts.run.arrivals:
        request = logged.get(arrival.index)
        if request is None or request.sent_at is not None:
            answers[arrival.id].add(REFUSED if _says_no(request) else None)
    for probe in WITHDRAWAL_PROBES:
        for sample in facts.samples(probe):
            if "id" in (detail := sample.detail or {}):
                told_no = not sample.ok and detail.get("code") not in {None, UNAVAILABLE}
                answers[str(detail["id"])].add(REFUSED if told_no else None)
    followed = facts.followed_by_id
    return [
        demand
        for demand in facts.demands
        if answers[demand.id] == {REFUSED} and demand.id not in followed
    ]


def _says_no(request: LoggedRequest | None) -> bool:
    """Whether an attempt was answered in a way that rules out that it was accepted."""
    if request is None or request.outcome != REFUSED:
        return False
    return request.error != UNAVAILABLE


CHECKS = (followed, paid_once, told_truth)
