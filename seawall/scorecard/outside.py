"""What others than a fault's own observer saw of it: the prober, the chains, the monitors.

The injector's observer and the injector share a program, and often an address. So each kind of
fault is also looked for where it must show: at the address that it cuts off, by those who take that
path, and by what a part that stands still does no more. :data:`OUTSIDE` says which; a fault that
nobody else can see is named as one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise

from seawall.conventions import components, faults, signing
from seawall.scorecard.aws_log import signed_inside
from seawall.scorecard.budgets import OBSERVER_GAP_US_MAX
from seawall.scorecard.endpoints import counterparty_dark, rpc_dark
from seawall.scorecard.facts import Facts, format_s, longest_gap_us
from seawall.scorecard.lost_database import seen_lost
from seawall.scorecard.neighbours import booked_and_topped_up, flipped_meanwhile, replaced_meanwhile
from seawall.scorecard.outcome import Finding, Outcome, passed, unknown
from seawall.scorecard.probed import (
    DARK_PROBES_PERCENT_MIN,
    STILL_LATE_US_MAX,
    answered_meanwhile,
    before_and_after,
    both,
    first_of,
    hung,
    inside_of,
    timed_out,
)
from seawall.scorecard.readers import CLOCK_TOLERANCE_US, SECOND, Instant
from seawall.scorecard.rows import ProbeSample
from seawall.scorecard.seen import FaultSeen
from seawall.scorecard.series import scrapes

SIGNED_LATE_US_MAX = SECOND
"""A signature that KMS made before the dark may be written down this much after its beginning."""

REFUSED_PERCENT_OF_SHARE = 60
"""Share of the prober's requests that must be refused, of the share that the fault declares.

They are few, one a second: of thirty that are refused nine times in ten, half are served only once
in a million runs.
"""

SIGNER_GAP_US_MAX = 3 * SECOND
"""The longest time without a request of the prober to a signer, which is asked once a second."""

_NO_KEY_SERVICE = (signing.SILENT, "HTTP 503", "HTTP 504")
"""What a signer's probe shows whose key service does not answer."""

Lane = tuple[str, str]
"""(network, wallet)."""


def seen_outside(facts: Facts, fault: FaultSeen) -> Finding | None:
    """What others saw of ``fault``; None for one that only its own observer can see."""
    look = OUTSIDE.get(fault.planned.fault)
    return None if look is None else look(facts, fault)


# --- key services
def _region(facts: Facts, fault: FaultSeen) -> str:
    regions = facts.run.policy.regions
    return regions.primary if fault.planned.target == "kms.primary" else regions.standby


def _of_region(facts: Facts, probe: str, region: str) -> list[ProbeSample]:
    return [
        sample for sample in facts.samples(probe) if (sample.detail or {}).get("region") == region
    ]


def _kms_dark(facts: Facts, fault: FaultSeen) -> Finding:
    """The region was dark for the prober and for its own signer, and signed nothing."""
    region = _region(facts, fault)
    doubt = _signed_in_the_dark(facts, fault, region=region)
    if doubt is not None:
        return unknown(target=f"KMS of {region} signs nothing", reason=doubt)
    endpoint = hung(fault, _of_region(facts, "kms", region), f"KMS of {region}")
    if endpoint.outcome is not Outcome.PASS:
        return endpoint
    return both(endpoint, _silent_signer(facts, fault, region))


def _silent_signer(facts: Facts, fault: FaultSeen, region: str) -> Finding:
    """The region's signer, asked by the prober, had no answer from its key service.

    Its probe takes the path of a payout's signature, with its own connections, role and key, so it
    shows what the address before the key service does not: that signers were cut off by it.
    """
    target = f"the signer of {region} without its key service, then back"
    samples = _of_region(facts, "signer", region)
    starts, ends = Instant(fault.effective or 0), Instant(fault.reverted or 0)
    inside = inside_of(samples, starts=starts, ends=ends)
    silent = sum(1 for sample in inside if _unserved(sample))
    measured = f"{silent} of {len(inside)} probes of its signer had no answer from it"
    gap_us = longest_gap_us([sample.at for sample in inside], starts=starts, ends=ends)
    doubt = first_of(
        (
            not inside or gap_us > SIGNER_GAP_US_MAX,
            f"the prober did not ask the signer of {region} for {format_s(gap_us)}",
        ),
        (
            silent * 100 < len(inside) * DARK_PROBES_PERCENT_MIN,
            f"the signer of {region} was still answered by its key service, or refused",
        ),
        *before_and_after(fault, samples, f"the signer of {region} never signed for the prober"),
    ) or answered_meanwhile(inside, starts=starts, ends=ends)
    if doubt is not None:
        return unknown(target=target, measured=measured, reason=doubt)
    return passed(measured=measured, target=target, reason="and for its signer")


