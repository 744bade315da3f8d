"""AWS Backup: vaults, their policies and locks, plans, selections.

Declared: nothing is backed up in the sandbox.

What replaces, after the upstream provider (its resources aws_backup_*): a vault's name and key;
everything of a lock, of a selection and of a policy but its text; a plan's name. Ids are those that
`pulumi import` takes: names of vaults, the plan's id, ``plan|selection``.
"""

from __future__ import annotations

from typing import Any

from localaws.provider.clients import Aws
from localaws.provider.sameness import same_document, same_set, same_with_defaults
from localaws.provider.table import Property, ResourceType
from localaws.provider.tagging import Tagging
from localaws.provider.values import Properties, from_aws, given, lower_names, to_aws, upper_names

_TAGGING = Tagging(service="backup", list="list_tags", keys="TagKeyList", pair=None)


def _create_vault(aws: Aws, inputs: Properties) -> str:
    tags = given(
        BackupVaultTags=inputs.get("tags") or None, EncryptionKeyArn=inputs.get("kmsKeyArn")
    )
    aws.backup.create_backup_vault(BackupVaultName=inputs["name"], **tags)
    return str(inputs["name"])


def _read_vault(aws: Aws, name: str) -> Properties:
    vault = aws.backup.describe_backup_vault(BackupVaultName=name)
    described = {
        "name": "BackupVaultName",
        "arn": "BackupVaultArn",
        "kmsKeyArn": "EncryptionKeyArn",
    }
    return {**from_aws(described, vault), "recoveryPoints": vault.get("NumberOfRecoveryPoints", 0)}


VAULT = ResourceType(
    kind="aws:backup/vault:Vault",
    acts=False,
    inputs={
        "name": Property(required=True, replaces=True),
        "kmsKeyArn": Property(replaces=True, computed=True),
        "forceDestroy": Property(local=True),
    },
    outputs=("arn", "recoveryPoints"),
    create=_create_vault,
    read=_read_vault,
    delete=lambda aws, name, _properties: aws.backup.delete_backup_vault(BackupVaultName=name),
    named_by="name",
    tagging=_TAGGING,
)


def _put_policy(aws: Aws, inputs: Properties) -> str:
    aws.backup.put_backup_vault_access_policy(
        BackupVaultName=inputs["backupVaultName"], Policy=inputs["policy"]
    )
    return str(inputs["backupVaultName"])


def _read_policy(aws: Aws, name: str) -> Properties:
    found = aws.backup.get_backup_vault_access_policy(BackupVaultName=name)
    return {
        "backupVaultName": name,
        "backupVaultArn": found["BackupVaultArn"],
        "policy": found["Policy"],
    }


VAULT_POLICY = ResourceType(
    kind="aws:backup/vaultPolicy:VaultPolicy",
    acts=False,
    inputs={
        "backupVaultName": Property(required=True, replaces=True),
        "policy": Property(required=True, same=same_document),
    },
    outputs=("backupVaultArn",),
    create=_put_policy,
    read=_read_policy,
    update=lambda aws, _name, _old, new: _put_policy(aws, new),
    delete=lambda aws, name, _properties: aws.backup.delete_backup_vault_access_policy(
        BackupVaultName=name
    ),
)

_RETENTION = {"minRetentionDays": "MinRetentionDays", "maxRetentionDays": "MaxRetentionDays"}


def _put_lock(aws: Aws, inputs: Properties) -> str:
    terms = {
        **to_aws(_RETENTION, inputs),
        **given(ChangeableForDays=inputs.get("changeableForDays")),
    }
    aws.backup.put_backup_vault_lock_configuration(
        BackupVaultName=inputs["backupVaultName"], **terms
    )
    return str(inputs["backupVaultName"])


