"""One row per rule of a well-formed policy: break it, and exactly that place is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seawall.policy_file import load_policy
from tests.testing.breaking import problems
from tests.testing.policies import put, tree, write

COLD = "0x5EA0000000000000000000000000000000000C01"
ASTER = "https://aster.us-east-1.rpc.harbour.example"
DRILL = "drills.signing-region-dark"
_STORM = tree()["drills"]["signing-region-dark"] | {
    "expects": {"avoids": ["protected"], "targets": ["failover_max", "recovery_max"]}
}
_FAULTS = tree()["drills"]["signing-region-dark"]["faults"]

BROKEN: dict[str, tuple[str, Any, str, str]] = {
    # what: (place that is changed, what to, place that is named, what is said of it)
    "promises are probed more seldom than the longest gap": (
        "probing.every",
        "16s",
        "probing.every",
        "write no more than gap_max",
    ),
    "an answer may take longer than the longest gap": (
        "probing.answer_within",
        "16s",
        "probing.answer_within",
        "write no more than gap_max",
    ),
    "protected mode may pass without a probe": (
        "probing.gap_max",
        "31s",
        "probing.gap_max",
        "protected mode may pass without a probe",
    ),
    "a customer may ask for everything twice within the velocity's window": (
        "limits.window",
        "14s",
        "limits.window",
        "write no less than the window of drawdown_velocity",
    ),
    "the prober asks more often than a customer may": (
        "limits.withdrawals_max",
        15,
        "limits.withdrawals_max",
        "where the prober asks 16 times within a window",
    ),
    "the prober asks for more than a customer may": (
        "limits.large_transfer_value_min",
        "6000",
        "limits.withdrawal_value_max",
        "where the prober's large transfers within a window are worth 100800",
    ),
    "a flood over a rail that nothing is paid over": (
        f"{DRILL}.flood.rails",
        {"aster": "0.1"},
        f"{DRILL}.flood.rails.aster",
        "name a rail that is paid over: there is none",
    ),
    "a storm under a drill that avoids nothing": (
        f"{DRILL}.flood.storm",
        {"requests_per_s": 50, "value": "1050"},
        f"{DRILL}.expects.avoids",
        "name the tiers that one customer must not force",
    ),
    "a storm of small withdrawals": (
        f"{DRILL}",
        _STORM | {"flood": _STORM["flood"] | {"storm": {"requests_per_s": 50, "value": "1000"}}},
        f"{DRILL}.flood.storm.value",
        "would count as small withdrawals that were not paid",
    ),
    "a storm of which each request is too large": (
        f"{DRILL}",
        _STORM | {"flood": _STORM["flood"] | {"storm": {"requests_per_s": 50, "value": "100001"}}},
        f"{DRILL}.flood.storm.value",
        "or each request would be too large by itself",
    ),
    "a storm of which the limits of a customer would refuse hardly anything": (
        f"{DRILL}",
        _STORM | {"flood": _STORM["flood"] | {"storm": {"requests_per_s": 5, "value": "1050"}}},
        f"{DRILL}.flood.storm.requests_per_s",
        "5, which are 750 requests in the flood, and the limits of a customer allow 380 of them",
    ),
    "a bucket has an owner that is no role": (
        "buckets.escrow.owner",
        "nobody",
        "buckets.escrow.owner",
        "incident-commander",
    ),
    "a cold wallet has another bucket's address": (
        "wallets.escrow-aster-cold",
        {
            "bucket": "escrow",
            "network": "aster",
            "class": "cold",
            "address": COLD.lower(),
            "holdings": {},
        },
        "wallets.escrow-aster-cold.address",
        "money of customer and escrow could not be told apart",
    ),
    "two stacks share an account": (
        "accounts.staging",
        "210987654321",
        "accounts.staging",
        "production has it already",
    ),
    "no stack has an account": ("accounts", {}, "accounts", "name the account of every stack"),
    "an account is no account": ("accounts.staging", "12", "accounts.staging", "'12'"),
    "customers trade with themselves": (
        "buckets.customer.trades",
        ["customers"],
        "buckets.customer.trades",
        "owed already",
    ),
    "swaps have no counterparty": (
        "buckets.treasury.trades",
        [],
        "buckets",
        "no bucket that trades on aster",
    ),
    "swaps have two counterparties": (
        "buckets.escrow.trades",
        ["customers"],
        "buckets",
        "2 buckets that trade on aster",
    ),
    "a network rail names no network": (
        "rails.comet",
        tree()["rails"]["aster"]
        | {"endpoints": {"primary": "https://a.example", "standby": "https://b.example"}},
        "rails.comet",
        "aster, birch",
    ),
    "a network has no rail": (
        "rails.aster.kind",
        "exchange",
        "rails",
        "none of kind network for aster",
    ),
    "a network's standby is no signing region": (
        "rails.aster.standby",
        "eu-west-1",
        "rails.aster.standby",
        "write us-west-2",
    ),
    "a rail's standby is its primary": (
        "rails.exchange.standby",
        "meridian",
        "rails.exchange.standby",
        "must not fail twice",
    ),
    "two sides of a rail share a host": (
        "rails.aster.endpoints.standby",
        f"{ASTER}/v2",
        "rails.aster.endpoints.standby",
        "rails.aster.endpoints.primary has this one",
    ),
    "two rails share a host": (
        "rails.fiat.endpoints.primary",
        ASTER,
        "rails.fiat.endpoints.primary",
        "rails.aster.endpoints.primary",
    ),
    "a network answers later": (
        "rails.birch.asynchronous",
        True,
        "rails.birch.asynchronous",
        "a node answers at once",
    ),
    "a network advances money": (
        "rails.birch.credit_line",
        "5",
        "rails.birch.credit_line",
        "a chain advances nothing",
    ),
    "two served names are one": (
        "served.rpc-birch.name",
        "api.harbour.example",
        "served.rpc-birch.name",
        "served.api.name",
    ),
    "a name's standby is its primary": (
        "served.api.standby",
        "api.us-east-1.harbour.example",
        "served.api.standby",
        "served.api.primary has this one",
    ),
    "a name lies outside its zone": (
        "served.api.zone",
        "quay.example",
        "served.api.zone",
        "quay.example cannot hold it",
    ),
    "a share is given to no bucket": (
        "signing.shares.petty-cash",
        "0.01",
        "signing.shares.petty-cash",
        "contingency, customer",
    ),
    "shares are more than the quota": (
        "signing.shares.escrow",
        "0.30",
        "signing.shares",
        "sum to 1.1",
    ),
    "a bucket with keys may not sign": (
        "signing.shares.escrow",
        "0",
        "signing.shares.escrow",
        "keys that sign",
    ),
    "stress asks a network that is none": (
        "stress.outflow.comet",
        {"AST": "1"},
        "stress.outflow.comet",
        "aster, birch",
    ),
    "stress asks for an asset that no wallet holds": (
        "stress.outflow.birch.AST",
        "1",
        "stress.outflow.birch",
        "birch carries BIR, USDX",
    ),
    "stress leaves out what pays": (
        "stress.outflow.birch",
        {"BIR": "1"},
        "stress.outflow.birch.USDX",
        "in one cycle",
    ),
    "a contract pays all that a wallet holds in one window": (
        "caps.contract.of_target",
        "1",
        "caps.contract.of_target",
        "never binds",
    ),
    "the signer's cap is the contract's": (
        "caps.signer.of_target",
        "0.90",
        "caps.signer.of_target",
        "0.9, contract 0.9",
    ),
    "a signer's window that a late block joins with the next": (
        "caps.signer.window",
        "11999ms",
        "caps.signer.window",
        "write 12000 ms or more",
    ),
    "a contract's window of no whole seconds": (
        "caps.contract.window",
        "8500ms",
        "caps.contract.window",
        "write whole seconds",
    ),
    "a signer that may sign nothing": (
        "caps.signer.transactions",
        0,
        "caps.signer.transactions",
        "greater than 0",
    ),
    "a backup is gone before the next": ("backup.keep", "1h", "backup.keep", "at least 2 times"),
    "evidence is gone before the backup": (
        "backup.evidence_keep",
        "30d",
        "backup.evidence_keep",
        "as long as backups",
    ),
    "a quorum cannot be reached": (
        "approvals.routine.needed",
        4,
        "approvals.routine.needed",
        "4 of 3",
    ),
    "an approver is unknown": (
        "approvals.emergency.approvers",
        ["nobody", "treasury-lead"],
        "approvals.emergency.approvers",
        "treasury-lead",
    ),
    "an approver counts twice": (
        "approvals.routine.approvers",
        ["treasury-lead", "treasury-lead", "wallet-ops-lead"],
        "approvals.routine.approvers",
        "more than once",
    ),
    "two approvers are one person": (
        "roles.wallet-ops-lead.email",
        "Treasury-Lead@harbour.example",
        "approvals.routine.approvers",
        "the same person as treasury-lead",
    ),
    "the emergency lane may move as much": (
        "approvals.emergency.value_max",
        "2000000",
        "approvals.emergency.value_max",
        "routine 2000000",
    ),
    "the emergency lane is slower": (
        "approvals.emergency.cooling",
        "1h",
        "approvals.emergency.cooling",
        "no fast lane",
    ),
    "one person is a quorum": (
        "approvals.emergency.needed",
        1,
        "approvals.emergency.needed",
        "no quorum",
    ),
    "the emergency lane's cap is new more often": (
        "approvals.emergency.window",
        "23h",
        "approvals.emergency.window",
        "a short window caps nothing",
    ),
    "an approval ends before its delay": (
        "approvals.expires_after",
        "15m",
        "approvals.expires_after",
        "routine cooling 900000 ms",
    ),
    "a delay of no whole seconds": (
        "approvals.routine.cooling",
        "1500ms",
        "approvals.routine.cooling",
        "whole seconds",
    ),
    "a lane's window of no whole seconds": (
        "approvals.emergency.window",
        "86400001ms",
        "approvals.emergency.window",
        "whole seconds",
    ),
    "a deadline of no whole seconds": (
        "approvals.emergency.review_within",
        "1500ms",
        "approvals.emergency.review_within",
        "whole seconds",
    ),
    "no time is left to review an emergency": (
        "approvals.emergency.review_within",
        "0s",
        "approvals.emergency.review_within",
        "greater than 0",
    ),
    "a function is deferred and suspended": (
        "tiers.protected.defers",
        ["withdrawals_large", "swaps"],
        "tiers.protected",
        "swaps deferred and suspended",
    ),
    "a worse tier lifts a suspension": (
        "tiers.stressed.suspends",
        ["withdrawals_large"],
        "tiers.protected.suspends",
        "withdrawals_large not suspended",
    ),
    "a target needs what a tier does not give": (
        "tiers.protected.guarantees",
        ["login", "balances"],
        "tiers.protected.guarantees",
        "no withdrawals_small",
    ),
    "two game days share a name": (
        "gamedays",
        tree()["gamedays"] * 2,
        "gamedays.1.name",
        "its own name",
    ),
    "a game day names a drill that nobody declares": (
        "gamedays.0.drills",
        ["signing-region-dark", "signing-dark"],
        "gamedays.0.drills.1",
        "name a drill of the policy: signing-region-dark",
    ),
    "a drill is required that nobody declares": (
        "readiness.0.drill",
        "calm",
        "readiness.0.drill",
        "name a drill of the policy, or of one control: signing-region-dark, noisy-neighbour, seg",
    ),
    "a drill is required on a stack that nobody has": (
        "readiness.0.stack",
        "moon",
        "readiness.0.stack",
        "name a stack that has an account: production",
    ),
    "a drill is required twice": (
        "readiness",
        tree()["readiness"] * 2,
        "readiness.1",
        "signing-region-dark on sandbox once more",
    ),
    "no drill is required": (
        "readiness",
        [],
        "readiness",
        "a gate that requires nothing is never open",
    ),
    "a fault that outlasts its flood": (
        f"{DRILL}.faults.0.after",
        "61s",
        f"{DRILL}.faults.0",
        "in force until 151000 ms of a flood of 150000 ms",
    ),
    "a fault beyond the blast radius": (
        f"{DRILL}.blast_radius",
        ["kms.standby"],
        f"{DRILL}.faults.0.target",
        "name it in the drill's blast_radius",
    ),
    "a fault that is applied twice": (
        f"{DRILL}.faults",
        _FAULTS * 2,
        f"{DRILL}.faults.1",
        "kms-dark against kms.primary once more",
    ),
    "two faults at the same time": (
        f"{DRILL}.faults",
        [*_FAULTS, _FAULTS[0] | {"fault": "kms-slow", "after": "60s", "length": "80s"}],
        f"{DRILL}.faults.1",
        "kms-slow at the same time as kms-dark",
    ),
    "a tier that is reached and avoided": (
        f"{DRILL}.expects.avoids",
        ["protected"],
        f"{DRILL}.expects.avoids",
        "cannot be both",
    ),
    "a drill without the tier that it begins in": (
        f"{DRILL}.expects.avoids",
        ["normal"],
        f"{DRILL}.expects.avoids",
        "begins in tier normal",
    ),
    "a drill that must reach the tier it begins in": (
        f"{DRILL}.expects.reaches",
        ["protected", "normal"],
        f"{DRILL}.expects.reaches",
        "begins in tier normal",
    ),
    "a page without the time that it goes with": (
        f"{DRILL}.expects.targets",
        ["page_max", "recovery_max"],
        f"{DRILL}.expects.targets",
        "declare failover_max or protected_max with it",
    ),
    "a drill that breaks something and need not heal": (
        f"{DRILL}.expects.targets",
        ["failover_max"],
        f"{DRILL}.expects.targets",
        "must show that it heals",
    ),
    "a flood that is over before the database must be back": (
        f"{DRILL}.expects.targets",
        ["recovery_max", "database_rto_max"],
        f"{DRILL}.flood.length",
        "at least 360000 ms: `after` of the first fault and database_rto_max",
    ),
    "a drill of no size": (
        f"{DRILL}.smallest.calm",
        "4999ms",
        f"{DRILL}.smallest.calm",
        "at least 5000; a smaller drill would prove nothing",
    ),
    "a flood that presses on after the last fault": (
        f"{DRILL}.faults.0.length",
        "80s",
        f"{DRILL}.faults",
        "ended 16000 ms before a flood that must reach a tier",
    ),
    "a drill that is called like a command": (
        "drills.segregation",
        tree()["drills"]["signing-region-dark"],
        "drills.segregation",
        "has a command of that name",
    ),
    "a drill that counts in hot balances comes second": (
        "gamedays.0.drills",
        ["signing-region-dark"] * 2,
        "gamedays.0.drills.1",
        "put it first",
    ),
    "a time of protection without protected mode": (
        f"{DRILL}.expects.reaches",
        ["stressed"],
        f"{DRILL}.expects.targets",
        "declare protected under reaches",
    ),
    "a smallest size that the drill cannot have": (
        f"{DRILL}.smallest.flood",
        "151s",
        f"{DRILL}.smallest.flood",
        "151000 ms, where the drill plans 150000 ms",
    ),
    "a fault without a lease": (
        f"{DRILL}.lease_ttl",
        None,
        f"{DRILL}.lease_ttl",
        "after which silence of its runner",
    ),
    "a fault without a smallest length": (
        f"{DRILL}.smallest.fault",
        None,
        f"{DRILL}.smallest.fault",
        "how long each fault must have been in force",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_cannot_stand_is_refused_at_its_place_and_nowhere_else(
    tmp_path: Path, what: str
) -> None:
    """The value found and the remedy come along."""
    where, value, named, said = BROKEN[what]
    changed = tree()
    put(changed, where, value)

    found = problems(write(tmp_path, changed))

    assert list(found) == [named]
    assert said in found[named]


def test_a_drill_without_faults_measures_nothing_from_their_beginning(tmp_path: Path) -> None:
    """Each of the three is named at its own place."""
    changed = tree()
    put(changed, f"{DRILL}.faults", [])

    found = problems(write(tmp_path, changed))

    assert set(found) == {
        f"{DRILL}.expects.targets",
        f"{DRILL}.smallest.fault",
        f"{DRILL}.smallest.payouts",
    }
    assert (
        "declare a fault; without it the time has no beginning" in found[f"{DRILL}.expects.targets"]
    )


def test_a_drill_that_would_pass_with_nothing_is_refused(tmp_path: Path) -> None:
    """Neither a target nor a tier: no check would be asked but those of every drill."""
    changed = tree()
    put(changed, f"{DRILL}.expects", {"targets": []})
    put(changed, f"{DRILL}.faults", [])
    put(changed, f"{DRILL}.smallest", {"calm": "45s", "flood": "135s", "offered_per_s": 200})

    found = problems(write(tmp_path, changed))

    assert list(found) == [f"{DRILL}.expects"]
    assert "it would pass with nothing" in found[f"{DRILL}.expects"]


def test_a_storm_that_reaches_a_tier_although_it_is_limited_is_refused(tmp_path: Path) -> None:
    """Nothing would be shown of the limits; both numbers are said."""
    changed = tree()
    storm = {"requests_per_s": 50, "value": "1050"}
    put(changed, DRILL, _STORM | {"flood": _STORM["flood"] | {"storm": storm}})
    put(changed, "triggers.1.enter_at", "0.05")
    put(changed, "triggers.1.exit_below", "0.05")

    found = problems(write(tmp_path, changed))

    said = found[f"{DRILL}.flood.storm.value"]
    assert "let 99750 USD through in a window, and run-on-the-bank begins at 84000 USD" in said

    put(changed, "wallets.escrow-aster-hot.bucket", "nobody")
    assert "wallets.escrow-aster-hot.bucket" in problems(write(tmp_path, changed))


@pytest.mark.parametrize("drill", ["noisy-neighbour", "segregation"])
def test_a_drill_of_one_control_may_be_required(tmp_path: Path, drill: str) -> None:
    """It is declared by no policy, and has a verdict as every other drill has."""
    changed = tree()
    put(changed, "readiness.0.drill", drill)

    assert load_policy(write(tmp_path, changed)).readiness[0].drill == drill


def test_names_that_do_not_resolve_do_not_hide_what_else_is_wrong(tmp_path: Path) -> None:
    """Sums need names that resolve; the other rules do not wait for them."""
    changed = tree()
    put(changed, "wallets.escrow-aster-hot.bucket", "nobody")
    put(changed, "accounts.staging", "210987654321")
    put(changed, "backup.keep", "1h")

    assert set(problems(write(tmp_path, changed))) == {
        "wallets.escrow-aster-hot.bucket",
        "accounts.staging",
        "backup.keep",
    }
