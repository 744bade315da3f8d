"""The failover of a rail: what its time is taken from, and what leaves it without proof."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html import unescape
from itertools import count
from typing import Any

import pytest

from seawall.conventions.components import SIDES
from seawall.scorecard.checks import ALL
from seawall.scorecard.facts import Facts
from seawall.scorecard.judgement import ask, judge_facts
from seawall.scorecard.outcome import Finding, Outcome
from seawall.scorecard.rail_failover import STATEMENT
from seawall.scorecard.rail_rows import StatementLine
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.report import render
from seawall.scorecard.run import Run
from tests.testing.scorecard.faulty import RAIL, RAIL_CHANGED, RAIL_LIMIT_S, rail_failed_over
from tests.testing.scorecard.spoiling import Spoil, each, first, later, probes, us, without
from tests.testing.scorecard.story import APPLIED, CLEARED, EFFECTIVE, REVERTED

Alter = Callable[..., Run]
FAIL, UNKNOWN, PASS = Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS
BY_ID = {check.id: check for check in ALL}


def _found(check: str, run: Run) -> Finding:
    return ask(BY_ID[check], Facts(run))


@pytest.fixture
def dark(altered: Alter, good_run: Run) -> Run:
    """One in seven requests goes over the exchange, which changes its provider in the dark."""
    return altered(**rail_failed_over(good_run))


def _standby(line: object) -> bool:
    return getattr(line, "side", None) == "standby"


def _sent_after(run: Run, moment: float) -> set[int]:
    """Indexes of the requests that were sent after ``moment``."""
    return {row.index for row in run.requests if (row.sent_at or 0) > us(moment)}


def _late(run: Run, by_s: float, *names: str) -> dict[str, object]:
    """Both, or one of them, have the standby's acceptances so much later."""
    found: dict[str, object] = {}
    if "statements" in names:
        found["statements"] = tuple(
            later(line, by_s, "at") if _standby(line) and line.at < us(CLEARED) else line
            for line in run.statements
        )
    if "instructions" in names:
        found["instructions"] = tuple(
            later(row, by_s, "accepted_at")
            if _standby(row) and (row.accepted_at or 0) < us(CLEARED + 0.25)
            else row
            for row in run.instructions
        )
    return found


def test_the_later_of_two_moments_is_the_time(dark: Run) -> None:
    """The provider's statement says when it accepted one, the records when the venue knew."""
    finding = _found("failover.rails", dark)

    assert finding.outcome is PASS, finding.reason
    assert finding.measured == "3.250 s"
    assert finding.reason == f"{RAIL}: both observers saw it, 0.250 s apart"
    assert finding.details == (
        f"{RAIL_CHANGED - EFFECTIVE:.3f} s act: the standby accepted one (provider's statement)",
        "3.250 s the venue had that on record (venue records)",
    )


def _shared(run: Run, one_in: int) -> dict[str, object]:
    """The standby is given one in so many before the dark, as it was ever since."""
    given = {row.client_id for row in run.instructions if row.side == "primary"}
    early = sorted(line.client_id for line in run.statements if line.at < us(APPLIED - 2))
    moved = {client_id for client_id in early[:: 2 * one_in] if client_id in given}
    lines = [
        replace(line, side="standby" if line.client_id in moved else line.side)
        for line in run.statements
    ]
    numbers = {side: count(1) for side in SIDES}
    return {
        "statements": tuple(replace(line, n=next(numbers[line.side])) for line in lines),
        "instructions": each(run.instructions, lambda row: row.client_id in moved, side="standby"),
    }


def _moved_nothing(run: Run) -> dict[str, object]:
    """Of what the standby accepted in the dark, all was acknowledged before the dark."""
    before = {
        row.id for row in run.arrivals if row.network == RAIL and row.offset_s < EFFECTIVE - 0.3
    }
    kept = {row.client_id for row in run.instructions if row.withdrawal_id in before}
    standby = [line for line in run.statements if _standby(line) and line.client_id in kept]
    assert standby
    others = without(run.statements, _standby)
    return {
        "statements": (*others, *(replace(line, n=n) for n, line in enumerate(standby, start=1))),
        "instructions": without(
            run.instructions, lambda row: _standby(row) and row.client_id not in kept
        ),
    }


