"""The types of IAM and KMS, beyond the contract of all types."""

from __future__ import annotations

import json

import grpc
import pytest

from tests.testing.aws_harness import STANDBY
from tests.testing.provider_harness import ProviderHarness
from tests.testing.stack_types.iam import SIGN, TRUST, VERIFY
from tests.testing.stack_types.kms import KEY

pytestmark = pytest.mark.integration


def test_a_managed_policy_keeps_five_versions_and_the_last_one_counts(
    provider_harness: ProviderHarness,
) -> None:
    kind = "aws:iam/policy:Policy"
    identifier, state, inputs = provider_harness.made(
        kind, {"name": "seawall-versions", "policy": SIGN}
    )
    for number in range(6):
        document = SIGN.replace("kms:Sign", f"kms:Sign{number}")
        new = {**inputs, "policy": document}
        state = provider_harness.engine.update(kind, identifier, state, inputs, new)
        inputs = new
    versions = provider_harness.root("iam").list_policy_versions(PolicyArn=identifier)["Versions"]
    assert [version["VersionId"] for version in versions] == ["v3", "v4", "v5", "v6", "v7"]
    assert "Sign5" in state["policy"]
    provider_harness.engine.delete(kind, identifier, state)


def test_a_version_that_was_made_the_default_elsewhere_is_seen(
    provider_harness: ProviderHarness,
) -> None:
    kind = "aws:iam/policy:Policy"
    identifier, state, inputs = provider_harness.made(
        kind, {"name": "seawall-drifted", "policy": SIGN}
    )
    provider_harness.root("iam").create_policy_version(
        PolicyArn=identifier, PolicyDocument=VERIFY, SetAsDefault=True
    )
    _, _, described = provider_harness.engine.read(kind, identifier, state, inputs)
    assert json.loads(described["policy"]) == json.loads(VERIFY)
    provider_harness.engine.delete(kind, identifier, state)


@pytest.mark.parametrize("change", [{"name": "seawall-b"}, {"path": "/b/"}, {"description": "b"}])
def test_what_iam_cannot_change_of_a_policy_means_another_policy(
    provider_harness: ProviderHarness, change: dict[str, str]
) -> None:
    inputs = {"name": "seawall-a", "path": "/a/", "description": "a", "policy": SIGN}
    assert list(
        provider_harness.engine.diff("aws:iam/policy:Policy", inputs, {**inputs, **change}).replaces
    ) == list(change)


def test_a_boundary_is_put_changed_and_taken_away(provider_harness: ProviderHarness) -> None:
    kind, iam = "aws:iam/role:Role", provider_harness.root("iam")
    boundary, policy, _ = provider_harness.made(
        "aws:iam/policy:Policy", {"name": "seawall-boundary", "policy": SIGN}
    )
    bare = provider_harness.engine.checked(
        kind, {"name": "seawall-bounded", "assumeRolePolicy": TRUST}
    )
    identifier, state, inputs = provider_harness.made(
        kind, {**bare, "permissionsBoundary": boundary}
    )
    assert (
        iam.get_role(RoleName=identifier)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
        == boundary
    )
    iam.delete_role_permissions_boundary(RoleName=identifier)
    _, _, described = provider_harness.engine.read(kind, identifier, state, inputs)
    assert list(provider_harness.engine.diff(kind, described, inputs).diffs) == [
        "permissionsBoundary"
    ], "it was removed elsewhere"
    state = provider_harness.engine.update(kind, identifier, state, described, inputs)
    assert state["permissionsBoundary"] == boundary
    state = provider_harness.engine.update(kind, identifier, state, inputs, bare)
    assert "PermissionsBoundary" not in iam.get_role(RoleName=identifier)["Role"]
    provider_harness.engine.delete(kind, identifier, state)
    provider_harness.engine.delete("aws:iam/policy:Policy", boundary, policy)