def _read_lock(aws: Aws, name: str) -> Properties | None:
    vault = aws.backup.describe_backup_vault(BackupVaultName=name)
    if not vault.get("Locked"):
        return None
    return {
        **from_aws(_RETENTION, vault),
        "backupVaultName": name,
        "backupVaultArn": vault["BackupVaultArn"],
    }


VAULT_LOCK = ResourceType(
    kind="aws:backup/vaultLockConfiguration:VaultLockConfiguration",
    acts=False,
    inputs={
        "backupVaultName": Property(required=True, replaces=True),
        "minRetentionDays": Property(replaces=True),
        "maxRetentionDays": Property(replaces=True),
        "changeableForDays": Property(
            replaces=True, local=True
        ),  # AWS tells the date from which the lock holds, not this
    },
    outputs=("backupVaultArn",),
    create=_put_lock,
    read=_read_lock,
    delete=lambda aws, name, _properties: aws.backup.delete_backup_vault_lock_configuration(
        BackupVaultName=name
    ),
    named_by="backupVaultName",
)

_RULE = {
    "targetVaultName": "TargetBackupVaultName",
    "schedule": "ScheduleExpression",
    "startWindow": "StartWindowMinutes",
    "completionWindow": "CompletionWindowMinutes",
    "coldStorageAfter": "MoveToColdStorageAfterDays",
    "deleteAfter": "DeleteAfterDays",
    "destinationVaultArn": "DestinationBackupVaultArn",
}
"""Names within a rule that are more than a capital away."""
_RULE_DEFAULTS = {
    "startWindow": 60,
    "completionWindow": 180,
    "scheduleExpressionTimezone": "Etc/UTC",
}
"""What the upstream provider sends where the program says nothing.

AWS itself would wait 8 hours and 7 days (API reference, BackupRule).
"""


def _rule_for_aws(rule: Properties) -> dict[str, Any]:
    full = {**_RULE_DEFAULTS, **rule}
    tags = full.pop("recoveryPointTags", None)
    return {**upper_names(full, except_for=_RULE), **given(RecoveryPointTags=tags)}


def _rule_from_aws(rule: dict[str, Any]) -> Properties:
    described = {
        name: value for name, value in rule.items() if name not in ("RuleId", "RecoveryPointTags")
    }
    return {
        **lower_names(described, except_for=_RULE),
        **given(recoveryPointTags=rule.get("RecoveryPointTags")),
    }


_SCHEDULE = "cron(0 5 ? * * *)"
"""What AWS takes where no schedule is given (API reference, BackupRuleInput)."""
_same_rule_terms = same_with_defaults(
    **_RULE_DEFAULTS, enableContinuousBackup=False, schedule=_SCHEDULE
)


def _same_rules(one: Any, other: Any) -> bool:
    """Rules are a set, identified by their names."""
    ordered = [
        sorted(rules or [], key=lambda rule: str(rule.get("ruleName"))) for rules in (one, other)
    ]
    return _same_rule_terms(*ordered)


def _plan(inputs: Properties) -> dict[str, Any]:
    settings = [
        {"ResourceType": each["resourceType"], "BackupOptions": each["backupOptions"]}
        for each in inputs.get("advancedBackupSettings") or []
    ]
    rules = [_rule_for_aws(rule) for rule in inputs["rules"]]
    return {
        "BackupPlanName": inputs["name"],
        "Rules": rules,
        **({"AdvancedBackupSettings": settings} if settings else {}),
    }


def _create_plan(aws: Aws, inputs: Properties) -> str:
    tags = given(BackupPlanTags=inputs.get("tags") or None)
    return str(aws.backup.create_backup_plan(BackupPlan=_plan(inputs), **tags)["BackupPlanId"])


