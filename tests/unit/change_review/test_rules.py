"""One row per way to weaken the stack: what was, what would be, and the rule that must say no.

Each rule is seen red here.
"""

from __future__ import annotations

from typing import Any

import pytest

from seawall.change_review.judgement import ReviewOutcome
from seawall.change_review.preview import UNKNOWN
from seawall.change_review.rules import NOT_UNDERSTOOD, TABLE
from tests.testing.proposals import WALLET_TAGS, allow, deny, judged, policy_text, refusals, step

SIGNER = "arn:aws:iam::123456789012:role/signer"
ROOT_ARN = "arn:aws:iam::123456789012:root"
GLASS = "arn:aws:iam::123456789012:role/break-glass"
KEY_POLICY = policy_text(
    allow(ROOT_ARN, "kms:DescribeKey", "kms:ScheduleKeyDeletion"),
    allow(SIGNER, "kms:Sign"),
    deny(
        "*",
        "kms:ScheduleKeyDeletion",
        "kms:DisableKey",
        Condition={"ArnNotEquals": {"aws:PrincipalArn": [GLASS]}},
    ),
)
KEY: dict[str, Any] = {
    "customerMasterKeySpec": "ECC_SECG_P256K1",
    "keyUsage": "SIGN_VERIFY",
    "multiRegion": True,
    "region": "us-east-1",
    "isEnabled": True,
    "deletionWindowInDays": 30,
    "policy": KEY_POLICY,
    "description": "Signs",
    "tags": WALLET_TAGS,
}
REPLICA: dict[str, Any] = {
    "region": "us-west-2",
    "primaryKeyArn": "arn:key",
    "enabled": True,
    "policy": KEY_POLICY,
    "tags": WALLET_TAGS,
}
K, R = "aws:kms/key:Key", "aws:kms/replicaKey:ReplicaKey"
S3 = "aws:s3/"
ALARM: dict[str, Any] = {
    "name": "a",
    "actionsEnabled": True,
    "alarmActions": ["t1", "t2"],
    "threshold": 0.3,
    "comparisonOperator": "GreaterThanOrEqualToThreshold",
    "evaluationPeriods": 1,
    "period": 10,
    "treatMissingData": "breaching",
    "metricName": "m",
    "namespace": "n",
    "dimensions": {"indicator": "d"},
}
A = "aws:cloudwatch/metricAlarm:MetricAlarm"
LOCK = {"bucket": "b", "rule": {"defaultRetention": {"mode": "COMPLIANCE", "days": 400}}}
RULES_TEXT = (
    "groups:\n- name: g\n  rules:\n  - alert: Run\n    expr: seawall_indicator > 0.3\n    for: 1m\n    labels: {severity: critical}\n"
    "  - alert: Other\n    expr: up == 0\n"
)
ROUTING = (
    "alertmanager_config: |\n  route: {receiver: all, routes: [{receiver: critical, matchers: ['severity=critical']}]}\n"
    "  receivers:\n  - {name: all}\n  - name: critical\n    sns_configs: [{topic_arn: 'arn:t'}]\n"
)
ROLE = {
    "name": "r",
    "permissionsBoundary": "arn:b",
    "assumeRolePolicy": policy_text({**allow(SIGNER, "sts:AssumeRole")}),
    "tags": WALLET_TAGS,
}
ROLE_POLICY = policy_text(
    {"Effect": "Allow", "Action": ["kms:Sign"], "Resource": "arn:aws:kms:us-east-1:1:key/a"}
)
RULE: dict[str, object] = {
    "ruleName": "daily",
    "schedule": "cron(0 5 * * ? *)",
    "targetVaultName": "v",
    "lifecycle": {"deleteAfter": 35},
    "copyActions": [{"destinationVaultArn": "arn:v2"}],
}
PLAN = {"name": "p", "rules": [RULE]}
REPLICATION = {
    "bucket": "b",
    "rules": [{"id": "all", "status": "Enabled", "destination": {"bucket": "arn:other"}}],
}
LIFECYCLE = {
    "bucket": "b",
    "rules": [
        {"id": "old", "status": "Enabled", "noncurrentVersionExpiration": {"noncurrentDays": 500}}
    ],
}
EVENT = {
    "name": "e",
    "eventPattern": '{"source":["aws.kms"],"detail":{"eventName":["DisableKey","PutKeyPolicy"]}}',
    "state": "ENABLED",
}


