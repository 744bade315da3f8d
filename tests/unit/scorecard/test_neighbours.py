"""A drill with a neighbour's fault proves something only if the venue met it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from seawall.conventions.evidence import SESSIONS_PROBE
from seawall.policy import PlannedFault
from seawall.scorecard.facts import Facts
from seawall.scorecard.neighbours import booked_and_topped_up, flipped_meanwhile, replaced_meanwhile
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.rows import ProbeSample, Surplus
from seawall.scorecard.run import Run
from seawall.scorecard.seen import FaultSeen
from tests.testing.scorecard.spoiling import each, us

PASS, UNKNOWN = Outcome.PASS, Outcome.UNKNOWN
STARTS, ENDS = 20, 40
HOT = "customer-aster-hot"


def seen(target: str) -> FaultSeen:
    """A fault in force from second 20 to second 40."""
    return FaultSeen(
        planned=PlannedFault.model_construct(fault="any", target=target, after=0, length=1),
        applied=us(STARTS),
        effective=us(STARTS),
        reverted=us(ENDS),
        cleared=us(ENDS),
        held={},
        held_until=us(ENDS),
    )


def without_port(run: Run, port: str) -> dict[str, Any]:
    """The manifest of a venue that does not offer it."""
    offers = tuple(each for each in run.manifest.offers if each != port)
    return {"manifest": run.manifest.model_copy(update={"offers": offers})}


def flipped(run: Run, sampled: float, committed: float) -> dict[str, Any]:
    """The flip to protected mode was decided and committed then."""
    return {
        "flips": each(
            run.flips,
            lambda flip: flip.tier == "protected",
            sampled_at=us(sampled),
            committed_at=us(committed),
        )
    }


def counted(run: Run, ended: dict[float, Any]) -> dict[str, Any]:
    """The database's own counts of the sessions that it has ended, by second; None: no answer."""
    samples = tuple(
        ProbeSample(
            at=us(at),
            done_at=us(at + 0.01),
            probe=SESSIONS_PROBE,
            ok=count is not None,
            detail={} if count is None else {"ended": count},
        )
        for at, count in ended.items()
    )
    return {"probes": run.probes | {SESSIONS_PROBE: samples}}


@pytest.mark.parametrize(
    ("times", "outcome"),
    [((21, 22), PASS), ((19, 21), UNKNOWN), ((39, 41), UNKNOWN), ((41, 42), UNKNOWN)],
)
def test_a_flip_must_have_got_past_the_silent_clients(
    times: tuple[int, int], outcome: Outcome, altered: Callable[..., Run], good_run: Run
) -> None:
    spoiled = flipped(good_run, *times) | counted(
        good_run, {at: 3 if at < 22 else 5 for at in range(10, 46)}
    )
    found = flipped_meanwhile(Facts(altered(**spoiled)), seen("database.mode-lock"))
    assert found is not None
    assert found.outcome is outcome

    blind = altered(**without_port(good_run, "mode_changes"))
    assert flipped_meanwhile(Facts(blind), seen("database.mode-lock")) is None


@pytest.mark.parametrize(
    ("ended", "outcome"),
    [
        ({24: 3, 27: 4}, PASS),
        ({24: 3, 26.2: 3, 26.6: 4}, PASS),  # a session is counted once it is over
        ({24: 3, 27: 3, 30: 4}, UNKNOWN),  # somebody else's, later
        ({20: 3, 27: 4}, UNKNOWN),  # or earlier, unseen
        ({24: 3, 30: 4}, UNKNOWN),
        ({24: 3, 27: 3, 41: 4}, UNKNOWN),  # ended when the drill was over
        ({24: 4, 27: 4}, UNKNOWN),  # they let go by themselves
        ({23: 3, 24: 4, 27: 4}, UNKNOWN),  # somebody else's, earlier
        ({24: 4, 27: 0}, UNKNOWN),  # it counts anew
        ({25.5: 3, 27: 4}, UNKNOWN),  # nobody asked before
        ({24: 3, 25.5: 4}, UNKNOWN),  # nor after
        ({24: 3, 27: "4"}, UNKNOWN),
        ({24: 3, 27: None}, UNKNOWN),
        ({}, UNKNOWN),
    ],
)
def test_the_server_must_have_ended_the_silent_clients(
    ended: dict[float, Any], outcome: Outcome, altered: Callable[..., Run], good_run: Run
) -> None:
    """By its own count; the fault's word is not enough, nor is a flip that found no lock."""
    run = altered(**flipped(good_run, 25, 26), **counted(good_run, ended))
    found = flipped_meanwhile(Facts(run), seen("database.mode-lock"))
    assert found is not None
    assert found.outcome is outcome


@pytest.mark.parametrize(
    ("signed_at", "network", "outcome"),
    [
        ((10, 25), "aster", PASS),
        ((10, 25), "birch", UNKNOWN),  # the fees of another network
        ((10, 45), "aster", UNKNOWN),
        ((10, 15), "aster", UNKNOWN),
        ((25, 30), "aster", UNKNOWN),  # nothing of before was left behind
    ],
)
def test_a_transaction_of_before_must_have_been_left_behind(
    signed_at: tuple[int, int],
    network: str,
    outcome: Outcome,
    altered: Callable[..., Run],
    good_run: Run,
) -> None:
    chain_id = good_run.policy.networks["aster"].chain_id
    one = next(row for row in good_run.signatures if row.chain_id == chain_id)
    rows = tuple(replace(one, signed_at=us(at)) for at in signed_at)

    found = replaced_meanwhile(Facts(altered(signatures=rows)), seen(f"fees.{network}"))
    assert found is not None
    assert found.outcome is outcome

    blind = altered(signatures=rows, **without_port(good_run, "signatures"))
    assert replaced_meanwhile(Facts(blind), seen("fees.aster")) is None


@pytest.mark.parametrize(
    ("booked", "top_up", "outcome"),
    [
        ({"AST": 25, "USDX": 30}, {}, PASS),
        ({"AST": 25}, {}, UNKNOWN),
        ({"AST": 25, "USDX": 45}, {}, UNKNOWN),
        ({"AST": 25, "USDX": 30}, {"requested_at": us(15)}, UNKNOWN),
        ({"AST": 25, "USDX": 30}, {"posted_at": None}, UNKNOWN),
        ({"AST": 25, "USDX": 30}, {"to_wallet": "customer-birch-hot"}, UNKNOWN),
        ({"AST": 25, "USDX": 30}, {"amount": -1}, UNKNOWN),
    ],
)
def test_units_from_a_stranger_must_be_booked_and_stop_no_top_up(
    booked: dict[str, int],
    top_up: dict[str, Any],
    outcome: Outcome,
    altered: Callable[..., Run],
    good_run: Run,
) -> None:
    due: dict[str, Any] = {
        "requested_at": us(25),
        "posted_at": us(28),
        "to_wallet": HOT,
        "amount": 5,
    } | top_up
    surpluses = tuple(
        Surplus(wallet=HOT, asset=asset, amount=1, block_number=9, booked_at=us(at))
        for asset, at in booked.items()
    )
    run = altered(surpluses=surpluses, top_ups=(replace(good_run.top_ups[0], **due),))

    found = booked_and_topped_up(Facts(run), seen(f"contract.{HOT}"))
    assert found is not None
    assert found.outcome is outcome

    for port in ("surpluses", "top_ups"):
        blind = altered(**without_port(good_run, port))
        assert booked_and_topped_up(Facts(blind), seen(f"contract.{HOT}")) is None
