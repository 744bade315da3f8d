"""Makes users, roles and policies on a running emulator, for tests.

Root makes them, each with nothing but what the test gives it.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.testing.aws_harness import PRIMARY, ROOT_KEY, client
from tests.testing.iam_requests import document

_numbers = itertools.count()


def code(call: Any) -> str:
    """The error code of a call that must fail."""
    with pytest.raises(ClientError) as raised:
        call()
    return str(raised.value.response["Error"]["Code"])


DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}


class PolicyHarness:
    """A running emulator, and the users, roles and policies that are made on it."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.iam = self.root("iam")

    def root(self, service: str, region: str = PRIMARY) -> Any:
        """A client with the root key, which is never refused."""
        return client(service, self.endpoint, ROOT_KEY, region=region)

    def user(self, *statements: dict[str, Any], **more: Any) -> tuple[str, dict[str, str]]:
        """A new user's ARN and credentials."""
        name = f"user-{next(_numbers)}"
        arn = str(self.iam.create_user(UserName=name, **more)["User"]["Arn"])
        if statements:
            self.iam.put_user_policy(
                UserName=name, PolicyName="p", PolicyDocument=document(*statements)
            )
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        return arn, {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }

    def role(self, trusted: str, *statements: dict[str, Any], name: str = "", **more: Any) -> str:
        """A new role's ARN, which ``trusted`` may assume."""
        name = name or f"role-{next(_numbers)}"
        trust = {
            "Effect": "Allow",
            "Principal": {"AWS": trusted},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
        arn = str(
            self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust), **more)[
                "Role"
            ]["Arn"]
        )
        if statements:
            self.iam.put_role_policy(
                RoleName=name, PolicyName="p", PolicyDocument=document(*statements)
            )
        return arn

    def policy(self, *statements: dict[str, Any]) -> str:
        """A new managed policy's ARN."""
        made = self.iam.create_policy(
            PolicyName=f"policy-{next(_numbers)}", PolicyDocument=document(*statements)
        )
        return str(made["Policy"]["Arn"])

    def assume(
        self,
        who: dict[str, str],
        role: str,
        *,
        session: str = "test",
        unchecked: bool = False,
        **more: Any,
    ) -> dict[str, str]:
        """The credentials of a session of ``role``.

        ``unchecked``: botocore does not check the parameters first.
        """
        sts = self.client("sts", who)
        if unchecked:
            sts._serializer = sts._serializer._serializer  # within the decorator that validates
        got = sts.assume_role(RoleArn=role, RoleSessionName=session, **more)["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": got["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": got["SecretAccessKey"],
            "AWS_SESSION_TOKEN": got["SessionToken"],
        }

    def client(self, service: str, who: dict[str, str], *, region: str = PRIMARY) -> Any:
        """A client for the credentials in ``who``."""
        return client(service, self.endpoint, who, region=region)
