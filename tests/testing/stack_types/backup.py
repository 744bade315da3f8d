"""Examples of the resource types of AWS Backup."""

from __future__ import annotations

from tests.testing.iam_requests import document
from tests.testing.stack_types.example import Example

VAULT_NEEDED = ("aws:backup/vault:Vault", {"name": "seawall-vault"})
PLAN_NEEDED = (
    "aws:backup/plan:Plan",
    {"name": "seawall-plan", "rules": [{"ruleName": "daily", "targetVaultName": "seawall-vault"}]},
)
DENY_DELETION = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "backup:DeleteRecoveryPoint",
    "Resource": "*",
}
VAULT_ARN = "arn:aws:backup:us-west-2:123456789012:backup-vault"

EXAMPLES: dict[str, Example] = {
    "aws:backup/vault:Vault": Example(
        inputs={
            "name": "seawall-thing",
            "kmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/one",
            "tags": {"a": "1", "b": "2"},
        },
        changed={"tags": {"a": "3"}},
    ),
    "aws:backup/vaultPolicy:VaultPolicy": Example(
        inputs={"backupVaultName": "$vault.name", "policy": document(DENY_DELETION)},
        changed={
            "policy": document(
                DENY_DELETION, {**DENY_DELETION, "Action": "backup:PutBackupVaultAccessPolicy"}
            )
        },
        needs={"vault": VAULT_NEEDED},
    ),
    "aws:backup/vaultLockConfiguration:VaultLockConfiguration": Example(
        inputs={"backupVaultName": "$vault.name", "minRetentionDays": 7, "maxRetentionDays": 365},
        needs={"vault": VAULT_NEEDED},
    ),
    "aws:backup/plan:Plan": Example(
        inputs={
            "name": "seawall-thing",
            "rules": [
                {
                    "ruleName": "daily",
                    "targetVaultName": "$vault.name",
                    "schedule": "cron(0 2 * * ? *)",
                    "lifecycle": {"deleteAfter": 35},
                    "copyActions": [
                        {
                            "destinationVaultArn": f"{VAULT_ARN}:one",
                            "lifecycle": {"coldStorageAfter": 30, "deleteAfter": 365},
                        }
                    ],
                    "recoveryPointTags": {"owner": "someone"},
                },
                {
                    "ruleName": "continuous",
                    "targetVaultName": "$vault.name",
                    "enableContinuousBackup": True,
                },
            ],
            "tags": {"a": "1", "b": "2"},
        },
        changed={
            "rules": [
                {
                    "ruleName": "daily",
                    "targetVaultName": "$vault.name",
                    "schedule": "cron(0 3 * * ? *)",
                    "scheduleExpressionTimezone": "Europe/Zurich",
                    "startWindow": 120,
                    "completionWindow": 240,
                    "lifecycle": {"deleteAfter": 36},
                }
            ],
            "advancedBackupSettings": [
                {"resourceType": "EC2", "backupOptions": {"WindowsVSS": "enabled"}}
            ],
            "tags": {"a": "3"},
        },
        needs={"vault": VAULT_NEEDED},
    ),
    "aws:backup/selection:Selection": Example(
        inputs={
            "name": "seawall-thing",
            "planId": "$plan.id",
            "iamRoleArn": "arn:aws:iam::123456789012:role/seawall-backup",
            "resources": ["arn:aws:s3:::seawall-*"],
            "notResources": ["arn:aws:s3:::seawall-scratch"],
            "selectionTags": [{"type": "STRINGEQUALS", "key": "backup", "value": "yes"}],
            "conditions": [
                {"stringEquals": [{"key": "aws:ResourceTag/bucket", "value": "customer"}]}
            ],
        },
        needs={"vault": VAULT_NEEDED, "plan": PLAN_NEEDED},
    ),
}
