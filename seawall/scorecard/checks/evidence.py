"""Checks of the evidence: is it complete, and did all observers watch?"""

from __future__ import annotations

from fractions import Fraction

from seawall.conventions.evidence import ADDRESS_PROBE, EVERY_PORT
from seawall.errors import EvidenceError
from seawall.scorecard.facts import MILLISECOND, Facts, format_s, longest_gap_us
from seawall.scorecard.outcome import Finding, check, passed, unknown
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.run import EVERY_FILE, FILES

STATUS_SAMPLES_PER_S_MIN = 10
"""Half of the prober's 20 Hz; below it, sampling gaps would be as long as the time to measure."""

STATUS_GAP_US_MAX = SECOND

CUSTOMER_PROBES = ("login", "balances", "small_withdrawal")
"""Of a venue that tells no status: all that is asked of it, as often as the policy says."""
CUSTOMER_SHARE_MIN = Fraction(1, 6)
"""Of all customers' probes, as if one of the three came half of the time: a venue that offers
nothing but withdrawals is asked by one of them alone.
"""

BLOCK_GAPS_MAX = 3
"""A chain that skips two blocks in a row is no working observer; one late block is normal."""

COMMITS_GAPS_MAX = 3
"""The prober alone causes a commit in each of its periods, so three without one are a gap."""


@check(
    "evidence.complete",
    question="Is every file of the run there and whole, and did every part live to the end?",
    motivation="A verdict from half of the evidence is a guess.",
    evidence=tuple(FILES.values()),
    adapts_to=EVERY_PORT,
    remediation="Run the drill again; if a part died, its log says why.",
    believes={"game day": "a manifest that was written again, with digests of changed files"},
)
def complete(facts: Facts) -> Finding:
    """UNKNOWN with what ended the drill early, every broken file, and every part that died.

    Of a part that died, the details show the end of its log.
    """
    try:
        expected = facts.run.expected
    except EvidenceError:  # without the manifest it is not known which
        expected = tuple(FILES)
    target = f"{len(expected)} files, all parts alive, the drill run to its end"
    unusable = []
    for name in expected:
        try:
            getattr(facts.run, name)
        except EvidenceError as error:
            unusable.append(str(error))
    try:
        manifest, broke = facts.run.manifest, facts.broke
    except EvidenceError as error:  # the loop above has named it already
        return unknown(
            target=target,
            measured=f"{len(unusable)} files unusable",
            reason=str(error),
            details=unusable,
        )
    unusable += [fault for fault in facts.run.changed_files() if not unusable]
    unusable += [
        f"{file} is there, and manifest.json does not offer it"
        for name, file in EVERY_FILE.items()
        if name not in expected
        and (file in manifest.files or (facts.run.directory / file).exists())
    ]
    # A drill of one control may have started nothing: what it drills is somebody else's.
    alone = facts.run.control is not None
    dead = [part for part in manifest.components if part.died_at is not None]
    faults = [
        *(f"{part.name} died on its own ({part.death})" for part in dead),
        *([] if broke is None else [f"the drill broke: {broke}"]),
        *unusable,
        *([] if manifest.components or alone else ["manifest.json lists no component"]),
    ]
    if faults:
        tails = [
            f"{part.name}: {line}"
            for part in dead
            for line in (part.log_tail or "its log is empty").splitlines()[-12:]
        ]
        return unknown(
            target=target,
            measured=f"{len(dead)} dead, {len(unusable)} of {len(expected)} files unusable",
            reason=faults[0],
            details=(*faults[1:], *tails),
        )
    return passed(
        measured=f"{len(expected)} files, {len(manifest.components)} parts",
        target=target,
        reason="every file is what the run wrote, every part lived to the end",
    )


