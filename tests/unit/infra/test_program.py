"""What the Pulumi program declares for the sandbox's policy, on the engine's own mocks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import set_all_config

from infra.paging import period_s
from infra.settings import read_settings
from seawall import conventions
from seawall.errors import UsageError
from seawall.policy import load_policy

ROOT = Path(__file__).resolve().parents[3]
POLICY = ROOT / "policies" / "sandbox.yaml"
PRINCIPALS = {
    region: f"arn:aws:iam::123456789012:user/{conventions.signer_user(region)}" for region in ("us-east-1", "us-west-2")
}


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One resource as the program declared it."""

    type: str
    name: str
    inputs: dict[str, Any]
    protect: bool


@cache
def declared(deletion: str, published: str | None = None) -> tuple[Declared, ...]:
    config = {"seawall:deletion": deletion, "seawall:signerPrincipals": json.dumps(PRINCIPALS)}
    if published is not None:
        config["seawall:indicatorsPublished"] = published
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.infra.declaration", json.dumps(config)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), conventions.POLICY_VARIABLE: str(POLICY)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return tuple(Declared(**resource) for resource in json.loads(done.stdout))


def of(kind: str, *, deletion: str = "disposable", published: str | None = None) -> list[Declared]:
    return [resource for resource in declared(deletion, published) if resource.type == kind]


def test_each_signing_wallet_has_one_key_and_a_replica() -> None:
    wallets = sorted(load_policy(POLICY).signing_wallets())
    keys, replicas = of("aws:kms/key:Key"), of("aws:kms/replicaKey:ReplicaKey")
    assert sorted(key.name for key in keys) == sorted(replica.name for replica in replicas) == wallets
    assert {
        (key.inputs["customerMasterKeySpec"], key.inputs["keyUsage"], key.inputs["multiRegion"]) for key in keys
    } == {("ECC_SECG_P256K1", "SIGN_VERIFY", True)}
    assert {key.inputs["region"] for key in keys} == {"us-east-1"}
    assert {replica.inputs["region"] for replica in replicas} == {"us-west-2"}


def test_a_role_may_use_its_own_key_in_its_own_region_and_nothing_else() -> None:
    for allowed in of("aws:iam/rolePolicy:RolePolicy"):
        region = next(region for region in PRINCIPALS if allowed.name.endswith(region))
        wallet = allowed.name.removesuffix(f"-{region}")
        statement = json.loads(allowed.inputs["policy"])["Statement"]
        assert statement == [
            {"Effect": "Allow", "Action": ["kms:Sign", "kms:GetPublicKey"], "Resource": f"arn:{region}:{wallet}"}
        ]
        trust = next(role for role in of("aws:iam/role:Role") if role.name == allowed.name)
        assert json.loads(trust.inputs["assumeRolePolicy"])["Statement"][0]["Principal"] == {"AWS": PRINCIPALS[region]}


def test_the_account_administers_keys_and_cannot_sign() -> None:
    for key in of("aws:kms/key:Key"):
        account, role = json.loads(key.inputs["policy"])["Statement"]
        assert account["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
        assert "kms:Sign" not in account["Action"]
        assert role["Principal"] == {"AWS": f"arn::{key.name}-us-east-1"}


@pytest.mark.parametrize(
    ("deletion", "window", "force", "mode"),
    [("guarded", 30, False, "COMPLIANCE"), ("disposable", 7, True, "GOVERNANCE")],
)
def test_a_guarded_stack_keeps_its_keys_and_evidence(deletion: str, window: int, force: bool, mode: str) -> None:
    assert {key.inputs["deletionWindowInDays"] for key in of("aws:kms/key:Key", deletion=deletion)} == {window}
    [bucket] = of("aws:s3/bucket:Bucket", deletion=deletion)
    assert bucket.inputs["forceDestroy"] is force
    [lock] = of("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration", deletion=deletion)
    assert lock.inputs["rule"]["defaultRetention"]["mode"] == mode
    lasting = [
        *of("aws:kms/key:Key", deletion=deletion),
        *of("aws:kms/replicaKey:ReplicaKey", deletion=deletion),
        bucket,
    ]
    assert {resource.protect for resource in lasting} == {deletion == "guarded"}


def test_everything_that_can_be_tagged_says_whose_it_is_and_by_which_policy() -> None:
    digest = load_policy(POLICY).digest
    tagged = [resource for resource in declared("disposable") if "tags" in resource.inputs]
    assert len(tagged) > len(PRINCIPALS)
    assert all(resource.inputs["tags"]["policy"] == digest and resource.inputs["tags"]["owner"] for resource in tagged)


def test_alarms_witness_every_trigger() -> None:
    policy = load_policy(POLICY)
    alarms = {alarm.name: alarm.inputs for alarm in of("aws:cloudwatch/metricAlarm:MetricAlarm")}
    assert set(alarms) == {trigger.name for trigger in policy.triggers}
    for trigger in policy.triggers:
        assert alarms[trigger.name]["threshold"] == float(trigger.enter_at)
        assert alarms[trigger.name]["alarmActions"] == [f"arn:us-west-2:{trigger.severity}"]


@pytest.mark.parametrize(("published", "act"), [(None, False), ("false", False), ("true", True)])
def test_alarms_page_only_once_their_metric_is_published(published: str | None, act: bool) -> None:
    """One that treats missing data as breaching would otherwise page from the first minute on."""
    alarms = of("aws:cloudwatch/metricAlarm:MetricAlarm", published=published)
    assert {alarm.inputs["actionsEnabled"] for alarm in alarms} == {act}
    assert {alarm.inputs["treatMissingData"] for alarm in alarms} == {"breaching"}


@pytest.mark.parametrize(("wanted_ms", "period"), [(1, 10), (10_000, 10), (10_001, 30), (31_000, 60), (61_000, 120)])
def test_the_period_of_an_alarm_is_one_that_cloudwatch_takes(wanted_ms: int, period: int) -> None:
    assert period_s(wanted_ms) == period


def test_a_region_without_a_signer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(conventions.POLICY_VARIABLE, raising=False)
    principals = json.dumps({"us-east-1": "arn:aws:iam::1:user/a"})
    config = {
        "seawall:deletion": "guarded",
        "seawall:signerPrincipals": principals,
        "seawall:policy": "policies/sandbox.yaml",
    }
    set_all_config(config)
    with pytest.raises(UsageError, match="names nobody for us-west-2"):
        read_settings(pulumi.Config("seawall"), repository=ROOT)


def test_a_switch_that_is_neither_on_nor_off_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(conventions.POLICY_VARIABLE, str(POLICY))
    config = {"seawall:deletion": "guarded", "seawall:signerPrincipals": json.dumps(PRINCIPALS)}
    set_all_config({**config, "seawall:indicatorsPublished": "perhaps"})
    with pytest.raises(UsageError, match=r"seawall:indicatorsPublished is 'perhaps' \(write true"):
        read_settings(pulumi.Config("seawall"), repository=ROOT)


def test_a_stack_without_a_policy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(conventions.POLICY_VARIABLE, raising=False)
    set_all_config({})
    with pytest.raises(UsageError, match="no policy"):
        read_settings(pulumi.Config("seawall"), repository=ROOT)
