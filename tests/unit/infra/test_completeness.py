"""A program that lacks a listed resource, or that breaks a promise of the policy, is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra.refusals.completeness import incomplete
from infra.refusals.declared import UNKNOWN, Declared
from infra.refusals.judge import judge, judge_all
from seawall.policy import Policy
from tests.testing.declared import POLICY, PRIMARY, STANDBY
from tests.testing.refusals import (
    EXPECTED,
    KEY,
    PROTECTED,
    REPLICA,
    ROLE,
    ROLE_POLICY,
    SUBSCRIPTION,
    WALLET,
    changed,
    program,
    the,
)


def without(kind: str, *names: str) -> list[Declared]:
    """The program with some resources of one type left out."""
    rest = [each for each in program() if each.kind != kind or each.name not in names]
    assert len(rest) == len(program()) - len(names)
    return rest


def lacks(kind: str, name: str) -> str:
    return f"{kind} {name} is missing: the list of expected resources has it"


def test_each_resource_on_the_list_is_missed_by_name() -> None:
    """By that part of `judge_all` which looks for what is not there."""
    for each in EXPECTED:
        rest = without(each.kind, each.name)
        assert lacks(each.kind, each.name) in incomplete(rest, PROTECTED)
    first = EXPECTED[0]
    assert lacks(first.kind, first.name) in judge_all(without(first.kind, first.name), PROTECTED)


def test_everything_that_a_program_lacks_is_refused_at_once() -> None:
    lines = [line for line in judge_all([], PROTECTED) if "is missing" in line]
    assert len(lines) == len(EXPECTED)


def test_a_resource_under_another_type_or_name_does_not_count() -> None:
    [key, replica] = [the(KEY, WALLET), the(REPLICA, WALLET)]
    rest = [each for each in program() if each not in (key, replica)]
    renamed = [*rest, replace(key, name="other"), replace(replica, kind=KEY)]
    [missed] = [line for line in judge_all(renamed, PROTECTED) if "is missing" in line]
    assert missed.startswith(f"{REPLICA} {WALLET} is missing")


def test_a_resource_in_another_region_than_the_list_says_is_refused() -> None:
    vault = the("aws:backup/vault:Vault", STANDBY)
    rest = [each for each in program() if each is not vault]
    moved = [*rest, changed(vault, region=PRIMARY)]
    assert judge_all(moved, PROTECTED) == [f"{vault}: in {PRIMARY}, and listed in {STANDBY}"]
    nowhere = [*rest, changed(vault, region=None)]
    assert judge_all(nowhere, PROTECTED) == [
        f"{vault}: in no region of its own, and listed in {STANDBY}"
    ]
    assert judge_all([*rest, changed(vault, region=UNKNOWN)], PROTECTED) == []


def test_the_region_of_game_days_is_for_the_stacks_settings_to_decide() -> None:
    group = the("aws:scheduler/scheduleGroup:ScheduleGroup")
    moved = [each for each in program() if each is not group]
    assert judge_all([*moved, changed(group, region="eu-west-1")], PROTECTED) == []


def test_what_the_list_protects_is_protected_in_a_protected_stack_whatever_its_type() -> None:
    """The type of vault locks is not a lasting one, but the list has them as protected."""
    bare = changed(the("aws:backup/vaultLockConfiguration:VaultLockConfiguration"), protect=False)
    assert judge(bare, PROTECTED) == [
        f"{bare}: not protected, which a protected stack does not allow; write protect=True"
    ]


@pytest.mark.parametrize(
    ("kind", "name", "refusal"),
    [
        (KEY, WALLET, f"no key {WALLET}: wallet {WALLET} would have no address"),
        (
            REPLICA,
            "approver-treasury-lead",
            (
                "no replica approver-treasury-lead: approver treasury-lead could not sign in "
                f"{STANDBY}"
            ),
        ),
        (ROLE_POLICY, "backup", f"{ROLE} backup: may do nothing; declare a role policy"),
        (ROLE_POLICY, "kit", f"{ROLE} kit: may do nothing; declare a role policy"),
        (ROLE_POLICY, "replication", f"{ROLE} replication: may do nothing; declare a role policy"),
        (ROLE_POLICY, "gameday", f"{ROLE} gameday: may do nothing; declare a role policy"),
    ],
)
def test_what_the_policy_promises_is_asked_for_even_if_the_list_does_not_have_it(
    kind: str, name: str, refusal: str
) -> None:
    """As if a faulty program had been rendered, and the review had missed the deleted line."""
    listed = [each for each in EXPECTED if (each.kind, each.name) != (kind, name)]
    [line] = judge_all(without(kind, name), replace(PROTECTED, expected=listed))
    assert line.startswith(refusal)


@pytest.mark.parametrize("region", [PRIMARY, STANDBY])
def test_each_role_that_a_trigger_pages_is_subscribed_even_if_the_list_does_not_have_it(
    region: str,
) -> None:
    subscriptions = [
        each for each in program() if each.kind == SUBSCRIPTION and each.given("region") == region
    ]
    assert subscriptions
    for subscription in subscriptions:
        rest = [each for each in program() if each is not subscription]
        listed = [each for each in EXPECTED if each.kind != SUBSCRIPTION]
        [line] = judge_all(rest, replace(PROTECTED, expected=listed))
        assert line.startswith(f"{region} would not page "), line
        assert f"({subscription.given('endpoint')}) for every severity" in line


def test_an_address_that_is_not_known_beforehand_pages_nobody() -> None:
    subscription = the(SUBSCRIPTION)
    rest = [each for each in program() if each is not subscription]
    lines = judge_all([*rest, changed(subscription, endpoint=UNKNOWN)], PROTECTED)
    assert f"{subscription}: its address or region is not known beforehand; write it down" in lines


def test_health_checks_page_from_the_region_of_their_metrics_wherever_the_venue_is() -> None:
    """Route 53 puts them into us-east-1, and an alarm acts on topics of its own region."""
    regions = POLICY.regions.model_copy(update={"primary": "eu-west-1", "standby": "eu-central-1"})
    elsewhere = POLICY.model_copy(update={"regions": regions})

    def unpaged(policy: Policy) -> set[str]:
        lines = judge_all([], replace(PROTECTED, policy=policy, expected=()))
        return {line.split()[0] for line in lines if "would not page" in line}

    assert unpaged(elsewhere) == {"eu-west-1", "eu-central-1", "us-east-1"}
    assert unpaged(elsewhere.model_copy(update={"served": {}})) == {"eu-west-1", "eu-central-1"}
