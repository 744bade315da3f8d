"""The program's own resources, for tests of the refusals, and what is demanded of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from infra.generated_files import read_expected
from infra.refusals.declared import Declared, Demands
from tests.testing.declared import POLICY, ROOT, declared

EXPECTED = read_expected(POLICY, folder=ROOT / "generated" / "sandbox")
PROTECTED = Demands(policy=POLICY, protected=True, key_window_days=30, expected=EXPECTED)
KEY, REPLICA, ROLE = "aws:kms/key:Key", "aws:kms/replicaKey:ReplicaKey", "aws:iam/role:Role"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
BUCKET, SECRET = "aws:s3/bucket:Bucket", "aws:secretsmanager/secret:Secret"
ACCESS_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
POLICY_OF_IAM, ROLE_POLICY = "aws:iam/policy:Policy", "aws:iam/rolePolicy:RolePolicy"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
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
    merged = {
        name: value for name, value in {**resource.inputs, **inputs}.items() if value is not None
    }
    return replace(
        resource, inputs=merged, protect=resource.protect if protect is None else protect
    )
