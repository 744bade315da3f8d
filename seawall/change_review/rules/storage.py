"""Rules for storage that must outlive an incident: evidence, backups, kit, secrets, queues."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from seawall.change_review.preview import Change, Preview
from seawall.change_review.rules.rule import (
    Rule,
    both,
    changed_once_set,
    fewer,
    gone,
    kinds,
    left,
    lowered,
    moved,
    number,
    only,
    raised,
    removed,
    shown,
    value_at,
)
from seawall.iam import comparison, documents

_S3 = "Amazon S3 User Guide"
_BACKUP = "AWS Backup Developer Guide"
_BUCKETS = kinds("s3/bucket:Bucket", "s3/bucketV2:BucketV2")
_LOCKS = kinds(
    "s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
    "s3/bucketObjectLockConfigurationV2:BucketObjectLockConfigurationV2",
)
_LIFECYCLES = kinds(
    "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2",
)
_POLICIES = kinds(
    "s3/bucketPolicy:BucketPolicy",
    "sns/topicPolicy:TopicPolicy",
    "sqs/queuePolicy:QueuePolicy",
    "backup/vaultPolicy:VaultPolicy",
    "secretsmanager/secretPolicy:SecretPolicy",
)
_WITH_POLICY = kinds("secretsmanager/secret:Secret", "sns/topic:Topic", "sqs/queue:Queue")
"""Types whose own inputs hold their policy."""
_READING = (
    "secretsmanager:GetSecretValue",
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObjectVersion",
    "s3:BypassGovernanceRetention",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sns:Subscribe",
    "backup:DeleteRecoveryPoint",
    "backup:CopyFromBackupVault",
)
"""Actions that a resource's policy must not give to a new principal without an override."""
_RETENTION = "rule.defaultRetention"
_DAYS_A_YEAR = 365
_EXPIRIES = ("expiration.days", "noncurrentVersionExpiration.noncurrentDays")
_STRENGTH = {None: 0, "GOVERNANCE": 1, "COMPLIANCE": 2}


def _lock(change: Change, _: Preview) -> list[str]:
    pair = both(change)
    if pair is None:
        return []
    old_mode, new_mode = (value_at(side, f"{_RETENTION}.mode") for side in pair)
    found = []
    if _STRENGTH.get(new_mode, -1) < _STRENGTH.get(old_mode, 0):
        found.append(
            f"mode: {old_mode} -> {'no default retention' if new_mode is None else shown(new_mode)}"
        )
    old_days, new_days = (_days(side) for side in pair)
    if old_days is not None and (new_days is None or new_days < old_days):
        found.append(
            f"retention: {old_days} days -> {'none' if new_days is None else f'{new_days} days'}"
        )
    return found


def _days(inputs: Mapping[str, Any] | None) -> int | None:
    days, years = (
        number(value_at(inputs, f"{_RETENTION}.days")),
        number(value_at(inputs, f"{_RETENTION}.years")),
    )
    if days is not None:
        return int(days)
    return None if years is None else int(years) * _DAYS_A_YEAR


def _rules(inputs: Mapping[str, Any] | None) -> dict[str, Mapping[str, Any]]:
    listed = value_at(inputs, "rules", [])
    if not isinstance(listed, list):
        return {}
    return {
        str(rule.get("id", number)): rule
        for number, rule in enumerate(listed)
        if isinstance(rule, Mapping)
    }


def _replication(change: Change, _: Preview) -> list[str]:
    pair = both(change)
    if pair is None:
        return []
    old, new = (_rules(side) for side in pair)
    found = [f"rule {name} is gone" for name in old if name not in new]
    for name in old.keys() & new.keys():
        if old[name].get("status") == "Enabled" and new[name].get("status") != "Enabled":
            found.append(f"rule {name}: status {shown(new[name].get('status'))}")
        found += [
            f"rule {name}: {part} {shown(old[name].get(part))} -> {shown(new[name].get(part))}"
            for part in ("destination", "filter", "sourceSelectionCriteria")
            if old[name].get(part) != new[name].get(part)
        ]
    return found


def _lifecycle(change: Change, preview: Preview) -> list[str]:
    """Find an expiry that is shorter than before, or a new one below the bucket's retention.

    A retention that is not known counts as longer.
    """
    if change.after is None or (change.removes and not change.replaces):
        return []
    old, new = _rules(change.before), _rules(change.after)
    found = []
    for name, rule in new.items():
        if rule.get("status") not in (None, "Enabled"):
            continue
        for path in _EXPIRIES:
            days = value_at(rule, path)
            if days is None or days == value_at(old.get(name), path):
                continue
            before, floor = number(value_at(old.get(name), path)), _retention_of(change, preview)
            least = before if before is not None else floor
            wanted = number(days)
            if wanted is None or least is None or wanted < least:
                former = shown(before) if before is not None else "none"
                retention = shown(floor) if floor is not None else "unknown"
                found.append(
                    f"rule {name}: {path} {former} -> {shown(days)} (retention {retention})"
                )
    return found