SPOILED: dict[str, tuple[Spoil, Outcome, str]] = {
    "the standby accepted nothing": (
        lambda run: {
            "statements": without(run.statements, _standby),
            "instructions": without(run.instructions, _standby),
        },
        FAIL,
        "it never happened, and both observers watched until the bound had passed",
    ),
    "the standby accepted the first one late": (
        lambda run: _late(run, RAIL_LIMIT_S, "statements", "instructions"),
        FAIL,
        "after the bound",
    ),
    "the venue alone says that it was in time": (
        lambda run: _late(run, RAIL_LIMIT_S, "statements"),
        UNKNOWN,
        "one of their clocks is wrong",
    ),
    "the statement alone says that it was in time": (
        lambda run: _late(run, RAIL_LIMIT_S, "instructions"),
        UNKNOWN,
        "one of their clocks is wrong",
    ),
    "the records know of no acceptance": (
        lambda run: {"instructions": each(run.instructions, _standby, accepted_at=None)},
        UNKNOWN,
        "the provider's statement saw it, the venue records did not",
    ),
    "the records have what the statement does not": (
        lambda run: {"statements": without(run.statements, _standby)},
        UNKNOWN,
        "and its statement does not",
    ),
    "there are no statements": (
        lambda run: {"statements": ()},
        UNKNOWN,
        "and its statement does not",
    ),
    "a statement has a gap": (
        lambda run: {"statements": without(run.statements, lambda line: line.n == 3)},
        UNKNOWN,
        "is not whole",
    ),
    "the standby paid somebody else only": (
        lambda run: {
            "statements": each(run.statements, _standby, destination="0x" + "9" * 40),
            "instructions": without(run.instructions, _standby),
        },
        FAIL,
        "it never happened",
    ),
    "the standby was in force before": (
        lambda run: {
            "statements": first(
                run.statements,
                lambda line: _standby(line) and line.state == "accepted",
                at=us(EFFECTIVE - 0.35),
            )
        },
        UNKNOWN,
        "so that nothing had to change",
    ),
    "the standby always had a share": (
        lambda run: _shared(run, 5),
        UNKNOWN,
        "so that nothing had to change",
    ),
    "the primary accepted before what this flood never asked for": (
        lambda run: {
            "statements": each(
                run.statements, lambda line: line.at < us(APPLIED), destination="0x" + "9" * 40
            )
        },
        UNKNOWN,
        "was not paid over before it went dark",
    ),
    "the standby accepted only what was asked for before the dark": (
        _moved_nothing,
        FAIL,
        "it never happened",
    ),
    "the primary accepted one while it was dark": (
        lambda run: {
            "statements": first(
                run.statements,
                lambda line: line.side == "primary" and line.at > us(CLEARED),
                state="accepted",
                at=us(EFFECTIVE + 9),
            ),
            "instructions": each(
                run.instructions, lambda row: row.side == "primary", accepted_at=None
            ),
        },
        UNKNOWN,
        "while it was dark, by its own statement",
    ),
    "the prober reached the primary while it was dark": (
        lambda run: probes(
            run,
            "provider",
            lambda sample: replace(sample, ok=True) if us(40) < sample.at < us(40.3) else sample,
        ),
        UNKNOWN,
        "the prober says: it answered",
    ),
    "the prober slept": (
        lambda run: probes(
            run, "provider", lambda sample: None if us(28) < sample.at < us(29.5) else sample
        ),
        UNKNOWN,
        "one did not watch all the time before",
    ),
    "the prober slept, and it never happened": (
        lambda run: (
            {
                "statements": without(run.statements, _standby),
                "instructions": without(run.instructions, _standby),
            }
            | probes(
                run, "provider", lambda sample: None if us(30) < sample.at < us(32) else sample
            )
        ),
        UNKNOWN,
        "an observer was not watching all the time",
    ),
    "the records ended before it": (
        lambda run: {"flow": without(run.flow, lambda row: row.committed_at > us(EFFECTIVE + 2))},
        UNKNOWN,
        "one did not watch all the time before",
    ),
    "nobody asked for anything over the rail early enough in the dark": (
        lambda run: {
            "requests": without(
                run.requests,
                lambda row: (
                    any(
                        arrival.index == row.index and arrival.network == RAIL
                        for arrival in run.arrivals
                    )
                    and us(EFFECTIVE) < (row.done_at or 0) < us(REVERTED - RAIL_LIMIT_S)
                ),
            )
        },
        UNKNOWN,
        "no rail had a withdrawal to pay in the dark",
    ),
    "everybody who asked for one over the rail in the dark was turned away": (
        lambda run: {
            "requests": each(
                run.requests,
                lambda row: (
                    any(
                        arrival.index == row.index and arrival.network == RAIL
                        for arrival in run.arrivals
                    )
                    and us(EFFECTIVE) < (row.done_at or 0)
                ),
                outcome="refused",
            )
        },
        FAIL,
        "it never happened",
    ),
    "all that was asked for over the rail in the dark had been acknowledged before": (
        lambda run: {
            "arrivals": each(
                run.arrivals,
                lambda row: row.network == RAIL and row.index in _sent_after(run, EFFECTIVE),
                id=next(row.id for row in run.arrivals if row.network == RAIL),
                attempt=2,
            )
        },
        UNKNOWN,
        "no rail had a withdrawal to pay in the dark",
    ),
    "the dark was shorter than the bound, and it never happened": (
        lambda run: (
            {
                "statements": without(run.statements, _standby),
                "instructions": without(run.instructions, _standby),
            }
            | {"timeline": each(run.timeline, lambda line: line.event == "collected", at=us(36))}
        ),
        UNKNOWN,
        "the evidence ends before the bound",
    ),
    "the timeline does not say that the dark ended": (
        lambda run: {"timeline": without(run.timeline, lambda line: line.event == "fault.held")},
        UNKNOWN,
        "does not show counterparty-dark of exchange.primary begin and end",
    ),
}


