"""Backups of the ledger in both regions, so that the loss of either region leaves one.

A bucket for the database's own backups in the primary region is replicated to the standby, and AWS
Backup snapshots every database that carries its tag and copies the snapshots there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.bucket import BucketArgs, LockedBucket, deny_removal
from infra.documents import Statement, document, trust_service
from infra.roles import BoundedRole
from seawall.conventions import aws as aws_names
from seawall.errors import UsageError
from seawall.policy import Policy

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_DAY_H = 24
_COMPLIANCE_GRACE_DAYS = 3
"""The shortest time before a vault lock in compliance mode can no longer be taken back (API
reference, PutBackupVaultLockConfiguration).
"""
_START_WITHIN_MIN, _COMPLETE_WITHIN_MIN = 60, 120
"""The shortest windows that AWS Backup takes (API reference, BackupRule: at least 60 minutes to
start).
"""
_SNAPSHOTS = [
    "rds:AddTagsToResource",
    "rds:CopyDBClusterSnapshot",
    "rds:CopyDBSnapshot",
    "rds:CreateDBClusterSnapshot",
    "rds:CreateDBSnapshot",
    "rds:DeleteDBClusterSnapshot",
    "rds:DeleteDBSnapshot",
    "rds:ListTagsForResource",
]
_LOOK = [
    "rds:DescribeDBClusterSnapshots",
    "rds:DescribeDBClusters",
    "rds:DescribeDBInstances",
    "rds:DescribeDBSnapshots",
    "tag:GetResources",
]
_VAULT = ["backup:CopyFromBackupVault", "backup:CopyIntoBackupVault", "backup:DescribeBackupVault"]
_STORAGE_KEYS = [
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKeyWithoutPlaintext",
]
"""What a backup of PostgreSQL on RDS or Aurora needs (AWS Backup developer guide, AWS managed
policies: AWSBackupServiceRolePolicyForBackup).