def test_a_role_with_policies_is_deleted_only_with_force_detach(
    provider_harness: ProviderHarness,
) -> None:
    kind, iam = "aws:iam/role:Role", provider_harness.root("iam")
    arn, policy, _ = provider_harness.made(
        "aws:iam/policy:Policy", {"name": "seawall-attached", "policy": SIGN}
    )
    identifier, state, _ = provider_harness.made(
        kind, {"name": "seawall-held", "assumeRolePolicy": TRUST}
    )
    iam.attach_role_policy(RoleName=identifier, PolicyArn=arn)
    iam.put_role_policy(RoleName=identifier, PolicyName="stray", PolicyDocument=SIGN)
    with pytest.raises(grpc.RpcError, match="DeleteConflict"):
        provider_harness.engine.delete(kind, identifier, state)
    provider_harness.engine.delete(kind, identifier, {**state, "forceDetachPolicies": True})
    assert provider_harness.engine.read(kind, identifier, state, {})[0] == ""
    provider_harness.engine.delete("aws:iam/policy:Policy", arn, policy)


def test_a_symmetric_key_rotates_and_says_how_often(provider_harness: ProviderHarness) -> None:
    kind, kms = "aws:kms/key:Key", provider_harness.root("kms")
    identifier, state, inputs = provider_harness.made(
        kind, {"enableKeyRotation": True, "rotationPeriodInDays": 180}
    )
    assert state["customerMasterKeySpec"] == "SYMMETRIC_DEFAULT"
    assert kms.get_key_rotation_status(KeyId=identifier)["RotationPeriodInDays"] == 180
    kms.disable_key_rotation(KeyId=identifier)
    _, _, described = provider_harness.engine.read(kind, identifier, state, inputs)
    assert set(provider_harness.engine.diff(kind, described, inputs).diffs) == {
        "enableKeyRotation",
        "rotationPeriodInDays",
    }
    provider_harness.engine.delete(kind, identifier, state)


def test_a_key_that_is_off_is_enabled_before_its_rotation_changes_and_disabled_after(
    provider_harness: ProviderHarness,
) -> None:
    kind = "aws:kms/key:Key"
    off = {"isEnabled": False, "enableKeyRotation": True}
    identifier, state, inputs = provider_harness.made(kind, off)
    assert (state["isEnabled"], state["enableKeyRotation"]) == (False, True)
    on = {**inputs, "isEnabled": True, "rotationPeriodInDays": 90}
    state = provider_harness.engine.update(kind, identifier, state, inputs, on)
    assert (state["isEnabled"], state["rotationPeriodInDays"]) == (True, 90)
    state = provider_harness.engine.update(
        kind, identifier, state, on, {**inputs, "enableKeyRotation": False}
    )
    assert (state["isEnabled"], state["enableKeyRotation"]) == (False, False)
    provider_harness.engine.delete(kind, identifier, state)


def test_an_asymmetric_key_does_not_rotate(provider_harness: ProviderHarness) -> None:
    with pytest.raises(grpc.RpcError, match="UnsupportedOperationException"):
        provider_harness.made("aws:kms/key:Key", {**KEY, "enableKeyRotation": True})


def test_a_replica_of_an_encryption_key_reads_what_kms_says(
    provider_harness: ProviderHarness,
) -> None:
    primary, state, _ = provider_harness.made(
        "aws:kms/key:Key", {"multiRegion": True, "enableKeyRotation": True}
    )
    inputs = {
        "primaryKeyArn": state["arn"],
        "region": STANDBY,
        "bypassPolicyLockoutSafetyCheck": True,
    }
    replica, there, checked = provider_harness.made("aws:kms/replicaKey:ReplicaKey", inputs)
    assert there["keySpec"] == "SYMMETRIC_DEFAULT"
    assert provider_harness.engine.read(
        "aws:kms/replicaKey:ReplicaKey", replica, there, checked
    ) == (replica, there, checked)
    provider_harness.engine.delete("aws:kms/replicaKey:ReplicaKey", replica, there)
    provider_harness.engine.delete("aws:kms/key:Key", primary, state)
