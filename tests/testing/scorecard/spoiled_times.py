"""What spoils the measured times of a good run, and what its check then says."""

from __future__ import annotations

from dataclasses import replace

from seawall.conventions import metrics
from seawall.scorecard.outcome import Outcome
from tests.testing.scorecard.spoiling import (
    Spoil,
    each,
    events,
    first,
    gathered_at,
    large_unacknowledged,
    never_normal,
    never_protected,
    nonces_hidden,
    paid_in_block,
    paid_in_dark,
    payout,
    primary_only,
    probes,
    relapsed,
    rows_later,
    signed_otherwise,
    slow_intake,
    standby_late,
    us,
    without,
)
from tests.testing.scorecard.story import NORMAL

FAIL, UNKNOWN = Outcome.FAIL, Outcome.UNKNOWN

LATE = 1_846
"""The number of a withdrawal that was reserved near the end of the dark."""

TIMES: dict[str, tuple[Spoil, dict[str, Outcome]]] = {
    "the standby never signed": (primary_only, {"failover.time": FAIL}),
    "the standby signed late": (standby_late, {"failover.time": FAIL}),
    "the outside probe did not see the standby's nonce": (
        lambda run: nonces_hidden(run, lambda _sample: True),
        {"failover.time": UNKNOWN},
    ),
    "the observers of failover disagree": (
        lambda run: probes(
            run,
            "pending_nonce",
            lambda sample: replace(
                sample, at=sample.at + 300_000, done_at=sample.done_at + 300_000
            ),
        ),
        {"failover.time": UNKNOWN},
    ),
    "the nonces were not watched when it should have happened": (
        lambda run: (
            (spoiled := primary_only(run))
            | {
                "probes": spoiled["probes"]
                | {
                    "pending_nonce": without(
                        spoiled["probes"]["pending_nonce"],
                        lambda sample: us(29) < sample.at < us(33),
                    )
                }
            }
        ),
        {"failover.time": UNKNOWN},
    ),
    "the standby signed already before the fault": (
        lambda run: {
            "slots": each(run.slots, payout, signer_region=run.policy.regions.standby),
            **signed_otherwise(run, lambda row: True, signed_by=run.policy.regions.standby),
        },
        {"failover.time": UNKNOWN},
    ),
    "slots say that the dark region signed, the signers' log says the standby": (
        lambda run: {
            "slots": each(run.slots, paid_in_dark, signer_region=run.policy.regions.primary)
        },
        {"failover.time": UNKNOWN},
    ),
    "the nonces were not watched until long after the failover": (
        lambda run: probes(
            run, "pending_nonce", lambda sample: None if us(27.2) < sample.at < us(36.5) else sample
        ),
        {"failover.time": UNKNOWN},
    ),
    "one lane of two signed nothing before the fault": (
        lambda run: {
            "slots": each(
                run.slots,
                lambda slot: (
                    payout(slot) and slot.network == "birch" and (slot.broadcast_at or 0) < us(58)
                ),
                broadcast_at=us(58),
                signer_region=run.policy.regions.primary,
            ),
            "signatures": (),
        },
        {
            "failover.time": UNKNOWN,
            "safety.signed_is_logged": FAIL,
            "safety.one_digest_per_nonce": UNKNOWN,
            "signing.logged_by_aws": UNKNOWN,
        },
    ),
    "the lanes changed to the standby before the fault": (
        lambda run: {
            "lane_changes": each(run.lane_changes, lambda row: True, committed_at=us(26.7))
        },
        {"failover.time": UNKNOWN},
    ),
    "no lane ever changed to the standby": (
        lambda run: {"lane_changes": ()},
        {"failover.time": UNKNOWN},
    ),
    "one lane of two failed over late": (
        lambda run: standby_late(run, network="birch"),
        {"failover.time": FAIL},
    ),
    "the mode controller never acted": (
        never_protected,
        {
            "protection.time": FAIL,
            "protected.suspensions": FAIL,
            "protected.guarantees": UNKNOWN,
            "protected.defers": UNKNOWN,
        },
    ),
    "the flip had another cause": (
        lambda run: {
            "flips": first(run.flips, lambda flip: flip.tier == "protected", sample_flow_id=1)
        },
        {"protection.time": UNKNOWN},
    ),
    "protected mode is not what the status says": (
        lambda run: probes(
            run,
            "status",
            lambda sample: (
                replace(sample, detail={"tier": "stressed"})
                if us(15) < sample.at < us(19)
                else sample
            ),
        ),
        {"protection.time": UNKNOWN},
    ),
    "the venue took two seconds to take requests in, and its rows are consistent": (
        lambda run: slow_intake(run, by_s=2),
        {"protection.time": FAIL},
    ),
    "the venue took half a second to take requests in, which is within the bound": (
        lambda run: slow_intake(run, by_s=0.5),
        {},
    ),
    "requests left two seconds late, which is not the venue's time": (
        lambda run: slow_intake(run, by_s=2, left_late=True),
        {"protection.time": UNKNOWN},
    ),
    "protected mode came two seconds late, and so did all rows, as the venue says": (
        lambda run: rows_later(run, by_s=2),
        {"protection.time": FAIL},
    ),
    "rows were committed half a second after what they count had been acknowledged": (
        lambda run: rows_later(run, by_s=0.5),
        {"protection.time": UNKNOWN},
    ),
    "the request log never reached the trigger, and the rows did": (
        large_unacknowledged,
        {"protection.time": UNKNOWN, "page.protection": UNKNOWN},
    ),
    "no page came about the dark": (
        lambda run: {
            "pages": without(run.pages, lambda page: page.alertname == metrics.ALERT_SIGNING_DARK)
        },
        {"page.failover": FAIL},
    ),
    "the page about the dark was late": (
        lambda run: {
            "pages": each(
                run.pages,
                lambda page: page.alertname == metrics.ALERT_SIGNING_DARK,
                received_at=us(32.4),
            )
        },
        {"page.failover": FAIL},
    ),
    "the alert of the run was firing before it": (
        lambda run: {
            "pages": each(
                run.pages,
                lambda page: page.alertname != metrics.ALERT_SIGNING_DARK,
                received_at=us(10),
            )
        },
        {"page.protection": UNKNOWN},
    ),
    "no page came about the run": (
        lambda run: {
            "pages": without(run.pages, lambda page: page.alertname != metrics.ALERT_SIGNING_DARK)
        },
        {"page.protection": FAIL},
    ),
    "the queue was not drained before the evidence ends": (
        lambda run: {
            "withdrawals": each(run.withdrawals, lambda row: row.seq == LATE, resolved_at=us(83.9)),
            **paid_in_block(run, seq=LATE, block=87),
        },
        {},
    ),
    "a withdrawal was paid after recovery should have ended": (
        lambda run: {
            "withdrawals": each(run.withdrawals, lambda row: row.seq == LATE, resolved_at=us(110)),
            **paid_in_block(run, seq=LATE, block=114),
            **gathered_at(run, 120),
        },
        {"recovery.time": FAIL},
    ),
    "the chains know of a payment after the bound, the records of none": (
        lambda run: {**paid_in_block(run, seq=LATE, block=114), **gathered_at(run, 120)},
        {"recovery.time": UNKNOWN},
    ),
    "the status was not watched when the tier became normal": (
        lambda run: {
            **events(run, drained=58.2),
            **probes(
                run, "status", lambda sample: None if us(58.3) < sample.at < us(78.1) else sample
            ),
        },
        {"recovery.time": UNKNOWN, "evidence.observers": UNKNOWN},
    ),
    "the tier relapsed three seconds after its return": (
        lambda run: relapsed(run, after_s=3),
        {"recovery.time": FAIL},
    ),
    "the tier relapsed just within the time in which it may still flip": (
        lambda run: relapsed(run, after_s=9.9),
        {"recovery.time": FAIL},
    ),
    "the records alone have a relapse": (
        lambda run: relapsed(run, after_s=3, seen=False),
        {"recovery.time": UNKNOWN},
    ),
    "the status alone has a relapse": (
        lambda run: {"probes": relapsed(run, after_s=3)["probes"]},
        {"recovery.time": UNKNOWN},
    ),
    "nobody watched whether the tier would relapse": (
        lambda run: {
            "timeline": each(
                run.timeline, lambda event: event.event == "collected", at=us(NORMAL + 3)
            )
        },
        {"recovery.time": UNKNOWN},
    ),
    "the status was watched for three seconds after the return": (
        lambda run: probes(
            run, "status", lambda sample: None if sample.at > us(NORMAL + 4) else sample
        ),
        {"recovery.time": UNKNOWN, "evidence.observers": UNKNOWN},
    ),
    "the tier stayed stressed": (never_normal, {"recovery.time": FAIL}),
}