def _unserved(sample: ProbeSample) -> bool:
    """Whether a signer's probe got nothing from its key service: no signature, and no refusal.

    Other signers say it by a gateway's status. A connection that the signer itself refused is not
    that: then the signer was gone.
    """
    result = str((sample.detail or {}).get("result", ""))
    return not sample.ok and (result in _NO_KEY_SERVICE or timed_out(sample))


def _throttled(facts: Facts, fault: FaultSeen) -> Finding:
    """The prober's own requests for a signature were throttled, about as often as declared."""
    share = Decimal(fault.planned.parameters["throttled"])
    return _refused(
        facts, fault, code=signing.THROTTLED, percent_min=int(share * REFUSED_PERCENT_OF_SHARE)
    )


def _denied(facts: Facts, fault: FaultSeen) -> Finding:
    """The prober's own requests for a signature were denied, and the region signed nothing."""
    region = _region(facts, fault)
    doubt = _signed_in_the_dark(facts, fault, region=region)
    if doubt is not None:
        return unknown(target=f"KMS of {region} signs nothing", reason=doubt)
    return _refused(facts, fault, code=signing.DENIED, percent_min=DARK_PROBES_PERCENT_MIN)


def _refused(facts: Facts, fault: FaultSeen, *, code: str, percent_min: int) -> Finding:
    """The key service refused the prober's own requests with ``code``, and only meanwhile.

    They go through the region's signer, whose probe asks for a signature as a payout does.
    """
    region = _region(facts, fault)
    target = f"KMS of {region} answers an outside probe with {code}, then signs again"
    starts, ends = Instant(fault.effective or 0), Instant(fault.reverted or 0)
    samples = _of_region(facts, "signer", region)
    inside = inside_of(samples, starts=starts, ends=ends)
    refused = [sample for sample in samples if (sample.detail or {}).get("result") == code]
    meanwhile = sum(1 for sample in inside if (sample.detail or {}).get("result") == code)
    measured = f"{meanwhile} of {len(inside)} probes met {code}"
    early = [sample for sample in refused if sample.done_at < (fault.applied or 0)]
    late = [sample for sample in refused if sample.at >= (fault.cleared or 0)]
    gap_us = longest_gap_us([sample.at for sample in inside], starts=starts, ends=ends)
    doubt = first_of(
        (
            not inside or gap_us > SIGNER_GAP_US_MAX,
            f"the prober did not ask the signer of {region} for {format_s(gap_us)}",
        ),
        (
            meanwhile * 100 < len(inside) * percent_min,
            f"it should be at least {percent_min} of 100",
        ),
        (bool(early), f"the prober met {code} before the fault"),
        (bool(late), f"the prober met {code} after the fault"),
        *before_and_after(fault, samples, f"the signer of {region} never signed for the prober"),
    )
    if doubt is not None:
        return unknown(target=target, measured=measured, reason=doubt)
    return passed(measured=measured, target=target, reason="the prober met it, too, and only then")


def _signed_in_the_dark(facts: Facts, fault: FaultSeen, *, region: str) -> str | None:
    """What contradicts a dark KMS in ``region``: signatures that were made; None without any."""
    doubt = _logged_in_the_dark(facts, fault, region=region)
    if doubt is not None or not facts.offers("signatures"):
        return doubt
    starts = (fault.effective or 0) + SIGNED_LATE_US_MAX
    ends = (fault.reverted or 0) - CLOCK_TOLERANCE_US
    signed = [
        row
        for row in facts.run.signatures
        if row.signed_by == region and (row.signed_at is None or starts < row.signed_at < ends)
    ]
    if not signed:
        return None
    return (
        f"records/sign_log.csv has {len(signed):,} signatures of {region} from the dark or without"
        f" a time, the first"
        f" of {signed[0].address} for nonce {signed[0].nonce}"
    )


def _logged_in_the_dark(facts: Facts, fault: FaultSeen, *, region: str) -> str | None:
    """The same by AWS's own log, from well within the dark.

    It has probes of the signers as well, and the undo of a denial frees one role after the other:
    so only the time until the undo began counts.
    """
    if not facts.offers("aws_log"):
        return None
    starts, ends = Instant(fault.effective or 0), Instant(fault.held_until or 0)
    signed = signed_inside(facts, region, starts=starts, ends=ends)
    if not signed:
        return None
    return (
        f"AWS's own log has {len(signed):,} signatures of {region} from the dark, the first with"
        f" the key of {signed[0].wallet} by {signed[0].principal}"
    )


