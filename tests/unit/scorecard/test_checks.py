"""Each check fails, or is UNKNOWN, when what it checks is spoiled, and no other check does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from seawall.scorecard.checks import ALL, expectations
from seawall.scorecard.facts import Facts
from seawall.scorecard.failover import failover
from seawall.scorecard.judgement import judge_facts
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.readers import SECOND
from seawall.scorecard.rows import Slot
from seawall.scorecard.run import Run
from tests.testing.scorecard.spoiled_customers import CUSTOMERS
from tests.testing.scorecard.spoiled_faults import FAULTS
from tests.testing.scorecard.spoiled_floods import FLOODS
from tests.testing.scorecard.spoiled_promises import PROMISES
from tests.testing.scorecard.spoiled_safety import SAFETY
from tests.testing.scorecard.spoiled_times import TIMES
from tests.testing.scorecard.spoiling import (
    Spoil,
    each,
    events,
    first,
    journal,
    paid_in_dark,
    payout,
    primary_only,
    probes,
    requests_left_late,
    us,
    without,
)

FAIL, UNKNOWN = Outcome.FAIL, Outcome.UNKNOWN

TABLE: dict[str, tuple[Spoil, dict[str, Outcome]]] = {
    # --- the drill counts
    "the calm is short": (
        lambda run: {
            "flood": run.flood.model_copy(update={"t_zero": run.flood.t_zero + 1}),
            "arrivals": each(run.arrivals, lambda row: True, offset_s=lambda row: row.offset_s - 1),
        },
        {"drill.calm": UNKNOWN},
    ),
    "the tier was not normal in the calm": (
        lambda run: {
            "flips": first(
                run.flips, lambda flip: flip.epoch == 2, committed_at=us(12), sampled_at=us(11)
            )
        },
        {"drill.calm": UNKNOWN, "safety.old_epoch": FAIL},
    ),
    "the wallets held more than the policy's target": (
        lambda run: {
            "chain_balances": each(
                run.chain_balances,
                lambda row: row.wallet.endswith("hot"),
                balance=lambda row: row.balance * 4,
            )
        },
        {"drill.flood_value": UNKNOWN, "safety.hot_reconciles": FAIL},
    ),
    "too little value was requested": (
        lambda run: {
            "arrivals": each(
                run.arrivals, lambda row: True, value_micro=lambda row: row.value_micro // 2
            )
        },
        {"drill.flood_value": UNKNOWN},
    ),
    "the dark time was short": (
        lambda run: events(run, held=51.9, reverted=51.9),
        {"drill.fault_length": UNKNOWN},
    ),
    "the blocks of the dark time came after it": (
        lambda run: {
            "blocks": each(
                run.blocks, lambda row: us(20) < row.timestamp < us(57), observed_at=us(70)
            )
        },
        {"drill.payouts": UNKNOWN, "stress.small_completed": FAIL},
    ),
    "the prober still reached the dark region": (
        lambda run: probes(run, "kms", lambda sample: replace(sample, ok=True)),
        {"drill.fault_landed": UNKNOWN},
    ),
    "the dark region answered for half a second": (
        lambda run: probes(
            run,
            "kms",
            lambda sample: replace(sample, ok=sample.ok or us(40) < sample.at < us(40.5)),
        ),
        {"drill.fault_landed": UNKNOWN},
    ),
    "the dark region refused instead of hanging": (
        lambda run: probes(
            run,
            "kms",
            lambda sample: (
                sample
                if sample.ok
                else replace(sample, detail={**sample.detail, "error": "refused"})
            ),
        ),
        {"drill.fault_landed": UNKNOWN},
    ),
    "the prober's silence began later than the injector's": (
        lambda run: probes(
            run, "kms", lambda sample: replace(sample, ok=sample.ok or sample.at < us(29))
        ),
        {"drill.fault_landed": UNKNOWN},
    ),
    "the fault was never seen": (
        lambda run: {
            "timeline": without(run.timeline, lambda event: event.event == "fault.effective")
        },
        {
            "drill.fault_length": UNKNOWN,
            "drill.payouts": UNKNOWN,
            "drill.fault_landed": UNKNOWN,
            "failover.time": UNKNOWN,
            "page.failover": UNKNOWN,
        },
    ),
    "signatures of the dark region have no time": (
        lambda run: {
            "signatures": each(
                run.signatures,
                lambda row: row.signed_by == run.policy.regions.primary,
                signed_at=None,
            )
        },
        {"drill.fault_landed": UNKNOWN},
    ),
    "the dark region signed": (
        lambda run: {
            "slots": each(run.slots, paid_in_dark, signer_region=run.policy.regions.primary),
            "signatures": each(
                run.signatures,
                lambda row: us(40) < row.signed_at < us(42),
                signed_by=run.policy.regions.primary,
            ),
        },
        {"drill.fault_landed": UNKNOWN},
    ),
    # --- evidence and experiment
    "the status was not watched for two seconds": (
        lambda run: probes(
            run, "status", lambda sample: None if us(40) < sample.at < us(42) else sample
        ),
        {"evidence.observers": UNKNOWN},
    ),
    "the database recorded nothing for four seconds": (
        lambda run: {"flow": without(run.flow, lambda row: us(66) < row.committed_at < us(70))},
        {"evidence.observers": UNKNOWN},
    ),
    "a chain stood still": (
        lambda run: {
            "blocks": without(
                run.blocks,
                lambda block: block.network == "birch" and us(66) < block.timestamp < us(72),
            )
        },
        {"evidence.observers": UNKNOWN},
    ),
    "an activity of the experiment failed": (
        lambda run: journal(run, run=[run.journal["run"][0] | {"status": "failed"}]),
        {"experiment.sound": UNKNOWN},
    ),
    "the steady state was left while the experiment watched": (
        lambda run: journal(
            run,
            steady_states=run.journal["steady_states"]
            | {"during": [{"steady_state_met": False, "probes": []}]},
        ),
        {"experiment.sound": FAIL},
    ),
    "the program that should act refused": (
        lambda run: journal(
            run,
            run=[
                run.journal["run"][0]
                | {
                    "activity": {"name": "dark", "provider": {"type": "process"}},
                    "output": {"status": 1},
                }
            ],
        ),
        {"experiment.sound": UNKNOWN},
    ),
    "the steady state did not come back": (
        lambda run: journal(
            run,
            status="failed",
            deviated=True,
            steady_states=run.journal["steady_states"]
            | {
                "after": {
                    "steady_state_met": False,
                    "probes": run.journal["steady_states"]["after"]["probes"],
                }
            },
        ),
        {"experiment.sound": FAIL},
    ),
    # --- promises
    "the chains paid 22 s later than the ledger says": (
        lambda run: {
            "blocks": each(
                run.blocks,
                lambda row: True,
                observed_at=lambda row: (row.observed_at or 0) + 22 * SECOND,
            )
        },
        {"stress.small_completed": FAIL, "recovery.time": UNKNOWN},
    ),
    "small withdrawals of the ledger are on no chain": (
        # Of one network, so that its hot wallets still end above their floors.
        lambda run: {
            "payouts": without(
                run.payouts, lambda row: row.network == "birch" and row.seq % 25 == 0
            )
        },
        {
            "stress.small_completed": FAIL,
            "safety.chain_equals_posted": FAIL,
            "customer.told_truth": FAIL,
            "recovery.time": UNKNOWN,
        },
    ),
    **FAULTS,
    **PROMISES,
    **FLOODS,
    **TIMES,
    **CUSTOMERS,
    **SAFETY,
}


def test_a_good_run_passes_every_check(good_run: Run) -> None:
    """The synthetic run is a PASS, so every failure below has one cause."""
    verdict = judge_facts(Facts(good_run))

    assert {
        result.id: result.reason for result in verdict.results if result.outcome is not Outcome.PASS
    } == {}
    assert verdict.outcome is Outcome.PASS
    assert verdict.exit_code == 0
    assert {time.id: time.shown for time in verdict.times} == {
        "failover": "0.653 s",  # by the later observer: up to a sample later than the records
        "protection": "0.048 s",
        "recovery": "20.953 s",
    }


@pytest.mark.parametrize("what", TABLE)
def test_a_broken_promise_is_found_by_its_check_alone(
    what: str, altered: Callable[..., Run], good_run: Run
) -> None:
    """One thing is spoiled; exactly the expected checks leave PASS, with the expected outcome."""
    spoil, expected = TABLE[what]

    verdict = judge_facts(Facts(altered(**spoil(good_run))))

    found = {
        result.id: result.outcome
        for result in verdict.results
        if result.outcome is not Outcome.PASS
    }
    assert found == expected, [
        (result.id, result.reason, result.details)
        for result in verdict.results
        if result.id in found
    ]


def test_a_network_with_deferred_withdrawals_alone_has_nothing_to_fail_over(
    altered: Callable[..., Run], good_run: Run
) -> None:
    """Protected mode keeps large ones back; the other lane is judged."""

    def dark(slot: Slot) -> bool:
        return (
            payout(slot) and slot.network == "birch" and us(27) < (slot.broadcast_at or 0) < us(74)
        )

    primary = good_run.policy.regions.primary
    slots = each(good_run.slots, dark, broadcast_at=us(75), signer_region=primary)
    rows = each(good_run.withdrawals, lambda row: row.network == "birch", size="large")
    found = {"slots": slots, "signatures": ()}

    late = failover(Facts(altered(**found)))
    deferred_only = failover(Facts(altered(**found, withdrawals=rows)))

    assert (late.outcome, late.reason.partition(":")[0]) == (FAIL, "customer-birch-hot")
    assert (deferred_only.outcome, deferred_only.reason.partition(":")[0]) == (
        Outcome.PASS,
        "customer-aster-hot",
    )


def test_late_requests_miss_a_goal(altered: Callable[..., Run], good_run: Run) -> None:
    """It gates nothing, but it is reported."""
    verdict = judge_facts(Facts(altered(**requests_left_late(good_run))))

    assert {goal.id: goal.met for goal in verdict.goals}["dispatch"] is False


def test_every_check_is_seen_failing_or_unknown() -> None:
    """Every check has a row in a table; test_evidence.py covers evidence.complete.

    Those that this drill does not ask are in test_expectations.py.
    """
    covered = {identity for _, expected in TABLE.values() for identity in expected}
    elsewhere = {check.id for check in expectations.CHECKS}

    assert {check.id for check in ALL} - covered == {"evidence.complete"} | elsewhere


def test_a_time_that_never_came_is_shown_as_beyond_its_bound(
    altered: Callable[..., Run], good_run: Run
) -> None:
    """FAIL without a measured time names the bound."""
    verdict = judge_facts(Facts(altered(**primary_only(good_run))))

    assert verdict.result("failover.time").measured == "> 10.000 s"
