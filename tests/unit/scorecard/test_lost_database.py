"""A lost database: what was lost with it is listed one by one, and the time until it is back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from seawall.scorecard.checks.database import rpo, rto
from seawall.scorecard.checks.evidence import observers
from seawall.scorecard.checks.fault import fault_landed
from seawall.scorecard.facts import Facts
from seawall.scorecard.judgement import judge_facts
from seawall.scorecard.lost_database import PROCEDURE, restoration
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.report.waterfall import STYLES
from seawall.scorecard.rows import Arrival
from seawall.scorecard.run import Run
from tests.testing.scorecard.faulty import SERVED, lost, settler_frozen
from tests.testing.scorecard.spoiling import Files, Spoil, each, events, us, without
from tests.testing.scorecard.story import CALM_S, CLEARED, EFFECTIVE, REVERTED

Alter = Callable[..., Run]
FAIL, PASS, UNKNOWN = Outcome.FAIL, Outcome.PASS, Outcome.UNKNOWN


def acknowledged_at(run: Run, seconds: float) -> Arrival:
    """The first request that was acknowledged after that moment of the good run."""
    arrivals = {arrival.index: arrival for arrival in run.arrivals}
    return next(
        arrivals[request.index]
        for request in sorted(run.requests, key=lambda each: each.done_at or 0)
        if (request.done_at or 0) >= us(seconds) and arrivals[request.index].attempt == 1
    )


def forgotten(run: Run, *ids: str, unpaid: bool = False) -> Files:
    """The venue does not know these any more, by its records and by what it tells."""
    return {
        "withdrawals": without(run.withdrawals, lambda row: row.id in ids),
        "followed": each(run.followed, lambda row: row.id in ids, state="lost"),
        **(
            {"payouts": without(run.payouts, lambda row: row.withdrawal_id in ids)}
            if unpaid
            else {}
        ),
    }


def test_a_database_that_is_restored_with_everything_keeps_both_targets(
    altered: Alter, good_run: Run
) -> None:
    verdict = judge_facts(Facts(altered(**lost(good_run))))

    found = {each.id: each for each in verdict.results}
    assert {each.id for each in verdict.results} >= {"database.rpo", "database.rto"}
    for identity in ("database.rpo", "database.rto", "drill.fault_landed", "evidence.observers"):
        assert found[identity].outcome is PASS, found[identity]
    assert found["database.rpo"].measured.startswith("0 lost of ")
    [time] = [each for each in verdict.times if each.id == "restoration"]
    assert (time.limit_us, time.shown) == (60_000_000, f"{(time.witness_us or 0) / 1e6:.3f} s")
    assert SERVED - EFFECTIVE < (time.measured_us or 0) / 1e6 < SERVED - EFFECTIVE + 5


def test_each_withdrawal_that_is_lost_is_listed_with_whether_the_chain_has_paid_it(
    altered: Alter, good_run: Run
) -> None:
    early, late = (acknowledged_at(good_run, moment) for moment in (CALM_S, EFFECTIVE - 2))
    run = altered(**lost(good_run))
    run = altered(**run.__dict__ | forgotten(run, early.id, late.id))
    run = altered(
        **run.__dict__ | {"payouts": without(run.payouts, lambda row: row.withdrawal_id == late.id)}
    )
    finding = rpo.answer(Facts(run))

    assert finding.outcome is FAIL
    assert finding.measured.startswith("2 lost of ")
    assert [detail.partition(",")[0] for detail in finding.details] == [early.id, late.id]
    assert finding.details[0].endswith("the chain has paid it")
    assert finding.details[1].endswith("no chain has paid it")
    assert "the chains have paid 1 of all that are lost" in finding.reason


LOSSES: dict[str, tuple[Spoil, int, Outcome]] = {
    "nothing": (lambda _: {}, 0, PASS),
    "one that the venue does not know when it is asked": (
        lambda run: {
            "followed": each(
                run.followed, lambda row: row.id == acknowledged_at(run, 20).id, state="lost"
            )
        },
        0,
        FAIL,
    ),
    "one that is on no record, whatever the venue says": (
        lambda run: {
            "withdrawals": without(
                run.withdrawals, lambda row: row.id == acknowledged_at(run, 20).id
            )
        },
        0,
        FAIL,
    ),
    "one within what the policy says may be lost": (
        lambda run: forgotten(run, acknowledged_at(run, EFFECTIVE - 2).id),
        5_000,
        PASS,
    ),
    "an older one": (lambda run: forgotten(run, acknowledged_at(run, 20).id), 5_000, FAIL),
    "one of the prober": (
        lambda run: forgotten(
            run,
            next(
                sample.detail["id"]
                for sample in run.probes["small_withdrawal"]
                if sample.ok and sample.detail and sample.at > us(20)
            ),
        ),
        0,
        FAIL,
    ),
    "nothing was acknowledged before the loss": (
        lambda run: {
            "requests": each(
                run.requests, lambda row: (row.sent_at or 0) < us(EFFECTIVE), outcome="failed"
            ),
            "probes": run.probes
            | {
                "small_withdrawal": each(
                    run.probes["small_withdrawal"],
                    lambda sample: sample.at < us(EFFECTIVE),
                    ok=False,
                )
            },
        },
        0,
        UNKNOWN,
    ),
}


@pytest.mark.parametrize("what", LOSSES)
def test_what_is_lost_counts_from_before_the_loss(altered: Alter, good_run: Run, what: str) -> None:
    spoil, rpo_ms, outcome = LOSSES[what]
    run = altered(**lost(good_run, rpo_ms=rpo_ms))

    assert rpo.answer(Facts(altered(**run.__dict__ | spoil(run)))).outcome is outcome


def unserved(run: Run, *, flood: bool = True, prober: bool = True) -> Files:
    """After the loss nobody is told any more that a withdrawal is accepted."""
    found: dict[str, Any] = {}
    if flood:
        found["requests"] = each(
            run.requests, lambda row: (row.sent_at or 0) >= us(EFFECTIVE), outcome="failed"
        )
    if prober:
        found["probes"] = run.probes | {
            probe: each(run.probes[probe], lambda sample: sample.at >= us(EFFECTIVE), ok=False)
            for probe in ("small_withdrawal", "large_transfer")
        }
    return found


def unpaid(run: Run) -> Files:
    """Withdrawals are accepted again, and no block pays one of them."""
    asked = {
        arrival.id
        for arrival in run.arrivals
        for request in run.requests
        if request.index == arrival.index and (request.sent_at or 0) >= us(EFFECTIVE)
    }
    probed = {
        sample.detail["id"]
        for sample in run.probes["small_withdrawal"]
        if sample.ok and sample.detail and sample.at >= us(EFFECTIVE)
    }
    return {"payouts": without(run.payouts, lambda row: row.withdrawal_id in asked | probed)}


TIMES: dict[str, tuple[Spoil, int, Outcome, str]] = {
    "in time": (lambda _: {}, 60_000, PASS, "for both who asked"),
    "after the bound": (lambda _: {}, 25_000, FAIL, "it was back after the bound"),
    "never, and both asked": (unserved, 35_000, FAIL, "it was not back"),
    "accepted, and never paid": (unpaid, 35_000, FAIL, "it was not back"),
    "never, and the flood was over before the bound": (
        unserved,
        60_000,
        UNKNOWN,
        "the flood asked for nothing",
    ),
    "never for the prober": (
        lambda run: unserved(run, flood=False),
        36_000,
        UNKNOWN,
        "never for the prober",
    ),
    "never for the flood": (
        lambda run: unserved(run, prober=False),
        36_000,
        UNKNOWN,
        "never for the flood",
    ),
    "and nobody looked": (
        lambda run: {"probes": run.probes | {"small_withdrawal": (), "large_transfer": ()}},
        35_000,
        UNKNOWN,
        "the prober asked for nothing",
    ),
}


@pytest.mark.parametrize("what", TIMES)
def test_it_is_back_when_both_observers_are_served_and_paid(
    altered: Alter, good_run: Run, what: str
) -> None:
    spoil, rto_ms, outcome, said = TIMES[what]
    run = altered(**lost(good_run, rto_ms=rto_ms))
    finding = rto.answer(Facts(altered(**run.__dict__ | spoil(run))))

    assert (finding.outcome, said in finding.reason) == (outcome, True), finding


def test_what_the_procedure_says_is_shown_and_judges_nothing(altered: Alter, good_run: Run) -> None:
    """A procedure that calls itself done in a second does not shorten the time."""
    plain = restoration(Facts(altered(**lost(good_run))))
    said = {"steps": [{"at": us(EFFECTIVE + 1) / 1e6, "said": "restored"}], "failure": None}
    run = altered(**lost(good_run))
    told = altered(
        **run.__dict__
        | {
            "timeline": tuple(
                replace(line, detail=(line.detail or {}) | {"procedure": said})
                if line.event == "fault.reverted"
                else line
                for line in run.timeline
            )
        }
    )
    shown = restoration(Facts(told))

    assert (shown.outcome, shown.later_us) == (plain.outcome, plain.later_us)
    marks = [(mark.name, mark.offset_us) for mark in shown.marks if mark.observer == PROCEDURE]
    assert marks == [("restored", 1_000_000)]
    for nonsense in ("much", {"steps": 7}, {"steps": [7, {"at": "soon"}]}, None):
        broken = tuple(
            replace(line, detail=(line.detail or {}) | {"procedure": nonsense})
            for line in run.timeline
        )
        again = restoration(Facts(altered(**run.__dict__ | {"timeline": broken})))
        assert again.later_us == plain.later_us


LANDED: dict[str, tuple[Spoil, str]] = {
    "a customer was told meanwhile that one is accepted": (
        lambda run: {
            "requests": each(
                run.requests, lambda row: us(40) <= (row.sent_at or 0) <= us(41), outcome="accepted"
            )
        },
        "the flood was told",
    ),
    "the prober was": (
        lambda run: {
            "probes": run.probes
            | {
                "small_withdrawal": each(
                    run.probes["small_withdrawal"],
                    lambda sample: us(40) <= sample.at <= us(42),
                    ok=True,
                    detail={"id": "x"},
                )
            }
        },
        "the prober was told",
    ),
    "nobody asked meanwhile": (
        lambda run: {
            "requests": each(
                run.requests,
                lambda row: us(EFFECTIVE) <= (row.sent_at or 0) <= us(REVERTED),
                sent_at=None,
            )
        },
        "the flood asked for nothing",
    ),
}


@pytest.mark.parametrize("what", LANDED)
def test_a_loss_shows_in_what_nobody_is_told(altered: Alter, good_run: Run, what: str) -> None:
    spoil, said = LANDED[what]
    run = altered(**lost(good_run))
    if what == "the prober was":
        finding = fault_landed.answer(Facts(altered(**run.__dict__ | {"demands": ()} | spoil(run))))
    else:
        finding = fault_landed.answer(Facts(altered(**run.__dict__ | spoil(run))))

    assert finding.outcome is UNKNOWN
    assert said in finding.reason


def test_no_commit_is_missed_while_the_drill_keeps_the_database_away(
    altered: Alter, good_run: Run
) -> None:
    """The same silence with another fault is one of the observers, and so is one after the end."""
    run = altered(**lost(good_run))
    assert observers.answer(Facts(run)).outcome is PASS

    silent = {"flow": run.flow}
    frozen = altered(**settler_frozen(good_run) | silent)
    assert "records/flow.csv has no commit" in observers.answer(Facts(frozen)).reason

    longer = {
        "flow": without(run.flow, lambda row: us(CLEARED) <= row.committed_at <= us(CLEARED + 4))
    }
    late = altered(**run.__dict__ | longer)
    assert "records/flow.csv has no commit" in observers.answer(Facts(late)).reason


def test_a_loss_that_its_own_observer_stopped_watching_has_not_landed(
    altered: Alter, good_run: Run
) -> None:
    """It is in force until it serves again, however long the procedure takes."""
    run = altered(**lost(good_run))
    early = altered(**run.__dict__ | events(run, held=REVERTED - 3))

    assert fault_landed.answer(Facts(early)).outcome is UNKNOWN


def test_what_the_procedure_said_is_drawn_like_what_all_others_saw() -> None:
    assert PROCEDURE in STYLES