def _read_plan(aws: Aws, plan_id: str) -> Properties:
    found = aws.backup.get_backup_plan(BackupPlanId=plan_id)
    plan = found["BackupPlan"]
    settings = [
        {"resourceType": each["ResourceType"], "backupOptions": each["BackupOptions"]}
        for each in plan.get("AdvancedBackupSettings") or []
    ]
    return {
        "name": plan["BackupPlanName"],
        "rules": [_rule_from_aws(rule) for rule in plan["Rules"]],
        "advancedBackupSettings": settings,
        "arn": found["BackupPlanArn"],
        "version": found["VersionId"],
    }


PLAN = ResourceType(
    kind="aws:backup/plan:Plan",
    acts=False,
    inputs={
        "name": Property(required=True, replaces=True),
        "rules": Property(required=True, moves=("version",), same=_same_rules),
        "advancedBackupSettings": Property(moves=("version",), same=same_set),
    },
    outputs=("arn", "version"),
    create=_create_plan,
    read=_read_plan,
    update=lambda aws, plan_id, _old, new: aws.backup.update_backup_plan(
        BackupPlanId=plan_id, BackupPlan=_plan(new)
    ),
    delete=lambda aws, plan_id, _properties: aws.backup.delete_backup_plan(BackupPlanId=plan_id),
    named_by="name",
    tagging=_TAGGING,
)

_SELECTION = {
    "name": "SelectionName",
    "iamRoleArn": "IamRoleArn",
    "resources": "Resources",
    "notResources": "NotResources",
}
_TAG = {"type": "ConditionType", "key": "ConditionKey", "value": "ConditionValue"}
_CONDITIONS = {
    "stringEquals": "StringEquals",
    "stringLikes": "StringLike",
    "stringNotEquals": "StringNotEquals",
    "stringNotLikes": "StringNotLike",
}


def _select(aws: Aws, inputs: Properties) -> str:
    conditions = {
        theirs: [
            to_aws(_TAG, each)
            for block in inputs.get("conditions") or []
            for each in block.get(ours) or []
        ]
        for ours, theirs in _CONDITIONS.items()
    }
    stated = {name: value for name, value in conditions.items() if value}
    tags = [to_aws(_TAG, each) for each in inputs.get("selectionTags") or []]
    selection = {
        **to_aws(_SELECTION, inputs),
        **given(ListOfTags=tags or None, Conditions=stated or None),
    }
    answer = aws.backup.create_backup_selection(
        BackupPlanId=inputs["planId"], BackupSelection=selection
    )
    return f"{inputs['planId']}|{answer['SelectionId']}"


def _read_selection(aws: Aws, identifier: str) -> Properties:
    plan_id, _, selection_id = identifier.partition("|")
    found = aws.backup.get_backup_selection(BackupPlanId=plan_id, SelectionId=selection_id)[
        "BackupSelection"
    ]
    conditions = {
        ours: [from_aws(_TAG, each) for each in (found.get("Conditions") or {}).get(theirs) or []]
        for ours, theirs in _CONDITIONS.items()
    }
    stated = {name: value for name, value in conditions.items() if value}
    return {
        **from_aws(_SELECTION, found),
        "planId": plan_id,
        "selectionTags": [from_aws(_TAG, each) for each in found.get("ListOfTags") or []],
        "conditions": [stated] if stated else [],
    }


def _deselect(aws: Aws, identifier: str, _properties: Properties) -> None:
    plan_id, _, selection_id = identifier.partition("|")
    aws.backup.delete_backup_selection(BackupPlanId=plan_id, SelectionId=selection_id)


SELECTION = ResourceType(
    kind="aws:backup/selection:Selection",
    acts=False,
    inputs={
        "name": Property(required=True, replaces=True),
        "planId": Property(required=True, replaces=True),
        "iamRoleArn": Property(required=True, replaces=True),
        "resources": Property(replaces=True, same=same_set),
        "notResources": Property(replaces=True, computed=True, same=same_set),
        "selectionTags": Property(replaces=True, same=same_set),
        "conditions": Property(replaces=True, computed=True),
    },
    outputs=(),
    create=_select,
    read=_read_selection,
    delete=_deselect,
)