@pytest.mark.parametrize("what", SPOILED)
def test_what_is_late_fails_and_what_is_not_proven_is_unknown(
    what: str, altered: Alter, dark: Run
) -> None:
    spoil, outcome, said = SPOILED[what]
    run = altered(**{**dark.__dict__, **spoil(dark)})
    finding = _found("failover.rails", run)

    assert (finding.outcome, said in finding.reason) == (outcome, True), finding


def _again(run: Run, **changes: Any) -> dict[str, object]:
    """The last payout of the primary before the dark, once more by another provider."""
    line = next(line for line in run.statements if line.state == "settled")
    twice = replace(line, **changes)
    number = max(each_.n for each_ in run.statements if each_.side == twice.side) + 1
    return {"statements": (*run.statements, replace(twice, n=number))}


def _on_chain(run: Run) -> dict[str, object]:
    line = next(line for line in run.statements if line.state == "settled")
    payout = replace(
        run.payouts[-1],
        seq=999_999,
        withdrawal_id=line.client_id.removesuffix("-1"),
        to=line.destination or "",
        asset=line.asset or "",
        amount=line.amount or 0,
    )
    return {"payouts": (*run.payouts, payout)}


BROKEN: dict[str, tuple[Spoil, str]] = {
    "the last lines are missing": (
        lambda run: {
            "statements": without(
                run.statements, lambda line: _standby(line) and line.at > us(CLEARED)
            )
        },
        "and its statement does not",
    ),
    "one in the middle is missing": (
        lambda run: {"statements": without(run.statements, lambda line: line.n == 3)},
        "is not whole",
    ),
    "one is there twice": (
        lambda run: {"statements": (*run.statements, run.statements[-1])},
        "is not whole",
    ),
    "a state is not known": (
        lambda run: {
            "statements": first(run.statements, lambda line: line.n == 4, state="rejected")
        },
        "'rejected'",
    ),
    "a line does not say how much": (
        lambda run: {"statements": first(run.statements, lambda line: line.n == 4, amount=None)},
        "does not say what",
    ),
    "a rail is not the policy's": (
        lambda run: {"statements": each(run.statements, lambda line: True, rail="other")},
        "of whom?",
    ),
    "a provider's clock is an hour behind": (
        lambda run: {
            "statements": tuple(
                later(line, -3_600, "at") if _standby(line) else line for line in run.statements
            )
        },
        "one of their clocks is wrong",
    ),
    "a provider's clock is three seconds ahead": (
        lambda run: {
            "statements": tuple(
                later(line, 3, "at") if _standby(line) else line for line in run.statements
            )
        },
        "one of their clocks is wrong",
    ),
    "one rail of the flood has no line": (
        lambda run: {
            "arrivals": (
                *run.arrivals,
                replace(run.arrivals[-1], index=999_999, id="other", network="fiat"),
            ),
            "withdrawals": (
                *run.withdrawals,
                replace(run.withdrawals[-1], seq=999_999, id="other", network="fiat"),
            ),
        },
        "nobody offers its statements",
    ),
}


