"""Keys, and who may do what with them, as the program declares them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seawall.conventions import aws
from tests.testing.declared import ACCOUNT, POLICY, PRIMARY, STANDBY, Declared, of

WALLETS = sorted(POLICY.signing_wallets())
APPROVERS = [f"approver-{role}" for role in POLICY.approver_roles()]
ROLE = "aws:iam/role:Role"


def arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def statements(key: Declared) -> dict[str, dict[str, Any]]:
    return {
        statement["Sid"]: statement for statement in json.loads(key.inputs["policy"])["Statement"]
    }


def signing(kind: str, stack: str = "sandbox") -> list[Declared]:
    return [key for key in of(kind, stack) if key.name in (*WALLETS, *APPROVERS)]


def test_each_signing_wallet_and_each_approver_has_one_key_and_a_replica() -> None:
    keys, replicas = signing("aws:kms/key:Key"), signing("aws:kms/replicaKey:ReplicaKey")
    assert (
        sorted(key.name for key in keys)
        == sorted(replica.name for replica in replicas)
        == sorted([*WALLETS, *APPROVERS])
    )
    kinds = {
        (key.inputs["customerMasterKeySpec"], key.inputs["keyUsage"], key.inputs["multiRegion"])
        for key in keys
    }
    assert kinds == {("ECC_SECG_P256K1", "SIGN_VERIFY", True)}
    assert {key.inputs["region"] for key in keys} == {PRIMARY}
    assert {replica.inputs["region"] for replica in replicas} == {STANDBY}
    assert all(
        "enableKeyRotation" not in key.inputs and "rotationPeriodInDays" not in key.inputs
        for key in keys
    )


def test_each_key_has_its_alias_in_both_regions() -> None:
    aliases = {
        (alias.inputs["region"], alias.inputs["name"]) for alias in of("aws:kms/alias:Alias")
    }
    venue = POLICY.venue.name
    for region in (PRIMARY, STANDBY):
        assert {(region, aws.key_alias(venue, wallet)) for wallet in WALLETS} <= aliases
        assert {
            (region, aws.approver_alias(venue, role)) for role in POLICY.approver_roles()
        } <= aliases


@pytest.mark.parametrize(
    ("kind", "region"), [("aws:kms/key:Key", PRIMARY), ("aws:kms/replicaKey:ReplicaKey", STANDBY)]
)
def test_a_key_names_its_own_signer_admin_and_break_glass_and_the_account_cannot_sign(
    kind: str, region: str
) -> None:
    for key in signing(kind):
        said = statements(key)
        assert said["Provision"]["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
        assert "kms:Sign" not in said["Provision"]["Action"]
        assert said["Sign"]["Action"] == ["kms:Sign", "kms:GetPublicKey"]
        if key.name in WALLETS:
            bucket = POLICY.wallets[key.name].bucket
            venue = POLICY.venue.name
            assert said["Sign"]["Principal"] == {
                "AWS": arn(aws.signer_role(venue, key.name, region))
            }
            assert said["Administer"]["Principal"] == {
                "AWS": arn(aws.key_admin_role(venue, bucket))
            }
            assert said["BreakGlass"]["Principal"] == {
                "AWS": arn(aws.break_glass_role(venue, bucket))
            }


@pytest.mark.parametrize("stack", ["staging", "production"])
def test_in_a_protected_stack_nobody_deletes_and_only_break_glass_stops(stack: str) -> None:
    account = POLICY.accounts[stack]
    for key in [
        *signing("aws:kms/key:Key", stack),
        *signing("aws:kms/replicaKey:ReplicaKey", stack),
    ]:
        said = statements(key)
        assert not {"kms:ScheduleKeyDeletion", "kms:DisableKey"} & set(said["Provision"]["Action"])
        assert (said["NobodyDeletes"]["Effect"], said["NobodyDeletes"]["Principal"]) == (
            "Deny",
            {"AWS": "*"},
        )
        assert "Condition" not in said["NobodyDeletes"]
        stops = said["OnlyBreakGlassStops"]
        assert (stops["Effect"], stops["Principal"]) == ("Deny", {"AWS": "*"})
        if key.name in WALLETS:
            role = aws.break_glass_role(POLICY.venue.name, POLICY.wallets[key.name].bucket)
            assert stops["Condition"] == {
                "ArnNotEquals": {"aws:PrincipalArn": f"arn:aws:iam::{account}:role/{role}"}
            }


def test_each_role_trusts_one_principal_and_no_bucket_shares_one() -> None:
    """Over all roles with a key to use.

    Two regions of one bucket may be the same workload, two buckets never.
    """
    trusted: dict[str, set[tuple[str, str | None]]] = {}
    for role in of(ROLE):
        if (
            any(part in role.name for part in ("-signer-", "-key-admin-", "-break-glass-"))
            and "bucket" in role.inputs["tags"]
        ):
            [statement] = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
            assert statement["Effect"] == "Allow"
            part = next(
                part for part in ("signer", "key-admin", "break-glass") if f"-{part}-" in role.name
            )
            trusted.setdefault(statement["Principal"]["AWS"], set()).add(
                (part, role.inputs["tags"]["bucket"])
            )
    assert len(trusted) == 4 * len({POLICY.wallets[wallet].bucket for wallet in WALLETS})
    assert all(len(behalf) == 1 for behalf in trusted.values())
