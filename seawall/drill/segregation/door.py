"""The door of the fault role: it may write inline policies of the signers' roles, any policy.

AWS restricts neither what such a policy says nor how it is called. So two things are tried: that
the role can do nothing beside that, and that the widest Allow, written through the door, lets a
signer do nothing more than before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from seawall.conventions import aws
from seawall.drill.segregation.actors import Actors
from seawall.keys import access
from seawall.keys.access import Principal
from seawall.policy import Policy
from seawall.scorecard.one_control import Found, Stray

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

_NAME = f"{aws.PREFIX}-drill-segregation"
_NO_POLICY = "{}"
"""Refused as malformed where the call is allowed, so that nothing is ever written."""
_NOBODYS = "nobody"
_OPEN_FOR = timedelta(minutes=15)
"""When the Allow ends by itself, should this process die."""
_DENIED = ("AccessDenied", "AccessDeniedException")
_THE_DOOR = "iam:DeleteRolePolicy"


def signers(policy: Policy) -> tuple[Principal, ...]:
    """The roles behind the door."""
    return tuple(each for each in access.principals(policy) if each.kind == "signer")


def try_beside(actors: Actors, policy: Policy, account: str) -> list[Stray]:
    """Everything that the fault role tries beside its door, and one call through it."""
    iam = actors.iam(access.fault(policy))
    behind = signers(policy)[0].name
    nobodys = f"arn:aws:iam::{account}:policy/{_NOBODYS}"
    calls: list[tuple[str, str, Callable[[], Any]]] = [
        (
            _THE_DOOR,
            each.name,
            partial(iam.delete_role_policy, RoleName=each.name, PolicyName=_NOBODYS),
        )
        for each in access.principals(policy)
    ]
    calls += [
        (
            "iam:PutRolePolicy",
            each.name,
            partial(
                iam.put_role_policy, RoleName=each.name, PolicyName=_NAME, PolicyDocument=_NO_POLICY
            ),
        )
        for each in access.principals(policy)
        if each.kind != "signer"
    ]
    calls += [
        (
            "iam:AttachRolePolicy",
            behind,
            lambda: iam.attach_role_policy(RoleName=behind, PolicyArn=nobodys),
        ),
        (
            "iam:PutRolePermissionsBoundary",
            behind,
            lambda: iam.put_role_permissions_boundary(RoleName=behind, PermissionsBoundary=nobodys),
        ),
        (
            "iam:UpdateAssumeRolePolicy",
            behind,
            lambda: iam.update_assume_role_policy(RoleName=behind, PolicyDocument=_NO_POLICY),
        ),
    ]
    return [
        _tried(action, role, call, allowed=action == _THE_DOOR and _is_signer(policy, role))
        for action, role, call in calls
    ]


def _is_signer(policy: Policy, role: str) -> bool:
    return role in {each.name for each in signers(policy)}


def _tried(action: str, role: str, call: Callable[[], Any], *, allowed: bool) -> Stray:
    try:
        call()
        found, code = Found.ALLOWED, "success"
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "Unknown"))
        found = Found.DENIED if code in _DENIED else Found.ALLOWED
    except BotoCoreError as error:
        found, code = Found.UNCLEAR, type(error).__name__
    return Stray(action=action, role=role, allowed=allowed, found=found, code=code)


@contextmanager
def opened(actors: Actors, policy: Policy) -> Iterator[None]:
    """Let every signer's role do everything with every key, as far as its own policy goes.

    Raises botocore's errors if the fault role may not write it.
    """
    iam, roles = actors.iam(access.fault(policy)), signers(policy)
    document = json.dumps(widest(datetime.now(UTC) + _OPEN_FOR))
    try:
        for role in roles:
            iam.put_role_policy(RoleName=role.name, PolicyName=_NAME, PolicyDocument=document)
        yield
    finally:
        _close(iam, roles)


def _close(iam: IAMClient, roles: Sequence[Principal]) -> None:
    for role in roles:
        try:
            iam.delete_role_policy(RoleName=role.name, PolicyName=_NAME)
        except iam.exceptions.NoSuchEntityException:
            continue  # it was not written


def widest(ends: datetime) -> dict[str, Any]:
    """Everything with every key, until ``ends``."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "DrillThatEndsByItself",
                "Effect": "Allow",
                "Action": "kms:*",
                "Resource": "*",
                "Condition": {
                    "DateLessThan": {"aws:CurrentTime": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
                },
            }
        ],
    }
