"""What breaks the promises that a good run keeps, and what leaves nothing known about them."""

from __future__ import annotations

from dataclasses import replace

from seawall.scorecard.outcome import Outcome
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import Followed, ProbeSample
from seawall.scorecard.run import Run
from tests.testing.scorecard.spoiling import (
    Files,
    Spoil,
    claim_in_protected,
    deferred,
    each,
    first,
    probes,
    protected,
    us,
)

FAIL, UNKNOWN = Outcome.FAIL, Outcome.UNKNOWN


def took(sample: ProbeSample, seconds: float) -> ProbeSample:
    """The same sample with an answer after so long."""
    return replace(sample, done_at=Instant(sample.at + round(seconds * SECOND)))


def every_third(sample: ProbeSample) -> ProbeSample | None:
    """One of three samples that come once a second."""
    return sample if sample.at // SECOND % 3 == 0 else None


def late_under_another_number(run: Run) -> Files:
    """One of ten requests is paid an hour late, and the venue names the number of a prompt one."""
    late = {row.seq for row in run.withdrawals if row.size == "small" and row.seq % 10 == 0}
    hour = 3600 * SECOND

    def prompt(late_one: Followed) -> int:
        return min(
            row.seq
            for row in run.withdrawals
            if row.network == late_one.network
            and row.seq > (late_one.seq or 0)
            and row.seq not in late
        )

    return {
        "payouts": each(
            run.payouts,
            lambda row: row.seq in late,
            block_number=None,
            block_timestamp=lambda row: row.block_timestamp + hour,
        ),
        "followed": each(run.followed, lambda row: row.seq in late, seq=prompt),
    }


PROMISES: dict[str, tuple[Spoil, dict[str, Outcome]]] = {
    "logins were not tried for most of protected mode": (
        lambda run: probes(
            run, "login", lambda sample: None if us(30) < sample.at < us(60) else sample
        ),
        {"protected.guarantees": UNKNOWN},
    ),
    "every login was answered 50 ms before the policy's bound": (
        lambda run: probes(run, "login", lambda sample: took(sample, 0.95)),
        {},
    ),
    "one login in protected mode was answered after the policy's bound": (
        lambda run: probes(
            run,
            "login",
            lambda sample: took(sample, 1.05) if us(40) < sample.at < us(41) else sample,
        ),
        {"protected.guarantees": FAIL},
    ),
    "one login was answered after 4.9 s, which is late and no gap": (
        lambda run: probes(
            run,
            "login",
            lambda sample: (
                took(sample, 4.9)
                if us(40) < sample.at < us(41)
                else None
                if us(41) < sample.at < us(45)
                else sample
            ),
        ),
        {"protected.guarantees": FAIL},
    ),
    "logins were tried every three seconds, which is too seldom for the policy": (
        lambda run: probes(run, "login", every_third),
        {"protected.guarantees": UNKNOWN},
    ),
    "swaps were tried every three seconds, which is too seldom for the policy": (
        lambda run: probes(run, "swap", every_third),
        {"protected.suspensions": UNKNOWN},
    ),
    "swaps were refused after the policy's bound for six seconds": (
        lambda run: probes(
            run,
            "swap",
            lambda sample: took(sample, 1.05) if us(40) < sample.at < us(46) else sample,
        ),
        {"protected.suspensions": UNKNOWN},
    ),
    "one swap was refused late, which is no gap": (
        lambda run: probes(
            run,
            "swap",
            lambda sample: took(sample, 1.05) if us(40) < sample.at < us(41) else sample,
        ),
        {},
    ),
    "one swap went through late": (
        lambda run: probes(
            run,
            "swap",
            lambda sample: (
                replace(took(sample, 3.0), ok=True, detail={})
                if us(40) < sample.at < us(41)
                else sample
            ),
        ),
        {"protected.suspensions": FAIL},
    ),
    "swaps were not tried for most of protected mode": (
        lambda run: probes(
            run, "swap", lambda sample: None if us(30) < sample.at < us(60) else sample
        ),
        {"protected.suspensions": UNKNOWN},
    ),
    "one small withdrawal in fifty was late": (
        lambda run: {
            "withdrawals": each(
                run.withdrawals,
                lambda row: row.seq % 50 == 0 and row.size == "small" and row.reserved_at < us(65),
                resolved_at=lambda row: row.reserved_at + 16 * SECOND,
            )
        },
        {"stress.small_completed": FAIL},
    ),
    "one small withdrawal in twenty was refused": (
        lambda run: {
            "requests": each(
                run.requests, lambda row: row.index % 20 == 3, status=503, outcome="refused"
            )
        },
        {"stress.small_completed": FAIL},
    ),
    "a large withdrawal was claimed in protected mode": (
        lambda run: {
            "withdrawals": first(
                run.withdrawals, deferred, slot_id=next(filter(claim_in_protected, run.slots)).id
            )
        },
        {"protected.defers": FAIL},
    ),
    "a large withdrawal was paid by a transaction of protected mode, as the chain says": (
        lambda run: {
            "payouts": first(
                run.payouts,
                lambda row: row.seq == next(filter(deferred, run.withdrawals)).seq,
                tx_hash=next(filter(claim_in_protected, run.slots)).tx_hash,
            )
        },
        {"protected.defers": FAIL, "customer.told_truth": FAIL},
    ),
    "a large withdrawal was asked for and paid in protected mode, whatever the records say": (
        lambda run: {
            "payouts": first(
                run.payouts,
                lambda row: row.seq == next(filter(deferred, run.withdrawals)).seq,
                block_number=next(
                    block.number for block in run.blocks if us(50) < block.timestamp < us(52)
                ),
            )
        },
        {"protected.defers": FAIL},
    ),
    "no large withdrawal was requested in protected mode": (
        lambda run: {
            "withdrawals": each(run.withdrawals, lambda row: row.size == "large", size="small")
        },
        {"protected.defers": UNKNOWN},
    ),
    "logins were refused in protected mode": (
        lambda run: probes(run, "login", lambda sample: replace(sample, ok=not protected(sample))),
        {"protected.guarantees": FAIL},
    ),
    "no login was tried in protected mode": (
        lambda run: probes(
            run, "login", lambda sample: None if us(16) < sample.at < us(74) else sample
        ),
        {"protected.guarantees": UNKNOWN},
    ),
    "one swap went through in protected mode": (
        lambda run: probes(
            run,
            "swap",
            lambda sample: (
                replace(sample, ok=True, detail={}) if us(40) < sample.at < us(41) else sample
            ),
        ),
        {"protected.suspensions": FAIL},
    ),
    "swaps were never accepted": (
        lambda run: probes(
            run, "swap", lambda sample: replace(sample, ok=False, detail={"code": "suspended"})
        ),
        {"protected.suspensions": UNKNOWN},
    ),
}
