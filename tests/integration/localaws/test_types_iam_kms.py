"""The types of IAM and KMS, beyond the contract of all types."""

from __future__ import annotations

import json
from collections.abc import Iterator

import grpc
import pytest

from tests.testing.aws_harness import STANDBY
from tests.testing.provider_harness import ProviderHarness, running_harness
from tests.testing.stack_types.iam import SIGN, TRUST, VERIFY
from tests.testing.stack_types.kms import KEY

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def harness() -> Iterator[ProviderHarness]:
    with running_harness() as running:
        yield running


def test_a_managed_policy_keeps_five_versions_and_the_last_one_counts(
    harness: ProviderHarness,
) -> None:
    kind = "aws:iam/policy:Policy"
    identifier, state, inputs = harness.made(kind, {"name": "seawall-versions", "policy": SIGN})
    for number in range(6):
        document = SIGN.replace("kms:Sign", f"kms:Sign{number}")
        new = {**inputs, "policy": document}
        state = harness.engine.update(kind, identifier, state, inputs, new)
        inputs = new
    versions = harness.root("iam").list_policy_versions(PolicyArn=identifier)["Versions"]
    assert [version["VersionId"] for version in versions] == ["v3", "v4", "v5", "v6", "v7"]
    assert "Sign5" in state["policy"]
    harness.engine.delete(kind, identifier, state)


def test_a_version_that_was_made_the_default_elsewhere_is_seen(harness: ProviderHarness) -> None:
    kind = "aws:iam/policy:Policy"
    identifier, state, inputs = harness.made(kind, {"name": "seawall-drifted", "policy": SIGN})
    harness.root("iam").create_policy_version(
        PolicyArn=identifier, PolicyDocument=VERIFY, SetAsDefault=True
    )
    _, _, described = harness.engine.read(kind, identifier, state, inputs)
    assert json.loads(described["policy"]) == json.loads(VERIFY)
    harness.engine.delete(kind, identifier, state)


@pytest.mark.parametrize("change", [{"name": "seawall-b"}, {"path": "/b/"}, {"description": "b"}])
def test_what_iam_cannot_change_of_a_policy_means_another_policy(
    harness: ProviderHarness, change: dict[str, str]
) -> None:
    inputs = {"name": "seawall-a", "path": "/a/", "description": "a", "policy": SIGN}
    assert list(
        harness.engine.diff("aws:iam/policy:Policy", inputs, {**inputs, **change}).replaces
    ) == list(change)


def test_a_boundary_is_put_changed_and_taken_away(harness: ProviderHarness) -> None:
    kind, iam = "aws:iam/role:Role", harness.root("iam")
    boundary, policy, _ = harness.made(
        "aws:iam/policy:Policy", {"name": "seawall-boundary", "policy": SIGN}
    )
    bare = harness.engine.checked(kind, {"name": "seawall-bounded", "assumeRolePolicy": TRUST})
    identifier, state, inputs = harness.made(kind, {**bare, "permissionsBoundary": boundary})
    assert (
        iam.get_role(RoleName=identifier)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
        == boundary
    )
    iam.delete_role_permissions_boundary(RoleName=identifier)
    _, _, described = harness.engine.read(kind, identifier, state, inputs)
    assert list(harness.engine.diff(kind, described, inputs).diffs) == ["permissionsBoundary"], (
        "somebody took it away"
    )
    state = harness.engine.update(kind, identifier, state, described, inputs)
    assert state["permissionsBoundary"] == boundary
    state = harness.engine.update(kind, identifier, state, inputs, bare)
    assert "PermissionsBoundary" not in iam.get_role(RoleName=identifier)["Role"]
    harness.engine.delete(kind, identifier, state)
    harness.engine.delete("aws:iam/policy:Policy", boundary, policy)


def test_a_role_with_policies_is_deleted_only_with_force_detach(harness: ProviderHarness) -> None:
    kind, iam = "aws:iam/role:Role", harness.root("iam")
    arn, policy, _ = harness.made(
        "aws:iam/policy:Policy", {"name": "seawall-attached", "policy": SIGN}
    )
    identifier, state, _ = harness.made(kind, {"name": "seawall-held", "assumeRolePolicy": TRUST})
    iam.attach_role_policy(RoleName=identifier, PolicyArn=arn)
    iam.put_role_policy(RoleName=identifier, PolicyName="stray", PolicyDocument=SIGN)
    with pytest.raises(grpc.RpcError, match="DeleteConflict"):
        harness.engine.delete(kind, identifier, state)
    harness.engine.delete(kind, identifier, {**state, "forceDetachPolicies": True})
    assert harness.engine.read(kind, identifier, state, {})[0] == ""
    harness.engine.delete("aws:iam/policy:Policy", arn, policy)


def test_a_symmetric_key_rotates_and_says_how_often(harness: ProviderHarness) -> None:
    kind, kms = "aws:kms/key:Key", harness.root("kms")
    identifier, state, inputs = harness.made(
        kind, {"enableKeyRotation": True, "rotationPeriodInDays": 180}
    )
    assert state["customerMasterKeySpec"] == "SYMMETRIC_DEFAULT"
    assert kms.get_key_rotation_status(KeyId=identifier)["RotationPeriodInDays"] == 180
    kms.disable_key_rotation(KeyId=identifier)
    _, _, described = harness.engine.read(kind, identifier, state, inputs)
    assert set(harness.engine.diff(kind, described, inputs).diffs) == {
        "enableKeyRotation",
        "rotationPeriodInDays",
    }
    harness.engine.delete(kind, identifier, state)


def test_a_key_that_is_off_is_enabled_before_its_rotation_changes_and_disabled_after(
    harness: ProviderHarness,
) -> None:
    kind = "aws:kms/key:Key"
    off = {"isEnabled": False, "enableKeyRotation": True}
    identifier, state, inputs = harness.made(kind, off)
    assert (state["isEnabled"], state["enableKeyRotation"]) == (False, True)
    on = {**inputs, "isEnabled": True, "rotationPeriodInDays": 90}
    state = harness.engine.update(kind, identifier, state, inputs, on)
    assert (state["isEnabled"], state["rotationPeriodInDays"]) == (True, 90)
    state = harness.engine.update(
        kind, identifier, state, on, {**inputs, "enableKeyRotation": False}
    )
    assert (state["isEnabled"], state["enableKeyRotation"]) == (False, False)
    harness.engine.delete(kind, identifier, state)


def test_an_asymmetric_key_does_not_rotate(harness: ProviderHarness) -> None:
    with pytest.raises(grpc.RpcError, match="UnsupportedOperationException"):
        harness.made("aws:kms/key:Key", {**KEY, "enableKeyRotation": True})


def test_a_replica_of_an_encryption_key_reads_what_kms_says(harness: ProviderHarness) -> None:
    primary, state, _ = harness.made(
        "aws:kms/key:Key", {"multiRegion": True, "enableKeyRotation": True}
    )
    inputs = {
        "primaryKeyArn": state["arn"],
        "region": STANDBY,
        "bypassPolicyLockoutSafetyCheck": True,
    }
    replica, there, checked = harness.made("aws:kms/replicaKey:ReplicaKey", inputs)
    assert there["keySpec"] == "SYMMETRIC_DEFAULT"
    assert harness.engine.read("aws:kms/replicaKey:ReplicaKey", replica, there, checked) == (
        replica,
        there,
        checked,
    )
    harness.engine.delete("aws:kms/replicaKey:ReplicaKey", replica, there)
    harness.engine.delete("aws:kms/key:Key", primary, state)