# --- processes
def _process(facts: Facts, fault: FaultSeen) -> Finding | None:
    """What a process does no more while it is frozen or killed; None if nothing shows it."""
    target = fault.planned.target
    if target == components.process_target(components.API_PROCESS):
        return _gone(fault, facts.samples("status"), "the api")
    if target == components.process_target(components.PROMETHEUS_PROCESS):
        answers = _gone(fault, facts.samples("prometheus"), "Prometheus")
        return (
            answers
            if answers.outcome is not Outcome.PASS
            else both(answers, _nothing_recorded(facts, fault))
        )
    for network in facts.run.policy.networks:
        if target == components.process_target(components.settler_process(network)):
            return _nothing_sent(facts, fault, network)
    return None


def _gone(fault: FaultSeen, samples: Sequence[ProbeSample], what: str) -> Finding:
    """The prober's requests failed meanwhile, in any way, and were answered before and after."""
    target = f"{what} does not answer an outside probe, then does"
    starts, ends = Instant(fault.effective or 0), Instant(fault.reverted or 0)
    inside = inside_of(samples, starts=starts, ends=ends)
    failed = sum(1 for sample in inside if not sample.ok)
    measured = f"{failed} of {len(inside)} probes failed meanwhile"
    doubt = answered_meanwhile(inside, starts=starts, ends=ends) or first_of(
        (
            not inside or failed * 100 < len(inside) * DARK_PROBES_PERCENT_MIN,
            f"the prober still got answers from {what}, or was not asking",
        ),
        *before_and_after(fault, samples, f"the prober never reached {what}"),
    )
    if doubt is not None:
        return unknown(target=target, measured=measured, reason=doubt)
    return passed(measured=measured, target=target, reason="down and back for the prober, too")


def _nothing_recorded(facts: Facts, fault: FaultSeen) -> Finding:
    """Prometheus recorded no scrape meanwhile, and did before and after.

    Meanwhile lasts until its observer had counted: once it goes on, it scrapes at once, and before
    the undo has been written down.
    """
    target = "no scrape is recorded meanwhile"
    starts, ends = Instant(fault.effective or 0), Instant(fault.held_until or 0)
    moments = scrapes(facts)
    meanwhile = [at for at in moments if starts + STILL_LATE_US_MAX < at < ends]
    measured = f"{len(meanwhile)} scrapes recorded meanwhile"
    doubt = first_of(
        (bool(meanwhile), "Prometheus went on recording while it should stand still"),
        (not any(at < (fault.applied or 0) for at in moments), "it recorded nothing before either"),
        (not any(at > (fault.cleared or 0) for at in moments), "it recorded nothing after it"),
    )
    if doubt is not None:
        return unknown(target=target, measured=measured, reason=doubt)
    return passed(measured=measured, target=target, reason="and it recorded nothing")


def _nothing_sent(facts: Facts, fault: FaultSeen, network: str) -> Finding | None:
    """No lane of ``network`` sent a transaction meanwhile, while those of other networks did.

    By the nonces that the prober reads from the nodes; None where it reads none. The venue's own
    records must not name a payout that was broadcast then. Meanwhile ends as for Prometheus.
    """
    lanes = _nonces(facts)
    if not lanes:
        return None
    target = f"nothing is sent on {network} meanwhile, and elsewhere it is"
    own = [samples for (where, _), samples in lanes.items() if where == network]
    others = [samples for (where, _), samples in lanes.items() if where != network]
    starts = Instant((fault.effective or 0) + STILL_LATE_US_MAX)
    ends = Instant((fault.held_until or 0) - CLOCK_TOLERANCE_US)
    sent = sum(_sent(samples, starts=starts, ends=ends) for samples in own)
    elsewhere = sum(_sent(samples, starts=starts, ends=ends) for samples in others)
    measured = f"{sent} transactions sent on {network} meanwhile, {elsewhere} elsewhere"
    before, after = (
        any(_sent(samples, starts=since, ends=until) for samples in own)
        for since, until in (
            (facts.run_starts, Instant(fault.applied or 0)),
            (Instant(fault.reverted or 0), facts.observed_until),
        )
    )
    gap_us = max(
        (
            longest_gap_us([each.done_at for each in samples], starts=starts, ends=ends)
            for samples in own
        ),
        default=ends - starts,
    )
    broadcasts = _broadcast(facts, network, starts=starts, ends=ends)
    doubt = first_of(
        (
            not own or gap_us > OBSERVER_GAP_US_MAX,
            f"the prober did not read the nonces of {network} for {format_s(gap_us)}",
        ),
        (sent > 0, f"{network} was still sent transactions"),
        (bool(others) and not elsewhere, "nothing was sent elsewhere, so stillness shows nothing"),
        (not before or not after, f"nothing was sent on {network} before it or after it either"),
        (broadcasts > 0, f"records/slots.csv has {broadcasts} of {network} from meanwhile"),
    )
    if doubt is not None:
        return unknown(target=target, measured=measured, reason=doubt)
    return passed(measured=measured, target=target, reason="still by the nonces on the node")


