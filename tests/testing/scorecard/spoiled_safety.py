"""Ways to spoil the money in a good run, and the safety checks that must find each."""

from __future__ import annotations

from dataclasses import replace

from seawall.scorecard.outcome import Outcome
from tests.testing.scorecard.spoiling import (
    Spoil,
    decided,
    decided_as,
    each,
    first,
    ledger_faults,
    nonce_left_out,
    payout,
    surplus_late,
    us,
    without,
)

FAIL, UNKNOWN = Outcome.FAIL, Outcome.UNKNOWN

SAFETY: dict[str, tuple[Spoil, dict[str, Outcome]]] = {
    "the ledger is one base unit off": (
        lambda run: {
            "ledger": first(
                run.ledger, lambda row: row.kind == "customer", balance=lambda row: row.balance + 1
            )
        },
        {"safety.ledger_sums_zero": FAIL},
    ),
    "a balance differs from its entries": (
        lambda run: ledger_faults(run, balance_mismatches=1),
        {"safety.ledger_sums_zero": FAIL},
    ),
    "a customer is overdrawn": (
        lambda run: ledger_faults(run, negative_balances=1),
        {"safety.no_negative": FAIL},
    ),
    "a withdrawal was paid twice": (
        lambda run: {"payouts": (*run.payouts, replace(run.payouts[5], network="birch"))},
        {"safety.paid_once": FAIL, "safety.chain_equals_posted": FAIL, "customer.paid_once": FAIL},
    ),
    "a withdrawal was paid again under another number": (
        lambda run: {"payouts": (*run.payouts, replace(run.payouts[5], seq=(1 << 40) + 6))},
        {"safety.paid_once": FAIL, "safety.chain_equals_posted": FAIL, "customer.paid_once": FAIL},
    ),
    "a payout names another withdrawal": (
        lambda run: {
            "payouts": first(run.payouts, lambda row: row.seq == 9, withdrawal_id="another")
        },
        {"safety.chain_equals_posted": FAIL},
    ),
    "something voided was paid under another number": (
        lambda run: {
            "withdrawals": first(
                run.withdrawals, lambda row: row.seq == 9, state="voided", reason="refused"
            ),
            "payouts": first(run.payouts, lambda row: row.seq == 9, seq=(1 << 40) + 9),
        },
        {"safety.nothing_voided_paid": FAIL, "safety.chain_equals_posted": FAIL},
    ),
    "a payout went to another address": (
        lambda run: {"payouts": first(run.payouts, lambda row: row.seq == 9, to="0x" + "ee" * 20)},
        {"safety.chain_equals_posted": FAIL, "customer.told_truth": FAIL, "recovery.time": UNKNOWN},
    ),
    "something voided was paid": (
        lambda run: {
            "withdrawals": first(
                run.withdrawals, lambda row: row.seq == 9, state="voided", reason="refused"
            )
        },
        {"safety.nothing_voided_paid": FAIL, "safety.chain_equals_posted": FAIL},
    ),
    "an acknowledged withdrawal vanished": (
        lambda run: {
            "withdrawals": without(run.withdrawals, lambda row: row.seq == 9),
            "payouts": without(run.payouts, lambda row: row.seq == 9),
        },
        {
            "safety.acknowledged_resolved": FAIL,
            "customer.told_truth": FAIL,
            "recovery.time": UNKNOWN,
        },
    ),
    "a withdrawal is unknown at the end": (
        lambda run: {
            "withdrawals": first(
                run.withdrawals,
                lambda row: row.seq == 9,
                state="unknown",
                reason="no outcome",
                resolved_at=None,
            ),
            "payouts": without(run.payouts, lambda row: row.seq == 9),
        },
        {
            "safety.acknowledged_resolved": FAIL,
            "customer.told_truth": FAIL,
            "recovery.time": UNKNOWN,
        },
    ),
    "a nonce was signed with two intents": (
        lambda run: {
            "signatures": (*run.signatures, replace(run.signatures[3], digest="ff" * 32)),
            "sign_calls": tuple(
                call
                for known in run.sign_calls
                for call in (known, replace(known, event_id=f"{known.event_id}-again"))
            ),
        },
        {"safety.one_digest_per_nonce": FAIL},
    ),
    "a signature is not in the log": (
        lambda run: {"signatures": run.signatures[1:]},
        {"safety.signed_is_logged": FAIL, "failover.time": UNKNOWN},
    ),
    "a nonce was left out": (nonce_left_out, {"safety.nonces_contiguous": FAIL}),
    "the chain has counted a transaction without a slot": (
        lambda run: {
            "lane_nonces": first(run.lane_nonces, lambda row: True, nonce=lambda row: row.nonce + 1)
        },
        {"safety.nonces_contiguous": FAIL},
    ),
    "the chain was not asked for the nonces": (
        lambda run: {"lane_nonces": ()},
        {"safety.nonces_contiguous": UNKNOWN},
    ),
    "a claim was committed under an old epoch": (
        lambda run: {
            "slots": first(
                run.slots, lambda slot: payout(slot) and slot.opened_at > us(40), mode_epoch=2
            )
        },
        {"safety.old_epoch": FAIL},
    ),
    "the chain holds less than the ledger says": (
        lambda run: {
            "chain_balances": first(
                run.chain_balances, lambda row: row.balance > 0, balance=lambda row: row.balance - 1
            )
        },
        {"safety.hot_reconciles": FAIL},
    ),
    "the chain holds more than the ledger says": (
        lambda run: {
            "chain_balances": first(
                run.chain_balances, lambda row: True, balance=lambda row: row.balance + 1
            )
        },
        {"safety.hot_reconciles": UNKNOWN},
    ),
    "what one wallet has more the other one lacks": (
        lambda run: {
            "chain_balances": tuple(
                replace(
                    row,
                    balance=row.balance
                    + (row.wallet == "customer-aster-hot")
                    - (row.wallet == "customer-aster-reserve"),
                )
                for row in run.chain_balances
            )
        },
        {"safety.hot_reconciles": FAIL},
    ),
    "an unknown sender owes the venue": (
        lambda run: {
            "ledger": tuple(
                replace(row, balance=row.balance + changes.get(row.kind, 0))
                if (row.bucket, row.network, row.asset) == ("customer", "aster", "AST")
                else row
                for changes in ({"unidentified": 2, "customer": -2},)
                for row in run.ledger
            )
        },
        {"safety.no_negative": FAIL},
    ),
    "more has left escrow than was bid": (
        lambda run: {
            "ledger": (
                *run.ledger,
                *(
                    replace(run.ledger[0], bucket="escrow", kind=kind, balance=balance)
                    for kind, balance in (("escrow", 2), ("own", -2))
                ),
            )
        },
        {"safety.no_negative": FAIL},
    ),
    "the chain holds less of a bucket that never pays": (
        lambda run: {
            "chain_balances": first(
                run.chain_balances,
                lambda row: row.wallet == "escrow-aster-hot",
                balance=lambda row: row.balance - 1,
            )
        },
        {"safety.hot_reconciles": FAIL},
    ),
    "the chain was not asked what a bucket holds": (
        lambda run: {
            "chain_balances": tuple(
                row for row in run.chain_balances if "contingency" not in row.wallet
            )
        },
        {"safety.hot_reconciles": FAIL},
    ),
    "an entry of the journal was edited": (
        lambda run: {
            "decisions": first(
                run.decisions, lambda row: row.kind == "topup", justification="another reason"
            )
        },
        {"safety.journal_chain": FAIL},
    ),
    "an entry of the journal was removed": (
        lambda run: {
            "decisions": without(run.decisions, lambda row: row.kind == "deficit" and not row.n % 2)
        },
        {"safety.journal_chain": FAIL},
    ),
    "a hash of the journal is none": (
        lambda run: {"decisions": first(run.decisions, lambda row: True, hash="no hash")},
        {"safety.journal_chain": UNKNOWN},
    ),
    "the journal names another tier than the mode's log": (
        lambda run: {"flips": first(run.flips, lambda flip: flip.epoch == 5, tier="stressed")},
        {"safety.journal_chain": FAIL, "recovery.time": UNKNOWN},
    ),
    "a surplus is not in the journal": (
        lambda run: decided_as(run, run.flips, surpluses=()),
        {"safety.journal_chain": FAIL},
    ),
    "the journal names another amount than was booked": (
        lambda run: {"surpluses": each(run.surpluses, lambda row: True, amount=2)},
        {"safety.journal_chain": FAIL},
    ),
    "the journal is empty": (lambda run: {"decisions": ()}, {"safety.journal_chain": FAIL}),
    "a flip is not in the journal": (
        lambda run: decided(run, flips=len(run.flips) - 1),
        {"safety.journal_chain": FAIL},
    ),
    "claims spent money from outside that had not come": (
        lambda run: surplus_late(run, wallet="customer-aster-hot", asset="AST"),
        {"safety.floor_held": FAIL},
    ),
    "claims spent top-ups that had not come": (
        lambda run: {"top_ups": each(run.top_ups, lambda row: True, posted_at=us(83))},
        {"safety.floor_held": FAIL},
    ),
}
