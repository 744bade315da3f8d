"""Sessions of roles: the session policies, the tags and the end that were given to AssumeRole.

AWS: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html; tags that are
transitive pass on to the sessions that a session opens
(https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html). moto stores the inline
policy without use, drops the rest, and never ends a session.
"""

# ruff: noqa: SLF001 - a shim reaches into what moto keeps to itself

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.credentials import Credentials
from moto.sts.responses import TokenResponse


@dataclass(frozen=True, kw_only=True)
class Session:
    """Temporary credentials that STS issued, and their terms."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    token: str = field(repr=False)
    role_arn: str
    name: str
    issued: datetime
    expires: datetime
    inline_policy: str | None
    policy_arns: tuple[str, ...]
    tags: Mapping[str, str]
    transitive: frozenset[str]

    def create_credentials(self) -> Credentials:
        """What the signature of a request is checked with; the name is moto's."""
        return Credentials(self.access_key_id, self.secret_access_key, self.token)

    @property
    def passed_on(self) -> dict[str, str]:
        """The tags that sessions opened by this one inherit."""
        return {key: value for key, value in self.tags.items() if key in self.transitive}


_sessions: dict[str, Session] = {}


def install() -> None:
    """Remember the terms of every session that AssumeRole opens."""
    response: Any = TokenResponse
    assume_role = response.assume_role

    def answer(self: Any) -> Any:
        result = assume_role(self)
        _remember(self, result.result["Credentials"])
        return result

    response.assume_role = answer


def find_session(access_key_id: str) -> Session | None:
    """The session whose credentials have this id, ended or not."""
    return _sessions.get(access_key_id)


def _remember(response: Any, role: Any) -> None:
    opener = _sessions.get(response.get_access_key())
    inherited = opener.passed_on if opener is not None else {}
    tags = {tag["Key"]: tag["Value"] for tag in response._get_param("Tags") or []}
    _sessions[role.access_key_id] = Session(
        access_key_id=role.access_key_id,
        secret_access_key=role.secret_access_key,
        token=role.session_token,
        role_arn=role.role_arn,
        name=role.session_name,
        issued=datetime.now(UTC),
        expires=role.expiration.replace(tzinfo=UTC),
        inline_policy=response._get_param("Policy"),
        policy_arns=tuple(given["arn"] for given in response._get_param("PolicyArns") or []),
        tags={**tags, **inherited},
        transitive=frozenset(response._get_param("TransitiveTagKeys") or []) | frozenset(inherited),
    )
