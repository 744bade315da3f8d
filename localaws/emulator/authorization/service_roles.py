"""Roles that a service takes on by itself, with no request of its own that could be judged.

What they may do.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from moto.iam.models import IAMBackend

from localaws.emulator.authorization.callers import caller
from localaws.emulator.authorization.sessions import Session
from seawall.iam.evaluation import permitted
from seawall.iam.request import Request, ResourcePolicy, UnevaluatedElementError


def role_may(
    account: IAMBackend,
    role: Any,
    *,
    session: str,
    action: str,
    resource: str,
    resource_policy: str | None,
) -> bool:
    """Whether a service's ``session`` of ``role`` may do ``action`` to ``resource``, which carries
    ``resource_policy`` if any.

    What is not evaluated denies, as it does for a caller.
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
