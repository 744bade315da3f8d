"""Each check fails, or is UNKNOWN, when what it checks is spoiled, and no other check does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from seawall.scorecard.checks import ALL, database, expectations, rails
from seawall.scorecard.checks.promises import small_completed
from seawall.scorecard.facts import Facts
from seawall.scorecard.failover import failover
from seawall.scorecard.judgement import judge_facts
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.rows import Slot
from seawall.scorecard.run import Run
from tests.testing.scorecard.faulty import asset_paused
from tests.testing.scorecard.spoiling import (
    each,
    payout,
    primary_only,
    requests_left_late,
    us,
    without,
)
from tests.testing.scorecard.table import TABLE

FAIL, PASS = Outcome.FAIL, Outcome.PASS


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
        "protection": "0.123 s",
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
    of_birch = {
        name: each(getattr(good_run, name), lambda row: row.network == "birch", size="large")
        for name in ("arrivals", "withdrawals")
    }
    offers = tuple(port for port in good_run.manifest.offers if port != "aws_log")
    manifest = good_run.manifest.model_copy(update={"offers": offers})
    found = {"slots": slots, "signatures": (), "manifest": manifest}

    late = failover(Facts(altered(**found)))
    deferred_only = failover(Facts(altered(**found, **of_birch)))

    assert (late.outcome, late.reason.partition(":")[0]) == (FAIL, "customer-birch-hot")
    assert (deferred_only.outcome, deferred_only.reason.partition(":")[0]) == (
        Outcome.PASS,
        "customer-aster-hot",
    )


def replaced(run: Run, **changes: Any) -> dict[str, Any]:
    """The first nonce that was signed before the dark was signed again in it, for higher fees.

    The dearer transaction is the one that was mined; the standby signed it.
    """
    row = run.signatures[3]
    late = us(40.3)
    dearer = replace(
        row, tx_hash="0x" + "fe" * 32, signed_by=run.policy.regions.standby, signed_at=late
    )
    call = next(
        each
        for each in run.sign_calls
        if each.address == row.address and each.region == run.policy.regions.standby
    )
    again = replace(call, event_id="again", at=us(40))
    return {
        "signatures": (*run.signatures, replace(dearer, **changes)),
        "sign_calls": tuple(sorted((*run.sign_calls, again), key=lambda each: each.at)),
    }


def test_a_transaction_that_replaces_another_of_its_nonce_contradicts_nothing(
    altered: Callable[..., Run], good_run: Run
) -> None:
    """A nonce has two signatures then, by two regions; that its intent is one is still checked."""
    good = judge_facts(Facts(altered(**replaced(good_run))))
    other_intent = judge_facts(Facts(altered(**replaced(good_run, digest="ff" * 32))))

    assert good.outcome is Outcome.PASS, [each for each in good.results if each.outcome is not PASS]
    found = {each.id for each in other_intent.results if each.outcome is not PASS}
    assert found == {"safety.one_digest_per_nonce"}


def test_late_requests_miss_a_goal(altered: Callable[..., Run], good_run: Run) -> None:
    """It gates nothing, but it is reported."""
    verdict = judge_facts(Facts(altered(**requests_left_late(good_run))))

    assert {goal.id: goal.met for goal in verdict.goals}["dispatch"] is False


def test_every_check_is_seen_failing_or_unknown() -> None:
    """Every check has a row in a table; test_evidence.py covers evidence.complete.

    Those that this drill does not ask are in test_expectations.py, test_storm.py,
    test_lost_database.py and test_rail_failover.py.
    """
    covered = {identity for _, expected in TABLE.values() for identity in expected}
    elsewhere = {check.id for check in (*expectations.CHECKS, *database.CHECKS, *rails.CHECKS)}
    elsewhere |= {"drill.storm"}

    assert {check.id for check in ALL} - covered == {"evidence.complete"} | elsewhere


def test_a_time_that_never_came_is_shown_as_beyond_its_bound(
    altered: Callable[..., Run], good_run: Run
) -> None:
    """FAIL without a measured time names the bound."""
    verdict = judge_facts(Facts(altered(**primary_only(good_run))))

    assert verdict.result("failover.time").measured == "> 10.000 s"


@pytest.mark.parametrize(
    ("network", "asset", "outcome"),
    [("aster", "USDX", PASS), ("aster", "AST", FAIL), ("birch", "USDX", FAIL)],
)
def test_small_withdrawals_are_paid_in_time_beside_a_paused_asset(
    network: str, asset: str, outcome: Outcome, altered: Callable[..., Run], good_run: Run
) -> None:
    """Of the asset that the drill pauses nobody can be paid; everybody else must not wait."""
    paused = altered(**asset_paused(good_run))
    unpaid = without(
        paused.payouts,
        lambda row: (row.network, row.asset) == (network, asset) and row.block_timestamp > us(30),
    )

    finding = small_completed.answer(Facts(altered(**asset_paused(good_run) | {"payouts": unpaid})))

    assert finding.outcome is outcome, finding
    assert finding.measured.endswith(", without USDX on aster")
