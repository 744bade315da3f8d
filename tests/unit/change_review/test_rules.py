"""One row for each way to weaken the stack: the change, and the rule that must refuse it.

Every rule of the table is seen to refuse something here, and every harmless look-alike to pass.
"""

from __future__ import annotations

from typing import Any

import pytest

from seawall.change_review.judgement import ReviewOutcome
from seawall.change_review.preview import UNKNOWN
from seawall.change_review.rules import NOT_UNDERSTOOD, TABLE
from tests.testing.proposals import WALLET_TAGS, allow, deny, judged, policy_text, refusals, step

Inputs = dict[str, Any]
Step = dict[str, Any]

SIGNER = "arn:aws:iam::123456789012:role/signer"
ROOT_ARN = "arn:aws:iam::123456789012:root"
GLASS = "arn:aws:iam::123456789012:role/break-glass"
KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key"

# types of resources
K, REPLICA_KEY = "aws:kms/key:Key", "aws:kms/replicaKey:ReplicaKey"
KEY_POLICY, ALIAS, GRANT = (
    "aws:kms/keyPolicy:KeyPolicy",
    "aws:kms/alias:Alias",
    "aws:kms/grant:Grant",
)
ROLE, POLICY = "aws:iam/role:Role", "aws:iam/policy:Policy"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
BUCKET, BUCKET_POLICY = "aws:s3/bucket:Bucket", "aws:s3/bucketPolicy:BucketPolicy"
LOCK = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
REPLICATION = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
ACCESS_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
OWNERSHIP = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
ENCRYPTION = (
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
)
OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"
VAULT, VAULT_LOCK = (
    "aws:backup/vault:Vault",
    "aws:backup/vaultLockConfiguration:VaultLockConfiguration",
)
PLAN, SELECTION = "aws:backup/plan:Plan", "aws:backup/selection:Selection"
SECRET, QUEUE = "aws:secretsmanager/secret:Secret", "aws:sqs/queue:Queue"
TRAIL, ALARM = "aws:cloudtrail/trail:Trail", "aws:cloudwatch/metricAlarm:MetricAlarm"
EVENT_RULE = "aws:cloudwatch/eventRule:EventRule"
EVENT_TARGET = "aws:cloudwatch/eventTarget:EventTarget"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
ALERT_RULES, WORKSPACE = (
    "aws:amp/ruleGroupNamespace:RuleGroupNamespace",
    "aws:amp/workspace:Workspace",
)
ROUTING = "aws:amp/alertManagerDefinition:AlertManagerDefinition"
TOPIC, TOPIC_POLICY = "aws:sns/topic:Topic", "aws:sns/topicPolicy:TopicPolicy"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
HEALTH_CHECK, RECORD = "aws:route53/healthCheck:HealthCheck", "aws:route53/record:Record"
SCHEDULE, TASK = "aws:scheduler/schedule:Schedule", "aws:ecs/taskDefinition:TaskDefinition"
PARAMETER, PROVIDER = "aws:ssm/parameter:Parameter", "pulumi:providers:aws"
UNLISTED = "aws:dynamodb/table:Table"


def given(inputs: Inputs, **changes: Any) -> Inputs:
    """``inputs`` with some of them changed; None takes one away."""
    return {name: value for name, value in {**inputs, **changes}.items() if value is not None}


def edit(kind: str, before: Inputs, **changes: Any) -> Step:
    """An update of a resource with the inputs ``before``; None takes an input away."""
    return step(kind, before, given(before, **changes))


def create(kind: str, after: Inputs, **more: Any) -> Step:
    return step(kind, None, after, **more)


def delete(kind: str, before: Inputs, **more: Any) -> Step:
    return step(kind, before, None, **more)


def doc(*statements: dict[str, Any]) -> Inputs:
    """Inputs that are a policy of ``statements``."""
    return {"policy": policy_text(*statements)}


