"""KMS: keys with their policies and grants, aliases.

Which operation needs what on which key:
https://docs.aws.amazon.com/kms/latest/developerguide/kms-api-permissions-reference.html. A grant
allows its operations to its grantee
(https://docs.aws.amazon.com/kms/latest/developerguide/grants.html); here it counts as a statement
of the key's policy that names the grantee. Grants with constraints are for symmetric keys and allow
nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from moto.kms.exceptions import NotFoundException
from moto.kms.models import Key, KmsBackend, kms_backends

from localaws.emulator.authorization.call import ApiCall
from localaws.emulator.authorization.resources.requested import UNSCOPED, RequestedResource
from seawall.iam.request import ContextValue, ResourcePolicy

_ON_NO_KEY = frozenset(
    {
        "CreateKey",
        "ListKeys",
        "ListAliases",
        "ListRetirableGrants",
        "GenerateRandom",
        "DescribeCustomKeyStores",
    }
)
"""ListAliases takes a key only as a filter."""
_NEW_KEY = {
    "KeySpec": "SYMMETRIC_DEFAULT",
    "KeyUsage": "ENCRYPT_DECRYPT",
    "Origin": "AWS_KMS",
    "MultiRegion": "false",
}
"""What CreateKey makes by default (API reference)."""


def requested_keys(call: ApiCall) -> Iterator[RequestedResource]:
    """Yield the keys and aliases on which the call must be allowed."""
    if call.operation in _ON_NO_KEY:
        yield RequestedResource(
            arn="*",
            tags=UNSCOPED.tags,
            context=_new_key(call) if call.operation == "CreateKey" else {},
        )
        return
    named = [given for name in ("KeyId", "TargetKeyId") if (given := call.parameters.get(name))]
    alias = call.parameters.get("AliasName")
    if alias is not None:
        yield RequestedResource(
            arn=call.arn("kms:{region}:{account}:{value}", str(alias)), tags=UNSCOPED.tags
        )
        if call.operation != "CreateAlias":
            named.append(alias)
    for given in named:
        yield requested_key(call, str(given), region=call.region)
    if call.operation == "ReplicateKey":
        # "kms:CreateKey in an IAM policy in the replica Region" (multi-region-keys-auth.html)
        yield RequestedResource(
            arn="*",
            action="kms:CreateKey",
            region=call.value("ReplicaRegion"),
            tags=UNSCOPED.tags,
            context=_new_key(call),
        )


def requested_key(call: ApiCall, given: str, *, region: str) -> RequestedResource:
    """Return the key that an id, ARN or alias means in ``region``.

    An ARN of another Region names no key of this one.
    """
    if given.startswith("arn:") and given.split(":")[3] != region:
        raise NotFoundException(f"Invalid arn {given.split(':')[3]}")
    backend: KmsBackend = kms_backends[call.account][region]
    name = backend.get_key_id(backend.get_alias_name(given))
    by_alias = name.startswith("alias/")
    key_id = backend.get_key_id_from_alias(name) if by_alias else name
    key: Any = backend.keys.get(key_id or "")
    if key is None:
        return RequestedResource(
            arn=call.arn("kms:{region}:{account}:key/{value}", key_id or name), tags=UNSCOPED.tags
        )
    return RequestedResource(
        arn=key.arn,
        policy=ResourcePolicy(documents=(key.policy, *_grants(key)), decisive=True),
        tags=lambda: backend.tagger.get_tag_dict_for_resource(key.id),
        context=_KeyContext(key, name if by_alias else None),
    )


def _grants(key: Key) -> Iterator[str]:
    for grant in key.grants.values():
        if not grant.constraints:
            yield json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": {
                        "Effect": "Allow",
                        "Principal": {"AWS": grant.grantee_principal},
                        "Action": [f"kms:{operation}" for operation in grant.operations],
                        "Resource": "*",
                    },
                }
            )


class _KeyContext(Mapping[str, ContextValue]):
    """The condition keys of a key, read only when a policy tests them, which few do."""

    def __init__(self, key: Any, alias: str | None) -> None:
        self._key = key
        self._alias = alias

    def __getitem__(self, name: str) -> ContextValue:
        found = self._all().get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, ContextValue]:
        key = self._key
        known: dict[str, ContextValue] = {
            "kms:keyspec": key.key_spec,
            "kms:keyusage": key.key_usage,
            "kms:keyorigin": key.origin,
            "kms:multiregion": str(bool(key.multi_region)).lower(),
            "kms:resourcealiases": tuple(key.aliases),
        }
        if key.multi_region:
            known["kms:multiregionkeytype"] = key.multi_region_configuration["MultiRegionKeyType"]
        if self._alias is not None:
            known["kms:requestalias"] = self._alias
        return known


def _new_key(call: ApiCall) -> Mapping[str, ContextValue]:
    if call.operation == "ReplicateKey":
        return {"kms:multiregion": "true", "kms:multiregionkeytype": "REPLICA"}
    known = {name: call.value(name) or default for name, default in _NEW_KEY.items()}
    found: dict[str, ContextValue] = {
        f"kms:{name.lower()}": value for name, value in known.items() if name != "Origin"
    }
    found["kms:keyorigin"] = known["Origin"]
    if known["MultiRegion"] == "true":
        found["kms:multiregionkeytype"] = "PRIMARY"
    return found