@check(
    "evidence.observers",
    question=(
        "Did both observers watch from the calm to the end of recovery, at the address of the "
        "venue's customers?"
    ),
    motivation=(
        "Of a time that was not watched, nothing can be said, and a way in that no customer has "
        "shows a venue that no customer has."
    ),
    evidence=(
        "manifest.json",
        "probes.jsonl",
        "arrivals.csv",
        "flood.json",
        "timeline.jsonl",
        "chain/payouts.csv",
        "chain/blocks.csv",
        "records/flow.csv",
        "records/mode_log.csv",
    ),
    adapts_to=("payouts", "flow", "mode_changes"),
    remediation=(
        "Give the prober and the chains enough of the machine; nothing else may run beside a drill."
    ),
    believes={"prober": "samples that it never took"},
)
def observers(facts: Facts) -> Finding:
    """UNKNOWN unless status probes, blocks and database commits came all the time.

    Of a venue that tells no status, the customers' probes count, which are slower. Commits count
    where the venue's records show them. Flood and prober must have asked where customers do.
    """
    starts, ends = facts.calm_starts, facts.watch_ends
    probing = facts.run.policy.probing
    told = facts.asks("status")
    what, rate_min, gap_us_max = (
        ("status", STATUS_SAMPLES_PER_S_MIN, STATUS_GAP_US_MAX)
        if told
        else (
            "customers' probes",
            float(CUSTOMER_SHARE_MIN * len(CUSTOMER_PROBES) * 1_000 / probing.every),
            probing.gap_max * MILLISECOND,
        )
    )
    target = (
        f"{what} at >= {rate_min:g} Hz without a gap > {format_s(gap_us_max)}; blocks and commits"
        " without a pause"
    )
    asked = ("status",) if told else CUSTOMER_PROBES
    # While the drill itself keeps the api or its database away, an observer that asks in vain is
    # awake.
    in_vain = [
        sample.done_at
        for probe in asked
        for sample in facts.samples(probe)
        if not sample.ok and any(down <= sample.done_at <= up for down, up in facts.api_down)
    ]
    answered = (
        facts.status_samples
        if told
        else [sample for probe in asked for sample in facts.samples(probe) if sample.ok]
    )
    seen = [sample.done_at for sample in answered]
    inside = [done_at for done_at in (*seen, *in_vain) if starts <= done_at <= ends]
    rate = len(inside) * SECOND / max(1, ends - starts)
    gap_us = longest_gap_us(sorted(inside), starts=starts, ends=ends)
    measured = f"{rate:.1f} Hz, longest gap {format_s(gap_us)}"
    faults = _elsewhere(facts)
    if rate < rate_min or gap_us > gap_us_max:
        faults.append(f"the {what} came at {rate:.1f} Hz with a gap of {format_s(gap_us)}")
    paid = facts.run.payouts if facts.offers("payouts") else ()
    mined = {payout.network for payout in paid if payout.block_number is not None}
    faults += [
        f"chain/payouts.csv has blocks of {name}, which manifest.json does not name as read"
        for name in sorted(mined - {*facts.chains})
    ]
    for name in facts.chains if facts.offers("payouts") else ():
        network = facts.run.policy.networks[name]
        stamps = sorted(block.timestamp for block in facts.run.blocks if block.network == name)
        block_us = network.block_time * MILLISECOND
        # Only final blocks are exported.
        known_until = Instant(ends - (network.finality_depth_blocks + 1) * block_us)
        pause_us = longest_gap_us(stamps, starts=starts, ends=known_until)
        if pause_us > BLOCK_GAPS_MAX * block_us:
            faults.append(f"{name} made no block for {format_s(pause_us)}")
        elif not any(
            block.observed_at is not None for block in facts.run.blocks if block.network == name
        ):
            faults.append(f"no block of {name} was seen by the prober")
    # Nor can anything be committed then: the prober's requests come in through the api.
    recorded = facts.run.flow if facts.offers("flow") else ()
    commits = sorted([*(row.committed_at for row in recorded), *in_vain])
    pause_us = max(
        longest_gap_us(commits, starts=since, ends=until)
        for since, until in _while_there(facts, starts=starts, ends=ends)
    )
    if facts.offers("flow") and pause_us > COMMITS_GAPS_MAX * probing.every * MILLISECOND:
        faults.append(f"records/flow.csv has no commit for {format_s(pause_us)}")
    if faults:
        return unknown(target=target, measured=measured, reason=faults[0], details=faults[1:])
    return passed(
        measured=measured,
        target=target,
        reason="status probes, blocks and commits came all the time",
    )


def _while_there(facts: Facts, *, starts: Instant, ends: Instant) -> list[tuple[Instant, Instant]]:
    """The parts of a time in which the drill itself did not keep the database away."""
    found, since = [], starts
    for down, up in facts.database_down:
        if starts <= down and up <= ends:
            found.append((since, down))
            since = up
    return [*found, (since, ends)]


def _elsewhere(facts: Facts) -> list[str]:
    """That the flood or the prober asked at another address than the venue's customers do."""
    customers = facts.run.manifest.api
    probed = {str((sample.detail or {}).get("api")) for sample in facts.samples(ADDRESS_PROBE)}
    asked = {"the flood": {str(facts.run.flood.api)}, "the prober": probed or {"None"}}
    return [
        f"{who} asked at {', '.join(sorted(found))}, and the customers' address is {customers}"
        for who, found in asked.items()
        if customers is None or found != {customers}
    ]


CHECKS = (complete, observers)