def statement(effect: str = "Allow", *, on: Any = "*", **more: Any) -> dict[str, Any]:
    """A statement of an identity policy, which names no principal."""
    return {"Effect": effect, **more, "Resource": on}


PROVISIONS = allow(ROOT_ARN, "kms:DescribeKey", "kms:ScheduleKeyDeletion")
SIGNS = allow(SIGNER, "kms:Sign")
NO_DESTRUCTION = deny(
    "*",
    "kms:ScheduleKeyDeletion",
    "kms:DisableKey",
    Condition={"ArnNotEquals": {"aws:PrincipalArn": [GLASS]}},
)
KEY_TEXT = policy_text(PROVISIONS, SIGNS, NO_DESTRUCTION)
KEY: Inputs = {
    "customerMasterKeySpec": "ECC_SECG_P256K1",
    "keyUsage": "SIGN_VERIFY",
    "multiRegion": True,
    "region": "us-east-1",
    "isEnabled": True,
    "deletionWindowInDays": 30,
    "policy": KEY_TEXT,
    "description": "Signs",
    "tags": WALLET_TAGS,
}
THE_REPLICA: Inputs = {
    "region": "us-west-2",
    "primaryKeyArn": "arn:key",
    "enabled": True,
    "policy": KEY_TEXT,
    "tags": WALLET_TAGS,
}
THE_ALIAS = {"name": "alias/a", "targetKeyId": "k1"}
THE_ROLE: Inputs = {
    "name": "r",
    "permissionsBoundary": "arn:b",
    "assumeRolePolicy": policy_text(allow(SIGNER, "sts:AssumeRole")),
    "tags": WALLET_TAGS,
}
KEYS_AB = ["arn:aws:kms:us-east-1:1:key/a", "arn:aws:kms:us-east-1:1:key/b"]
SIGN_ONE = doc(statement(Action=["kms:Sign"], on=KEYS_AB[0]))
SIGN_TWO = doc(statement(Action=["kms:Sign"], on=KEYS_AB))


def lock(**retention: Any) -> Inputs:
    return {"bucket": "b", "rule": {"defaultRetention": retention}}


LOCKED = lock(mode="COMPLIANCE", days=400)


def rules(**rule: Any) -> Inputs:
    """Inputs of a bucket's configuration that is one rule."""
    return {"bucket": "b", "rules": [rule]}


def old_versions(days: int, **more: Any) -> Inputs:
    return rules(id="old", **more, noncurrentVersionExpiration={"noncurrentDays": days})


REPLICATES = rules(id="all", status="Enabled", destination={"bucket": "arn:other"})
EXPIRES = old_versions(500, status="Enabled")