def _retention_of(change: Change, preview: Preview) -> int | None:
    bucket = value_at(change.after, "bucket")
    for other in preview.changes:
        if other.kind in _LOCKS and value_at(other.after, "bucket") == bucket:
            return _days(other.after)
    return None


def _resource_policy(change: Change, _: Preview) -> list[str]:
    pair = both(change)
    if pair is None:
        return []
    old, new = (value_at(side, "policy") for side in pair)
    if old == new or old is None:
        return []
    try:
        before, after = documents.read(old), documents.read(new)
    except documents.UnreadableError as error:
        return [f"the new policy cannot be judged: {error}"]
    gained = comparison.new_powers(before, after, _READING)
    return [*comparison.lost_denials(before, after), *(f"new: {each}" for each in gained)]


def _plan(change: Change, _: Preview) -> list[str]:
    pair = both(change)
    if pair is None:
        return []
    old, new = (
        {str(rule.get("ruleName")): rule for rule in _listed(value_at(side, "rules", []))}
        for side in pair
    )
    found = [f"rule {name} is gone" for name in old if name not in new]
    for name in old.keys() & new.keys():
        before, after = (
            number(value_at(side[name], "lifecycle.deleteAfter")) for side in (old, new)
        )
        if after is not None and (before is None or after < before):
            former = shown(before) if before is not None else "never"
            found.append(f"rule {name}: deleteAfter {former} -> {after}")
        found += [
            f"rule {name}: {part} {shown(old[name].get(part))} -> {shown(new[name].get(part))}"
            for part in ("schedule", "targetVaultName")
            if old[name].get(part) != new[name].get(part)
        ]
        copies = [
            copy.get("destinationVaultArn") for copy in _listed(new[name].get("copyActions", []))
        ]
        found += [
            f"rule {name} no longer copies to {shown(copy.get('destinationVaultArn'))}"
            for copy in _listed(old[name].get("copyActions", []))
            if copy.get("destinationVaultArn") not in copies
        ]
    return found


