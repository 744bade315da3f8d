"""What spoils what customers looked at in a good run, and who asked at which address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from seawall.conventions.evidence import ADDRESS_PROBE
from seawall.scorecard.checks.reads import SHOWN
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import LoggedRead
from seawall.scorecard.run import Run
from tests.testing.scorecard.spoiling import Files, Spoil, each, probes, us, without

FAIL, UNKNOWN = Outcome.FAIL, Outcome.UNKNOWN
ELSEWHERE = "http://127.0.0.1:8001"


def every(number: int, operation: str) -> Callable[[LoggedRead], bool]:
    """One in ``number`` reads of an operation, spread over the run."""
    return lambda row: row.operation == operation and row.index // 4 % number == 0


def of(operation: str, *, since: float, until: float) -> Callable[[LoggedRead], bool]:
    """The reads of an operation in a part of the run, in seconds after the zero."""
    return lambda row: row.operation == operation and us(since) <= row.planned_at < us(until)


def took(row: LoggedRead, seconds: float) -> Instant:
    """When a read is answered that takes so long."""
    return Instant(row.planned_at + round(seconds * SECOND))


def fates(run: Run, wanted: Callable[[LoggedRead], bool], *, error: str, **outcome: str) -> Files:
    """The log with another outcome of the wanted reads."""
    return {"reads": each(run.reads, wanted, error=error, **outcome)}


def unplanned(run: Run, wanted: Callable[[LoggedRead], bool]) -> Files:
    """Neither planned nor sent."""
    gone = {row.index for row in run.reads if wanted(row)}
    return {
        "reads": without(run.reads, wanted),
        "planned_reads": without(run.planned_reads, lambda read: read.index in gone),
    }


READS: dict[str, tuple[Spoil, dict[str, Outcome]]] = {
    "a tenth of the flood's logins failed in protected mode": (
        lambda run: fates(
            run,
            lambda row: every(10, "login")(row) and us(20) < row.planned_at,
            outcome="failed",
            error="ConnectionResetError",
        ),
        {"reads.login": FAIL},
    ),
    "balances were answered after five seconds": (
        lambda run: {
            "reads": each(
                run.reads,
                lambda row: row.operation == "balances",
                done_at=lambda row: took(row, 5.0),
            )
        },
        {"reads.balances": FAIL},
    ),
    "nobody looked at balances": (
        lambda run: unplanned(run, lambda row: row.operation == "balances"),
        {"reads.balances": UNKNOWN},
    ),
    "one balance in twenty did not name what the customer holds": (
        lambda run: fates(
            run, every(20, "balances"), outcome="wrong", error="balances without aster/USDX"
        ),
        {"reads.balances": FAIL},
    ),
    "one login in two hundred was refused, which the policy allows": (
        lambda run: fates(run, every(200, "login"), outcome="refused", error="unavailable"),
        {},
    ),
    "logins failed for five of the run's seconds": (
        lambda run: fates(
            run, of("login", since=40, until=45), outcome="failed", error="TimeoutError"
        ),
        {"reads.login": FAIL},
    ),
    "logins failed in the calm, which is not the run": (
        lambda run: fates(
            run, of("login", since=0, until=15), outcome="failed", error="TimeoutError"
        ),
        {},
    ),
    "the status did not answer one in ten": (
        lambda run: fates(
            run, every(10, "status"), outcome="failed", error="unexpected answer 503"
        ),
        {"reads.status": FAIL},
    ),
    "one acknowledged withdrawal in thirty was not found": (
        lambda run: fates(
            run, every(30, "follow_withdrawal"), outcome="refused", error="not_found"
        ),
        {"reads.follow": FAIL},
    ),
    "one login in fifty did not leave": (
        lambda run: {"reads": without(run.reads, every(50, "login"))},
        {"reads.login": UNKNOWN},
    ),
    "one login in fifty did not leave, and one in ten failed": (
        lambda run: {
            "reads": each(
                without(run.reads, every(50, "login")), every(10, "login"), outcome="failed"
            )
        },
        {"reads.login": FAIL},
    ),
    "one view of the balances in fifty left so late that its answer was late": (
        lambda run: {
            "reads": each(
                run.reads,
                every(50, "balances"),
                sent_at=lambda row: took(row, 0.7),
                done_at=lambda row: took(row, 1.2),
            )
        },
        {"reads.balances": UNKNOWN},
    ),
    "acknowledged withdrawals were not looked at": (
        lambda run: {"reads": without(run.reads, every(20, "follow_withdrawal"))},
        {"reads.follow": UNKNOWN},
    ),
    "nobody looked at the status for six seconds": (
        lambda run: unplanned(run, of("status", since=40, until=46)),
        {"reads.status": UNKNOWN},
    ),
    "hardly anybody logged in once protected mode had come": (
        lambda run: unplanned(
            run,
            lambda row: (
                row.operation == "login" and row.planned_at > us(16) and row.index // 4 % 12 > 0
            ),
        ),
        {"reads.login": UNKNOWN},
    ),
    "the log has reads that nobody planned": (
        lambda run: {"planned_reads": run.planned_reads[:-1]},
        dict.fromkeys(SHOWN, UNKNOWN),
    ),
    "the flood asked at another address than customers do": (
        lambda run: {"flood": run.flood.model_copy(update={"api": ELSEWHERE})},
        {"evidence.observers": UNKNOWN},
    ),
    "the prober asked at another address than customers do": (
        lambda run: probes(
            run, ADDRESS_PROBE, lambda sample: replace(sample, detail={"api": ELSEWHERE})
        ),
        {"evidence.observers": UNKNOWN},
    ),
    "the prober does not say where it asked": (
        lambda run: probes(run, ADDRESS_PROBE, lambda sample: None),
        {"evidence.observers": UNKNOWN},
    ),
    "nobody knows the customers' address": (
        lambda run: {"manifest": run.manifest.model_copy(update={"api": None})},
        {"evidence.observers": UNKNOWN},
    ),
}