def encrypted(algorithm: str) -> Inputs:
    return {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": algorithm}}]}


DAILY: Inputs = {
    "ruleName": "daily",
    "schedule": "cron(0 5 * * ? *)",
    "targetVaultName": "v",
    "lifecycle": {"deleteAfter": 35},
    "copyActions": [{"destinationVaultArn": "arn:v2"}],
}
THE_PLAN = {"name": "p", "rules": [DAILY]}
THE_TRAIL = {"name": "t"}
ATTACKS = '{"source":["aws.kms"],"detail":{"eventName":["DisableKey","PutKeyPolicy"]}}'
EVENT: Inputs = {"name": "e", "eventPattern": ATTACKS, "state": "ENABLED"}
THE_ALARM: Inputs = {
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
ALERTS = (
    "groups:\n- name: g\n  rules:\n"
    "  - alert: Run\n    expr: seawall_indicator > 0.3\n    for: 1m\n"
    "    labels: {severity: critical}\n"
    "  - alert: Other\n    expr: up == 0\n"
)
RECEIVERS = (
    "alertmanager_config: |\n"
    "  route: {receiver: all, routes: "
    "[{receiver: critical, matchers: ['severity=critical']}]}\n"
    "  receivers:\n  - {name: all}\n  - name: critical\n    sns_configs: [{topic_arn: 'arn:t'}]\n"
)
OTHER_PROVIDERS = (
    "urn:pulumi:p::s::pulumi:providers:aws::one",
    "urn:pulumi:p::s::pulumi:providers:aws::two",
)


def alerts(old: str, new: str) -> Step:
    """An update of the alert rules that writes ``new`` for ``old``."""
    return edit(ALERT_RULES, {"data": ALERTS}, data=ALERTS.replace(old, new))


def key_policy(*statements: dict[str, Any]) -> Step:
    """An update of the key's policy."""
    return edit(K, KEY, **doc(*statements))


def key_text(old: str, new: str) -> Step:
    """An update of the key's policy that writes ``new`` for ``old``."""
    return edit(K, KEY, policy=KEY_TEXT.replace(old, new))


REFUSED: dict[str, list[Step]] = {
    # keys
    "signing-key-replaced": [
        delete(K, KEY),
        step(K, KEY, KEY, op="replace"),
        delete(K, KEY, op="discard"),
        delete(K, KEY, op="delete-replaced"),
        step(K, KEY, KEY, op="create-replacement"),
        # an update for the provider, and still another key
        edit(K, KEY, customerMasterKeySpec="ECC_NIST_P256"),
        step(K, KEY, given(KEY, keyUsage="ENCRYPT_DECRYPT"), op="same"),
        edit(K, KEY, multiRegion=None),
        edit(K, KEY, region="eu-west-1"),
        edit(K, KEY, customerMasterKeySpec=UNKNOWN),
        step(K, KEY, KEY, providers=OTHER_PROVIDERS),
        # the stack has an address for this wallet, and the engine no key
        create(K, KEY),
    ],
    "encryption-key-replaced": [
        delete(K, {"keyUsage": "ENCRYPT_DECRYPT"}, name="evidence"),
        step(K, {}, {}, op="replace", name="evidence"),
    ],
    "replica-dropped": [
        delete(REPLICA_KEY, THE_REPLICA),
        edit(REPLICA_KEY, THE_REPLICA, region="eu-west-1"),
        edit(REPLICA_KEY, THE_REPLICA, primaryKeyArn="arn:another"),
    ],
    "key-disabled": [
        edit(K, KEY, isEnabled=False),
        edit(REPLICA_KEY, given(THE_REPLICA, enabled=None), enabled=False),
    ],
    "deletion-window-shortened": [
        edit(K, KEY, deletionWindowInDays=7),
        edit(K, given(KEY, deletionWindowInDays=None), deletionWindowInDays=29),
    ],
    "key-policy-weakened": [
        # the denial is gone
        key_policy(SIGNS),
        key_policy(PROVISIONS, allow([SIGNER, GLASS], "kms:Sign"), NO_DESTRUCTION),
        # the account's root signs
        key_text('"kms:DescribeKey"', '"kms:*"'),
        # the denial has one more exception
        key_text(f'"{GLASS}"', f'"{GLASS}", "{SIGNER}"'),
        edit(REPLICA_KEY, THE_REPLICA, policy=None),
        edit(K, KEY, policy=UNKNOWN),
        edit(K, KEY, bypassPolicyLockoutSafetyCheck=True),
        create(K, given(KEY, **doc(allow(ROOT_ARN, "kms:*")))),
        delete(KEY_POLICY, {"keyId": "k", "policy": KEY_TEXT}),
    ],
    "signer-excluded": [key_text('"kms:Sign"', '"kms:GetPublicKey"')],
    "alias-moved": [edit(ALIAS, THE_ALIAS, targetKeyId="k2"), delete(ALIAS, THE_ALIAS)],
    "grant-to-sign": [create(GRANT, {"granteePrincipal": GLASS, "operations": ["Sign"]})],
    "rotation-of-a-signing-key": [edit(K, KEY, enableKeyRotation=True)],
    # access
    "boundary-removed": [
        edit(ROLE, THE_ROLE, permissionsBoundary=None),
        edit(ROLE, THE_ROLE, permissionsBoundary="arn:wider"),
    ],
    "trust-widened": [
        edit(
            ROLE, THE_ROLE, assumeRolePolicy=policy_text(allow([SIGNER, GLASS], "sts:AssumeRole"))
        ),
        edit(ROLE, THE_ROLE, assumeRolePolicy=UNKNOWN),
    ],
    "permissions-widened": [
        step(ROLE_POLICY, SIGN_ONE, SIGN_TWO),
        step(POLICY, doc(statement("Deny", Action="kms:*")), doc()),
    ],
    "role-removed": [
        delete(ROLE, THE_ROLE),
        step(ROLE, THE_ROLE, THE_ROLE, op="replace"),
        edit(ROLE_POLICY, SIGN_ONE, policy=SIGN_ONE["policy"].replace("kms:Sign", "kms:Verify")),
    ],
    "wildcard-introduced": [
        create(ROLE_POLICY, doc(statement(Action="s3:*", on="arn:b"))),
        create(POLICY, doc(statement(Action="s3:GetObject"))),
        create(POLICY, doc(statement(NotAction="iam:*", on="arn:b"))),
        create(POLICY, doc(statement(Action="kms:Sign", on="arn:aws:kms:*:1:key/*"))),
        step(BUCKET_POLICY, doc(allow(SIGNER, "s3:GetObject")), doc(allow("*", "s3:GetObject"))),
        create(POLICY, doc(statement(Action="kms:Sign", on=f"{KEY_ARN}/*")), name="signers"),
        create(
            POLICY,
            doc(statement(Sid="AnotherStatement", Action="kms:Sign", on=f"{KEY_ARN}/*")),
            name="boundary-signer",
        ),
        create(  # allowed through RDS alone
            POLICY,
            doc(statement(Sid="UseKeysOfDatabases", Action="kms:Decrypt", on=f"{KEY_ARN}/*")),
            name="backup",
        ),
        create(POLICY, doc(statement(Action="kms:*", on=f"{KEY_ARN}/a")), name="boundary-signer"),
        create(
            POLICY,
            doc(
                statement(
                    Action="s3:GetObject", Condition={"Bool": {"aws:SecureTransport": "true"}}
                )
            ),
        ),
    ],
    "administrator-attached": [
        create(ATTACHMENT, {"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"})
    ],
    # storage
    "bucket-removed": [
        delete(BUCKET, {"bucket": "b", "region": "r"}),
        edit(BUCKET, {"bucket": "b", "region": "r"}, bucket="b2"),
    ],
    "bucket-emptiable": [edit(BUCKET, {"bucket": "b"}, forceDestroy=True)],
    "object-lock-weakened": [
        edit(BUCKET, {"objectLockEnabled": True}, objectLockEnabled=False),
        delete(LOCK, LOCKED),
        edit(LOCK, LOCKED, rule=None),
        step(LOCK, LOCKED, lock(mode="GOVERNANCE", days=400)),
        step(LOCK, LOCKED, lock(mode="COMPLIANCE", years=1)),
    ],
    "versioning-suspended": [
        step(
            VERSIONING,
            {"versioningConfiguration": {"status": "Enabled"}},
            {"versioningConfiguration": {"status": "Suspended"}},
        )
    ],
    "replication-weakened": [
        delete(REPLICATION, REPLICATES),
        step(
            REPLICATION,
            REPLICATES,
            rules(id="all", status="Disabled", destination={"bucket": "arn:other"}),
        ),
    ],
    "lifecycle-shortened": [
        step(LIFECYCLE, EXPIRES, old_versions(30)),
        create(LIFECYCLE, rules(id="new", expiration={"days": 1})),
    ],
    "public-access-opened": [
        edit(ACCESS_BLOCK, {"blockPublicAcls": True}, blockPublicAcls=False),
        step(
            OWNERSHIP,
            {"rule": {"objectOwnership": "BucketOwnerEnforced"}},
            {"rule": {"objectOwnership": "ObjectWriter"}},
        ),
    ],
    "encryption-weakened": [step(ENCRYPTION, encrypted("aws:kms"), encrypted("AES256"))],
    "resource-policy-weakened": [
        step(TOPIC_POLICY, doc(deny("*", "sns:Publish")), doc(allow(SIGNER, "sns:Publish"))),
        step(
            SECRET,
            doc(allow(SIGNER, "secretsmanager:GetSecretValue")),
            doc(allow([SIGNER, GLASS], "secretsmanager:GetSecretValue")),
        ),
        delete(BUCKET_POLICY, doc(deny("*", "s3:*"))),
    ],
    "kit-removed": [delete(OBJECT, {"key": "runbook.md"})],
    "backup-vault-removed": [delete(VAULT, {"name": "v"})],
    "backup-lock-weakened": [
        edit(VAULT_LOCK, {"minRetentionDays": 35}, minRetentionDays=7),
        edit(VAULT_LOCK, {"changeableForDays": 3}, changeableForDays=None),
    ],
    "backup-plan-weakened": [
        edit(PLAN, THE_PLAN, rules=[{**DAILY, "lifecycle": {"deleteAfter": 7}}]),
        edit(PLAN, THE_PLAN, rules=[{**DAILY, "copyActions": []}]),
        delete(PLAN, THE_PLAN),
        edit(SELECTION, {"resources": ["arn:a", "arn:b"]}, resources=["arn:a"]),
    ],
    "secret-removed": [
        edit(SECRET, {"name": "rail", "replicas": [{"region": "us-west-2"}]}, replicas=[])
    ],
    "queue-removed": [edit(QUEUE, {"name": "q", "redrivePolicy": "{}"}, redrivePolicy=None)],
    # monitors
    "trail-weakened": [
        edit(TRAIL, given(THE_TRAIL, isMultiRegionTrail=True), isMultiRegionTrail=False),
        edit(TRAIL, THE_TRAIL, enableLogging=False),
        delete(TRAIL, THE_TRAIL),
    ],
    "event-rule-weakened": [
        edit(EVENT_RULE, EVENT, state="DISABLED"),
        edit(EVENT_RULE, EVENT, eventPattern=ATTACKS.replace('"DisableKey",', "")),
        edit(EVENT_RULE, EVENT, eventPattern=ATTACKS[:-1] + ',"region":["x"]}'),
        delete(EVENT_TARGET, {"rule": "e", "arn": "t"}),
    ],
    "alarm-weakened": [
        delete(ALARM, THE_ALARM),
        edit(ALARM, THE_ALARM, actionsEnabled=False),
        edit(ALARM, THE_ALARM, alarmActions=["t1"]),
        edit(ALARM, THE_ALARM, threshold=0.31),
        edit(ALARM, given(THE_ALARM, comparisonOperator="LessThanThreshold"), threshold=0.2),
        edit(ALARM, THE_ALARM, evaluationPeriods=3),
        edit(ALARM, THE_ALARM, treatMissingData="notBreaching"),
        edit(ALARM, THE_ALARM, dimensions={"indicator": "another"}),
        # what only the update knows is not taken for harmless
        edit(ALARM, THE_ALARM, evaluationPeriods=UNKNOWN),
        edit(ALARM, THE_ALARM, alarmActions=UNKNOWN),
    ],
    "rule-group-weakened": [
        alerts("Other", "Else"),
        alerts("0.3", "0.4"),
        alerts("1m", "10m"),
        edit(ALERT_RULES, {"data": ALERTS}, data=UNKNOWN),
        delete(WORKSPACE, {"alias": "w"}),
    ],
    "alert-routing-weakened": [
        edit(
            ROUTING, {"definition": RECEIVERS}, definition=RECEIVERS.replace("arn:t", "arn:other")
        ),
        delete(ROUTING, {"definition": RECEIVERS}),
    ],
    "topic-removed": [step(TOPIC, {"name": "critical"}, {"name": "other"}, op="replace")],
    "subscription-weakened": [
        delete(SUBSCRIPTION, {"endpoint": "a@b"}),
        step(SUBSCRIPTION, {"endpoint": "a@b"}, {"endpoint": "c@d"}, op="replace"),
        edit(SUBSCRIPTION, {"endpoint": "a@b"}, filterPolicy="{}"),
    ],
    "health-check-weakened": [
        edit(HEALTH_CHECK, {"failureThreshold": 3}, failureThreshold=10),
        edit(RECORD, {"healthCheckId": "h"}, healthCheckId=None),
    ],
    "game-day-weakened": [
        edit(SCHEDULE, {"name": "s"}, state="DISABLED"),
        delete(TASK, {"family": "gameday"}),
    ],
    "parameter-removed": [delete(PARAMETER, {"name": "/seawall/kill"})],
    "logs-removed": [edit(LOG_GROUP, {"name": "l"}, retentionInDays=30)],
    # anything
    "protection-removed": [step(K, KEY, KEY, protect=(True, False), op="same")],
    "provider-moved": [
        step(
            PROVIDER,
            {"region": "us-east-1"},
            {"region": "us-east-1", "profile": "other"},
            name="aws",
        )
    ],
    "not-understood": [
        delete(UNLISTED, {"tags": WALLET_TAGS}),
        step(UNLISTED, {}, {}, op="replace"),
        step(K, KEY, KEY, op="teleport"),
    ],
}

ALLOWED: dict[str, Step] = {
    "another description": edit(K, KEY, description="Signs payouts"),
    "another tag": edit(K, KEY, tags={**WALLET_TAGS, "policy": "new"}),
    "a new wallet, whose policy is not known yet": create(
        K, given(KEY, policy=UNKNOWN), name="customer-birch-warm"
    ),
    "a new wallet, whose policy is known": create(K, KEY, name="customer-birch-warm"),
    "its replica": create(REPLICA_KEY, given(THE_REPLICA, primaryKeyArn=UNKNOWN, policy=UNKNOWN)),
    "a longer window": step(K, given(KEY, deletionWindowInDays=7), KEY),
    "a key that is enabled again": step(K, given(KEY, isEnabled=False), KEY),
    "one more denial": key_policy(
        PROVISIONS, SIGNS, deny(SIGNER, "kms:CreateGrant"), NO_DESTRUCTION
    ),
    "a denial in other words": key_policy(
        PROVISIONS,
        SIGNS,
        deny(
            {"AWS": "*"},
            "kms:Schedule*",
            "kms:Disable*",
            Condition={"ArnNotEquals": {"aws:PrincipalArn": GLASS}},
        ),
    ),
    "reading for a new principal": key_policy(
        PROVISIONS, SIGNS, allow(GLASS, "kms:GetPublicKey"), NO_DESTRUCTION
    ),
    "a narrower permission": step(ROLE_POLICY, SIGN_TWO, SIGN_ONE),
    "a wildcard that AWS demands": create(
        POLICY, doc(statement(Action="cloudwatch:PutMetricData"))
    ),
    "a boundary over keys that are not known yet": create(
        POLICY,
        doc(statement(Sid="KeysWhosePolicyAgrees", Action="kms:Sign", on=f"{KEY_ARN}/*")),
        name="boundary-signer",
    ),
    "a wildcard that a tag narrows": create(
        POLICY,
        doc(
            statement(
                Action="ecs:StopTask",
                Condition={"StringEquals": {"aws:ResourceTag/seawall": "target"}},
            )
        ),
    ),
    "a new revision of a task": step(
        TASK, {"family": "gameday"}, {"family": "gameday"}, op="replace"
    ),
    "a role with a boundary for the first time": step(
        ROLE, given(THE_ROLE, permissionsBoundary=None), THE_ROLE
    ),
    "a longer retention": step(LOCK, LOCKED, lock(mode="COMPLIANCE", years=2)),
    "a later expiry": step(LIFECYCLE, EXPIRES, old_versions(900)),
    "no expiry any more": delete(LIFECYCLE, EXPIRES),
    "an earlier alarm": edit(ALARM, THE_ALARM, threshold=0.2, alarmActions=["t1", "t2", "t3"]),
    "an alarm that is made anew as it was": step(
        ALARM, THE_ALARM, given(THE_ALARM, name="b"), op="replace"
    ),
    "a wider event pattern": edit(
        EVENT_RULE, EVENT, eventPattern='{"source":["aws.kms","aws.iam"]}'
    ),
    "an alert that fires earlier": alerts("0.3", "0.2"),
    "one receiver more": edit(
        ROUTING,
        {"definition": RECEIVERS},
        definition=RECEIVERS + "  - name: more\n    sns_configs: [{topic_arn: 'arn:m'}]\n",
    ),
    "logs for ever": edit(LOG_GROUP, {"retentionInDays": 30}, retentionInDays=0),
    "the kill switch is used": edit(PARAMETER, {"name": "k", "value": "run"}, value="stop"),
    "protection is added": step(K, KEY, KEY, protect=(False, True), op="same"),
    "a component goes, and says nothing of its children": delete(
        "seawall:infra:Paging", {}, custom=False
    ),
    "an unknown type is made": create(UNLISTED, {}),
    "an alias of the engine: a new name for the same key": step(
        K, KEY, KEY, op="update", name="customer-aster-payouts"
    ),
}


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        pytest.param(rule, change, id=f"{rule}-{number}")
        for rule, changes in REFUSED.items()
        for number, change in enumerate(changes)
    ],
)
def test_a_change_that_weakens_the_stack_is_refused_by_its_rule(rule: str, change: Step) -> None:
    judgement = judged(change)

    assert rule in refusals(judgement)
    assert judgement.outcome is ReviewOutcome.REFUSED
    assert all(finding.evidence for finding in judgement.findings)


