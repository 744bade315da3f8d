"""Each safeguard is removed, and each removal is noticed; with it, the same seeds are clean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulation.ablations import ABLATIONS, Ablation, hunt
from tests.simulation.faults import Faults
from tests.simulation.rail_ablations import RAIL_ABLATIONS
from tests.simulation.unusual import run_with_foreign_transaction, run_with_restored_database
from tests.simulation.world import Plan, run
from venue.settler import settle
from venue.settler.agreement import Comparison


def test_there_are_enough_of_them_and_each_hole_of_the_reference_has_one() -> None:
    assert len(ABLATIONS) >= 15
    assert len(RAIL_ABLATIONS) >= 4
    every = (*ABLATIONS, *RAIL_ABLATIONS)
    assert len({each.guards for each in every}) == len(every)
    assert {each.hole for each in ABLATIONS} >= {"H1", "H2", "H3", "H5", "H6"}


@pytest.mark.parametrize(
    "ablation",
    [
        pytest.param(each, id=each.guards, marks=[pytest.mark.nightly] if each.nightly else [])
        for each in (*ABLATIONS, *RAIL_ABLATIONS)
    ],
)
def test_without_a_safeguard_an_invariant_is_violated(ablation: Ablation) -> None:
    caught = hunt(ablation)
    assert caught.outcome is not None, f"nothing in {caught.seeds} seeds"
    assert set(caught.names) & set(ablation.caught_by)
    plan = replace(ablation.plan, without=frozenset())
    assert run(caught.outcome.seed, plan).violations == ()


def _hole(name: str) -> Ablation:
    return next(each for each in ABLATIONS if each.hole == name)


def _clean(ablation: Ablation, seeds: int = 8) -> None:
    plan = Plan(faults=ablation.faults, lies_alone=ablation.lies_alone)
    for seed in range(1, seeds + 1):
        assert run(seed, plan).violations == ()


def test_h1_bytes_that_are_sent_before_they_are_on_record() -> None:
    """A crash after the send: the transaction mines, and recovery knows no such hash."""
    assert hunt(_hole("H1")).outcome is not None
    for moment in ("before", "after"):
        outcome = run(1, Plan(faults=Faults(), crash_at=("send", moment), crashes=2))
        assert outcome.violations == ()
        assert outcome.reached[f"crash: send, {moment}"] == 2


def test_h2_a_verdict_before_finality_that_a_reorganisation_turns_around() -> None:
    assert hunt(_hole("H2")).outcome is not None
    _clean(_hole("H2"))


def test_h3_a_cancellation_that_does_not_ask_which_transaction_was_mined() -> None:
    assert hunt(_hole("H3")).outcome is not None
    _clean(_hole("H3"), seeds=20)


def test_h4_a_nonce_that_another_transaction_has_taken_pays_and_refunds_nothing() -> None:
    """Somebody signs with our key. Our bytes are refused as underpriced, then as too late.

    Neither is taken for a payment: the lane is held, and what waits is neither posted nor voided.
    """
    said: set[str] = set()
    for seed in range(1, 7):
        outcome, states, disputed = run_with_foreign_transaction(seed)
        assert outcome.violations == ()
        assert set(states) <= {"slotted", "reserved"}
        assert disputed
        said |= set(outcome.reached)
    assert said >= {"node: replacement transaction underpriced", "node: nonce too low"}


_LOST = ("vanished", "belongs to no withdrawal")
"""What a restore to an older moment breaks by itself: requests that were paid are gone."""


async def _agreed_unseen(*_: object) -> Comparison:
    return Comparison(disagreements=[], to_open=None)


def test_a_restored_database_is_noticed_before_anything_is_claimed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The chain has used nonces and numbers that it never gave out, and would give out again.

    Nobody signs anything else for these nonces, even if it were not noticed.
    """
    runs = {seed: run_with_restored_database(seed) for seed in range(1, 9)}
    seeds = [seed for seed, (_, lost, *_) in runs.items() if lost]
    assert len(seeds) >= 3
    for seed in seeds:
        outcome, _, claimed, _ = runs[seed]
        assert [each for each in outcome.violations if not each.seen.endswith(_LOST)] == []
        assert claimed == 0
    monkeypatch.setattr(settle, "compare", _agreed_unseen)
    unseen = [run_with_restored_database(seed) for seed in seeds[:3]]
    assert "I6" in {each.invariant for outcome, *_ in unseen for each in outcome.violations}
    assert sum(claimed for _, _, claimed, _ in unseen) > 0
    assert [twice for *_, twice in unseen] == [0] * 3


def test_h5_a_nonce_from_the_chain_while_its_first_use_is_still_in_a_pool() -> None:
    assert hunt(_hole("H5")).outcome is not None
    _clean(_hole("H5"))


def test_h6_a_second_signature_of_one_intent_has_another_hash() -> None:
    assert hunt(_hole("H6")).outcome is not None
    _clean(_hole("H6"))
