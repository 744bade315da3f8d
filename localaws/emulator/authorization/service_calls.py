"""What AWS services may do that act on their own, with no signed request that could be judged.

A service reaches a topic, a queue or a role only if the policy attached there says so (EventBridge
user guide, "Using resource-based policies"; SNS developer guide, "Allow Amazon SNS to send messages
to a queue"); once it has assumed a role, that role's policies decide. A topic's default policy
admits every caller that carries the owner's account as ``AWS:SourceOwner``: CloudWatch does,
EventBridge does not. What is not evaluated denies, as it does for a caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from moto.iam.models import IAMBackend

from localaws.emulator.authorization.callers import caller
from localaws.emulator.authorization.sessions import Session
from seawall.iam import (
    Policies,
    Request,
    ResourcePolicy,
    ServicePrincipal,
    UnevaluatedElementError,
    permitted,
)

_KEYS_NOT_KNOWN_OF_SERVICES = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principaltype",
        "aws:sourceip",
        "aws:userid",
        "aws:username",
    }
)


def service_may(
    policy: str | None, *, service: str, action: str, resource: str, context: Mapping[str, str]
) -> bool:
    """Whether ``policy``, attached to ``resource``, lets ``service`` do ``action``.

    ``service``: for example events.amazonaws.com. ``context``: condition keys that the service
    sends, such as ``aws:SourceArn``.
    """
    if policy is None:
        return False
    asked = Request(
        principal=ServicePrincipal(service),
        action=action,
        resource=resource,
        context={
            "aws:principalisawsservice": "true",
            "aws:principalservicename": service,
            "aws:viaawsservice": "false",
            "aws:securetransport": "true",
            **{key.lower(): value for key, value in context.items()},
        },
        unknown_keys=_KEYS_NOT_KNOWN_OF_SERVICES,
    )
    attached = ResourcePolicy(documents=(policy,), decisive=True)
    try:
        return permitted(asked, Policies(resource=attached))
    except UnevaluatedElementError:
        return False


def role_may(
    account: IAMBackend,
    role: Any,
    *,
    session: str,
    action: str,
    resource: str,
    resource_policy: str | None,
) -> bool:
    """Whether a service's ``session`` of ``role`` may do ``action`` to ``resource``.

    ``resource_policy``: the policy that the resource carries, if any.
    """
    now = datetime.now(UTC)
    opened = Session(
        access_key_id="",
        secret_access_key="",
        token="",
        role_arn=role.arn,
        name=session,
        issued=now,
        expires=now,
        inline_policy=None,
        policy_arns=(),
        tags={},
        transitive=frozenset(),
    )
    attached = (
        None
        if resource_policy is None
        else ResourcePolicy(documents=(resource_policy,), decisive=False)
    )
    try:
        who = caller(account, opened)
        context = {
            **who.context,
            **{f"aws:principaltag/{key}": value for key, value in who.tags.items()},
            "aws:securetransport": "true",
            "aws:currenttime": now.isoformat(timespec="seconds"),
        }
        asked = Request(principal=who.principal, action=action, resource=resource, context=context)
        return permitted(asked, replace(who.policies, resource=attached))
    except UnevaluatedElementError:
        return False