def given(inputs: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """``inputs`` with some of them changed; None takes one away."""
    return {name: value for name, value in {**inputs, **changes}.items() if value is not None}


def doc(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"policy": policy_text(*statements)}


SIGN_TWO = {
    "Effect": "Allow",
    "Action": ["kms:Sign"],
    "Resource": ["arn:aws:kms:us-east-1:1:key/a", "arn:aws:kms:us-east-1:1:key/b"],
}

RED: list[tuple[str, dict[str, Any]]] = [
    # keys
    ("signing-key-replaced", step(K, KEY, None)),
    ("signing-key-replaced", step(K, KEY, KEY, op="replace")),
    ("signing-key-replaced", step(K, KEY, None, op="discard")),
    ("signing-key-replaced", step(K, KEY, None, op="delete-replaced")),
    ("signing-key-replaced", step(K, KEY, KEY, op="create-replacement")),
    (
        "signing-key-replaced",
        step(K, KEY, given(KEY, customerMasterKeySpec="ECC_NIST_P256")),
    ),  # whatever the provider says
    ("signing-key-replaced", step(K, KEY, given(KEY, keyUsage="ENCRYPT_DECRYPT"), op="same")),
    ("signing-key-replaced", step(K, KEY, given(KEY, multiRegion=None))),
    ("signing-key-replaced", step(K, KEY, given(KEY, region="eu-west-1"))),
    ("signing-key-replaced", step(K, KEY, given(KEY, customerMasterKeySpec=UNKNOWN))),
    (
        "signing-key-replaced",
        step(
            K,
            KEY,
            KEY,
            providers=(
                "urn:pulumi:p::s::pulumi:providers:aws::one",
                "urn:pulumi:p::s::pulumi:providers:aws::two",
            ),
        ),
    ),
    (
        "signing-key-replaced",
        step(K, None, KEY),
    ),  # the stack has an address for this wallet, and the engine no key
    ("encryption-key-replaced", step(K, {"keyUsage": "ENCRYPT_DECRYPT"}, None, name="evidence")),
    ("encryption-key-replaced", step(K, {}, {}, op="replace", name="evidence")),
    ("replica-dropped", step(R, REPLICA, None)),
    ("replica-dropped", step(R, REPLICA, given(REPLICA, region="eu-west-1"))),
    ("replica-dropped", step(R, REPLICA, given(REPLICA, primaryKeyArn="arn:another"))),
    ("key-disabled", step(K, KEY, given(KEY, isEnabled=False))),
    ("key-disabled", step(R, given(REPLICA, enabled=None), given(REPLICA, enabled=False))),
    ("deletion-window-shortened", step(K, KEY, given(KEY, deletionWindowInDays=7))),
    (
        "deletion-window-shortened",
        step(K, given(KEY, deletionWindowInDays=None), given(KEY, deletionWindowInDays=29)),
    ),
    (
        "key-policy-weakened",
        step(K, KEY, given(KEY, **doc(allow(SIGNER, "kms:Sign")))),
    ),  # the denial is gone
    (
        "key-policy-weakened",
        step(
            K,
            KEY,
            given(
                KEY,
                policy=policy_text(
                    allow(ROOT_ARN, "kms:DescribeKey", "kms:ScheduleKeyDeletion"),
                    allow([SIGNER, GLASS], "kms:Sign"),
                    deny(
                        "*",
                        "kms:ScheduleKeyDeletion",
                        "kms:DisableKey",
                        Condition={"ArnNotEquals": {"aws:PrincipalArn": [GLASS]}},
                    ),
                ),
            ),
        ),
    ),
    (
        "key-policy-weakened",
        step(K, KEY, given(KEY, policy=KEY_POLICY.replace('"kms:DescribeKey"', '"kms:*"'))),
    ),  # the account root signs
    (
        "key-policy-weakened",
        step(K, KEY, given(KEY, policy=KEY_POLICY.replace(f'"{GLASS}"', f'"{GLASS}", "{SIGNER}"'))),
    ),  # one exception more
    ("key-policy-weakened", step(R, REPLICA, given(REPLICA, policy=None))),
    ("key-policy-weakened", step(K, KEY, given(KEY, policy=UNKNOWN))),
    ("key-policy-weakened", step(K, KEY, given(KEY, bypassPolicyLockoutSafetyCheck=True))),
    (
        "key-policy-weakened",
        step(K, None, given(KEY, policy=policy_text(allow(ROOT_ARN, "kms:*")))),
    ),
    (
        "key-policy-weakened",
        step("aws:kms/keyPolicy:KeyPolicy", {"keyId": "k", "policy": KEY_POLICY}, None),
    ),
    (
        "signer-excluded",
        step(K, KEY, given(KEY, policy=KEY_POLICY.replace('"kms:Sign"', '"kms:GetPublicKey"'))),
    ),
    (
        "alias-moved",
        step(
            "aws:kms/alias:Alias",
            {"name": "alias/a", "targetKeyId": "k1"},
            {"name": "alias/a", "targetKeyId": "k2"},
        ),
    ),
    ("alias-moved", step("aws:kms/alias:Alias", {"name": "alias/a", "targetKeyId": "k1"}, None)),
    (
        "grant-to-sign",
        step("aws:kms/grant:Grant", None, {"granteePrincipal": GLASS, "operations": ["Sign"]}),
    ),
    ("rotation-of-a-signing-key", step(K, KEY, given(KEY, enableKeyRotation=True))),
    # access
    ("boundary-removed", step("aws:iam/role:Role", ROLE, given(ROLE, permissionsBoundary=None))),
    (
        "boundary-removed",
        step("aws:iam/role:Role", ROLE, given(ROLE, permissionsBoundary="arn:wider")),
    ),
    (
        "trust-widened",
        step(
            "aws:iam/role:Role",
            ROLE,
            given(ROLE, assumeRolePolicy=policy_text(allow([SIGNER, GLASS], "sts:AssumeRole"))),
        ),
    ),
    ("trust-widened", step("aws:iam/role:Role", ROLE, given(ROLE, assumeRolePolicy=UNKNOWN))),
    (
        "permissions-widened",
        step("aws:iam/rolePolicy:RolePolicy", {"policy": ROLE_POLICY}, doc(SIGN_TWO)),
    ),
    (
        "permissions-widened",
        step(
            "aws:iam/policy:Policy",
            doc({"Effect": "Deny", "Action": "kms:*", "Resource": "*"}),
            doc(),
        ),
    ),
    ("role-removed", step("aws:iam/role:Role", ROLE, None)),
    ("role-removed", step("aws:iam/role:Role", ROLE, ROLE, op="replace")),
    (
        "role-removed",
        step(
            "aws:iam/rolePolicy:RolePolicy",
            {"policy": ROLE_POLICY},
            {"policy": ROLE_POLICY.replace("kms:Sign", "kms:Verify")},
        ),
    ),
    (
        "wildcard-introduced",
        step(
            "aws:iam/rolePolicy:RolePolicy",
            None,
            doc({"Effect": "Allow", "Action": "s3:*", "Resource": "arn:b"}),
        ),
    ),
    (
        "wildcard-introduced",
        step(
            "aws:iam/policy:Policy",
            None,
            doc({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}),
        ),
    ),
    (
        "wildcard-introduced",
        step(
            "aws:iam/policy:Policy",
            None,
            doc({"Effect": "Allow", "NotAction": "iam:*", "Resource": "arn:b"}),
        ),
    ),
    (
        "wildcard-introduced",
        step(
            "aws:iam/policy:Policy",
            None,
            doc({"Effect": "Allow", "Action": "kms:Sign", "Resource": "arn:aws:kms:*:1:key/*"}),
        ),
    ),
    (
        "wildcard-introduced",
        step(
            "aws:s3/bucketPolicy:BucketPolicy",
            doc(allow(SIGNER, "s3:GetObject")),
            doc(allow("*", "s3:GetObject")),
        ),
    ),
    (
        "wildcard-introduced",
        step(
            "aws:iam/policy:Policy",
            None,
            doc(
                {
                    "Effect": "Allow",
                    "Action": "kms:Sign",
                    "Resource": "arn:aws:kms:us-east-1:123456789012:key/*",
                }
            ),
            name="signers",
        ),
    ),
    (
        "wildcard-introduced",
        step(
            "aws:iam/policy:Policy",
            None,
            doc(
                {
                    "Effect": "Allow",
                    "Action": "kms:*",
                    "Resource": "arn:aws:kms:us-east-1:123456789012:key/a",
                }
            ),
            name="boundary-signer",
        ),
    ),
    (
        "wildcard-introduced",
        step(
            "aws:iam/policy:Policy",
            None,
            doc(
                {
                    "Effect": "Allow",
                    "Action": "s3:GetObject",
                    "Resource": "*",
                    "Condition": {"Bool": {"aws:SecureTransport": "true"}},
                }
            ),
        ),
    ),
    (
        "administrator-attached",
        step(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            None,
            {"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
        ),
    ),
    # storage
    ("bucket-removed", step(S3 + "bucket:Bucket", {"bucket": "b", "region": "r"}, None)),
    (
        "bucket-removed",
        step(S3 + "bucket:Bucket", {"bucket": "b", "region": "r"}, {"bucket": "b2", "region": "r"}),
    ),
    (
        "bucket-emptiable",
        step(S3 + "bucket:Bucket", {"bucket": "b"}, {"bucket": "b", "forceDestroy": True}),
    ),
    (
        "object-lock-weakened",
        step(S3 + "bucket:Bucket", {"objectLockEnabled": True}, {"objectLockEnabled": False}),
    ),
    (
        "object-lock-weakened",
        step(S3 + "bucketObjectLockConfiguration:BucketObjectLockConfiguration", LOCK, None),
    ),
    (
        "object-lock-weakened",
        step(
            S3 + "bucketObjectLockConfiguration:BucketObjectLockConfiguration",
            LOCK,
            {"bucket": "b"},
        ),
    ),
    (
        "object-lock-weakened",
        step(
            S3 + "bucketObjectLockConfiguration:BucketObjectLockConfiguration",
            LOCK,
            {"bucket": "b", "rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 400}}},
        ),
    ),
    (
        "object-lock-weakened",
        step(
            S3 + "bucketObjectLockConfiguration:BucketObjectLockConfiguration",
            LOCK,
            {"bucket": "b", "rule": {"defaultRetention": {"mode": "COMPLIANCE", "years": 1}}},
        ),
    ),
    (
        "versioning-suspended",
        step(
            S3 + "bucketVersioning:BucketVersioning",
            {"versioningConfiguration": {"status": "Enabled"}},
            {"versioningConfiguration": {"status": "Suspended"}},
        ),
    ),
    (
        "replication-weakened",
        step(S3 + "bucketReplicationConfig:BucketReplicationConfig", REPLICATION, None),
    ),
    (
        "replication-weakened",
        step(
            S3 + "bucketReplicationConfig:BucketReplicationConfig",
            REPLICATION,
            {
                "bucket": "b",
                "rules": [
                    {"id": "all", "status": "Disabled", "destination": {"bucket": "arn:other"}}
                ],
            },
        ),
    ),
    (
        "lifecycle-shortened",
        step(
            S3 + "bucketLifecycleConfiguration:BucketLifecycleConfiguration",
            LIFECYCLE,
            {
                "bucket": "b",
                "rules": [{"id": "old", "noncurrentVersionExpiration": {"noncurrentDays": 30}}],
            },
        ),
    ),
    (
        "lifecycle-shortened",
        step(
            S3 + "bucketLifecycleConfiguration:BucketLifecycleConfiguration",
            None,
            {"bucket": "b", "rules": [{"id": "new", "expiration": {"days": 1}}]},
        ),
    ),
    (
        "public-access-opened",
        step(
            S3 + "bucketPublicAccessBlock:BucketPublicAccessBlock",
            {"blockPublicAcls": True},
            {"blockPublicAcls": False},
        ),
    ),
    (
        "encryption-weakened",
        step(
            S3 + "bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]},
            {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
        ),
    ),
    (
        "resource-policy-weakened",
        step(
            "aws:sns/topicPolicy:TopicPolicy",
            doc(deny("*", "sns:Publish")),
            doc(allow(SIGNER, "sns:Publish")),
        ),
    ),
    (
        "resource-policy-weakened",
        step(
            "aws:secretsmanager/secret:Secret",
            doc(allow(SIGNER, "secretsmanager:GetSecretValue")),
            doc(allow([SIGNER, GLASS], "secretsmanager:GetSecretValue")),
        ),
    ),
    (
        "resource-policy-weakened",
        step(S3 + "bucketPolicy:BucketPolicy", doc(deny("*", "s3:*")), None),
    ),
    (
        "public-access-opened",
        step(
            S3 + "bucketOwnershipControls:BucketOwnershipControls",
            {"rule": {"objectOwnership": "BucketOwnerEnforced"}},
            {"rule": {"objectOwnership": "ObjectWriter"}},
        ),
    ),
    ("kit-removed", step(S3 + "bucketObjectv2:BucketObjectv2", {"key": "runbook.md"}, None)),
    ("backup-vault-removed", step("aws:backup/vault:Vault", {"name": "v"}, None)),
    (
        "backup-lock-weakened",
        step(
            "aws:backup/vaultLockConfiguration:VaultLockConfiguration",
            {"minRetentionDays": 35},
            {"minRetentionDays": 7},
        ),
    ),
    (
        "backup-lock-weakened",
        step(
            "aws:backup/vaultLockConfiguration:VaultLockConfiguration", {"changeableForDays": 3}, {}
        ),
    ),
    (
        "backup-plan-weakened",
        step(
            "aws:backup/plan:Plan",
            PLAN,
            given(PLAN, rules=[{**RULE, "lifecycle": {"deleteAfter": 7}}]),
        ),
    ),
    (
        "backup-plan-weakened",
        step("aws:backup/plan:Plan", PLAN, given(PLAN, rules=[{**RULE, "copyActions": []}])),
    ),
    ("backup-plan-weakened", step("aws:backup/plan:Plan", PLAN, None)),
    (
        "backup-plan-weakened",
        step(
            "aws:backup/selection:Selection",
            {"resources": ["arn:a", "arn:b"]},
            {"resources": ["arn:a"]},
        ),
    ),
    (
        "secret-removed",
        step(
            "aws:secretsmanager/secret:Secret",
            {"name": "rail", "replicas": [{"region": "us-west-2"}]},
            {"name": "rail", "replicas": []},
        ),
    ),
    (
        "queue-removed",
        step("aws:sqs/queue:Queue", {"name": "q", "redrivePolicy": "{}"}, {"name": "q"}),
    ),
    # monitors
    (
        "trail-weakened",
        step(
            "aws:cloudtrail/trail:Trail",
            {"name": "t", "isMultiRegionTrail": True},
            {"name": "t", "isMultiRegionTrail": False},
        ),
    ),
    (
        "trail-weakened",
        step("aws:cloudtrail/trail:Trail", {"name": "t"}, {"name": "t", "enableLogging": False}),
    ),
    ("trail-weakened", step("aws:cloudtrail/trail:Trail", {"name": "t"}, None)),
    (
        "event-rule-weakened",
        step("aws:cloudwatch/eventRule:EventRule", EVENT, given(EVENT, state="DISABLED")),
    ),
    (
        "event-rule-weakened",
        step(
            "aws:cloudwatch/eventRule:EventRule",
            EVENT,
            given(EVENT, eventPattern=EVENT["eventPattern"].replace('"DisableKey",', "")),
        ),
    ),
    (
        "event-rule-weakened",
        step(
            "aws:cloudwatch/eventRule:EventRule",
            EVENT,
            given(EVENT, eventPattern=EVENT["eventPattern"][:-1] + ',"region":["x"]}'),
        ),
    ),
    (
        "event-rule-weakened",
        step("aws:cloudwatch/eventTarget:EventTarget", {"rule": "e", "arn": "t"}, None),
    ),
    ("alarm-weakened", step(A, ALARM, None)),
    ("alarm-weakened", step(A, ALARM, given(ALARM, actionsEnabled=False))),
    ("alarm-weakened", step(A, ALARM, given(ALARM, alarmActions=["t1"]))),
    ("alarm-weakened", step(A, ALARM, given(ALARM, threshold=0.31))),
    (
        "alarm-weakened",
        step(
            A,
            given(ALARM, comparisonOperator="LessThanThreshold"),
            given(ALARM, comparisonOperator="LessThanThreshold", threshold=0.2),
        ),
    ),
    ("alarm-weakened", step(A, ALARM, given(ALARM, evaluationPeriods=3))),
    ("alarm-weakened", step(A, ALARM, given(ALARM, treatMissingData="notBreaching"))),
    ("alarm-weakened", step(A, ALARM, given(ALARM, dimensions={"indicator": "another"}))),
    (
        "alarm-weakened",
        step(A, ALARM, given(ALARM, evaluationPeriods=UNKNOWN)),
    ),  # what only the update knows is not taken for harmless
    ("alarm-weakened", step(A, ALARM, given(ALARM, alarmActions=UNKNOWN))),
    (
        "rule-group-weakened",
        step(
            "aws:amp/ruleGroupNamespace:RuleGroupNamespace",
            {"data": RULES_TEXT},
            {"data": RULES_TEXT.replace("Other", "Else")},
        ),
    ),
    (
        "rule-group-weakened",
        step(
            "aws:amp/ruleGroupNamespace:RuleGroupNamespace",
            {"data": RULES_TEXT},
            {"data": RULES_TEXT.replace("0.3", "0.4")},
        ),
    ),
    (
        "rule-group-weakened",
        step(
            "aws:amp/ruleGroupNamespace:RuleGroupNamespace",
            {"data": RULES_TEXT},
            {"data": RULES_TEXT.replace("1m", "10m")},
        ),
    ),
    (
        "rule-group-weakened",
        step(
            "aws:amp/ruleGroupNamespace:RuleGroupNamespace", {"data": RULES_TEXT}, {"data": UNKNOWN}
        ),
    ),
    ("rule-group-weakened", step("aws:amp/workspace:Workspace", {"alias": "w"}, None)),
    (
        "alert-routing-weakened",
        step(
            "aws:amp/alertManagerDefinition:AlertManagerDefinition",
            {"definition": ROUTING},
            {"definition": ROUTING.replace("arn:t", "arn:other")},
        ),
    ),
    (
        "alert-routing-weakened",
        step(
            "aws:amp/alertManagerDefinition:AlertManagerDefinition", {"definition": ROUTING}, None
        ),
    ),
    (
        "topic-removed",
        step("aws:sns/topic:Topic", {"name": "critical"}, {"name": "other"}, op="replace"),
    ),
    (
        "subscription-weakened",
        step("aws:sns/topicSubscription:TopicSubscription", {"endpoint": "a@b"}, None),
    ),
    (
        "subscription-weakened",
        step(
            "aws:sns/topicSubscription:TopicSubscription",
            {"endpoint": "a@b"},
            {"endpoint": "c@d"},
            op="replace",
        ),
    ),
    (
        "subscription-weakened",
        step(
            "aws:sns/topicSubscription:TopicSubscription",
            {"endpoint": "a@b"},
            {"endpoint": "a@b", "filterPolicy": "{}"},
        ),
    ),
    (
        "health-check-weakened",
        step(
            "aws:route53/healthCheck:HealthCheck", {"failureThreshold": 3}, {"failureThreshold": 10}
        ),
    ),
    ("health-check-weakened", step("aws:route53/record:Record", {"healthCheckId": "h"}, {})),
    (
        "game-day-weakened",
        step("aws:scheduler/schedule:Schedule", {"name": "s"}, {"name": "s", "state": "DISABLED"}),
    ),
    (
        "game-day-weakened",
        step("aws:ecs/taskDefinition:TaskDefinition", {"family": "gameday"}, None),
    ),
    ("parameter-removed", step("aws:ssm/parameter:Parameter", {"name": "/seawall/kill"}, None)),
    (
        "logs-removed",
        step(
            "aws:cloudwatch/logGroup:LogGroup", {"name": "l"}, {"name": "l", "retentionInDays": 30}
        ),
    ),
    # anything
    ("protection-removed", step(K, KEY, KEY, protect=(True, False), op="same")),
    (
        "provider-moved",
        step(
            "pulumi:providers:aws",
            {"region": "us-east-1"},
            {"region": "us-east-1", "profile": "other"},
            name="aws",
        ),
    ),
    ("not-understood", step("aws:dynamodb/table:Table", {"tags": WALLET_TAGS}, None)),
    ("not-understood", step("aws:dynamodb/table:Table", {}, {}, op="replace")),
    ("not-understood", step(K, KEY, KEY, op="teleport")),
]

GREEN: list[tuple[str, dict[str, Any]]] = [
    ("another description", step(K, KEY, given(KEY, description="Signs payouts"))),
    ("another tag", step(K, KEY, given(KEY, tags={**WALLET_TAGS, "policy": "new"}))),
    (
        "a new wallet, whose policy is not known yet",
        step(K, None, given(KEY, policy=UNKNOWN), name="customer-birch-warm"),
    ),
    ("a new wallet, whose policy is known", step(K, None, KEY, name="customer-birch-warm")),
    ("its replica", step(R, None, given(REPLICA, primaryKeyArn=UNKNOWN, policy=UNKNOWN))),
    ("a longer window", step(K, given(KEY, deletionWindowInDays=7), KEY)),
    ("a key that is enabled again", step(K, given(KEY, isEnabled=False), KEY)),
    (
        "one more denial",
        step(
            K,
            KEY,
            given(
                KEY,
                policy=policy_text(
                    allow(ROOT_ARN, "kms:DescribeKey", "kms:ScheduleKeyDeletion"),
                    allow(SIGNER, "kms:Sign"),
                    deny(SIGNER, "kms:CreateGrant"),
                    deny(
                        "*",
                        "kms:ScheduleKeyDeletion",
                        "kms:DisableKey",
                        Condition={"ArnNotEquals": {"aws:PrincipalArn": [GLASS]}},
                    ),
                ),
            ),
        ),
    ),
    (
        "a denial in other words",
        step(
            K,
            KEY,
            given(
                KEY,
                policy=policy_text(
                    allow(ROOT_ARN, "kms:DescribeKey", "kms:ScheduleKeyDeletion"),
                    allow(SIGNER, "kms:Sign"),
                    deny(
                        {"AWS": "*"},
                        "kms:Schedule*",
                        "kms:Disable*",
                        Condition={"ArnNotEquals": {"aws:PrincipalArn": GLASS}},
                    ),
                ),
            ),
        ),
    ),
    (
        "reading for somebody new",
        step(
            K,
            KEY,
            given(
                KEY,
                policy=policy_text(
                    allow(ROOT_ARN, "kms:DescribeKey", "kms:ScheduleKeyDeletion"),
                    allow(SIGNER, "kms:Sign"),
                    allow(GLASS, "kms:GetPublicKey"),
                    deny(
                        "*",
                        "kms:ScheduleKeyDeletion",
                        "kms:DisableKey",
                        Condition={"ArnNotEquals": {"aws:PrincipalArn": [GLASS]}},
                    ),
                ),
            ),
        ),
    ),
    (
        "a narrower permission",
        step("aws:iam/rolePolicy:RolePolicy", doc(SIGN_TWO), {"policy": ROLE_POLICY}),
    ),
    (
        "a wildcard that AWS demands",
        step(
            "aws:iam/policy:Policy",
            None,
            doc({"Effect": "Allow", "Action": "cloudwatch:PutMetricData", "Resource": "*"}),
        ),
    ),
    (
        "a boundary over keys that are not known yet",
        step(
            "aws:iam/policy:Policy",
            None,
            name="boundary-signer",
            after=doc(
                {
                    "Effect": "Allow",
                    "Action": "kms:Sign",
                    "Resource": "arn:aws:kms:us-east-1:123456789012:key/*",
                }
            ),
        ),
    ),
    (
        "a wildcard that a tag narrows",
        step(
            "aws:iam/policy:Policy",
            None,
            doc(
                {
                    "Effect": "Allow",
                    "Action": "ecs:StopTask",
                    "Resource": "*",
                    "Condition": {"StringEquals": {"aws:ResourceTag/seawall": "target"}},
                }
            ),
        ),
    ),
    (
        "a new revision of a task",
        step(
            "aws:ecs/taskDefinition:TaskDefinition",
            {"family": "gameday"},
            {"family": "gameday"},
            op="replace",
        ),
    ),
    (
        "a role with a boundary for the first time",
        step("aws:iam/role:Role", given(ROLE, permissionsBoundary=None), ROLE),
    ),
    (
        "a longer retention",
        step(
            S3 + "bucketObjectLockConfiguration:BucketObjectLockConfiguration",
            LOCK,
            {"bucket": "b", "rule": {"defaultRetention": {"mode": "COMPLIANCE", "years": 2}}},
        ),
    ),
    (
        "a later expiry",
        step(
            S3 + "bucketLifecycleConfiguration:BucketLifecycleConfiguration",
            LIFECYCLE,
            {
                "bucket": "b",
                "rules": [{"id": "old", "noncurrentVersionExpiration": {"noncurrentDays": 900}}],
            },
        ),
    ),
    (
        "no expiry any more",
        step(S3 + "bucketLifecycleConfiguration:BucketLifecycleConfiguration", LIFECYCLE, None),
    ),
    (
        "an earlier alarm",
        step(A, ALARM, given(ALARM, threshold=0.2, alarmActions=["t1", "t2", "t3"])),
    ),
    ("an alarm that is made anew as it was", step(A, ALARM, given(ALARM, name="b"), op="replace")),
    (
        "a wider event pattern",
        step(
            "aws:cloudwatch/eventRule:EventRule",
            EVENT,
            given(EVENT, eventPattern='{"source":["aws.kms","aws.iam"]}'),
        ),
    ),
    (
        "an alert that fires earlier",
        step(
            "aws:amp/ruleGroupNamespace:RuleGroupNamespace",
            {"data": RULES_TEXT},
            {"data": RULES_TEXT.replace("0.3", "0.2")},
        ),
    ),
    (
        "one receiver more",
        step(
            "aws:amp/alertManagerDefinition:AlertManagerDefinition",
            {"definition": ROUTING},
            {"definition": ROUTING + "  - name: more\n    sns_configs: [{topic_arn: 'arn:m'}]\n"},
        ),
    ),
    (
        "logs for ever",
        step("aws:cloudwatch/logGroup:LogGroup", {"retentionInDays": 30}, {"retentionInDays": 0}),
    ),
    (
        "the kill switch is used",
        step(
            "aws:ssm/parameter:Parameter",
            {"name": "k", "value": "run"},
            {"name": "k", "value": "stop"},
        ),
    ),
    ("protection is added", step(K, KEY, KEY, protect=(False, True), op="same")),
    (
        "a component goes, and says nothing of its children",
        step("seawall:infra:Paging", {}, None, custom=False),
    ),
    ("an unknown type is made", step("aws:dynamodb/table:Table", None, {})),
    (
        "an alias of the engine: a new name for the same key",
        step(K, KEY, KEY, op="update", name="customer-aster-payouts"),
    ),
]


@pytest.mark.parametrize(
    ("rule", "proposal"), RED, ids=[f"{row[0]}-{number}" for number, row in enumerate(RED)]
)
def test_a_change_that_weakens_the_stack_is_refused_by_its_rule(
    rule: str, proposal: dict[str, Any]
) -> None:
    judgement = judged(proposal)

    assert rule in refusals(judgement)
    assert judgement.outcome is ReviewOutcome.REFUSED
    assert all(finding.evidence for finding in judgement.findings)


@pytest.mark.parametrize(("what", "proposal"), GREEN, ids=[row[0] for row in GREEN])
def test_a_harmless_change_is_allowed(what: str, proposal: dict[str, Any]) -> None:
    judgement = judged(proposal)

    assert refusals(judgement) == set()
    assert judgement.outcome is ReviewOutcome.ALLOWED


def test_every_rule_of_the_table_has_a_row_above() -> None:
    """A rule that was never seen red might not be there."""
    seen = {rule for rule, _ in RED}
    assert {rule.id for rule in (*TABLE, NOT_UNDERSTOOD)} == seen
    assert all(rule.source and rule.consequence and rule.instead for rule in TABLE)


def test_a_new_expiry_beyond_the_retention_of_its_bucket_is_allowed() -> None:
    lock = step(
        "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration", LOCK, LOCK, op="same"
    )
    expiry = {"bucket": "b", "rules": [{"id": "new", "expiration": {"days": 401}}]}
    kind = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"

    assert refusals(judged(lock, step(kind, None, expiry))) == set()
    expiry["rules"][0]["expiration"]["days"] = 399  # type: ignore[index]
    assert refusals(judged(lock, step(kind, None, expiry))) == {"lifecycle-shortened"}


def test_a_key_that_is_deleted_here_and_made_there_is_told_about_aliases() -> None:
    """The engine sees two resources where the author meant one under another name."""
    judgement = judged(step(K, KEY, None), step(K, None, KEY, name="customer-aster-payouts"))

    [finding] = judgement.findings
    assert finding.rule.id == "signing-key-replaced"
    assert "made again as customer-aster-payouts, with another address" in finding.advice
    assert finding.change.urn in finding.advice
