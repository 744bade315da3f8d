"""What customers look at is judged where it is promised and offered, and not taken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from seawall.conventions import components
from seawall.policy import PlannedFault
from seawall.scorecard.checks.reads import judge
from seawall.scorecard.facts import Facts
from seawall.scorecard.judgement import judge_facts
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.reads import reads_of
from seawall.scorecard.rows import LoggedRead
from seawall.scorecard.run import Run
from tests.testing.scorecard.spoiled_reads import fates, of
from tests.testing.scorecard.spoiling import Files, each, us, without
from tests.testing.scorecard.story import DRILL

Alter = Callable[..., Run]
DOWN, UP = 30.0, 33.0


def _api_killed(run: Run) -> Files:
    """The drill's fault keeps the api down from DOWN to UP."""
    planned = PlannedFault.model_construct(
        fault="process-killed",
        target=components.process_target(components.API_PROCESS),
        after=run.drill.faults[0].after,
        length=run.drill.faults[0].length,
        parameters={},
    )
    drill = run.drill.model_copy(update={"faults": (planned,)})
    named = {"fault": planned.fault, "target": planned.target}
    moments = {"fault.applied": us(DOWN), "fault.cleared": us(UP)}
    return {
        "drill": drill,
        "timeline": tuple(
            replace(line, at=moments.get(line.event, line.at), detail=named)
            if line.event.startswith("fault.")
            else line
            for line in run.timeline
        ),
    }


@pytest.mark.parametrize(
    ("since", "until", "outcome"),
    [
        pytest.param(DOWN, UP, Outcome.PASS, id="while it was down"),
        pytest.param(DOWN - 0.9, UP, Outcome.PASS, id="and what was under way when it went"),
        pytest.param(DOWN - 4, UP, Outcome.FAIL, id="but not what had failed before"),
        pytest.param(DOWN, UP + 3, Outcome.FAIL, id="nor what failed afterwards"),
    ],
)
def test_what_is_lost_while_the_drill_itself_keeps_the_api_down_is_not_the_venues(
    altered: Alter, good_run: Run, *, since: float, until: float, outcome: Outcome
) -> None:
    """As with the prober's samples: the window is that of the declared fault, and no wider."""
    lost = fates(good_run, of("login", since=since, until=until), outcome="failed", error="gone")
    facts = Facts(altered(**_api_killed(good_run), **lost))

    assert judge(facts, "login", "login").outcome is outcome


def _promising(run: Run, *, normal: tuple[str, ...], protected: tuple[str, ...]) -> Files:
    """The run under a policy whose tiers guarantee something else."""
    tiers = run.policy.tiers
    changed = tiers.model_copy(
        update={
            "normal": tiers.normal.model_copy(update={"guarantees": normal}),
            "stressed": tiers.stressed.model_copy(update={"guarantees": protected}),
            "protected": tiers.protected.model_copy(update={"guarantees": protected}),
        }
    )
    return {"policy": run.policy.model_copy(update={"tiers": changed})}


def test_a_function_is_judged_only_while_a_tier_guarantees_it(
    altered: Alter, good_run: Run
) -> None:
    """Logins that fail in protected mode break nothing there, and too few are left to judge."""
    lost = fates(good_run, of("login", since=20, until=65), outcome="failed", error="x")
    policy = _promising(
        good_run,
        normal=("login", "balances", "withdrawals_small"),
        protected=("balances", "withdrawals_small"),
    )
    finding = judge(Facts(altered(**policy, **lost)), "login", "login")

    assert finding.outcome is Outcome.UNKNOWN
    assert finding.reason.startswith("only ")


def test_a_policy_that_promises_no_login_does_not_ask_for_it(altered: Alter, good_run: Run) -> None:
    few = ("balances", "withdrawals_small")
    verdict = judge_facts(Facts(altered(**_promising(good_run, normal=few, protected=few))))

    asked = {result.id for result in verdict.results}
    assert "reads.login" not in asked
    assert {"reads.balances", "reads.status", "reads.follow"} <= asked


