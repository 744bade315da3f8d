"""What no generic spoil shows to matter, each with the reason. A test keeps these lists exact."""

from __future__ import annotations

UNSPOILED: dict[str, str] = {
    "records/mode_log.csv: sampled_at": "a mark of the report: what counts is the commit",
    "records/lane_log.csv: detected_at": "a mark of the report: what counts is the commit",
    "records/flow.csv: count": "the policy's trigger of protected mode counts value, not requests",
    "chaos-journal.json: run.output": "read of programs and services alone, and the kit's "
    "activities are Python's; spoiled as 'the program that should act refused'",
    "chaos-journal.json: rollbacks.output": "as run.output",
    "timeline.jsonl: fault.reverted: detail.procedure": "shown beside what was measured: the words "
    "of a restore decide nothing",
    "chaos-journal.json: run.tolerance_met": "says only that an activity is one of the hypothesis, "
    "where test_chaos_journal.py spoils it",
    "chaos-journal.json: rollbacks.tolerance_met": "as run.tolerance_met",
    "records/surpluses.csv: booked_at": "one base unit, which no claim needed; the table has a "
    "larger one that was spent before it came",
    "chain/unseen.csv: (rows)": "there is none in a run that passes; the table adds some",
    "manifest.json: operations": "a venue that the prober did ask for its status can be asked",
}
"""Fields that a check reads, as :func:`tests.testing.scorecard.every_field.written` has them."""

_SHOWN = "shown beside the time, and judged by the checks of pages"
_LATER = "says when the evidence ends, which matters where something did not happen before"
_WATCHED = (
    "a tier only lengthens the watch after the recovery; test_expectations.py shows one in each"
)
BLIND: dict[tuple[str, str], str] = {
    **{
        (f"signing.{name}", "slots"): "read for signatures that are dated before the drill, of "
        "which the good run has none; test_aws_log.py backdates one"
        for name in ("logged_by_aws", "by_signers_only")
    },
    ("customer.paid_once", "unseen"): "there is none in a run that passes; the table adds some",
    ("failover.time", "pages"): _SHOWN,
    ("protection.time", "pages"): _SHOWN,
    ("protection.time", "timeline"): _LATER,
    ("protected.guarantees", "timeline"): _LATER,
    ("protected.suspensions", "timeline"): _LATER,
    ("page.none", "timeline"): _LATER,
    ("page.none", "flips"): _WATCHED,
    ("page.none", "probes"): _WATCHED,
    ("evidence.observers", "flips"): _WATCHED,
    ("failover.time", "flips"): "a tier only excuses a lane that had nothing but large ones to pay",
    ("safety.floor_held", "flips"): "protected mode only lowers the floor, which no claim needed",
    ("safety.journal_chain", "manifest"): "says whether the venue offers `surpluses`, of which the "
    "good run has one base unit; the table spoils these",
    ("database.rpo", "followed"): "the venue says of none of its withdrawals that it was lost; "
    "test_lost_database.py has it say so",
    ("safety.nothing_voided_paid", "payouts"): "nothing is voided in the good run; the table "
    "spoils the withdrawal's side",
    ("safety.paid_once", "withdrawals"): "says which rails were used, whose statements must be "
    "there; test_rail_failover.py takes them away",
    ("page.none", "pages"): "there is none on a calm day; test_expectations.py adds one",
    ("tiers.avoided", "flips"): "there is none on a calm day; test_expectations.py adds them",
}
"""(id of a check, name of a file): the check reads it, and no generic spoil of it is noticed."""

ELSEWHERE: dict[tuple[str, str], str] = {
    ("protected.suspensions", "requests.csv"): "where protected mode never came",
    ("protected.suspensions", "records/flow.csv"): "where protected mode never came",
    **{
        (
            "protected.defers",
            file,
        ): "where a large withdrawal went over a rail; those of a flood go over networks alone"
        for file in ("timeline.jsonl", "rails/statements.csv", "records/instructions.csv")
    },
    **{
        ("database.rpo", f"chain/{name}.csv"): "where a withdrawal was lost"
        for name in ("payouts", "blocks")
    },
    **{
        (f"reads.{name}", "timeline.jsonl"): "where the drill itself keeps the api down"
        for name in ("login", "balances", "status", "follow")
    },
    **{
        ("drill.fault_landed", f"records/{name}.csv"): "where a neighbour did something; "
        "test_neighbours.py spoils each, and the prober's count of ended sessions"
        for name in ("mode_log", "topups", "surpluses")
    },
}
"""(id of a check, file): it is evidence of the check, and read in no world of the test."""

FOR_NOBODY: dict[str, str] = {
    "chain/failed.csv": "what a contract could not pay is in no line of chain/payouts.csv, and "
    "that is what the checks of payouts find"
}
"""By file: why no check reads it."""

LEFT_OUT: dict[tuple[str, str], str] = {
    ("customer.followed", "probes.jsonl"): "the prober's own requests are then unknown; "
    "evidence.observers misses the prober",
    ("evidence.observers", "chain/payouts.csv"): "drill.payouts misses the payouts",
    ("safety.nothing_voided_paid", "chain/payouts.csv"): "drill.payouts misses the payouts",
    ("protected.defers", "requests.csv"): "drill.flood misses the requests; slots and transactions "
    "are looked at without them",
    ("failover.time", "records/sign_log.csv"): "safety.signed_is_logged misses the signatures",
    ("drill.flood_value", "records/topups.csv"): "without top-ups the wallets held more",
    ("safety.journal_chain", "records/surpluses.csv"): "without the table nobody knows what must "
    "be in the journal; `unidentified` in the ledger still shows it",
    ("reads.follow", "requests.csv"): "drill.flood misses the requests; nothing acknowledged could "
    "be looked at",
    ("reads.login", "records/mode_log.csv"): "protection.time misses the flips; the share over all "
    "tiers still counts",
    **{
        (f"signing.{name}", "probes.jsonl"): "evidence.observers misses the prober"
        for name in ("logged_by_aws", "by_signers_only")
    },
}
"""(id of a check, file): why a check that had left PASS returns to it without that file."""
