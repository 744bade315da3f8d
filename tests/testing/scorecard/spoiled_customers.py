"""Ways to spoil what customers were told and paid, with the checks that must notice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from seawall.scorecard.chain_rows import Payout, Unseen
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.run import Run
from tests.testing.scorecard.spoiling import Files, Spoil, each, first, probes, us, without

FAIL, UNKNOWN = Outcome.FAIL, Outcome.UNKNOWN
LATE = us(94 + 3600)


def refused(run: Run, *, outcomes: tuple[str, ...], error: str = "over_limit") -> Files:
    """A request of the calm whose attempts had these outcomes; nobody followed it."""
    [one] = [row for row in run.arrivals if row.index == 1]
    again = max(row.index for row in run.arrivals)
    [sent] = [row for row in run.requests if row.index == one.index]
    more = range(1, len(outcomes))
    return {
        "arrivals": (*run.arrivals, *(replace(one, index=again + n, attempt=1 + n) for n in more)),
        "requests": (
            *each(
                run.requests, lambda row: row.index == one.index, outcome=outcomes[0], error=error
            ),
            *(replace(sent, index=again + n, outcome=outcomes[n], error=error) for n in more),
        ),
        "followed": without(run.followed, lambda row: row.id == one.id),
    }


def prober_refused(run: Run) -> Files:
    """Its first withdrawal was refused, and nobody followed it."""
    refused_one = run.probes["small_withdrawal"][0]
    detail = dict(refused_one.detail or {})
    return {
        **probes(
            run,
            "small_withdrawal",
            lambda sample: (
                replace(sample, ok=False, detail=detail | {"code": "over_limit"})
                if sample is refused_one
                else sample
            ),
        ),
        "followed": without(run.followed, lambda row: row.id == detail["id"]),
    }


def strange(run: Run, **changes: Any) -> Payout:
    """One more transfer to whom payout 5 of the run paid, from an address that nobody knows."""
    other: dict[str, Any] = {
        "seq": None,
        "withdrawal_id": None,
        "tx_hash": "0x" + "da" * 32,
        "stranger": "0x" + "57" * 20,
    }
    return replace(run.payouts[5], **other | changes)


UNKNOWN_TO_RECORDS = {"safety.chain_equals_posted": FAIL, "safety.floor_held": UNKNOWN}
"""What a payout by no transaction of the venue's records makes of the checks that read them."""


def held(run: Run, amount: int) -> Unseen:
    """So much more is held by whom payout 5 of the run paid."""
    paid = run.payouts[5]
    return Unseen(network=paid.network, asset=paid.asset, to=paid.to, amount=amount)


