"""What is particular to the types of IAM and KMS, beyond the contract that all types keep."""

from __future__ import annotations

import json
from collections.abc import Iterator

import grpc
import pytest

from tests.testing.aws_harness import STANDBY
from tests.testing.provider_harness import Site, running_site
from tests.testing.stack_types.iam import SIGN, TRUST, VERIFY
from tests.testing.stack_types.kms import KEY

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with running_site() as running:
        yield running


def test_a_managed_policy_keeps_five_versions_and_the_last_one_counts(site: Site) -> None:
    kind = "aws:iam/policy:Policy"
    identifier, state, inputs = site.made(kind, {"name": "seawall-versions", "policy": SIGN})
    for number in range(6):
        document = SIGN.replace("kms:Sign", f"kms:Sign{number}")
        new = {**inputs, "policy": document}
        state = site.engine.update(kind, identifier, state, inputs, new)
        inputs = new
    versions = site.root("iam").list_policy_versions(PolicyArn=identifier)["Versions"]
    assert [version["VersionId"] for version in versions] == ["v3", "v4", "v5", "v6", "v7"]
    assert "Sign5" in state["policy"]
    site.engine.delete(kind, identifier, state)


def test_a_version_that_somebody_else_made_the_default_is_seen(site: Site) -> None:
    kind = "aws:iam/policy:Policy"
    identifier, state, inputs = site.made(kind, {"name": "seawall-drifted", "policy": SIGN})
    site.root("iam").create_policy_version(
        PolicyArn=identifier, PolicyDocument=VERIFY, SetAsDefault=True
    )
    _, _, told = site.engine.read(kind, identifier, state, inputs)
    assert json.loads(told["policy"]) == json.loads(VERIFY)
    site.engine.delete(kind, identifier, state)


@pytest.mark.parametrize("change", [{"name": "seawall-b"}, {"path": "/b/"}, {"description": "b"}])
def test_what_iam_cannot_change_of_a_policy_means_another_policy(
    site: Site, change: dict[str, str]
) -> None:
    inputs = {"name": "seawall-a", "path": "/a/", "description": "a", "policy": SIGN}
    assert list(
        site.engine.diff("aws:iam/policy:Policy", inputs, {**inputs, **change}).replaces
    ) == list(change)


def test_a_boundary_is_put_changed_and_taken_away(site: Site) -> None:
    kind, iam = "aws:iam/role:Role", site.root("iam")
    boundary, policy, _ = site.made(
        "aws:iam/policy:Policy", {"name": "seawall-boundary", "policy": SIGN}
    )
    bare = site.engine.checked(kind, {"name": "seawall-bounded", "assumeRolePolicy": TRUST})
    identifier, state, inputs = site.made(kind, {**bare, "permissionsBoundary": boundary})
    assert (
        iam.get_role(RoleName=identifier)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
        == boundary
    )
    iam.delete_role_permissions_boundary(RoleName=identifier)
    _, _, told = site.engine.read(kind, identifier, state, inputs)
    assert list(site.engine.diff(kind, told, inputs).diffs) == ["permissionsBoundary"], (
        "somebody took it away"
    )
    state = site.engine.update(kind, identifier, state, told, inputs)
    assert state["permissionsBoundary"] == boundary
    state = site.engine.update(kind, identifier, state, inputs, bare)
    assert "PermissionsBoundary" not in iam.get_role(RoleName=identifier)["Role"]
    site.engine.delete(kind, identifier, state)
    site.engine.delete("aws:iam/policy:Policy", boundary, policy)


def test_a_role_with_policies_goes_only_if_told_to_detach_them(site: Site) -> None:
    kind, iam = "aws:iam/role:Role", site.root("iam")
    arn, policy, _ = site.made(
        "aws:iam/policy:Policy", {"name": "seawall-attached", "policy": SIGN}
    )
    identifier, state, _ = site.made(kind, {"name": "seawall-held", "assumeRolePolicy": TRUST})
    iam.attach_role_policy(RoleName=identifier, PolicyArn=arn)
    iam.put_role_policy(RoleName=identifier, PolicyName="stray", PolicyDocument=SIGN)
    with pytest.raises(grpc.RpcError, match="DeleteConflict"):
        site.engine.delete(kind, identifier, state)
    site.engine.delete(kind, identifier, {**state, "forceDetachPolicies": True})
    assert site.engine.read(kind, identifier, state, {})[0] == ""
    site.engine.delete("aws:iam/policy:Policy", arn, policy)


def test_a_symmetric_key_rotates_and_says_how_often(site: Site) -> None:
    kind, kms = "aws:kms/key:Key", site.root("kms")
    identifier, state, inputs = site.made(
        kind, {"enableKeyRotation": True, "rotationPeriodInDays": 180}
    )
    assert state["customerMasterKeySpec"] == "SYMMETRIC_DEFAULT"
    assert kms.get_key_rotation_status(KeyId=identifier)["RotationPeriodInDays"] == 180
    kms.disable_key_rotation(KeyId=identifier)
    _, _, told = site.engine.read(kind, identifier, state, inputs)
    assert set(site.engine.diff(kind, told, inputs).diffs) == {
        "enableKeyRotation",
        "rotationPeriodInDays",
    }
    site.engine.delete(kind, identifier, state)


def test_a_key_that_is_off_is_enabled_before_its_rotation_changes_and_disabled_after(
    site: Site,
) -> None:
    kind = "aws:kms/key:Key"
    off = {"isEnabled": False, "enableKeyRotation": True}
    identifier, state, inputs = site.made(kind, off)
    assert (state["isEnabled"], state["enableKeyRotation"]) == (False, True)
    on = {**inputs, "isEnabled": True, "rotationPeriodInDays": 90}
    state = site.engine.update(kind, identifier, state, inputs, on)
    assert (state["isEnabled"], state["rotationPeriodInDays"]) == (True, 90)
    state = site.engine.update(kind, identifier, state, on, {**inputs, "enableKeyRotation": False})
    assert (state["isEnabled"], state["enableKeyRotation"]) == (False, False)
    site.engine.delete(kind, identifier, state)


def test_an_asymmetric_key_does_not_rotate(site: Site) -> None:
    with pytest.raises(grpc.RpcError, match="UnsupportedOperationException"):
        site.made("aws:kms/key:Key", {**KEY, "enableKeyRotation": True})


def test_a_replica_of_an_encryption_key_reads_what_kms_says(site: Site) -> None:
    primary, state, _ = site.made(
        "aws:kms/key:Key", {"multiRegion": True, "enableKeyRotation": True}
    )
    inputs = {
        "primaryKeyArn": state["arn"],
        "region": STANDBY,
        "bypassPolicyLockoutSafetyCheck": True,
    }
    replica, there, checked = site.made("aws:kms/replicaKey:ReplicaKey", inputs)
    assert there["keySpec"] == "SYMMETRIC_DEFAULT"
    assert site.engine.read("aws:kms/replicaKey:ReplicaKey", replica, there, checked) == (
        replica,
        there,
        checked,
    )
    site.engine.delete("aws:kms/replicaKey:ReplicaKey", replica, there)
    site.engine.delete("aws:kms/key:Key", primary, state)
