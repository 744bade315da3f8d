"""A policy is accepted whole or refused with every problem at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seawall.errors import UsageError
from seawall.policy_file import load_policy
from tests.testing.breaking import PRODUCTION, SANDBOX, problems
from tests.testing.policies import put, tree, write

DRILL = "drills.signing-region-dark"


def _drill(tree: dict[str, Any]) -> dict[str, Any]:
    drill: dict[str, Any] = tree["drills"]["signing-region-dark"]
    return drill


def test_the_sandbox_scales_every_duration_and_nothing_else() -> None:
    """Targets, dwell times, block times and second-valued levels shrink by the one factor.

    Ratios and money stay.
    """
    sandbox, extended = load_policy(SANDBOX), load_policy(PRODUCTION)

    assert sandbox.targets.failover_max * 3 == extended.targets.failover_max == 30_000
    assert sandbox.networks["aster"].block_time * 3 == extended.networks["aster"].block_time
    assert (
        sandbox.trigger("queue-ageing").enter_at * 3
        == extended.trigger("queue-ageing").enter_at
        == 30
    )
    assert (
        sandbox.trigger("run-on-the-bank").enter_at == extended.trigger("run-on-the-bank").enter_at
    )
    assert (
        sandbox.hot_target_value_micro() == extended.hot_target_value_micro() == 1_680_000 * 10**6
    )
    assert sandbox.digest != extended.digest


def test_hot_targets_are_about_two_percent_of_what_customers_are_owed() -> None:
    """The sandbox venue is plausible: its hot float is 2 % of liabilities."""
    policy = load_policy(SANDBOX)

    assert policy.hot_target_value_micro() * 50 == int(policy.venue.liabilities) * 10**6


def test_every_problem_is_reported_at_once_with_path_value_and_remedy(tmp_path: Path) -> None:
    """Mistakes of several kinds all come back together."""
    changed = tree()
    changed["limits"]["small_withdrawal_value_max"] = 1000.5
    changed["targets"]["failover_max"] = "soon"
    changed["venue"]["colour"] = "blue"
    del changed["regions"]["standby"]

    found = problems(write(tmp_path, changed))

    assert found["limits.small_withdrawal_value_max"].startswith("1000.5 | ")
    assert "30s" in found["targets.failover_max"]
    assert "'blue'" in found["venue.colour"]
    assert found["regions.standby"] == "nothing | add it\n"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (
            lambda t: t["wallets"]["customer-aster-hot"].update(bucket="nobody"),
            "wallets.customer-aster-hot.bucket",
        ),
        (
            lambda t: t["wallets"]["customer-aster-cold"].pop("address"),
            "wallets.customer-aster-cold.address",
        ),
        (
            lambda t: t["wallets"]["customer-aster-hot"].update(address="0x" + "1" * 40),
            "wallets.customer-aster-hot.address",
        ),
        (
            lambda t: t["wallets"]["customer-birch-cold"].update(
                address=t["wallets"]["customer-aster-cold"]["address"]
            ),
            "wallets.customer-birch-cold.address",
        ),
        (lambda t: t["wallets"].pop("customer-aster-reserve"), "wallets.customer-aster-hot"),
        (
            lambda t: t["wallets"]["customer-aster-hot"]["holdings"]["AST"].update(minimum="300"),
            "wallets.customer-aster-hot.holdings.AST",
        ),
        (
            lambda t: t["wallets"]["customer-aster-hot"]["holdings"]["USDX"].update(
                target="420000.0000001"
            ),
            "wallets.customer-aster-hot.holdings.USDX.target",
        ),
        (lambda t: t["assets"]["AST"].update(withdrawal_min="0"), "assets.AST.withdrawal_min"),
        (
            lambda t: t["assets"]["USDX"].update(withdrawal_min="0.0000001"),
            "assets.USDX.withdrawal_min",
        ),
        (lambda t: t["assets"]["BIR"].update(withdrawal_min="3"), "assets.BIR.withdrawal_min"),
        (lambda t: t["regions"].update(standby="us-east-1"), "regions.standby"),
        (lambda t: t["networks"]["birch"].update(chain_id=73311), "networks.birch.chain_id"),
        (lambda t: t["triggers"][0].update(exit_below="0.2"), "triggers.0.exit_below"),
        (lambda t: t["triggers"][0].update(exit_below="0"), "triggers.0.exit_below"),
        (lambda t: t["triggers"][0].update(pages=["nobody"]), "triggers.0.pages"),
        (lambda t: t["triggers"].pop(1), "triggers"),
        (
            lambda t: t["indicators"].update(drawdown_velocity={}),
            "indicators.drawdown_velocity.window",
        ),
        (lambda t: t["tiers"]["protected"]["guarantees"].append("swaps"), "tiers.protected"),
        (lambda t: _drill(t)["faults"][0].update(length="200s"), f"{DRILL}.faults.0"),
        (lambda t: _drill(t).update(blast_radius=[]), f"{DRILL}.faults.0.target"),
        (lambda t: t["gamedays"][0].update(drills=[]), "gamedays.0.drills"),
    ],
)
def test_a_policy_that_cannot_hold_is_refused_where_it_is_wrong(
    tmp_path: Path, change: Any, path: str
) -> None:
    """One row per rule: break it, and exactly that place is named."""
    changed = tree()
    change(changed)

    assert path in problems(write(tmp_path, changed))


def test_a_derived_policy_may_not_say_something_else(tmp_path: Path) -> None:
    """Only addresses and the two factors may differ.

    Otherwise a drill would say nothing about production.
    """
    write(tmp_path, tree(), "production.yaml")
    child = {"policy": "drill", "extends": "production.yaml", "targets": {"failover_max": "9m"}}

    assert "targets" in problems(write(tmp_path, child))


def test_a_factor_that_would_round_is_refused(tmp_path: Path) -> None:
    """Rounding would make the scaled promise a different one."""
    write(tmp_path, tree(), "production.yaml")
    child = {"policy": "drill", "extends": "production.yaml", "scale": {"durations": "1/7"}}

    assert "whole milliseconds" in problems(write(tmp_path, child))["targets.failover_max"]


def test_a_missing_file_is_the_callers_mistake(tmp_path: Path) -> None:
    """No policy, no guess."""
    with pytest.raises(UsageError, match=r"cannot read the policy"):
        load_policy(tmp_path / "none.yaml")


def test_a_withdrawal_that_no_window_lets_through_is_refused(tmp_path: Path) -> None:
    """It would be accepted and never paid, although the cycle of stress would be."""
    changed = tree()
    put(changed, "caps.signer.of_target", "0.20")
    put(
        changed,
        "stress.outflow",
        {"aster": {"AST": "100", "USDX": "1000"}, "birch": {"BIR": "100", "USDX": "1000"}},
    )
    found = problems(write(tmp_path, changed))
    assert list(found) == ["limits.withdrawal_value_max"]
    assert "customer-aster-hot may sign away USDX worth 84000 in one window" in str(found)
