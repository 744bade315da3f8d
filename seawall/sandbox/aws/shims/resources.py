"""Which resources a request names, and the policies that they carry.

The resource types of each action: https://docs.aws.amazon.com/service-authorization/latest/reference/ (KMS, STS, IAM, S3).
"""

# ruff: noqa: SLF001 - a shim reaches into what moto keeps to itself

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moto.iam.models import iam_backends
from moto.kms.exceptions import NotFoundException
from moto.s3.models import s3_backends

from seawall.sandbox.aws.shims.policy_language import ResourcePolicy, UnevaluatedElementError

_LISTS = frozenset({"kms:ListAliases", "kms:ListKeys"})
"""These take a key only as a filter; they are judged against no resource."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A resource that a request names; ``arn`` is None if it is not known which."""

    arn: str | None
    policy: ResourcePolicy | None = None


def resources_asked(response: Any, action: str) -> tuple[Asked, ...]:
    """All resources that must be allowed for ``action``; at least one."""
    service = action.partition(":")[0]
    found = {"kms": _kms, "sts": _sts, "iam": _iam}.get(service, _unknown)(response, action)
    return tuple(found) or (Asked(arn=None),)


def s3_resource(response: Any, arn: str) -> Asked:
    """The bucket or object that moto determined, with the policy of its bucket."""
    name = arn.partition(":::")[2].partition("/")[0]
    bucket = s3_backends[response.current_account][response.partition].buckets.get(name)
    if bucket is None or bucket.policy is None:
        return Asked(arn=arn)
    return Asked(arn=arn, policy=ResourcePolicy(document=bucket.policy.decode(), decisive=False))


def _unknown(_response: Any, _action: str) -> Iterator[Asked]:
    yield Asked(arn=None)


def _kms(response: Any, action: str) -> Iterator[Asked]:
    body = json.loads(response.body or "{}")
    named = [] if action in _LISTS else [body[field] for field in ("KeyId", "TargetKeyId") if field in body]
    if "AliasName" in body:
        alias = str(body["AliasName"])
        yield Asked(arn=f"arn:{response.partition}:kms:{response.region}:{response.current_account}:{alias}")
        if action != "kms:CreateAlias":
            named.append(alias)
    for key_id in named:
        yield _key(response, key_id)


def _key(response: Any, given: str) -> Asked:
    """The key that an id, ARN or alias means in the region asked; an ARN of another region is none of this one's."""
    if given.startswith("arn:") and given.split(":")[3] != response.region:
        message = f"Invalid arn {given.split(':')[3]}"
        raise NotFoundException(message)
    backend = response.kms_backend
    name = backend.get_key_id(backend.get_alias_name(given))
    key_id = backend.get_key_id_from_alias(name) if name.startswith("alias/") else name
    key = backend.keys.get(key_id)
    if key is None:
        return Asked(
            arn=f"arn:{response.partition}:kms:{response.region}:{response.current_account}:key/{key_id or name}"
        )
    return Asked(arn=key.arn, policy=ResourcePolicy(document=key.policy, decisive=True))


def _sts(response: Any, action: str) -> Iterator[Asked]:
    if action != "sts:AssumeRole":
        yield Asked(arn=None)
        return
    if response._get_param("Policy") or response._get_param("PolicyArns"):
        message = "a session policy"
        raise UnevaluatedElementError(message)
    arn = response._get_param("RoleArn")
    nobody = '{"Version": "2012-10-17", "Statement": []}'  # a role that does not exist trusts no one
    roles = iam_backends[response.current_account][response.partition].get_roles()
    trust = next((role.assume_role_policy_document for role in roles if role.arn == arn), nobody)
    yield Asked(arn=arn, policy=ResourcePolicy(document=trust, decisive=True))


def _iam(response: Any, _action: str) -> Iterator[Asked]:
    for parameter, kind in (("RoleName", "role"), ("UserName", "user"), ("GroupName", "group")):
        name = response._get_param(parameter)
        if name is not None:
            known = getattr(response.backend, f"{kind}s").values()
            path = next((item.path for item in known if item.name == name), response._get_param("Path") or "/")
            yield Asked(arn=f"arn:{response.partition}:iam::{response.current_account}:{kind}{path}{name}")