def _listed(value: Any) -> Iterable[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


RULES: tuple[Rule, ...] = (
    Rule(
        id="bucket-removed",
        kinds=_BUCKETS,
        checks=(removed(), changed_once_set("bucket", "region"), moved),
        consequence="The records in the bucket go with it, or the name that all writers use is "
        "gone.",
        instead="Keep the bucket and write new records to the new one.",
        source="Pulumi AWS s3.Bucket: bucket and objectLockEnabled force a new resource",
    ),
    Rule(
        id="bucket-emptiable",
        kinds=_BUCKETS,
        checks=(left("forceDestroy", False, default=False),),
        consequence="A later delete of the bucket would first delete every object in it, without "
        "asking.",
        instead="Leave forceDestroy off outside disposable stacks.",
        source="Pulumi AWS s3.Bucket: forceDestroy deletes all objects, locked ones included",
    ),
    Rule(
        id="object-lock-weakened",
        kinds=_BUCKETS | _LOCKS,
        checks=(
            left("objectLockEnabled", True, default=None),
            _lock,
            only(removed(replaced_too=False), when=lambda change: change.kind in _LOCKS),
        ),
        consequence="Evidence or backups written from now on can be deleted or overwritten "
        "earlier, or by more people.",
        instead="Leave mode and retention; a longer retention is always allowed.",
        source=f"{_S3}, Object Lock: compliance mode cannot be shortened, governance mode can be "
        "bypassed with s3:BypassGovernanceRetention",
    ),
    Rule(
        id="versioning-suspended",
        kinds=kinds(
            "s3/bucketVersioning:BucketVersioning", "s3/bucketVersioningV2:BucketVersioningV2"
        ),
        checks=(
            removed(replaced_too=False),
            left("versioningConfiguration.status", "Enabled"),
            left("versioningConfiguration.mfaDelete", "Enabled"),
            changed_once_set("bucket"),
        ),
        consequence="The next write of an object destroys its former version.",
        instead="Leave versioning enabled; let a lifecycle rule beyond the retention remove old "
        "versions.",
        source=f"{_S3}, Versioning: suspended versioning overwrites the null version",
    ),
    Rule(
        id="replication-weakened",
        kinds=kinds("s3/bucketReplicationConfig:BucketReplicationConfig"),
        checks=(removed(replaced_too=False), _replication, changed_once_set("bucket")),
        consequence="Objects written from now on are lost if their region is lost.",
        instead="Add the new rule first, see objects arrive, then remove the old one with an "
        "override.",
        source=f"{_S3}, Replication: a disabled or removed rule replicates nothing",
    ),
    Rule(
        id="lifecycle-shortened",
        kinds=_LIFECYCLES,
        checks=(_lifecycle,),
        consequence="Records are deleted earlier than they may be, or earlier than before.",
        instead="Keep every expiry at or beyond the bucket's retention.",
        source=f"{_S3}, Lifecycle: expiration and noncurrent version expiration delete for good",
    ),
    Rule(
        id="public-access-opened",
        kinds=kinds(
            "s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
            "s3/bucketOwnershipControls:BucketOwnershipControls",
        ),
        checks=(
            removed(replaced_too=False),
            left("rule.objectOwnership", "BucketOwnerEnforced"),
            *(
                left(flag, True)
                for flag in (
                    "blockPublicAcls",
                    "blockPublicPolicy",
                    "ignorePublicAcls",
                    "restrictPublicBuckets",
                )
            ),
        ),
        consequence="Evidence, backups or the offline kit could be made readable by everyone.",
        instead="Leave all four blocks on.",
        source=f"{_S3}, Blocking public access",
    ),
    Rule(
        id="encryption-weakened",
        kinds=kinds(
            "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            "s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2",
        ),
        checks=(
            removed(replaced_too=False),
            left(
                "rules.applyServerSideEncryptionByDefault.sseAlgorithm", "aws:kms", "aws:kms:dsse"
            ),
            changed_once_set("rules.applyServerSideEncryptionByDefault.kmsMasterKeyId"),
        ),
        consequence="Objects written from now on are readable by every reader of the bucket, "
        "without a right on a key.",
        instead="Keep encryption under the stack's key.",
        source=f"{_S3}, Setting default server-side encryption",
    ),
    Rule(
        id="resource-policy-weakened",
        kinds=_POLICIES | _WITH_POLICY,
        checks=(
            only(removed(replaced_too=False), when=lambda change: change.kind in _POLICIES),
            _resource_policy,
        ),
        consequence="An action that was denied on this resource is no longer denied, or a new "
        "principal may read, write or destroy its content.",
        instead="Keep each denial; let the new principal act through a role of the stack.",
        source="IAM User Guide, Policy evaluation logic: an explicit deny wins; without it any "
        "allowance holds",
    ),
    Rule(
        id="kit-removed",
        kinds=kinds("s3/bucketObject:BucketObject", "s3/bucketObjectv2:BucketObjectv2"),
        checks=(removed(replaced_too=False),),
        consequence="A part of the offline kit (runbooks, ceremonies, contact tree) is missing "
        "when all other systems are down.",
        instead="Upload the new text under the same key; versions keep the old one.",
        source=f"{_S3}, Deleting objects",
    ),
    Rule(
        id="backup-vault-removed",
        kinds=kinds("backup/vault:Vault"),
        checks=(
            removed(),
            changed_once_set("name", "region"),
            left("forceDestroy", False, default=False),
            moved,
        ),
        consequence="Its recovery points go with it, or are no longer managed.",
        instead="Make the second vault beside it and let the plan write to both until the first "
        "has expired.",
        source=f"{_BACKUP}, Deleting a vault; Pulumi AWS backup.Vault: name forces a new resource",
    ),
    Rule(
        id="backup-lock-weakened",
        kinds=kinds("backup/vaultLockConfiguration:VaultLockConfiguration"),
        checks=(
            removed(),
            lowered("minRetentionDays"),
            raised("changeableForDays"),
            gone("changeableForDays"),
            changed_once_set("backupVaultName"),
        ),
        consequence="Recovery points can be deleted earlier, by more people.",
        instead="Leave the lock; a longer retention is always allowed.",
        source=f"{_BACKUP}, Vault Lock: without changeableForDays the lock is governance only",
    ),
    Rule(
        id="backup-plan-weakened",
        kinds=kinds("backup/plan:Plan", "backup/selection:Selection"),
        checks=(
            removed(replaced_too=False),
            _plan,
            fewer("resources"),
            gone("selectionTags"),
            changed_once_set("planId", "selectionTags", "conditions"),
        ),
        consequence="There is less to restore from, or for a shorter time; the policy's recovery "
        "point was promised on the old plan.",
        instead="Add rules; remove one once the recovery points of another have been restored in a "
        "drill.",
        source=f"{_BACKUP}, Backup plan options",
    ),
    Rule(
        id="secret-removed",
        kinds=kinds("secretsmanager/secret:Secret"),
        checks=(
            removed(),
            lowered("recoveryWindowInDays", default=30),
            fewer("replicas"),
            changed_once_set("name", "region"),
        ),
        consequence="A rail loses its credentials, or has them in one region only: its standby "
        "cannot be used.",
        instead="Rotate the value in place; keep the secret and its replicas.",
        source="AWS Secrets Manager API Reference, DeleteSecret: RecoveryWindowInDays from 7 to 30",
    ),
    Rule(
        id="queue-removed",
        kinds=kinds("sqs/queue:Queue", "sqs/redrivePolicy:RedrivePolicy"),
        checks=(
            removed(),
            lowered("messageRetentionSeconds", default=345600),
            gone("redrivePolicy"),
            changed_once_set("name", "region", "fifoQueue"),
        ),
        consequence="Payments of an asynchronous rail that are still queued are lost, or one that "
        "cannot be processed is lost instead of set aside.",
        instead="Drain the queue, move producers and consumers to the new one, then remove it with "
        "an override.",
        source="Amazon SQS API Reference, DeleteQueue: messages in the queue are lost; "
        "SetQueueAttributes: MessageRetentionPeriod, RedrivePolicy",
    ),
)