def _nonces(facts: Facts) -> dict[Lane, list[ProbeSample]]:
    """Answered probes of each lane's next nonce, in order of time."""
    found: dict[Lane, list[ProbeSample]] = {}
    for sample in facts.samples("pending_nonce"):
        detail = sample.detail or {}
        if sample.ok and isinstance(detail.get("nonce"), int):
            lane = str(detail.get("network")), str(detail.get("wallet"))
            found.setdefault(lane, []).append(sample)
    return found


def _sent(samples: Sequence[ProbeSample], *, starts: Instant, ends: Instant) -> int:
    """By how many the next nonce grew between the first and the last of ``samples`` in a time."""
    nonces = [(each.detail or {})["nonce"] for each in inside_of(samples, starts=starts, ends=ends)]
    return sum(later - earlier for earlier, later in pairwise(nonces) if later > earlier)


def _broadcast(facts: Facts, network: str, *, starts: Instant, ends: Instant) -> int:
    """How many payouts of ``network`` the venue says that it broadcast in a time."""
    if not facts.offers("signatures"):
        return 0
    return sum(
        1
        for slot in facts.run.slots
        if slot.network == network and starts < (slot.broadcast_at or 0) < ends
    )


# --- assets
def _asset_paused(facts: Facts, fault: FaultSeen) -> Finding:
    """No payment of the asset is in any block from meanwhile, while the network's others are.

    Read from the chain's final events, long after the fault, by a program that the injector has
    nothing to do with. Blocks have whole seconds for a time.
    """
    _, network, asset = fault.planned.target.split(".")
    paid = [row for row in facts.run.payouts if row.network == network]
    own = [row.block_timestamp for row in paid if row.asset == asset]
    others = [row.block_timestamp for row in paid if row.asset != asset]
    starts = Instant((fault.effective or 0) + SECOND)
    ends = Instant(fault.held_until or 0)
    moved = sum(1 for at in own if starts < at < ends)
    elsewhere = sum(1 for at in others if starts < at < ends)
    target = f"no {asset} is paid on {network} meanwhile, and other assets are"
    measured = f"{moved} payouts of {asset} on the chain meanwhile, {elsewhere} of other assets"
    doubt = first_of(
        (moved > 0, f"{asset} was paid on {network} while it should not move"),
        (elsewhere <= 0, f"nothing else was paid on {network}, so stillness shows nothing"),
        (
            not any(facts.run_starts < at < (fault.applied or 0) for at in own),
            f"no {asset} was paid on {network} before it either",
        ),
        (
            not any(at > (fault.reverted or 0) for at in own),
            f"no {asset} was paid on {network} after it",
        ),
    )
    if doubt is not None:
        return unknown(target=target, measured=measured, reason=doubt)
    return passed(measured=measured, target=target, reason="still by the chain's own events")


OUTSIDE: dict[str, Callable[[Facts, FaultSeen], Finding | None]] = {
    faults.ASSET_PAUSED: _asset_paused,
    faults.CLIENT_FROZEN: flipped_meanwhile,
    faults.COUNTERPARTY_DARK: counterparty_dark,
    faults.DATABASE_LOST: seen_lost,
    faults.FEE_SPIKE: replaced_meanwhile,
    faults.KMS_DARK: _kms_dark,
    faults.KMS_THROTTLED: _throttled,
    faults.SIGNING_DENIED: _denied,
    faults.RPC_DARK: rpc_dark,
    faults.ONE_WEI: booked_and_topped_up,
    faults.PROCESS_FROZEN: _process,
    faults.PROCESS_KILLED: _process,
}
"""By the name of a fault: what others must have seen of it. One of the user's own has no entry."""
