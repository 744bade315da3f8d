"""Forbidden desired states are refused by name, one rule at a time; the whole stack as it is passes."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from infra.refusals.complete import demanded
from infra.refusals.declared import UNKNOWN, Declared
from infra.refusals.demands import Demands
from infra.refusals.exceptions import EXCEPTIONS
from infra.refusals.judge import judge, judge_all
from tests.unit.infra.declared import POLICY, declared

GUARDED = Demands(policy=POLICY, guarded=True, key_window_days=30)
KEY, REPLICA, ROLE = "aws:kms/key:Key", "aws:kms/replicaKey:ReplicaKey", "aws:iam/role:Role"
BUCKET = "aws:s3/bucket:Bucket"
WALLET = "customer-aster-hot"


@cache
def program() -> tuple[Declared, ...]:
    """What the program declares for production."""
    return tuple(
        Declared(kind=each.type, name=each.name, inputs=each.inputs, protect=each.protect)
        for each in declared("production")
        if not each.type.startswith("pulumi:")
    )


def the(kind: str, name: str | None = None) -> Declared:
    """One of them, the first of its type if no name is given."""
    return next(each for each in program() if each.kind == kind and name in (None, each.name))


def changed(resource: Declared, *, protect: bool | None = None, **inputs: Any) -> Declared:
    """The resource with other inputs; None takes one out."""
    merged = {name: value for name, value in {**resource.inputs, **inputs}.items() if value is not None}
    return replace(resource, inputs=merged, protect=resource.protect if protect is None else protect)


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def test_the_program_as_it_is_passes_every_rule() -> None:
    assert judge_all(program(), GUARDED) == []


def allow(**more: Any) -> str:
    return policy({"Sid": "X", "Effect": "Allow", "Action": ["kms:Sign"], "Resource": "arn:aws:kms:r:1:key/k", **more})


@pytest.mark.parametrize(
    ("kind", "name", "change", "said"),
    [
        (KEY, WALLET, {"customerMasterKeySpec": "ECC_NIST_P256"}, "spec ECC_NIST_P256; a key that signs for a chain is"),
        (KEY, WALLET, {"customerMasterKeySpec": None}, "spec SYMMETRIC_DEFAULT"),
        (KEY, WALLET, {"keyUsage": "KEY_AGREEMENT"}, "usage KEY_AGREEMENT"),
        (KEY, WALLET, {"multiRegion": False}, "single-Region, and can never be converted"),
        (KEY, WALLET, {"multiRegion": None}, "single-Region, and can never be converted"),
        (KEY, WALLET, {"enableKeyRotation": True}, "enableKeyRotation on an asymmetric key"),
        (KEY, WALLET, {"rotationPeriodInDays": 90}, "rotationPeriodInDays on an asymmetric key"),
        (KEY, WALLET, {"policy": None}, "no policy"),
        (KEY, WALLET, {"policy": "{}"}, "no policy"),
        (KEY, WALLET, {"deletionWindowInDays": 7}, "deletion window of 7 days; this stack demands 30"),
        (KEY, WALLET, {"deletionWindowInDays": None}, "deletion window of no days"),
        (KEY, WALLET, {"isEnabled": False}, "declared as disabled"),
        (KEY, WALLET, {"bypassPolicyLockoutSafetyCheck": True}, "bypasses the check"),
        (REPLICA, WALLET, {"policy": None}, "no policy"),
        (REPLICA, "approver-treasury-lead", {"deletionWindowInDays": 29}, "deletion window of 29 days"),
        (ROLE, None, {"permissionsBoundary": None}, "no permission boundary"),
        (ROLE, None, {"managedPolicyArns": ["arn:aws:iam::1:policy/x"]}, "managedPolicyArns, which this check does not read"),
        (ROLE, None, {"assumeRolePolicy": policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"})}, "Principal '*' is anybody"),
        (ROLE, None, {"assumeRolePolicy": policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}})}, "is anybody"),
        (ROLE, None, {"assumeRolePolicy": "not json"}, "assumeRolePolicy is no policy document"),
        ("aws:iam/rolePolicy:RolePolicy", None, {"policy": allow(Action="kms:*")}, "Action 'kms:*'"),
        ("aws:iam/rolePolicy:RolePolicy", None, {"policy": allow(Resource="*")}, "Resource '*'"),
        ("aws:iam/rolePolicy:RolePolicy", None, {"policy": allow(Resource=["arn:aws:kms:r:1:key/?"])}, "Resource 'arn:aws:kms:r:1:key/?'"),
        ("aws:iam/policy:Policy", None, {"policy": policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": "a"})}, "allows by NotAction"),
        ("aws:iam/policy:Policy", None, {"policy": policy({"Effect": "Allow", "Action": "a:b", "NotResource": "a"})}, "allows by NotResource"),
        (KEY, WALLET, {"policy": allow(Action=["kms:*"], Principal={"AWS": "arn:aws:iam::1:root"})}, "Action 'kms:*'"),
        (BUCKET, None, {"objectLockEnabled": False}, "made without object lock"),
        (BUCKET, None, {"forceDestroy": True}, "force_destroy in a guarded stack"),
        ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", None, {"blockPublicPolicy": False}, "leaves blockPublicPolicy open"),
        ("aws:s3/bucketVersioning:BucketVersioning", None, {"versioningConfiguration": {"status": "Suspended"}}, "versioning Suspended"),
    ],
)  # fmt: skip
def test_a_forbidden_state_is_refused_and_named(kind: str, name: str | None, change: dict[str, Any], said: str) -> None:
    resource = the(kind, name)
    assert judge(resource, GUARDED) == []
    refusals = judge(changed(resource, **change), GUARDED)
    assert [line for line in refusals if said in line and line.startswith(f"{resource}: ")], refusals


@pytest.mark.parametrize("kind", [KEY, REPLICA, BUCKET, "aws:backup/vault:Vault", "aws:cloudtrail/trail:Trail"])
def test_what_lasts_is_protected_where_the_stack_is_guarded_and_nowhere_else(kind: str) -> None:
    bare = changed(the(kind), protect=False)
    assert judge(bare, GUARDED) == [f"{bare}: not protected, and this stack is guarded; write protect=True"]
    assert judge(bare, replace(GUARDED, guarded=False)) == []


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("aws:iam/user:User", "standing credentials"),
        ("aws:iam/accessKey:AccessKey", "standing credentials"),
        ("aws:kms/grant:Grant", "a grant, which allows what no policy shows"),
        ("aws:kms/externalKey:ExternalKey", "key material made elsewhere"),
    ],
)
def test_some_types_are_refused_whatever_they_say(kind: str, said: str) -> None:
    [refusal] = judge(Declared(kind=kind, name="x", inputs={}, protect=True), GUARDED)
    assert said in refusal


def test_what_is_not_known_yet_is_judged_later_and_not_taken_for_right_or_wrong() -> None:
    unknown = changed(the(KEY, WALLET), policy=UNKNOWN, customerMasterKeySpec=UNKNOWN, multiRegion=UNKNOWN)
    assert judge(unknown, GUARDED) == []
    assert judge(changed(the("aws:iam/rolePolicy:RolePolicy"), policy=UNKNOWN), GUARDED) == []


def test_a_policy_that_aws_owns_is_refused_unless_it_is_listed() -> None:
    attached = Declared(
        kind="aws:iam/rolePolicyAttachment:RolePolicyAttachment", name="x", protect=False,
        inputs={"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
    )  # fmt: skip
    [refusal] = judge(attached, GUARDED)
    assert "a policy that AWS owns and changes" in refusal


@pytest.mark.parametrize(
    ("companion", "what"),
    [
        ("aws:s3/bucketVersioning:BucketVersioning", "versioning"),
        ("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration", "an object lock"),
        ("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", "encryption"),
        ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "a public access block"),
    ],
)
def test_a_bucket_without_one_of_its_companions_is_refused(companion: str, what: str) -> None:
    rest = [each for each in program() if (each.kind, each.name) != (companion, "evidence")]
    assert f"{BUCKET} evidence: without {what}; declare it under the name evidence" in judge_all(rest, GUARDED)


def test_each_thing_that_the_policy_demands_is_missed_by_name_and_all_are_told_at_once() -> None:
    wanted = list(demanded(POLICY))
    assert len(wanted) == len(set(wanted))
    for kind, name, _ in wanted:
        rest = [each for each in program() if (each.kind, each.name) != (kind, name)]
        assert len(rest) < len(program()), (kind, name)
    assert judge_all([], GUARDED) == [f"{kind} {name} is missing: {why}" for kind, name, why in wanted]


def test_a_resource_under_another_type_or_name_does_not_count() -> None:
    [key, replica] = [the(KEY, WALLET), the(REPLICA, WALLET)]
    rest = [each for each in program() if each not in (key, replica)]
    renamed = [*rest, replace(key, name="other"), replace(replica, kind=KEY)]
    [missed] = [line for line in judge_all(renamed, GUARDED) if "is missing" in line]
    assert missed.startswith(f"{REPLICA} {WALLET} is missing")


def test_every_exception_has_a_reason() -> None:
    assert EXCEPTIONS
    assert all(len(each.reason) > len("it is needed") for each in EXCEPTIONS)


def test_an_exception_that_nothing_needs_is_taken_out() -> None:
    """What it lets through must exist in the program, else it waits for somebody to use it."""
    unused = [
        each
        for each in EXCEPTIONS
        if not any(
            each.covers(kind=resource.kind, name=resource.name, sid=sid, element=element, value=value)
            for resource in program()
            for sid, element, value in wildcards(resource)
        )
    ]
    assert not unused


def wildcards(resource: Declared) -> list[tuple[str, str, str]]:
    """Sid, element and value of whatever an exception could be about."""
    found = [("", "ManagedPolicy", str(resource.inputs["policyArn"]))] if "policyArn" in resource.inputs else []
    for name in ("policy", "assumeRolePolicy", "accessPolicy"):
        text = resource.inputs.get(name)
        if isinstance(text, str) and text.startswith("{"):
            for statement in json.loads(text)["Statement"]:
                for element in ("Action", "Resource", "Principal"):
                    values = statement.get(element, [])
                    several = values if isinstance(values, list) else [values]
                    found += [(str(statement.get("Sid", "")), element, str(value)) for value in several]
    return found
