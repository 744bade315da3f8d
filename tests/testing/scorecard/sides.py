"""Files without which no FAIL of a check can be shown: its sides, or its only source.

Whatever else a check reads may be lost, and what the rest shows to be wrong is still a FAIL. A test
keeps this exact.
"""

from __future__ import annotations

ORDERS = "records/orders.csv"
"""What a person may have caused says nothing of the venue, so a check that orders could have
steered needs them for every FAIL."""

SIDES: dict[str, tuple[tuple[str, ...], str]] = {
    "customer.followed": (
        ("arrivals.csv", "flood.json", "followed.csv", "requests.csv"),
        "what customers were told, and what they had asked for",
    ),
    "customer.paid_once": (
        ("arrivals.csv", "chain/payouts.csv", "flood.json", "probes.jsonl", "requests.csv"),
        "what was asked for, also before; the table pays on chains alone, test_sources.py on rails",
    ),
    "customer.told_truth": (
        (
            "arrivals.csv",
            "chain/payouts.csv",
            "flood.json",
            "followed.csv",
            "probes.jsonl",
            "requests.csv",
        ),
        "what was asked for, what was told, and what was paid; test_sources.py has it over rails",
    ),
    "experiment.sound": (("chaos-journal.json",), "its one source"),
    "failover.time": (
        (
            "probes.jsonl",
            "records/flow.csv",
            "records/mode_log.csv",
            "records/sign_log.csv",
            "records/slots.csv",
            "records/withdrawals.csv",
            "timeline.jsonl",
        ),
        "every time needs both observers, and that they went on",
    ),
    "page.failover": (("pages.jsonl", "timeline.jsonl"), "from one source's moment to the other's"),
    "page.protection": (
        (
            "arrivals.csv",
            "flood.json",
            "pages.jsonl",
            "probes.jsonl",
            "records/flow.csv",
            "requests.csv",
        ),
        "as protection.time",
    ),
    "protected.defers": (
        (
            "arrivals.csv",
            "flood.json",
            "records/mode_log.csv",
            "records/slots.csv",
            "records/withdrawals.csv",
        ),
        "when it was protected, and which payout was of a large one",
    ),
    "protected.guarantees": (
        ("arrivals.csv", "flood.json", "probes.jsonl", "records/mode_log.csv", "timeline.jsonl"),
        "when it was protected, and who was answered then",
    ),
    "protected.suspensions": (
        ("arrivals.csv", "flood.json", "probes.jsonl", "records/mode_log.csv", "timeline.jsonl"),
        "when it was protected, and who was let through then",
    ),
    "protection.time": (
        (
            "arrivals.csv",
            "flood.json",
            "probes.jsonl",
            "records/flow.csv",
            "records/mode_log.csv",
            "requests.csv",
            "timeline.jsonl",
        ),
        "every time needs both observers, and that they went on",
    ),
    "reads.balances": (
        (
            "arrivals.csv",
            "flood.json",
            "planned_reads.csv",
            "reads.csv",
            "records/mode_log.csv",
            "requests.csv",
            "timeline.jsonl",
        ),
        "what was planned, what was answered, and in which tier",
    ),
    "reads.follow": (
        (
            "arrivals.csv",
            "flood.json",
            "planned_reads.csv",
            "reads.csv",
            "requests.csv",
            "timeline.jsonl",
        ),
        "what was planned, and what was answered",
    ),
    "reads.login": (
        (
            "arrivals.csv",
            "flood.json",
            "planned_reads.csv",
            "reads.csv",
            "records/mode_log.csv",
            "requests.csv",
            "timeline.jsonl",
        ),
        "what was planned, what was answered, and in which tier",
    ),
    "reads.status": (
        (
            "arrivals.csv",
            "flood.json",
            "planned_reads.csv",
            "reads.csv",
            "requests.csv",
            "timeline.jsonl",
        ),
        "what was planned, and what was answered",
    ),
    "recovery.time": (
        ("arrivals.csv", "flood.json", "probes.jsonl", "timeline.jsonl"),
        "when the shock was over, and what was asked for",
    ),
    "safety.acknowledged_resolved": (("records/withdrawals.csv",), "the records that are judged"),
    "safety.chain_equals_posted": (
        ("chain/payouts.csv", "records/withdrawals.csv"),
        "both sides; test_sources.py has each rail and the chains apart",
    ),
    "safety.floor_held": (
        (
            "chain/balances.csv",
            "chain/blocks.csv",
            "chain/payouts.csv",
            "records/mode_log.csv",
            "records/slots.csv",
            "records/surpluses.csv",
            "records/topups.csv",
            "records/withdrawals.csv",
        ),
        "a sum that needs every part",
    ),
    "safety.hot_reconciles": (("chain/balances.csv", "records/ledger.csv"), "both sides"),
    "safety.journal_chain": (("records/journal.csv",), "the journal that is judged"),
    "safety.nonces_contiguous": (("records/slots.csv",), "the nonces that are judged"),
    "safety.nothing_voided_paid": (
        ("chain/payouts.csv", "records/withdrawals.csv"),
        "both sides; test_sources.py has each rail and the chains apart",
    ),
    "safety.old_epoch": (("records/mode_log.csv", "records/slots.csv"), "both sides"),
    "safety.one_digest_per_nonce": (("records/sign_log.csv",), "the log that is judged"),
    "safety.paid_once": (
        ("chain/payouts.csv",),
        "the table pays twice on a chain; test_sources.py over rails as well",
    ),
    "safety.signed_is_logged": (("records/sign_log.csv", "records/slots.csv"), "both sides"),
    "signing.by_signers_only": (("aws/sign_calls.csv",), "its one source of a violation"),
    "signing.logged_by_aws": (
        (
            "aws/sign_calls.csv",
            "probes.jsonl",
            "records/sign_log.csv",
            "records/slots.csv",
            "timeline.jsonl",
        ),
        "both sides, and what shows that the log is complete",
    ),
    "stress.small_completed": (
        ("arrivals.csv", "flood.json", "requests.csv", "timeline.jsonl"),
        "what was asked for, and under which stress",
    ),
}
"""By id of a check: those files, and why."""
