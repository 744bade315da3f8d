"""How far a segregation drill goes: on a real stack it asks, and harms no key that holds money."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from seawall.drill.segregation.attempts import HARMFUL, KeyFacts
from seawall.drill.segregation.canary import Canary
from seawall.drill.segregation.trial import Means, try_all
from seawall.keys import access
from seawall.keys.access import Principal
from seawall.policy_file import load_policy
from seawall.scorecard.one_control import Found, Trial

POLICY = load_policy(Path(__file__).resolve().parents[3] / "policies" / "sandbox.yaml")
REGIONS = access.regions(POLICY)
KEYS = [key.name for key in access.keys(POLICY)]
CELLS = list(
    access.matrix(POLICY, protected=False, who=(*access.principals(POLICY), access.DEPLOYER))
)
CANARY = "canary"
HARMFUL_CALLS = {"disable_key", "schedule_key_deletion"}


@dataclass
class Calls:
    """KMS for everyone: it notes every call, and allows all of them."""

    made: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def kms(self, principal: Principal, region: str) -> Any:
        """The same for every principal."""
        del principal, region
        return self

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**given: Any) -> dict[str, Any]:
            self.made.append((name, given))
            if given.get("DryRun"):
                error = {"Error": {"Code": "DryRunOperationException", "Message": ""}}
                raise ClientError(cast("Any", error), name)
            return {"KeyMetadata": {"KeyState": "Enabled"}}

        return call

    def on(self, keys: list[str]) -> set[str]:
        """Names of the calls that were made on one of ``keys``."""
        return {name for name, given in self.made if given.get("KeyId") in keys}


@dataclass(frozen=True, kw_only=True)
class StillCanary:
    """A canary that takes any policy."""

    facts: KeyFacts

    def carry(self, policy: str) -> KeyFacts:
        """Facts with ``policy``; nothing is called."""
        return replace(self.facts, policy=policy)


def facts(name: str, region: str) -> KeyFacts:
    other = next(each for each in REGIONS if each != region)
    return KeyFacts(
        key_id=name,
        alias=f"alias/{name}",
        region=region,
        primary_region=REGIONS[0],
        other_region=other,
        policy="{}",
        description="",
        tag={"TagKey": "owner", "TagValue": ""},
    )


def tried(calls: Calls, means: Means) -> list[Trial]:
    return try_all(
        CELLS,
        actors=cast("Any", calls),
        account="111122223333",
        facts={(name, region): facts(name, region) for name in KEYS for region in REGIONS},
        canaries={
            region: cast("Canary", StillCanary(facts=facts(CANARY, region))) for region in REGIONS
        },
        means=means,
        report=lambda _line: None,
    )


@pytest.fixture
def calls() -> Calls:
    return Calls()


def test_a_real_stack_is_only_asked_whether_it_would_sign(calls: Calls) -> None:
    trials = tried(calls, Means(dry_run=True, harm=False))
    signed = [given for name, given in calls.made if name == "sign"]
    assert len(signed) == sum(cell.tried.action == "kms:Sign" for cell in CELLS)
    assert all(given["DryRun"] is True for given in signed)
    assert {trial.found for trial in trials} == {Found.ALLOWED}
    assert len(trials) == len(CELLS)


def test_on_a_real_stack_no_key_with_money_is_stopped_whatever_its_policy_allows(
    calls: Calls,
) -> None:
    trials = tried(calls, Means(dry_run=True, harm=False))
    assert calls.on(KEYS).isdisjoint(HARMFUL_CALLS)
    assert calls.on([CANARY]) >= HARMFUL_CALLS
    assert {trial.on for trial in trials if trial.cell.tried.action in HARMFUL} == {"canary"}


def test_what_may_be_done_and_changes_a_key_is_done_to_the_canary_even_in_a_sandbox(
    calls: Calls,
) -> None:
    trials = tried(calls, Means(dry_run=False, harm=True))
    assert {trial.on for trial in trials if trial.cell.allowed and trial.cell.tried.changes} == {
        "canary"
    }
    assert all("DryRun" not in given for name, given in calls.made if name == "sign")


def test_a_sandbox_tries_what_could_stop_a_key_and_undoes_it_at_once(calls: Calls) -> None:
    trials = tried(calls, Means(dry_run=False, harm=True))
    stopped = [
        trial for trial in trials if trial.on == "key" and trial.cell.tried.action in HARMFUL
    ]
    assert stopped
    assert all(trial.code.endswith("undone at once") for trial in stopped)
    undone = sum(name == "enable_key" for name, given in calls.made if given.get("KeyId") in KEYS)
    assert undone >= len(stopped)
