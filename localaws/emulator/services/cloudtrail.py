"""CloudTrail: which management events a trail logs, and the events that key-management calls make.

AWS: EventBridge gets "AWS API Call via CloudTrail" for the management calls that a trail logs
(EventBridge user guide, "AWS service events delivered via AWS CloudTrail"); read-only calls are
left out unless a rule asks for them, so only calls that change something are made into events here.
AWS takes minutes; here the event is there before the call returns. moto makes none.
What `LookupEvents` answers is in ``event_history``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from moto.cloudtrail.models import Trail, cloudtrail_backends
from moto.events.models import events_backends
from moto.iam.access_control import CreateAccessKeyFailure
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.kms.responses import KmsResponse

from localaws.emulator.authorization.callers import RootKey, key_of
from localaws.emulator.authorization.sessions import Session
from localaws.emulator.services.event_history import HISTORY


def install() -> None:
    """Install every correction of this module."""
    _install_trails()
    _install_trail_events()


# ------------------------------------------------------------------------------------------------
# Selectors of trails
#
# AWS: a trail logs management events unless its selectors say otherwise; one of several Regions
# logs them everywhere, else in its home Region; event selectors and advanced ones exclude each
# other, the last call counts (CloudTrail API reference, PutEventSelectors, EventSelector,
# AdvancedFieldSelector). moto keeps advanced selectors when basic ones replace them.
# ------------------------------------------------------------------------------------------------

_TESTS: dict[str, Callable[[str, str], bool]] = {
    "Equals": lambda found, wanted: found == wanted,
    "StartsWith": str.startswith,
    "EndsWith": str.endswith,
    "NotEquals": lambda found, wanted: found != wanted,
    "NotStartsWith": lambda found, wanted: not found.startswith(wanted),
    "NotEndsWith": lambda found, wanted: not found.endswith(wanted),
}


def _install_trails() -> None:
    """Let basic and advanced selectors replace each other."""
    trail: Any = Trail
    trail.put_event_selectors = _put_event_selectors


def logged(*, account: str, region: str, event: dict[str, Any]) -> bool:
    """Whether any trail of ``account`` that is logging covers ``region`` and this ``event``."""
    return any(
        trail.status.is_logging
        and (trail.is_multi_region or trail.region_name == region)
        and _selected(trail, event)
        for backend in cloudtrail_backends[account].values()
        for trail in list(backend.trails.values())
    )


def _put_event_selectors(self: Any, event_selectors: Any, advanced_event_selectors: Any) -> None:
    self.event_selectors = event_selectors or []
    self.advanced_event_selectors = advanced_event_selectors or []


def _selected(trail: Trail, event: dict[str, Any]) -> bool:
    if trail.advanced_event_selectors:
        return any(
            _passes(each["FieldSelectors"], event) for each in trail.advanced_event_selectors
        )
    if not trail.event_selectors:
        return True
    kinds = ("All", "ReadOnly" if event["readOnly"] else "WriteOnly")
    return any(
        each.get("IncludeManagementEvents", True)
        and each.get("ReadWriteType", "All") in kinds
        and event["eventSource"] not in each.get("ExcludeManagementEventSources", [])
        for each in trail.event_selectors
    )


def _passes(fields: list[dict[str, Any]], event: dict[str, Any]) -> bool:
    return all(_field_passes(field, event) for field in fields)


def _field_passes(field: dict[str, Any], event: dict[str, Any]) -> bool:
    """One field of an advanced selector: any of the positive values, none of the negated ones."""
    known = {
        **event,
        "readOnly": str(event["readOnly"]).lower(),
        "userIdentity.arn": event["userIdentity"].get("arn"),
    }
    found = str(known.get(field["Field"]))
    return all(
        (all if test.startswith("Not") else any)(holds(found, wanted) for wanted in field[test])
        for test, holds in _TESTS.items()
        if field.get(test)
    )


# ------------------------------------------------------------------------------------------------
# Events of key-management calls
#
# The records: KMS developer guide, "Logging AWS KMS API calls with AWS CloudTrail" and its
# examples: since December 2022 the key's ARN stands in `responseElements.keyId`;
# UpdatePrimaryRegion is written in both Regions. A denied call carries `errorCode` and no request
# parameters. `Sign` is logged as a read-only call with key, algorithm and kind of message, without
# the message and its signature (same guide, the example of Sign). Of calls that failed AWS logs
# those that were denied and others "in some scenarios"; here all of them are logged.
# ------------------------------------------------------------------------------------------------

EVENT_SOURCE = "kms.amazonaws.com"
_CHANGES = frozenset(
    {
        "CancelKeyDeletion",
        "CreateAlias",
        "CreateGrant",
        "CreateKey",
        "DeleteAlias",
        "DisableKey",
        "DisableKeyRotation",
        "EnableKey",
        "EnableKeyRotation",
        "PutKeyPolicy",
        "ReplicateKey",
        "RetireGrant",
        "RevokeGrant",
        "ScheduleKeyDeletion",
        "TagResource",
        "UntagResource",
        "UpdateAlias",
        "UpdateKeyDescription",
        "UpdatePrimaryRegion",
    }
)
"""Operations whose records say ``readOnly: false``; cryptographic ones count as reading."""
SIGN = "Sign"
_LEFT_OUT = frozenset({"message", "grantTokens", "dryRun"})
"""Of the parameters of `Sign`."""
_NOT_THE_CALLERS = frozenset(
    {"UnrecognizedClientException", "SignatureDoesNotMatch", "MissingAuthenticationTokenException"}
)
"""Without a caller there is no account whose trail could log the call."""
_ERRORS = {"AccessDeniedException": "AccessDenied"}
"""What CloudTrail calls the errors of KMS where the two differ."""


def _install_trail_events() -> None:
    """Report each key-management call after it was answered."""
    response: Any = KmsResponse
    response.call_action = _reported(response.call_action)


def _reported(call_action: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def answer(self: Any) -> Any:
        operation = self._get_action()
        if operation not in _CHANGES and operation != SIGN:
            return call_action(self)
        before = _resources(self)
        answered = call_action(self)
        _report(self, operation, answered[0], answered[2], before)
        return answered

    return answer


def _report(
    response: Any, operation: str, status: int, body: Any, before: list[dict[str, str]]
) -> None:
    result = json.loads(body or "null") if isinstance(body, (str, bytes)) else None
    failed = int(status) >= 400  # noqa: PLR2004 - HTTP
    code = str((result or {}).get("__type", "InternalFailure")) if failed else None
    identity = user_identity(response)
    if code in _NOT_THE_CALLERS or identity is None:
        return
    denied, reads = code == "AccessDeniedException", operation not in _CHANGES
    resources = before or _resources(response, result if isinstance(result, dict) else None)
    record = {
        "eventVersion": "1.08",
        "userIdentity": identity,
        "eventTime": _now(),
        "eventSource": EVENT_SOURCE,
        "eventName": operation,
        "awsRegion": response.region,
        "sourceIPAddress": str(response.headers.get("X-Forwarded-For", "127.0.0.1")),
        "userAgent": str(response.headers.get("User-Agent", "")),
        **(
            {
                "errorCode": _ERRORS.get(code, code),
                "errorMessage": str((result or {}).get("message", "")),
            }
            if code
            else {}
        ),
        "requestParameters": None if denied else _parameters(response),
        "responseElements": None if failed or reads else _elements(result, resources),
        "requestID": str(uuid4()),
        "eventID": str(uuid4()),
        "readOnly": reads,
        "resources": resources,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": response.current_account,
        "eventCategory": "Management",
    }
    _put(record, account=response.current_account, region=response.region)
    if operation == "UpdatePrimaryRegion" and not failed:
        there = str(_parameters(response)["primaryRegion"])
        mirrored = _moved(record, response.region, there)
        _put(mirrored, account=response.current_account, region=there)


def _moved(record: dict[str, Any], here: str, there: str) -> dict[str, Any]:
    """The same call as the other Region records it."""
    resources = [
        {**each, "ARN": each["ARN"].replace(f":kms:{here}:", f":kms:{there}:")}
        for each in record["resources"]
    ]
    elements = {"keyId": resources[0]["ARN"]} if resources else None
    return {
        **record,
        "awsRegion": there,
        "resources": resources,
        "responseElements": elements,
        "eventID": str(uuid4()),
    }


def _put(record: dict[str, Any], *, account: str, region: str) -> None:
    HISTORY.add(record, account=account, region=region)
    if record["readOnly"] or not logged(account=account, region=region, event=record):
        return
    entry = {
        "Source": "aws.kms",
        "DetailType": "AWS API Call via CloudTrail",
        "Detail": json.dumps(record),
    }
    events_backends[account][region].put_events([entry])


def _now() -> str:
    return datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parameters(response: Any) -> dict[str, Any]:
    """The request as CloudTrail writes it: names begin with a small letter."""
    body = json.loads(response.body or "{}")
    given = {name[:1].lower() + name[1:]: value for name, value in body.items()}
    if response._get_action() == SIGN:  # noqa: SLF001 - moto has no other
        return {name: value for name, value in given.items() if name not in _LEFT_OUT}
    if "policy" in given:
        given.setdefault("bypassPolicyLockoutSafetyCheck", False)
    return given


def _elements(result: Any, resources: list[dict[str, str]]) -> dict[str, Any] | None:
    answer = {
        name[:1].lower() + name[1:]: value
        for name, value in (result or {}).items()
        if name != "GrantToken"
    }
    key = next((each["ARN"] for each in resources if each["type"] == "AWS::KMS::Key"), None)
    return {**answer, **({"keyId": key} if key else {})} or None


def _resources(response: Any, result: dict[str, Any] | None = None) -> list[dict[str, str]]:
    """The keys and aliases that a call is about.

    ``result`` is the answer, which names a key that was made.
    """
    account, region = response.current_account, response.region
    body = json.loads(response.body or "{}")
    found = []
    backend = kms_backends[account][region]
    key_id = str(
        body.get("KeyId")
        or body.get("TargetKeyId")
        or (result or {}).get("KeyMetadata", {}).get("KeyId", "")
    )
    alias = body.get("AliasName")
    if not key_id and alias:
        key_id = backend.get_key_id_from_alias(alias) or ""
    if key_id:
        name = backend.get_key_id(backend.get_alias_name(key_id))
        known = backend.keys.get(
            backend.get_key_id_from_alias(name) or "" if name.startswith("alias/") else name
        )
        arn = known.arn if known else f"arn:{response.partition}:kms:{region}:{account}:key/{name}"
        found.append({"accountId": account, "type": "AWS::KMS::Key", "ARN": arn})
    if alias:
        arn = f"arn:{response.partition}:kms:{region}:{account}:{alias}"
        found.append({"accountId": account, "type": "AWS::KMS::Alias", "ARN": arn})
    return found


# ------------------------------------------------------------------------------------------------
# The caller in a record
#
# CloudTrail user guide, "CloudTrail userIdentity element": type, principal id, ARN, account and
# access key; for a role session its issuer.
# ------------------------------------------------------------------------------------------------


def user_identity(response: Any) -> dict[str, Any] | None:
    """Return the caller of the request that ``response`` answers; None for unknown credentials."""
    account, partition, key_id = response.current_account, response.partition, response.access_key
    known = {"accountId": account, "accessKeyId": key_id}
    try:
        key = key_of(account, partition, key_id, response.headers)
    except CreateAccessKeyFailure:
        return None
    if isinstance(key, RootKey):
        return {
            "type": "Root",
            "principalId": account,
            "arn": f"arn:{partition}:iam::{account}:root",
            **known,
        }
    backend = iam_backends[account][partition]
    if isinstance(key, Session):
        name = key.role_arn.rpartition("/")[2]
        role = next((role for role in backend.roles.values() if role.arn == key.role_arn), None)
        issuer = {"type": "Role", "arn": key.role_arn, "accountId": account, "userName": name}
        # a role that was deleted since has no id any more
        principal = "" if role is None else f"{role.id}:{key.name}"
        return {
            "type": "AssumedRole",
            "principalId": principal,
            **known,
            "arn": f"arn:{partition}:sts::{account}:assumed-role/{name}/{key.name}",
            "sessionContext": {
                "sessionIssuer": issuer if role is None else {**issuer, "principalId": role.id}
            },
        }
    user = backend.users[key.user_name]
    return {
        "type": "IAMUser",
        "principalId": user.id,
        "arn": user.arn,
        **known,
        "userName": user.name,
    }
