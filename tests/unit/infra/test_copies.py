"""Evidence, backups and the offline kit, as the Pulumi program declares them."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from infra.backup import days, schedule_of
from infra.kit import contacts, contents_of, digest_list
from seawall.conventions import aws
from seawall.errors import UsageError
from seawall.policy import Policy
from seawall.policy_file import load_policy
from tests.testing.declared import (
    ACCOUNT,
    DEPLOYER,
    POLICY,
    REGIONS,
    ROOT,
    declared,
    inputs_of,
    statements,
)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return POLICY


@pytest.mark.parametrize("protected", [False, True])
def test_every_bucket_is_versioned_locked_encrypted_private_and_speaks_tls_only(
    protected: bool,
) -> None:
    buckets = inputs_of("aws:s3/bucket:Bucket", protected=protected)
    assert {
        "evidence",
        "backups-us-east-1",
        "backups-us-west-2",
        "kit-us-east-1",
        "kit-us-west-2",
    } <= set(buckets)
    for kind in (
        "bucketVersioning:BucketVersioning",
        "bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        "bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "bucketPublicAccessBlock:BucketPublicAccessBlock",
        "bucketOwnershipControls:BucketOwnershipControls",
        "bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "bucketPolicy:BucketPolicy",
    ):
        assert set(inputs_of(f"aws:s3/{kind}", protected=protected)) >= set(buckets), kind
    for name, bucket in buckets.items():
        said = statements(
            inputs_of("aws:s3/bucketPolicy:BucketPolicy", protected=protected)[name]["policy"]
        )
        assert said["OverTlsOnly"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        if name == "trail":  # the service writes it; test_signers says what holds for it
            continue
        removes = said["NobodyRemovesVersions"]
        assert "s3:DeleteObjectVersion" in removes["Action"]
        # In a protected stack no principal removes a version, in a disposable one its deployer,
        # who must be able to throw it away.
        assert removes.get("Condition") == (
            None if protected else {"ArnNotEquals": {"aws:PrincipalArn": DEPLOYER}}
        )
        assert bucket["forceDestroy"] is not protected


def test_nothing_expires_before_its_lock(policy: Policy) -> None:
    locks = inputs_of("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration")
    assert locks["evidence"]["rule"]["defaultRetention"] == {
        "mode": "GOVERNANCE",
        "days": days(policy.backup.evidence_keep),
    }
    for name, lifecycle in inputs_of(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    ).items():
        locked = locks[name]["rule"]["defaultRetention"]["days"]
        ends = [rule["expiration"]["days"] for rule in lifecycle["rules"] if "expiration" in rule]
        assert all(end > locked for end in ends), name
        assert bool(ends) is not name.startswith("kit-")  # an old runbook is needed all the same


def test_backups_are_replicated_by_a_role_that_can_do_nothing_else() -> None:
    [config] = inputs_of("aws:s3/bucketReplicationConfig:BucketReplicationConfig").values()
    copy = f"arn:aws:s3:::{inputs_of('aws:s3/bucket:Bucket')['backups-us-west-2']['bucket']}"
    assert config["rules"][0]["destination"]["bucket"] == copy
    said = statements(inputs_of("aws:iam/rolePolicy:RolePolicy")["replication"]["policy"])
    assert said["WriteCopies"]["Resource"] == f"{copy}/*"
    assert inputs_of("aws:iam/role:Role")["replication"]["permissionsBoundary"]


def test_a_vault_can_be_locked_for_ever_only_on_purpose(policy: Policy) -> None:
    locks = inputs_of("aws:backup/vaultLockConfiguration:VaultLockConfiguration", protected=True)
    assert set(locks) == set(REGIONS)
    assert all("changeableForDays" not in lock for lock in locks.values())
    assert {lock["minRetentionDays"] for lock in locks.values()} == {days(policy.backup.keep)}
    [rule] = inputs_of("aws:backup/plan:Plan")["ledger"]["rules"]
    assert rule["copyActions"][0]["destinationVaultArn"] == "arn:us-west-2:us-west-2"
    [tag] = inputs_of("aws:backup/selection:Selection")["tagged"]["selectionTags"]
    assert (tag["key"], tag["value"]) == (aws.BACKUP_TAG, policy.venue.name)


@pytest.mark.parametrize(
    ("every", "cron"),
    [(1, "cron(0 * ? * * *)"), (6, "cron(0 0/6 ? * * *)"), (24, "cron(0 0 ? * * *)")],
)
def test_backups_run_at_the_promised_interval_in_a_cron_that_aws_has(every: int, cron: str) -> None:
    production = load_policy(ROOT / "policies" / "production.yaml")
    promised = production.model_copy(
        update={"backup": production.backup.model_copy(update={"every": every * 3_600_000})}
    )
    assert schedule_of(promised) == cron
    # A drill's factor shortens the policy's durations, not AWS's clock.
    assert schedule_of(POLICY) == "cron(0 * ? * * *)"


@pytest.mark.parametrize("every_ms", [1_200_000, 5 * 3_600_000, 48 * 3_600_000])
def test_an_interval_that_aws_does_not_have_is_refused(every_ms: int) -> None:
    production = load_policy(ROOT / "policies" / "production.yaml")
    with pytest.raises(UsageError, match="which AWS Backup has no schedule for"):
        schedule_of(
            production.model_copy(
                update={"backup": production.backup.model_copy(update={"every": every_ms})}
            )
        )


def test_aws_backup_may_snapshot_databases_of_this_account_and_use_keys_through_rds_alone() -> None:
    said = statements(inputs_of("aws:iam/rolePolicy:RolePolicy")["backup"]["policy"])
    assert said["UseKeysOfDatabases"]["Condition"] == {
        "StringEquals": {"kms:ViaService": [f"rds.{region}.amazonaws.com" for region in REGIONS]}
    }
    assert all(f":{ACCOUNT}:" in arn for arn in said["SnapshotDatabases"]["Resource"])
    assert "kms:Sign" not in json.dumps(said)
    assert {
        action
        for statement in said.values()
        for action in statement["Action"]
        if action.startswith("rds:Restore")
    } == set()


def test_only_the_kits_role_can_decrypt_the_kit_and_only_the_deployer_can_write_it() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/seawall-harbour-break-glass-kit"
    for region in REGIONS:
        said = statements(inputs_of("aws:kms/key:Key")[f"kit-{region}"]["policy"])
        decrypt = [
            sid
            for sid, each in said.items()
            if each["Effect"] == "Allow" and "kms:Decrypt" in each["Action"]
        ]
        assert decrypt == ["Read"]
        assert said["Write"] == {
            "Sid": "Write",
            "Effect": "Allow",
            "Principal": {"AWS": DEPLOYER},
            "Action": ["kms:GenerateDataKey"],
            "Resource": "*",
        }
        kit_policy = statements(
            inputs_of("aws:s3/bucketPolicy:BucketPolicy")[f"kit-{region}"]["policy"]
        )
        assert kit_policy["NobodyElseReads"]["Condition"] == {
            "ArnNotEquals": {"aws:PrincipalArn": [role, DEPLOYER]}
        }
        assert kit_policy["NobodyElseWrites"]["Condition"] == {
            "ArnNotEquals": {"aws:PrincipalArn": DEPLOYER}
        }


def test_the_kit_is_complete_in_both_regions_with_a_digest_for_every_file(policy: Policy) -> None:
    files = contents_of(policy, repository=ROOT)
    objects = inputs_of("aws:s3/bucketObjectv2:BucketObjectv2")
    assert {name: each["content"] for name, each in objects.items()} == {
        f"{path}-{region}": text for path, text in files.items() for region in REGIONS
    }
    listed = {
        path: digest
        for digest, _, path in (line.partition("  ") for line in files["SHA256SUMS"].splitlines())
    }
    assert listed == {
        path: hashlib.sha256(text.encode()).hexdigest()
        for path, text in files.items()
        if path != "SHA256SUMS"
    }
    assert {
        "runbooks/signing-procedures.md",
        "runbooks/recovery-steps.md",
        "contacts.md",
        "policy.json",
    } <= set(listed)


def test_sha256sum_accepts_the_digest_list_and_finds_a_changed_file(tmp_path: Path) -> None:
    files = {"a.md": "one\n", "b/c.md": "zwölf\n"}
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(text.encode())
    (tmp_path / "SHA256SUMS").write_text(digest_list(files), encoding="utf-8")
    check = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    (tmp_path / "a.md").write_text("two\n", encoding="utf-8")
    assert (
        b"a.md: FAILED"
        in subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).stdout
    )


def test_the_contact_tree_lists_roles_pages_and_approvers(policy: Policy) -> None:
    text = contacts(policy)
    assert all(f"- **{name}**: {role.email}" in text for name, role in policy.roles.items())
    assert (
        "- run-on-the-bank (critical): incident-commander, then treasury-lead, then "
        "communications-owner"
    ) in text
    assert (
        "- routine: 2 of treasury-lead, wallet-ops-lead, incident-commander; up to 2000000 USD of"
        " an asset out of a reserve in 8 h, 5 min after it is proposed"
    ) in text


def test_a_kit_without_its_procedures_is_refused(policy: Policy, tmp_path: Path) -> None:
    (tmp_path / "docs" / "runbooks").mkdir(parents=True)
    (tmp_path / "docs" / "runbooks" / "recovery-steps.md").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match=r"the offline kit lacks signing-procedures\.md"):
        contents_of(policy, repository=tmp_path)


def test_what_must_last_is_protected_in_a_protected_stack() -> None:
    kinds = (
        "aws:s3/bucket:Bucket",
        "aws:backup/vault:Vault",
        "aws:backup/vaultLockConfiguration:VaultLockConfiguration",
        "aws:kms/key:Key",
    )
    for protected in (True, False):
        assert {
            each.protect
            for each in declared(deletion="protected" if protected else "disposable")
            if each.type in kinds
        } == {protected}


def test_the_metadata_of_every_object_of_the_kit_has_its_digest() -> None:
    for each in inputs_of("aws:s3/bucketObjectv2:BucketObjectv2").values():
        assert each["metadata"] == {"sha256": hashlib.sha256(each["content"].encode()).hexdigest()}