The managed policy itself reaches every service that AWS Backup supports, and AWS changes it.
"""
_REPLICATE_FROM = ["s3:GetReplicationConfiguration", "s3:ListBucket"]
_REPLICATE_VERSIONS = [
    "s3:GetObjectVersionForReplication",
    "s3:GetObjectVersionAcl",
    "s3:GetObjectVersionTagging",
    "s3:GetObjectRetention",
    "s3:GetObjectLegalHold",
]
_REPLICATE_TO = ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"]
"""What replication needs of source and destination under object lock (S3 user guide, Setting up
permissions for live replication).
"""


@dataclass(frozen=True, kw_only=True)
class BackupsArgs:
    """The inputs of :class:`Backups`.

    Args:
        lock_mode: of objects, GOVERNANCE or COMPLIANCE.
        irrevocable: whether vault locks are of the kind that not even AWS can lift.
        remover: ARN of the principal that may remove copies of a disposable stack; None in a
            protected stack, where none may.
    """

    policy: Policy
    account: str
    lock_mode: str
    irrevocable: bool
    remover: str | None
    tags: Mapping[str, str]


class Backups(pulumi.ComponentResource):
    """Buckets, vaults and the plan.

    Attributes:
        outputs: bucket and vault by region, and the tag by which AWS Backup finds a resource.
    """

    outputs: dict[str, Any]

    def __init__(self, name: str, args: BackupsArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("seawall:infra:Backups", name, None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        policy = args.policy
        source, copy = policy.regions.primary, policy.regions.standby
        buckets = {region: self._bucket(region) for region in (source, copy)}
        self._replicate(buckets[source], buckets[copy], region=source)
        vaults = {region: self._vault(region) for region in (source, copy)}
        self._plan(vaults[source], vaults[copy], region=source)
        self.outputs = {
            "buckets": {region: bucket.bucket for region, bucket in buckets.items()},
            "vaults": {region: vault.arn for region, vault in vaults.items()},
            "tag": {aws_names.BACKUP_TAG: policy.venue.name},
        }
        self.register_outputs(self.outputs)

    def _bucket(self, region: str) -> LockedBucket:
        args = self._args
        name = aws_names.backup_bucket(args.policy.venue.name, region, args.account)
        return LockedBucket(
            f"backups-{region}",
            BucketArgs(
                bucket=name,
                region=region,
                retention_days=days(args.policy.backup.keep),
                lock_mode=args.lock_mode,
                protect=args.remover is None,
                statements=deny_removal(f"arn:aws:s3:::{name}", unless=args.remover),
                tags=args.tags,
            ),
            self._child,
        )

    def _replicate(self, source: LockedBucket, copy: LockedBucket, *, region: str) -> None:
        args = self._args
        statements = replication(source.arn, copy.arn)
        role = self._role("replication", "s3.amazonaws.com", statements)
        allowed = aws.iam.RolePolicy(
            "replication",
            role=role.name,
            name="replicate",
            policy=document(*statements),
            opts=self._child,
        )
        delete = aws.s3.BucketReplicationConfigRuleDeleteMarkerReplicationArgs(status="Disabled")
        rule = aws.s3.BucketReplicationConfigRuleArgs(
            id="everything",
            status="Enabled",
            priority=0,
            filter=aws.s3.BucketReplicationConfigRuleFilterArgs(prefix=""),
            delete_marker_replication=delete,  # an object deleted in one region stays in the other
            destination=aws.s3.BucketReplicationConfigRuleDestinationArgs(
                bucket=copy.arn, storage_class="STANDARD", account=args.account
            ),
        )
        aws.s3.BucketReplicationConfig(
            f"backups-{region}",
            region=region,
            bucket=source.bucket,
            role=role.arn,
            rules=[rule],
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*source.ready, *copy.ready, allowed]
            ),
        )

    def _vault(self, region: str) -> aws.backup.Vault:
        """A vault under lock: no copy is removed before its time.

        A lock with a number of days in which it can be changed is in compliance mode. One without
        is in governance mode (API reference, PutBackupVaultLockConfiguration): a principal that may
        delete the lock may lift it.
        """
        args = self._args
        protect = args.remover is None
        vault = aws.backup.Vault(
            region,
            region=region,
            name=aws_names.backup_vault(args.policy.venue.name),
            force_destroy=not protect,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=protect),
        )
        aws.backup.VaultLockConfiguration(
            region,
            region=region,
            backup_vault_name=vault.name,
            min_retention_days=days(args.policy.backup.keep),
            changeable_for_days=_COMPLIANCE_GRACE_DAYS if args.irrevocable else None,
            opts=pulumi.ResourceOptions(parent=self, protect=protect),
        )
        return vault

    def _plan(self, source: aws.backup.Vault, copy: aws.backup.Vault, *, region: str) -> None:
        args = self._args
        policy = args.policy
        keep = days(policy.backup.keep)
        copied = aws.backup.PlanRuleCopyActionArgs(
            destination_vault_arn=copy.arn,
            lifecycle=aws.backup.PlanRuleCopyActionLifecycleArgs(delete_after=keep),
        )
        rule = aws.backup.PlanRuleArgs(
            rule_name="ledger",
            target_vault_name=source.name,
            schedule=schedule_of(policy),
            start_window=_START_WITHIN_MIN,
            completion_window=_COMPLETE_WITHIN_MIN,
            lifecycle=aws.backup.PlanRuleLifecycleArgs(delete_after=keep),
            copy_actions=[copied],
        )
        name = aws_names.backup_vault(policy.venue.name)
        plan = aws.backup.Plan(
            "ledger", region=region, name=name, rules=[rule], tags=args.tags, opts=self._child
        )
        statements = backing_up(
            args.account, regions=(policy.regions.primary, policy.regions.standby), vault=name
        )
        role = self._role("backup", "backup.amazonaws.com", statements)
        allowed = aws.iam.RolePolicy(
            "backup", role=role.name, name="back-up", policy=document(*statements), opts=self._child
        )
        tagged = aws.backup.SelectionSelectionTagArgs(
            type="STRINGEQUALS", key=aws_names.BACKUP_TAG, value=policy.venue.name
        )
        aws.backup.Selection(
            "tagged",
            region=region,
            name="tagged",
            plan_id=plan.id,
            iam_role_arn=role.arn,
            selection_tags=[tagged],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed]),
        )

    def _role(self, name: str, service: str, reach: Sequence[Statement]) -> aws.iam.Role:
        """A role for ``service`` on behalf of this account."""
        args = self._args
        venue = args.policy.venue.name
        role = BoundedRole(
            venue=venue,
            account=args.account,
            name=aws_names.service_role(venue, name),
            trust=trust_service(service, args.account),
            reach=reach,
            tags=args.tags,
        )
        return role.declare(name, parent=self)


def replication(source: str, copy: str) -> list[Statement]:
    """The permissions of replication from the bucket with ARN ``source`` to that with ``copy``."""
    return [
        {"Sid": "ReadSource", "Effect": "Allow", "Action": _REPLICATE_FROM, "Resource": source},
        {
            "Sid": "ReadVersions",
            "Effect": "Allow",
            "Action": _REPLICATE_VERSIONS,
            "Resource": f"{source}/*",
        },
        {"Sid": "WriteCopies", "Effect": "Allow", "Action": _REPLICATE_TO, "Resource": f"{copy}/*"},
    ]


def backing_up(account: str, *, regions: Sequence[str], vault: str) -> list[Statement]:
    """The permissions of AWS Backup: snapshots of databases of this account, kept in our vaults.

    It may not restore. It may use the keys of the databases, through RDS alone (KMS developer
    guide, kms:ViaService), and never ours, which sign.
    """
    databases = [
        f"arn:aws:rds:{region}:{account}:{kind}:*"
        for region in regions
        for kind in ("db", "cluster")
    ]
    made = [
        f"arn:aws:rds:{region}:{account}:{kind}:awsbackup:*"
        for region in regions
        for kind in ("snapshot", "cluster-snapshot")
    ]
    via = [f"rds.{region}.amazonaws.com" for region in regions]
    return [
        {
            "Sid": "SnapshotDatabases",
            "Effect": "Allow",
            "Action": _SNAPSHOTS,
            "Resource": [*databases, *made],
        },
        {"Sid": "FindDatabases", "Effect": "Allow", "Action": _LOOK, "Resource": "*"},
        {
            "Sid": "KeepInVaults",
            "Effect": "Allow",
            "Action": _VAULT,
            "Resource": [
                f"arn:aws:backup:{region}:{account}:backup-vault:{vault}" for region in regions
            ],
        },
        {
            "Sid": "UseKeysOfDatabases",
            "Effect": "Allow",
            "Action": _STORAGE_KEYS,
            "Resource": [f"arn:aws:kms:{region}:{account}:key/*" for region in regions],
            "Condition": {"StringEquals": {"kms:ViaService": via}},
        },
    ]


def days(duration_ms: int) -> int:
    """Whole days, rounded up, so that nothing is kept for less time than was promised."""
    return -(-duration_ms // _DAY_MS)


def schedule_of(policy: Policy) -> str:
    """AWS Backup's cron for ``backup.every`` in UTC.

    Plans start at most once an hour, at fixed times of the day (AWS Backup developer guide, Backup
    plan options: Backup frequency). A drill's policy shortens every duration by one factor, but not
    AWS's clock: the interval is that of the policy that it extends.

    Raises :class:`UsageError` for an interval that AWS Backup does not have.
    """
    every_ms = policy.backup.every / policy.scale.durations
    hours = every_ms / _HOUR_MS
    if hours.denominator == 1 and 1 <= hours <= _DAY_H and _DAY_H % hours == 0:
        at = "*" if hours == 1 else "0" if hours == _DAY_H else f"0/{hours}"
        return f"cron(0 {at} ? * * *)"
    raise UsageError(
        f"backup.every is {every_ms / 60_000} minutes, which AWS Backup has no schedule for",
        remedy="write whole hours that divide a day: 1h, 2h, 3h, 4h, 6h, 8h, 12h or 24h",
    )