CUSTOMERS: dict[str, tuple[Spoil, dict[str, Outcome]]] = {
    "the venue does not know a request that it acknowledged": (
        lambda run: {"followed": first(run.followed, lambda row: row.seq == 9, state="lost")},
        {"customer.followed": FAIL},
    ),
    "a request is still open when all bounds have passed": (
        lambda run: {
            "followed": first(
                run.followed, lambda row: row.seq == 9, state="broadcast", asked_at=LATE
            )
        },
        {"customer.followed": FAIL},
    ),
    "a request was still open when it was last asked for, too early": (
        lambda run: {"followed": first(run.followed, lambda row: row.seq == 9, state="broadcast")},
        {"customer.followed": UNKNOWN},
    ),
    "the venue did not answer for one request": (
        lambda run: {"followed": first(run.followed, lambda row: row.seq == 9, state="unanswered")},
        {"customer.followed": UNKNOWN},
    ),
    "there was no time to ask for one request": (
        lambda run: {
            "followed": first(
                run.followed, lambda row: row.seq == 9, state="unanswered", asked_at=None
            )
        },
        {"customer.followed": UNKNOWN},
    ),
    "one acknowledged request was not followed": (
        lambda run: {"followed": run.followed[1:]},
        {"customer.followed": UNKNOWN},
    ),
    "a request was called refunded, and was paid": (
        lambda run: {
            "followed": first(
                run.followed, lambda row: row.seq == 9, state="voided", reason="refused"
            )
        },
        {"customer.told_truth": FAIL},
    ),
    "a request was refunded without a reason": (
        lambda run: {
            "followed": first(run.followed, lambda row: row.seq == 9, state="voided"),
            "payouts": without(run.payouts, lambda row: row.seq == 9),
            "withdrawals": first(
                run.withdrawals, lambda row: row.seq == 9, state="voided", reason="refused"
            ),
        },
        {"customer.followed": FAIL},
    ),
    "a transaction that paid nothing was named": (
        lambda run: {
            "followed": first(run.followed, lambda row: row.seq == 9, tx_hash="0x" + "ef" * 32)
        },
        {"customer.told_truth": FAIL},
    ),
    "a transaction that paid another request was named": (
        lambda run: {
            "followed": each(
                run.followed, lambda row: row.seq in (9, 900), tx_hash=run.payouts[3].tx_hash
            )
        },
        {"customer.told_truth": FAIL},
    ),
    "something was followed that nobody asked for": (
        lambda run: {"followed": (*run.followed, replace(run.followed[0], id="x"))},
        {"customer.told_truth": UNKNOWN},
    ),
    "another amount was followed than was asked for": (
        lambda run: {"followed": first(run.followed, lambda row: row.seq == 9, amount=1)},
        {"customer.told_truth": UNKNOWN},
    ),
    "a customer was paid under a number of another request": (
        lambda run: {
            "payouts": (*run.payouts, replace(run.payouts[5], seq=99_999, withdrawal_id="another"))
        },
        {"customer.paid_once": FAIL, "safety.chain_equals_posted": FAIL},
    ),
    "a stranger sent dust to a customer": (
        lambda run: {"payouts": (*run.payouts, strange(run, amount=1))},
        {"customer.paid_once": UNKNOWN} | UNKNOWN_TO_RECORDS,
    ),
    "strangers made all payouts": (
        lambda run: {"payouts": each(run.payouts, lambda row: True, stranger="0x" + "57" * 20)},
        {"drill.payouts": UNKNOWN},
    ),
    "a stranger's address paid a request again": (
        lambda run: {"payouts": (*run.payouts, strange(run))},
        {"customer.paid_once": FAIL} | UNKNOWN_TO_RECORDS,
    ),
    "the venue and a stranger both sent dust to a customer": (
        lambda run: {
            "payouts": (
                strange(run, amount=1),
                *run.payouts,
                strange(run, amount=1, stranger=None),
                strange(run, amount=1),
            )
        },
        {"customer.paid_once": FAIL, "safety.paid_once": FAIL} | UNKNOWN_TO_RECORDS,
    ),
    "a customer holds more than was seen paid": (
        lambda run: {"unseen": (held(run, 1),)},
        {"customer.paid_once": UNKNOWN},
    ),
    "a customer was paid again in a way that nobody reads": (
        lambda run: {"unseen": (held(run, run.payouts[5].amount),)},
        {"customer.paid_once": FAIL},
    ),
    "not all that customers hold was read in time": (
        lambda run: {"unseen": (replace(held(run, 1), to=None, amount=None),)},
        {"customer.paid_once": UNKNOWN},
    ),
    "the prober does not say what it asked for": (
        lambda run: probes(
            run, "small_withdrawal", lambda sample: replace(sample, detail={"id": "x"})
        ),
        dict.fromkeys(("customer.paid_once", "customer.told_truth", "drill.payouts"), UNKNOWN)
        | {
            "customer.followed": UNKNOWN,
            "safety.acknowledged_resolved": FAIL,
            "recovery.time": UNKNOWN,
            "protection.time": UNKNOWN,
            "page.protection": UNKNOWN,
            "stress.small_completed": UNKNOWN,
            "protected.defers": UNKNOWN,
        },
    ),
    "the venue knew every request before it was made": (
        lambda run: {"requests": each(run.requests, lambda row: True, outcome="replayed")},
        dict.fromkeys(("drill.payouts", "customer.paid_once", "customer.told_truth"), UNKNOWN),
    ),
    "the venue refused the run": (
        lambda run: {
            "requests": each(
                run.requests, lambda row: row.planned_at > us(16), outcome="refused", status=503
            )
        },
        {"drill.payouts": UNKNOWN, "drill.fault_length": UNKNOWN, "stress.small_completed": FAIL},
    ),
    "one request was refused, and was paid": (
        lambda run: refused(run, outcomes=("refused",)),
        {"customer.told_truth": FAIL},
    ),
    "one request was refused, asked for again without an answer, and was paid": (
        lambda run: refused(run, outcomes=("refused", "failed")),
        {},
    ),
    "one request found the venue unavailable, and was paid": (
        lambda run: refused(run, outcomes=("refused",), error="unavailable"),
        {},
    ),
    "the prober was refused once, and was paid": (prober_refused, {"customer.told_truth": FAIL}),
    "everything was paid before it was asked for": (
        lambda run: {
            "payouts": each(
                run.payouts, lambda row: True, block_number=None, block_timestamp=us(-3600)
            )
        },
        {
            **dict.fromkeys(
                ("drill.payouts", "customer.paid_once", "customer.told_truth"), UNKNOWN
            ),
            "recovery.time": UNKNOWN,
            "drill.flood_value": UNKNOWN,
            "stress.small_completed": FAIL,
        },
    ),
    "one request is a withdrawal of another asset on the chain": (
        lambda run: {"payouts": each(run.payouts, lambda row: row.seq == 9, asset="OTHER")},
        {
            "customer.paid_once": FAIL,
            "customer.told_truth": FAIL,
            "safety.chain_equals_posted": FAIL,
            "safety.floor_held": UNKNOWN,
            "recovery.time": UNKNOWN,
        },
    ),
}
"""By what is wrong: how to make it so, and the checks that leave PASS."""
