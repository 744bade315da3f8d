"""What one source shows to be wrong is a FAIL, whatever another source lacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seawall.policy import Policy
from seawall.scorecard.checks import ALL
from seawall.scorecard.facts import Facts
from seawall.scorecard.judgement import ask
from seawall.scorecard.outcome import Finding, Outcome
from seawall.scorecard.run import FILES, Run
from tests.testing.scorecard.faulty import RAIL, rail_failed_over
from tests.testing.scorecard.sides import ORDERS, SIDES
from tests.testing.scorecard.spoiling import each, us, without
from tests.testing.scorecard.story import EFFECTIVE
from tests.testing.scorecard.table import TABLE

Alter = Callable[..., Run]
Files = dict[str, Any]
FAIL, UNKNOWN, PASS = Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS
BY_ID = {check.id: check for check in ALL}
NAMES = {file: name for name, file in FILES.items()}


def _found(check: str, run: Run) -> Finding:
    return ask(BY_ID[check], Facts(run))


def _lost(run: Run, *names: str) -> Run:
    """``run`` without some of its files."""
    found = Run(Path("/nowhere"))
    kept = {key: value for key, value in run.__dict__.items() if key not in (*names, "directory")}
    found.__dict__.update(kept)
    return found


def _unoffered(run: Run, *ports: str) -> Files:
    offers = tuple(port for port in run.manifest.offers if port not in ports)
    return {"manifest": run.manifest.model_copy(update={"offers": offers})}


def test_a_file_whose_loss_hides_every_fail_of_a_check_is_listed(good_run: Run) -> None:
    """Each other one can be lost, and some FAIL of the check is still one."""
    hidden: set[tuple[str, str]] = set()
    held: set[tuple[str, str]] = set()
    for spoil, expected in TABLE.values():
        run = Run(good_run.directory)
        run.__dict__.update({**good_run.__dict__, **spoil(good_run)})
        for check in (check for check, outcome in expected.items() if outcome is FAIL):
            for file in BY_ID[check].evidence:
                pair = (check, file)
                if file in (FILES["manifest"], FILES["policy"]) or pair in held:
                    continue
                still = _found(check, _lost(run, NAMES[file])).outcome
                assert still is not PASS, pair
                (held if still is FAIL else hidden).add(pair)

    listed = {(check, file) for check, (files, _) in SIDES.items() for file in files}
    assert {
        pair for pair in hidden - held if not (pair[1] == ORDERS and BY_ID[pair[0]].steerable)
    } == listed


# --- money that was paid twice
@pytest.fixture
def dark(altered: Alter, good_run: Run) -> Run:
    """One in seven requests goes over the exchange, which changes its provider in the dark."""
    return altered(**rail_failed_over(good_run))


def _again_on_chain(run: Run) -> Files:
    return {"payouts": (*run.payouts, replace(run.payouts[5], seq=(1 << 40) + 6))}


def _again_by(side: str) -> Callable[[Run], Files]:
    """A provider paid one of its withdrawals a second time, under another of its ids."""

    def spoil(run: Run) -> Files:
        own = [line for line in run.statements if line.side == side]
        line = next(line for line in own if line.state == "settled")
        again = replace(line, n=len(own) + 1, client_id=line.client_id.removesuffix("1") + "2")
        return {"statements": (*run.statements, again)}

    return spoil


def _gap_of(side: str) -> Callable[[Run], Files]:
    return lambda run: {
        "statements": without(run.statements, lambda line: (line.side, line.n) == (side, 3))
    }


PAID_TWICE: dict[str, Callable[[Run], Files]] = {
    "on a chain": _again_on_chain,
    "by the primary": _again_by("primary"),
    "by the standby": _again_by("standby"),
}
BROKEN: dict[str, Callable[[Run], Files]] = {
    "the primary's statement has a gap": _gap_of("primary"),
    "the standby's statement has a gap": _gap_of("standby"),
    "the statements have lines of nobody": lambda run: {
        "statements": (*run.statements, replace(run.statements[0], rail="other"))
    },
    "the records have what the standby's statement does not": lambda run: {
        "instructions": (
            *run.instructions,
            replace(run.instructions[-1], client_id="other-1", side="standby"),
        )
    },
    "the standby's clock is an hour behind": lambda run: {
        "instructions": each(
            run.instructions,
            lambda row: row.side == "standby" and row.accepted_at is not None,
            accepted_at=lambda row: row.accepted_at + 3_600_000_000,
        )
    },
}


@pytest.mark.parametrize("check", ["customer.paid_once", "safety.paid_once"])
@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("twice", PAID_TWICE)
def test_what_was_paid_twice_is_seen_whatever_a_statement_lacks(
    twice: str, broken: str, check: str, altered: Alter, dark: Run
) -> None:
    """What is settled is final, so even a statement with a gap proves it."""
    spoiled = altered(**{**dark.__dict__, **PAID_TWICE[twice](dark)})
    assert _found(check, altered(**{**dark.__dict__, **BROKEN[broken](dark)})).outcome is UNKNOWN

    run = altered(**{**spoiled.__dict__, **BROKEN[broken](spoiled)})

    assert _found(check, run).outcome is FAIL


LOST: dict[str, tuple[str, ...]] = {
    "payouts": ("by the primary", "by the standby"),
    "statements": ("on a chain",),
    "instructions": ("on a chain", "by the primary", "by the standby"),
}


@pytest.mark.parametrize("check", ["customer.paid_once", "safety.paid_once"])
@pytest.mark.parametrize(
    ("lost", "twice"), [(lost, twice) for lost, all_ in LOST.items() for twice in all_]
)
def test_what_was_paid_twice_is_seen_without_another_source(
    lost: str, twice: str, check: str, altered: Alter, dark: Run
) -> None:
    spoiled = altered(**{**dark.__dict__, **PAID_TWICE[twice](dark)})

    assert _found(check, _lost(dark, lost)).outcome is UNKNOWN
    assert _found(check, _lost(spoiled, lost)).outcome is FAIL


@pytest.mark.parametrize("check", ["customer.paid_once", "safety.paid_once"])
def test_what_a_chain_paid_twice_is_seen_though_nobody_offers_statements(
    check: str, altered: Alter, dark: Run
) -> None:
    without_statements = {**dark.__dict__, **_unoffered(dark, "statements")}

    assert _found(check, altered(**without_statements)).outcome is UNKNOWN
    assert _found(check, altered(**{**without_statements, **_again_on_chain(dark)})).outcome is FAIL


def test_what_is_accepted_proves_nothing_where_the_line_that_takes_it_back_may_be_missing(
    altered: Alter, dark: Run
) -> None:
    own = [line for line in dark.statements if line.side == "standby"]
    line = next(line for line in dark.statements if line.state == "settled")
    twice = replace(line, side="standby", n=len(own) + 1, state="accepted")
    run = altered(**{**dark.__dict__, "statements": (*dark.statements, twice)})

    assert _found("safety.paid_once", run).outcome is FAIL
    for side, outcome in (("primary", FAIL), ("standby", UNKNOWN)):
        broken = altered(**{**run.__dict__, **_gap_of(side)(run)})
        assert _found("safety.paid_once", broken).outcome is outcome


def test_what_a_network_or_a_whole_statement_shows_is_wrong_whatever_the_other_lacks(
    altered: Alter, dark: Run
) -> None:
    """Siblings: what was voided and paid, what is in no record, what a customer was told."""
    paid = dark.payouts[5]
    over_rail = next(line for line in dark.statements if line.state == "settled")
    for seen, identity, lost in (
        ("on a chain", paid.withdrawal_id, "statements"),
        ("over a rail", over_rail.client_id.removesuffix("-1"), "payouts"),
    ):
        voided, told = (
            tuple(
                replace(row, state="voided", reason="because") if row.id == identity else row
                for row in rows
            )
            for rows in (dark.withdrawals, dark.followed)
        )
        run = altered(**{**dark.__dict__, "withdrawals": voided, "followed": told})
        for check in (
            "safety.nothing_voided_paid",
            "safety.chain_equals_posted",
            "customer.told_truth",
        ):
            assert _found(check, _lost(run, lost)).outcome is FAIL, (seen, check)
            assert _found(check, _lost(dark, lost)).outcome is UNKNOWN, (seen, check)


# --- rails and lanes
def _two_rails(run: Run) -> tuple[Run, Files]:
    """``run`` with a second rail like its own, which went dark and changed its provider as well."""
    policy: Policy = run.policy
    other = "otherexchange"
    rails = {**policy.rails, other: policy.rails[RAIL]}
    files: Files = {"policy": policy.model_copy(update={"rails": rails})}
    highest = max(row.index for row in run.arrivals)
    of_rail = {row.index: row for row in run.arrivals if row.network == RAIL}
    files["arrivals"] = (
        *run.arrivals,
        *(
            replace(row, index=highest + 1 + row.index, id=f"{row.id}x", network=other)
            for row in of_rail.values()
        ),
    )
    files["requests"] = (
        *run.requests,
        *(
            replace(row, index=highest + 1 + row.index)
            for row in run.requests
            if row.index in of_rail
        ),
    )
    files["statements"] = (*run.statements, *(replace(line, rail=other) for line in run.statements))
    files["instructions"] = (
        *run.instructions,
        *(
            replace(row, rail=other, withdrawal_id=f"{row.withdrawal_id}x")
            for row in run.instructions
        ),
    )
    return run, files


@pytest.mark.parametrize("which", [RAIL, "otherexchange"])
def test_a_rail_that_failed_is_not_hidden_by_one_that_nobody_can_judge(
    which: str, altered: Alter, dark: Run
) -> None:
    _, files = _two_rails(dark)
    both = altered(**{**dark.__dict__, **files})
    other = "otherexchange" if which == RAIL else RAIL
    gap = without(both.statements, lambda line: (line.rail, line.n) == (other, 3))
    standby = [line for line in gap if (line.rail, line.side) == (which, "standby")]
    failed: Files = {
        "statements": without(gap, lambda line: line in standby),
        "instructions": without(
            both.instructions, lambda row: (row.rail, row.side) == (which, "standby")
        ),
    }

    assert _found("failover.rails", both).outcome is PASS
    assert (
        _found("failover.rails", altered(**{**both.__dict__, "statements": gap})).outcome is UNKNOWN
    )
    finding = _found("failover.rails", altered(**{**both.__dict__, **failed}))
    assert (finding.outcome, finding.reason.partition(":")[0]) == (FAIL, which)


def test_a_lane_that_failed_is_not_hidden_by_one_that_nobody_can_judge(
    altered: Alter, good_run: Run
) -> None:
    """One lane of two failed over late; of the other one, the records contradict themselves."""
    spoil, _ = TABLE["one lane of two failed over late"]
    late = altered(**spoil(good_run))
    slots = each(
        late.slots,
        lambda slot: (
            slot.wallet == "customer-aster-hot" and (slot.broadcast_at or 0) < us(EFFECTIVE - 3)
        ),
        signer_region=late.policy.regions.standby,
    )

    finding = _found("failover.time", altered(**{**late.__dict__, "slots": slots}))
    alone = _found("failover.time", altered(slots=slots))

    assert (finding.outcome, finding.reason.partition(":")[0]) == (FAIL, "customer-birch-hot")
    assert alone.outcome is UNKNOWN


def test_a_queue_that_never_drained_is_not_hidden_by_a_tier_that_nobody_watched(
    altered: Alter, good_run: Run
) -> None:
    spoil, _ = TABLE["a withdrawal was paid after recovery should have ended"]
    late = altered(**spoil(good_run))
    unwatched = late.probes | {"status": ()}

    assert _found("recovery.time", altered(probes=good_run.probes | {"status": ()})).outcome is (
        UNKNOWN
    )
    assert _found("recovery.time", altered(**{**late.__dict__, "probes": unwatched})).outcome is (
        FAIL
    )