@pytest.mark.parametrize("demanded", [False, True])
def test_an_operation_that_a_venue_does_not_offer_is_not_claimed(
    altered: Alter, good_run: Run, *, demanded: bool
) -> None:
    """It is listed with the operation that it would need; demanded all the same it is UNKNOWN."""
    drill = good_run.drill.model_copy(
        update={"claims": ("reads",) if demanded else ("stress.small_completed",)}
    )
    policy = good_run.policy.model_copy(update={"drills": good_run.policy.drills | {DRILL: drill}})
    offered = ("balances", "follow_withdrawal", "request_withdrawal", "status")
    verdict = judge_facts(
        Facts(
            altered(
                drill=drill,
                policy=policy,
                manifest=good_run.manifest.model_copy(update={"operations": offered}),
                reads=without(good_run.reads, lambda row: row.operation == "login"),
            )
        )
    )
    found: dict[str, Any] = {result.id: result.outcome for result in verdict.results}

    if demanded:
        assert found["reads.login"] is Outcome.UNKNOWN
        assert verdict.result("reads.login").reason.endswith("the deployment offers no login")
    else:
        assert "reads.login" not in found
        assert {each.id: each.needs for each in verdict.not_claimed}["reads.login"] == ("login",)
    assert found["reads.balances"] is Outcome.PASS


def test_a_withdrawal_that_was_not_acknowledged_leaves_nothing_to_look_at(
    altered: Alter, good_run: Run
) -> None:
    """Whether it was by then, the request log says and not the log of the reads."""
    chosen = [read for read in good_run.planned_reads if read.operation == "follow_withdrawal"]
    followed = {read.request for read in chosen[::20]}
    gone = {read.index for read in chosen if read.request in followed}

    def refused(row: Any) -> bool:
        return row.index in followed

    reads = without(good_run.reads, lambda row: row.index in gone)
    requests = each(good_run.requests, refused, outcome="refused")
    with_reason = Facts(altered(reads=reads, requests=requests))
    without_reason = Facts(altered(reads=reads))

    assert judge(with_reason, "follow_withdrawal", None).outcome is Outcome.PASS
    assert judge(without_reason, "follow_withdrawal", None).outcome is Outcome.UNKNOWN


def test_a_time_in_which_nothing_was_acknowledged_is_no_gap(altered: Alter, good_run: Run) -> None:
    """Eight seconds without an acknowledgement leave nothing to look at, and nobody to blame."""
    quiet = {
        read.index: read.request
        for read, row in zip(good_run.planned_reads, good_run.reads, strict=True)
        if of("follow_withdrawal", since=40, until=48)(row)
    }
    followed = set(quiet.values())
    reads = without(good_run.reads, lambda row: row.index in quiet)
    requests = each(good_run.requests, lambda row: row.index in followed, outcome="failed")

    facts = Facts(altered(reads=reads, requests=requests))
    silent = Facts(altered(reads=reads))

    assert judge(facts, "follow_withdrawal", None).outcome is Outcome.PASS
    assert "nobody looked" in " ".join(
        (
            judge(silent, "follow_withdrawal", None).reason,
            *judge(silent, "follow_withdrawal", None).details,
        )
    )


def test_without_a_record_of_the_tiers_the_worst_ones_promise_counts_all_the_time(
    altered: Alter, good_run: Run
) -> None:
    ports = tuple(port for port in good_run.manifest.offers if port != "mode_changes")
    silent = good_run.manifest.model_copy(update={"offers": ports})
    lost = fates(good_run, of("balances", since=40, until=45), outcome="failed", error="x")
    for files, outcome in (({}, Outcome.PASS), (lost, Outcome.FAIL)):
        run = altered(**files, manifest=silent)
        run.__dict__["flips"] = None  # reading it would break the check
        assert judge(Facts(run), "balances", "balances").outcome is outcome


def test_a_finding_says_how_many_how_long_and_what_became_of_the_others(
    altered: Alter, good_run: Run
) -> None:
    """People read this row of the report first."""
    good = judge(Facts(good_run), "login", "login")
    assert good.measured == "100.00% (500 of 500), p99 20 ms"
    assert good.target == ">= 99.00% right within 1.000 s"

    def lost(row: LoggedRead) -> bool:
        return of("login", since=40, until=42)(row)

    bad = judge(
        Facts(altered(**fates(good_run, lost, outcome="refused", error="unavailable"))),
        "login",
        "login",
    )
    assert bad.measured == "96.00% (480 of 500), p99 20 ms"
    assert bad.details[:2] == (
        "20 refused (unavailable)",
        "first: refused (unavailable) after 0.020 s",
    )
    assert any(detail.startswith("protected: ") for detail in bad.details)


def test_reads_are_no_withdrawals(good_run: Run) -> None:
    """Nothing that counts requests, value or payouts knows of them."""
    facts = Facts(good_run)
    assert {len(found) for found in reads_of(facts).values()} == {500}
    assert len(facts.sent) == len(good_run.requests)
    assert {demand.id for demand in facts.demands} >= {row.id for row in good_run.arrivals}