@pytest.mark.parametrize("check", ["customer.paid_once", "safety.paid_once"])
@pytest.mark.parametrize("how", BROKEN)
def test_a_statement_that_is_not_whole_proves_nothing(
    how: str, check: str, altered: Alter, dark: Run
) -> None:
    spoil, said = BROKEN[how]
    finding = _found(check, altered(**{**dark.__dict__, **spoil(dark)}))

    assert (finding.outcome, said in finding.reason) == (UNKNOWN, True), finding


def test_the_lines_of_a_statement_count_in_their_order(altered: Alter, dark: Run) -> None:
    """What was returned is not paid, in whatever order the file has it."""
    run = altered(**{**dark.__dict__, "statements": (*reversed(dark.statements),)})

    for check in ("customer.paid_once", "customer.told_truth", "safety.paid_once"):
        assert _found(check, run).outcome is PASS, check


TWICE: dict[str, Spoil] = {
    "by both providers": lambda run: _again(run, side="standby"),
    "by both, and the second has not settled it yet": lambda run: _again(
        run, side="standby", state="accepted"
    ),
    "by one provider as another attempt": lambda run: _again(
        run,
        client_id=next(
            line.client_id.removesuffix("-1") for line in run.statements if line.state == "settled"
        )
        + "-2",
    ),
    "by one provider under one id": _again,
    "by a provider and a network": _on_chain,
    "by both providers, an hour before by the second one's clock": lambda run: _again(
        run, side="standby", at=us(-7_200)
    ),
}


def _paid_by_a_provider_too(run: Run) -> dict[str, object]:
    """A withdrawal over a network is paid by a provider as well, in a flood without rails."""
    paid = run.payouts[-1]
    line = StatementLine(
        rail=RAIL,
        side="primary",
        n=1,
        at=us(EFFECTIVE),
        client_id=f"{paid.withdrawal_id}-1",
        state="accepted",
        asset=paid.asset,
        amount=paid.amount,
        destination=paid.to,
    )
    return {"statements": (line,)}


@pytest.mark.parametrize("at", [EFFECTIVE, -7_200])
def test_what_a_provider_paid_too_is_seen_in_a_flood_without_rails(
    at: float, altered: Alter, good_run: Run
) -> None:
    """Whatever time its clock gives it."""
    files = _paid_by_a_provider_too(good_run)
    run = altered(statements=each(files["statements"], lambda line: True, at=us(at)))

    assert _found("customer.paid_once", altered()).outcome is PASS
    assert _found("customer.paid_once", run).outcome is FAIL
    assert _found("safety.paid_once", run).outcome is FAIL


def test_an_instruction_on_record_asks_for_statements(
    altered: Alter, dark: Run, good_run: Run
) -> None:
    """The flood had no rails, and the venue used one."""
    offers = tuple(port for port in good_run.manifest.offers if port != "statements")
    manifest = good_run.manifest.model_copy(update={"offers": offers})

    assert _found("customer.paid_once", altered(manifest=manifest)).outcome is PASS
    finding = _found(
        "customer.paid_once", altered(manifest=manifest, instructions=dark.instructions[:1])
    )
    assert (finding.outcome, "nobody offers its statements" in finding.reason) == (UNKNOWN, True)


