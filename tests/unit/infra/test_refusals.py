"""Forbidden desired states are refused by name, one rule at a time.

The whole stack as it is passes.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from infra.refusals.declared import UNKNOWN, Declared
from infra.refusals.judge import judge, judge_all
from seawall.iam.allowed_wildcards import ALLOWED_WILDCARDS, AllowedWildcard
from tests.testing.refusals import (
    ACCESS_BLOCK,
    ATTACHMENT,
    BUCKET,
    KEY,
    POLICY_OF_IAM,
    PROTECTED,
    REPLICA,
    ROLE,
    ROLE_POLICY,
    SECRET,
    VERSIONING,
    WALLET,
    changed,
    program,
    the,
)


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def test_the_program_as_it_is_passes_every_rule() -> None:
    assert judge_all(program(), PROTECTED) == []


def allow(**more: Any) -> str:
    return policy(
        {
            "Sid": "X",
            "Effect": "Allow",
            "Action": ["kms:Sign"],
            "Resource": "arn:aws:kms:r:1:key/k",
            **more,
        }
    )


@pytest.mark.parametrize(
    ("kind", "name", "change", "said"),
    [
        (
            KEY,
            WALLET,
            {"customerMasterKeySpec": "ECC_NIST_P256"},
            "spec ECC_NIST_P256; a key that signs for a chain is",
        ),
        (KEY, WALLET, {"customerMasterKeySpec": None}, "spec SYMMETRIC_DEFAULT"),
        (
            KEY,
            "approver-treasury-lead",
            {"customerMasterKeySpec": "ECC_NIST_P256"},
            "spec ECC_NIST_P256",
        ),
        (KEY, WALLET, {"keyUsage": "KEY_AGREEMENT"}, "usage KEY_AGREEMENT"),
        (KEY, WALLET, {"keyUsage": None}, "usage ENCRYPT_DECRYPT"),
        (KEY, WALLET, {"multiRegion": False}, "single-Region, and can never be converted"),
        (KEY, WALLET, {"multiRegion": None}, "single-Region, and can never be converted"),
        (KEY, WALLET, {"enableKeyRotation": True}, "enableKeyRotation on an asymmetric key"),
        (KEY, WALLET, {"rotationPeriodInDays": 90}, "rotationPeriodInDays on an asymmetric key"),
        (KEY, WALLET, {"policy": None}, "no policy"),
        (KEY, WALLET, {"policy": "{}"}, "no policy"),
        (KEY, WALLET, {"policy": "[]"}, "no policy"),
        (KEY, WALLET, {"policy": policy()}, "no policy"),
        (
            KEY,
            WALLET,
            {"deletionWindowInDays": 7},
            "deletion window of 7 days; this stack demands 30",
        ),
        (KEY, WALLET, {"deletionWindowInDays": None}, "deletion window of no days"),
        (KEY, WALLET, {"isEnabled": False}, "declared as disabled"),
        (KEY, WALLET, {"bypassPolicyLockoutSafetyCheck": True}, "bypasses the check"),
        (REPLICA, WALLET, {"policy": None}, "no policy"),
        (
            REPLICA,
            "approver-treasury-lead",
            {"deletionWindowInDays": 29},
            "deletion window of 29 days",
        ),
        (ROLE, None, {"permissionsBoundary": None}, "no permission boundary"),
        (ROLE, None, {"permissionsBoundary": ""}, "no permission boundary"),
        (
            ROLE,
            None,
            {"inlinePolicies": [{"name": "x", "policy": "{}"}]},
            "inlinePolicies, which this check does not read",
        ),
        (
            ROLE,
            None,
            {"managedPolicyArns": ["arn:aws:iam::1:policy/x"]},
            "managedPolicyArns, which this check does not read",
        ),
        (
            ROLE,
            None,
            {
                "assumeRolePolicy": policy(
                    {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}
                )
            },
            "Principal '*' is anybody",
        ),
        (
            ROLE,
            None,
            {
                "assumeRolePolicy": policy(
                    {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
                )
            },
            "Principal '*' is anybody",
        ),
        (
            ROLE,
            None,
            {
                "assumeRolePolicy": policy(
                    {"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::*:root"]}}
                )
            },
            "is anybody",
        ),
        (
            ROLE,
            None,
            {
                "assumeRolePolicy": policy(
                    {"Effect": "Allow", "NotPrincipal": {"AWS": "arn:aws:iam::1:root"}}
                )
            },
            "allows by NotPrincipal",
        ),
        (ROLE, None, {"assumeRolePolicy": "not json"}, "assumeRolePolicy is no policy document"),
        (ROLE_POLICY, None, {"policy": allow(Action="kms:*")}, "Action 'kms:*'"),
        (ROLE_POLICY, None, {"policy": allow(Resource="*")}, "policy, statement X: Resource '*'"),
        (
            ROLE_POLICY,
            None,
            {"policy": policy({"Effect": "Allow", "Action": "kms:*"})},
            "statement (without Sid): Action 'kms:*'",
        ),
        (ROLE_POLICY, None, {"policy": policy({"Action": "kms:*"})}, "Action 'kms:*'"),
        (
            ROLE_POLICY,
            None,
            {"policy": json.dumps({"Statement": {"Effect": "Allow", "Action": "kms:*"}})},
            "Action 'kms:*'",
        ),
        (
            ROLE_POLICY,
            None,
            {"policy": {"Statement": [{"Effect": "Allow", "Action": "kms:*"}]}},
            "Action 'kms:*'",
        ),
        (ROLE_POLICY, None, {"policy": ""}, "policy is no policy document"),
        (ROLE_POLICY, None, {"policy": "[]"}, "policy is no policy document"),
        (
            ROLE_POLICY,
            None,
            {"policy": allow(Resource=["arn:aws:kms:r:1:key/?"])},
            "Resource 'arn:aws:kms:r:1:key/?'",
        ),
        (
            POLICY_OF_IAM,
            None,
            {"policy": policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": "a"})},
            "allows by NotAction",
        ),
        (
            POLICY_OF_IAM,
            None,
            {"policy": policy({"Effect": "Allow", "Action": "a:b", "NotResource": "a"})},
            "allows by NotResource",
        ),
        (
            KEY,
            WALLET,
            {"policy": allow(Action=["kms:*"], Principal={"AWS": "arn:aws:iam::1:root"})},
            "Action 'kms:*'",
        ),
        (
            KEY,
            WALLET,
            {"policy": allow(Action="*", Principal={"AWS": "arn:aws:iam::1:root"})},
            "Action '*'",
        ),
        (BUCKET, None, {"objectLockEnabled": False}, "made without object lock"),
        (BUCKET, None, {"objectLockEnabled": None}, "made without object lock"),
        (BUCKET, None, {"forceDestroy": True}, "force_destroy in a protected stack"),
        (ACCESS_BLOCK, None, {"blockPublicAcls": False}, "leaves blockPublicAcls open"),
        (ACCESS_BLOCK, None, {"blockPublicPolicy": None}, "leaves blockPublicPolicy open"),
        (ACCESS_BLOCK, None, {"ignorePublicAcls": False}, "leaves ignorePublicAcls open"),
        (ACCESS_BLOCK, None, {"restrictPublicBuckets": False}, "leaves restrictPublicBuckets open"),
        (
            VERSIONING,
            None,
            {"versioningConfiguration": {"status": "Suspended"}},
            "versioning Suspended",
        ),
        (
            VERSIONING,
            None,
            {"versioningConfiguration": {"status": "Disabled"}},
            "versioning Disabled",
        ),
        (VERSIONING, None, {"versioningConfiguration": {}}, "versioning not said"),
        (VERSIONING, None, {"versioningConfiguration": None}, "versioning not said"),
    ],
)
def test_a_forbidden_state_is_refused_and_named(
    kind: str, name: str | None, change: dict[str, Any], said: str
) -> None:
    resource = the(kind, name)
    assert judge(resource, PROTECTED) == []
    refusals = judge(changed(resource, **change), PROTECTED)
    assert [line for line in refusals if said in line and line.startswith(f"{resource}: ")], (
        refusals
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (KEY, None),
        (REPLICA, None),
        (BUCKET, None),
        ("aws:backup/vault:Vault", None),
        ("aws:cloudtrail/trail:Trail", None),
        ("aws:ssm/parameter:Parameter", "deployed"),
    ],
)
def test_what_lasts_is_protected_where_the_stack_is_protected_and_nowhere_else(
    kind: str, name: str | None
) -> None:
    bare = changed(the(kind, name), protect=False)
    assert judge(bare, PROTECTED) == [
        f"{bare}: not protected, which a protected stack does not allow; write protect=True"
    ]
    assert judge(bare, replace(PROTECTED, protected=False)) == []


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("aws:iam/user:User", "standing credentials"),
        ("aws:iam/accessKey:AccessKey", "standing credentials"),
        ("aws:iam/userLoginProfile:UserLoginProfile", "standing credentials"),
        ("aws:kms/grant:Grant", "a grant, which allows what no policy shows"),
        ("aws:kms/externalKey:ExternalKey", "key material made elsewhere"),
        ("aws:kms/replicaExternalKey:ReplicaExternalKey", "key material made elsewhere"),
    ],
)
def test_some_types_are_always_refused(kind: str, said: str) -> None:
    [refusal] = judge(Declared(kind=kind, name="x", inputs={}, protect=True), PROTECTED)
    assert said in refusal


def test_values_that_are_not_known_yet_are_judged_later() -> None:
    key = the(KEY, WALLET)
    names = (
        "policy",
        "customerMasterKeySpec",
        "keyUsage",
        "multiRegion",
        "deletionWindowInDays",
        "enableKeyRotation",
    )
    nothing: dict[str, Any] = dict.fromkeys(names, UNKNOWN)
    assert judge(changed(key, **nothing), PROTECTED) == []
    assert (
        judge(changed(key, customerMasterKeySpec=UNKNOWN, enableKeyRotation=True), PROTECTED) == []
    )
    assert judge(changed(key, enableKeyRotation=UNKNOWN), PROTECTED) == []
    changes: list[tuple[str, dict[str, Any]]] = [
        (ROLE, {"permissionsBoundary": UNKNOWN}),
        (ROLE_POLICY, {"policy": UNKNOWN}),
        (BUCKET, {"objectLockEnabled": UNKNOWN}),
        (ACCESS_BLOCK, {"blockPublicAcls": UNKNOWN}),
        (VERSIONING, {"versioningConfiguration": UNKNOWN}),
        (VERSIONING, {"versioningConfiguration": {"status": UNKNOWN}}),
    ]
    for kind, change in changes:
        assert judge(changed(the(kind), **change), PROTECTED) == []
    assert judge(attached(UNKNOWN), PROTECTED) == []


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (KEY, {"enableKeyRotation": False}),
        (KEY, {"bypassPolicyLockoutSafetyCheck": False}),
        (KEY, {"isEnabled": True}),
        (ROLE, {"managedPolicyArns": []}),
    ],
)
def test_a_default_that_is_written_out_is_not_refused(kind: str, change: dict[str, Any]) -> None:
    assert judge(changed(the(kind, WALLET if kind == KEY else None), **change), PROTECTED) == []


def test_a_bucket_may_be_emptied_in_a_disposable_stack() -> None:
    assert judge(changed(the(BUCKET), forceDestroy=True), replace(PROTECTED, protected=False)) == []


def test_what_is_wrong_with_one_resource_is_wrong_with_the_program() -> None:
    key = the(KEY, WALLET)
    spoilt = [changed(key, isEnabled=False) if each is key else each for each in program()]
    assert judge_all(spoilt, PROTECTED) == judge(changed(key, isEnabled=False), PROTECTED) != []


@pytest.mark.parametrize(
    ("kind", "name", "refused"),
    [
        (ROLE_POLICY, "policy", True),
        ("aws:kms/keyPolicy:KeyPolicy", "policy", True),
        ("aws:s3/bucketPolicy:BucketPolicy", "policy", True),
        ("aws:sns/topicPolicy:TopicPolicy", "policy", True),
        ("aws:sqs/queuePolicy:QueuePolicy", "policy", True),
        ("aws:cloudwatch/logDestinationPolicy:LogDestinationPolicy", "accessPolicy", True),
        # What some services call a policy has no statements.
        ("aws:ecr/lifecyclePolicy:LifecyclePolicy", "policy", False),
    ],
)
def test_a_policy_that_cannot_be_read_is_refused_where_it_says_who_may_what(
    kind: str, name: str, refused: bool
) -> None:
    strange = Declared(kind=kind, name="x", inputs={name: '{"rules": []}'}, protect=False)
    assert judge(strange, PROTECTED) == (
        [f"{strange}: {name} is no policy document"] if refused else []
    )


def attached(arn: object) -> Declared:
    return Declared(kind=ATTACHMENT, name="x", inputs={"policyArn": arn}, protect=False)


def test_a_policy_that_aws_owns_is_refused_unless_it_is_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of_aws = attached("arn:aws:iam::aws:policy/AdministratorAccess")
    [refusal] = judge(of_aws, PROTECTED)
    assert "a policy that AWS owns and changes" in refusal
    assert judge(attached("arn:aws:iam::123456789012:policy/ours"), PROTECTED) == []

    listed = AllowedWildcard(
        kind=ATTACHMENT,
        name="x",
        sid="",
        element="ManagedPolicy",
        pattern=str(of_aws.inputs["policyArn"]),
        reason="tried here",
    )
    monkeypatch.setattr("seawall.iam.allowed_wildcards.ALLOWED_WILDCARDS", (listed,))
    assert judge(of_aws, PROTECTED) == []


@pytest.mark.parametrize(
    ("companion", "what"),
    [
        ("aws:s3/bucketVersioning:BucketVersioning", "versioning"),
        ("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration", "an object lock"),
        (
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            "encryption",
        ),
        ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "a public access block"),
    ],
)
def test_a_bucket_without_one_of_its_companions_is_refused(companion: str, what: str) -> None:
    rest = [each for each in program() if (each.kind, each.name) != (companion, "evidence")]
    assert f"{BUCKET} evidence: without {what}; declare it under the name evidence" in judge_all(
        rest, PROTECTED
    )


def test_every_exception_has_a_reason() -> None:
    assert ALLOWED_WILDCARDS
    assert all(len(each.reason) > len("it is needed") for each in ALLOWED_WILDCARDS)


def test_every_exception_is_needed_by_the_program() -> None:
    """An exception that matches nothing in the program would only wait to be misused."""
    unused = [
        each
        for each in ALLOWED_WILDCARDS
        if not any(
            each.covers(
                kind=resource.kind, name=resource.name, sid=sid, element=element, value=value
            )
            for resource in program()
            for sid, element, value in wildcards(resource)
        )
    ]
    assert not unused


def arn(
    service: str, rest: str, *, region: str = "us-east-1", account: str = "123456789012"
) -> str:
    return f"arn:aws:{service}:{region}:{account}:{rest}"


@pytest.mark.parametrize(
    ("kind", "name", "sid", "value"),
    [
        (KEY, WALLET, "X", arn("kms", "*")),
        (KEY, WALLET, "X", "x*"),
        (KEY, WALLET, "X", "*x"),
        (SECRET, "x", "X", arn("secretsmanager", "*")),
        (POLICY_OF_IAM, "x", "X", "arn:aws:s3:::*"),
        (POLICY_OF_IAM, "x", "X", "arn:aws:s3:::seawall-*/*"),
        (POLICY_OF_IAM, "x", "X", "arn:aws:s3:::bucket/*/*"),
        (POLICY_OF_IAM, "x", "X", "arn:aws:s3:::bucket/runs/*.json"),
        (POLICY_OF_IAM, "boundary-gameday", "KeysWhosePolicyAgrees", arn("kms", "key/*")),
        (POLICY_OF_IAM, "boundary-signer", "X", arn("kms", "key/*")),
        (
            POLICY_OF_IAM,
            "boundary-signer",
            "KeysWhosePolicyAgrees",
            arn("kms", "key/*", region="*"),
        ),
        (
            POLICY_OF_IAM,
            "boundary-signer",
            "KeysWhosePolicyAgrees",
            arn("kms", "key/*", account="*"),
        ),
        (POLICY_OF_IAM, "boundary-backup", "Decrypt", arn("kms", "key/*")),
        (POLICY_OF_IAM, "boundary-kit", "X", arn("kms", "key/*")),
        (ROLE_POLICY, "kit", "SnapshotDatabases", arn("rds", "db:*")),
        (ROLE_POLICY, "backup", "X", arn("rds", "db:*")),
        (ROLE_POLICY, "backup", "SnapshotDatabases", arn("rds", "og:*")),
        (ROLE_POLICY, "backup", "SnapshotDatabases", arn("rds", "snapshot:*")),
        (ROLE_POLICY, "kit", "FindDatabases", "*"),
        (ROLE_POLICY, "backup", "X", "*"),
        (ROLE_POLICY, "kit", "UseKeysOfDatabases", arn("kms", "key/*")),
        (ROLE_POLICY, "backup", "X", arn("kms", "key/*")),
        (ROLE_POLICY, "gameday", "LogInToRegistry", "*"),
        (ROLE_POLICY, "gameday-execution", "X", "*"),
        (ROLE_POLICY, "backup", "BreakTargets", arn("ecs", "*")),
        (ROLE_POLICY, "gameday", "X", arn("ecs", "*")),
        (ROLE_POLICY, "gameday", "BreakTargets", arn("kms", "*")),
        (ROLE_POLICY, "backup", "WatchStopConditions", arn("cloudwatch", "alarm:seawall-*")),
        (ROLE_POLICY, "gameday", "X", arn("cloudwatch", "alarm:seawall-*")),
        (ROLE_POLICY, "gameday", "WatchStopConditions", arn("cloudwatch", "alarm:*")),
        (ROLE_POLICY, "gameday", "RunGameDays", arn("ecs", "task-definition/seawall:*")),
        (ROLE_POLICY, "gameday-scheduler", "X", arn("ecs", "task-definition/seawall:*")),
        (ROLE_POLICY, "gameday-scheduler", "RunGameDays", arn("ecs", "task-definition/*")),
    ],
)
def test_what_is_close_to_an_exception_is_refused(
    kind: str, name: str, sid: str, value: str
) -> None:
    """Another resource, another statement, a wider wildcard.

    What is listed was judged for one place.
    """
    near = Declared(
        kind=kind, name=name, inputs={"policy": allow(Sid=sid, Resource=value)}, protect=True
    )
    assert [
        line for line in judge(near, PROTECTED) if f"statement {sid}: Resource {value!r}" in line
    ]


def wildcards(resource: Declared) -> list[tuple[str, str, str]]:
    """Sid, element and value of whatever an exception could be about."""
    found = (
        [("", "ManagedPolicy", str(resource.inputs["policyArn"]))]
        if "policyArn" in resource.inputs
        else []
    )
    for name in ("policy", "assumeRolePolicy", "accessPolicy"):
        text = resource.inputs.get(name)
        if isinstance(text, str) and text.startswith("{"):
            for statement in json.loads(text)["Statement"]:
                for element in ("Action", "Resource"):
                    values = statement.get(element, [])
                    several = values if isinstance(values, list) else [values]
                    found += [
                        (str(statement.get("Sid", "")), element, str(value)) for value in several
                    ]
    return found