@pytest.mark.parametrize("change", ALLOWED.values(), ids=ALLOWED)
def test_a_harmless_change_is_allowed(change: Step) -> None:
    judgement = judged(change)

    assert refusals(judgement) == set()
    assert judgement.outcome is ReviewOutcome.ALLOWED


def test_every_rule_of_the_table_has_a_row_above() -> None:
    """A rule that was never seen to refuse might not be there."""
    assert {rule.id for rule in (*TABLE, NOT_UNDERSTOOD)} == set(REFUSED)
    assert all(REFUSED.values())
    assert all(rule.source and rule.consequence and rule.instead for rule in TABLE)


def test_a_new_expiry_beyond_the_retention_of_its_bucket_is_allowed() -> None:
    unchanged = step(LOCK, LOCKED, LOCKED, op="same")

    def refused(days: int) -> set[str]:
        expiry = create(LIFECYCLE, rules(id="new", expiration={"days": days}))
        return refusals(judged(unchanged, expiry))

    assert refused(401) == set()
    assert refused(399) == {"lifecycle-shortened"}


def test_a_key_that_is_deleted_here_and_made_there_is_advised_to_have_an_alias() -> None:
    """The engine sees two resources where the author meant one under another name."""
    judgement = judged(delete(K, KEY), create(K, KEY, name="customer-aster-payouts"))

    [finding] = judgement.findings
    assert finding.rule.id == "signing-key-replaced"
    assert "made again as customer-aster-payouts, with another address" in finding.advice
    assert finding.change.urn in finding.advice
