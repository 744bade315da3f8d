"""Money moves from what one reserve has too much to what another lacks, while all is well."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from seawall.controls.rebalancing import (
    CHECKS,
    Busyness,
    Observed,
    Quote,
    amount_to_move,
    blocking,
    health,
    most_at_once,
    routes,
)
from tests.testing import policies
from tests.testing.rebalancing_terms import PAIR, TERMS

POLICY = policies.policy({"rebalancing": TERMS})
TERMS_OF = POLICY.rebalancing
assert TERMS_OF is not None
THERE, BACK = routes(POLICY)
UNIT = 10**6
TARGET = 2_520_000 * UNIT
ASTER, BIRCH = (
    Quote("meridian", "AST", "USDX", Fraction(2_000), 100),
    Quote("meridian", "BIR", "USDX", Fraction(500), 100),
)
WELL = Observed(
    busy={
        "aster": Busyness(base_fee_wei=10**9, pending=1),
        "birch": Busyness(base_fee_wei=7, pending=0),
    },
    carrier=("normal", ""),
    quotes=(ASTER, BIRCH),
    tier="normal",
    lease_age_ms=100,
    lacking=dict.fromkeys(PAIR, 0),
)


def found(**changes: Any) -> list[tuple[str, str]]:
    """What stops it, once ``changes`` are seen."""
    assert TERMS_OF is not None
    seen = replace(WELL, **changes)
    return [(each.check, each.verdict) for each in blocking(health(POLICY, TERMS_OF, THERE, seen))]


def test_it_goes_both_ways_between_the_named_wallets_alone() -> None:
    assert [(each.source, each.target) for each in (THERE, BACK)] == [
        tuple(PAIR),
        tuple(PAIR[::-1]),
    ]
    assert routes(policies.policy()) == []


@pytest.mark.parametrize(
    ("source", "target", "amount"),
    [
        (TARGET + 100_000 * UNIT, TARGET // 2, 100_000 * UNIT),  # what it has too much
        (2 * TARGET, TARGET - 700_000 * UNIT, 700_000 * UNIT),  # what the other one lacks
        (3 * TARGET, 0, 2_000_000 * UNIT),  # what the routine lane lets through
        (TARGET, TARGET // 2, None),  # it has nothing too much
        (2 * TARGET, TARGET * 3 // 4, None),  # the other one lacks too little
        (TARGET + 49_999 * UNIT, 0, None),  # not worth it
        (TARGET + 50_000 * UNIT, 0, 50_000 * UNIT),
    ],
)
def test_a_surplus_fills_what_is_lacking(source: int, target: int, amount: int | None) -> None:
    """No more than either, nor than the routine lane and the signer let through at once."""
    assert amount_to_move(POLICY, THERE, source_held=source, target_held=target) == amount


def test_what_moves_at_once_has_both_caps() -> None:
    assert most_at_once(POLICY, PAIR[0], "USDX") == min(2_000_000 * UNIT, TARGET * 8 // 10)


def test_all_checks_are_made_and_all_may_be_green() -> None:
    assert TERMS_OF is not None
    assert [each.check for each in health(POLICY, TERMS_OF, BACK, WELL)] == list(CHECKS)
    assert found() == []


@pytest.mark.parametrize(
    ("changes", "stopped"),
    [
        ({"busy": {"aster": WELL.busy["aster"]}}, ("congestion", "unknown")),
        ({"busy": dict(WELL.busy) | {"birch": None}}, ("congestion", "unknown")),
        ({"busy": dict(WELL.busy) | {"birch": Busyness(base_fee_wei=10**11, pending=5_000)}}, None),
        (
            {"busy": dict(WELL.busy) | {"birch": Busyness(base_fee_wei=10**11 + 1, pending=0)}},
            ("congestion", "red"),
        ),
        (
            {"busy": dict(WELL.busy) | {"aster": Busyness(base_fee_wei=1, pending=5_001)}},
            ("congestion", "red"),
        ),
        ({"carrier": None}, ("custody", "unknown")),
        ({"carrier": ("paused", "audit")}, ("custody", "red")),
        ({"carrier": ("incident", "")}, ("custody", "red")),
        ({"quotes": ()}, ("oracle", "unknown")),
        ({"quotes": (ASTER,)}, ("oracle", "unknown")),
        ({"quotes": (ASTER, BIRCH, BIRCH._replace(price=Fraction(526)))}, ("oracle", "red")),
        ({"quotes": (ASTER._replace(age_ms=9_001), BIRCH)}, ("oracle", "red")),
        ({"quotes": (ASTER._replace(age_ms=-9_001), BIRCH)}, ("oracle", "red")),
        ({"tier": "stressed"}, ("mode", "red")),
        ({"tier": None}, ("mode", "unknown")),
        ({"lease_age_ms": None}, ("mode", "unknown")),
        ({"lease_age_ms": 1_501}, ("mode", "unknown")),
        ({"lacking": {PAIR[0]: 0}}, ("books", "unknown")),
        ({"lacking": {PAIR[0]: 0, PAIR[1]: None}}, ("books", "unknown")),
        ({"lacking": {PAIR[0]: 1, PAIR[1]: 0}}, ("books", "red")),
    ],
)
def test_whatever_is_wrong_or_not_known_stops_it(
    changes: dict[str, Any], stopped: tuple[str, str] | None
) -> None:
    assert found(**changes) == ([] if stopped is None else [stopped])