@pytest.mark.parametrize("how", TWICE)
def test_what_was_paid_twice_is_seen(how: str, altered: Alter, dark: Run) -> None:
    """By what customers asked for, and by the withdrawal that each payout names."""
    run = altered(**{**dark.__dict__, **TWICE[how](dark)})

    assert _found("customer.paid_once", run).outcome is FAIL
    assert _found("safety.paid_once", run).outcome is FAIL


def test_an_id_that_was_used_up_at_one_provider_and_paid_by_the_other_was_paid_once(
    altered: Alter, dark: Run
) -> None:
    settled = next(line for line in dark.statements if line.side == "standby")
    number = max(line.n for line in dark.statements if line.side == "primary") + 1
    burnt = replace(
        settled,
        side="primary",
        n=number,
        at=Instant(us(CLEARED) + SECOND),
        state="cancelled",
        asset=None,
        amount=None,
        destination=None,
    )
    run = altered(**{**dark.__dict__, "statements": (*dark.statements, burnt)})

    for check in ("customer.paid_once", "safety.paid_once", "failover.rails"):
        assert _found(check, run).outcome is PASS, check


@pytest.mark.parametrize(
    "check",
    [
        "customer.paid_once",
        "customer.told_truth",
        "drill.payouts",
        "stress.small_completed",
        "safety.chain_equals_posted",
        "safety.paid_once",
        "safety.nothing_voided_paid",
    ],
)
def test_without_statements_nobody_knows_what_was_paid_over_a_rail(
    check: str, altered: Alter, dark: Run
) -> None:
    offers = tuple(port for port in dark.manifest.offers if port != "statements")
    manifest = dark.manifest.model_copy(update={"offers": offers})
    run = altered(**{**dark.__dict__, "manifest": manifest})

    finding = _found(check, run)

    assert finding.outcome is UNKNOWN
    assert "nobody offers its statements" in finding.reason


def test_what_the_venue_calls_paid_and_no_statement_has_is_a_lie(altered: Alter, dark: Run) -> None:
    line = next(line for line in dark.statements if line.state == "settled")
    returned = each(dark.statements, lambda each_: each_ is line, state="returned")
    run = altered(**{**dark.__dict__, "statements": returned})

    assert _found("customer.told_truth", run).outcome is FAIL
    assert _found("safety.chain_equals_posted", run).outcome is FAIL


def test_what_is_called_refunded_and_a_provider_will_still_pay_is_a_lie(
    altered: Alter, dark: Run
) -> None:
    """It is neither settled nor returned."""
    line = next(line for line in dark.statements if line.state == "settled")
    number = max(each_.n for each_ in dark.statements if each_.side == line.side)
    last = next(each_ for each_ in dark.statements if (each_.side, each_.n) == (line.side, number))
    open_ = without(dark.statements, lambda each_: each_ is last)
    refunded = first(
        dark.followed,
        lambda row: row.id == last.client_id.removesuffix("-1"),
        state="voided",
        reason="because",
    )

    for statements, outcome in ((open_, FAIL), ((*open_, replace(last, state="returned")), PASS)):
        files = {**dark.__dict__, "followed": refunded, "statements": statements}
        assert _found("customer.told_truth", altered(**files)).outcome is outcome


def test_what_was_voided_and_is_on_a_statement_was_paid(altered: Alter, dark: Run) -> None:
    paid = {line.client_id.removesuffix("-1") for line in dark.statements}
    voided = first(dark.withdrawals, lambda row: row.id in paid, state="voided", reason="because")
    run = altered(**{**dark.__dict__, "withdrawals": voided})

    assert _found("safety.nothing_voided_paid", run).outcome is FAIL


def test_the_whole_report_is_drawn(dark: Run) -> None:
    """Whoever saw the failover has a colour in it."""
    facts = Facts(dark)

    page = render(judge_facts(facts), facts)

    for observer in (STATEMENT, "venue records"):
        assert observer in unescape(page)
