"""What a policy may not say of rails over which withdrawals are paid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seawall.policy_file import load_policy
from tests.testing.breaking import problems
from tests.testing.policies import put, tree, write

SETTLES = {"settles_within": "1h"}
BROKEN: dict[str, tuple[str, dict[str, Any], str, str]] = {
    # what: (rail that is changed, how, place that is named, what is said of it)
    "a network has funds elsewhere": (
        "birch",
        {"funding": {"BIR": "5"}, "payout_value_max": "1000", **SETTLES},
        "rails.birch.funding",
        "lies in wallets",
    ),
    "it is funded in an unknown asset": (
        "fiat",
        {"funding": {"EURX": "5"}, "payout_value_max": "1000", **SETTLES},
        "rails.fiat.funding",
        "AST, BIR, USDX",
    ),
    "its funds are finer than the asset": (
        "fiat",
        {"funding": {"USDX": "5000.0000001"}, "payout_value_max": "1000", **SETTLES},
        "rails.fiat.funding.USDX",
        "finer than 6 decimals",
    ),
    "its funds do not cover one payout": (
        "fiat",
        {"funding": {"USDX": "4999"}, "payout_value_max": "5000", **SETTLES},
        "rails.fiat.funding.USDX",
        "one payout uses it up",
    ),
    "it does not take a small withdrawal": (
        "fiat",
        {"funding": {"USDX": "9000"}, "payout_value_max": "999", **SETTLES},
        "rails.fiat.payout_value_max",
        "at least 1000",
    ),
    "nobody says when it has settled": (
        "fiat",
        {"funding": {"USDX": "9000"}, "payout_value_max": "1000"},
        "rails.fiat.settles_within",
        "by when the provider settles",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_cannot_stand_is_refused_at_its_place_and_nowhere_else(
    tmp_path: Path, what: str
) -> None:
    """The value found and the remedy come along."""
    rail, change, named, said = BROKEN[what]
    changed = tree()
    put(changed, f"rails.{rail}", changed["rails"][rail] | change)

    found = problems(write(tmp_path, changed))

    assert list(found) == [named]
    assert said in found[named]


def test_a_rail_pays_if_it_is_funded(tmp_path: Path) -> None:
    """Without funds it is provisioned, and nothing is paid over it."""
    changed = tree()
    fiat = changed["rails"]["fiat"]
    put(
        changed,
        "rails.fiat",
        fiat | {"funding": {"USDX": "9000"}, "payout_value_max": "1000", **SETTLES},
    )
    assert list(load_policy(write(tmp_path, changed)).paying_rails()) == ["fiat"]
    assert list(load_policy(write(tmp_path, tree())).paying_rails()) == []


def test_no_rail_changes_faster_than_its_providers_are_asked(tmp_path: Path) -> None:
    """The sum of the chain stands in the refusal."""
    changed = tree()
    fiat = changed["rails"]["fiat"]
    put(
        changed,
        "rails.fiat",
        fiat | {"funding": {"USDX": "9000"}, "payout_value_max": "1000", **SETTLES},
    )
    put(changed, "targets.rail_failover_max", "9s")

    found = problems(write(tmp_path, changed))

    assert list(found) == ["targets.rail_failover_max"]
    assert (
        "failover of rail fiat, at most 9s: breaker opens 5s (2 failures x 2.5s) + claim 200ms + "
        "instruction 2.25s + statement 2.5s = 9.95s"
    ) in found["targets.rail_failover_max"]


def test_a_flood_leaves_the_networks_something_to_pay(tmp_path: Path) -> None:
    """Drills judge payouts on networks, whatever else they judge."""
    changed = tree()
    fiat = changed["rails"]["fiat"]
    put(
        changed,
        "rails.fiat",
        fiat | {"funding": {"USDX": "9000"}, "payout_value_max": "1000"} | SETTLES,
    )
    [name] = changed["drills"]
    put(changed, f"drills.{name}.flood.rails", {"fiat": "0.6"})

    found = problems(write(tmp_path, changed))

    assert list(found) == [f"drills.{name}.flood.rails"]
    assert "at most 0.5 together" in found[f"drills.{name}.flood.rails"]
