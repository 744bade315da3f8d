"""The caller of a request: the account itself, an IAM user or a session, with its policies.

moto finds callers by reading through all users and all sessions; here each is looked up by the id
of its key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.credentials import Credentials
from moto.iam.access_control import CreateAccessKeyFailure
from moto.iam.models import IAMBackend, iam_backends

from localaws.emulator.authorization.sessions import Session, find_session
from seawall.conventions.local_aws import ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY
from seawall.iam.request import ContextValue, Policies, Principal, UnevaluatedElementError


class RootKey:
    """The credentials of the account itself; only the set-up of the sandbox has them."""

    def create_credentials(self) -> Credentials:
        """What the signature of a request is checked with.

        The name is moto's, as in the classes below.
        """
        return Credentials(ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY)


@dataclass(frozen=True)
class UserKey:
    """The access key of an IAM user."""

    access_key_id: str
    secret_access_key: str
    user_name: str

    def create_credentials(self) -> Credentials:
        """As :meth:`RootKey.create_credentials`."""
        return Credentials(self.access_key_id, self.secret_access_key)


def key_of(
    account_id: str, partition: str, access_key_id: str, headers: Any
) -> RootKey | UserKey | Session:
    """Return the owner of ``access_key_id``.

    Raises moto's CreateAccessKeyFailure if there is none, or the key is switched off.
    """
    token = headers.get("X-Amz-Security-Token")
    if access_key_id == ROOT_ACCESS_KEY_ID:
        return RootKey()
    session = find_session(access_key_id)
    if session is not None:
        if token != session.token:
            raise CreateAccessKeyFailure(reason="InvalidToken")
        return session
    account = iam_backends[account_id][partition]
    found = account.access_keys.get(access_key_id)
    if found is None or found.user_name not in account.users or found.status != "Active":
        raise CreateAccessKeyFailure(reason="InvalidId")
    if token is not None:
        raise CreateAccessKeyFailure(reason="InvalidToken")
    return UserKey(found.access_key_id, found.secret_access_key, found.user_name)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A user or a session, with everything that a policy can ask about it.

    ``context`` has no tags; those are in ``tags``.
    """

    principal: Principal
    policies: Policies
    context: Mapping[str, ContextValue]
    tags: Mapping[str, str]


def caller(account: IAMBackend, key: UserKey | Session) -> Caller:
    """Return the caller that owns ``key``.

    Raises :class:`UnevaluatedElementError` if a policy that binds the caller is not known here.
    """
    return _of_a_session(account, key) if isinstance(key, Session) else _of_a_user(account, key)


def managed_policy(account: IAMBackend, arn: str) -> str:
    """Return the text of a managed policy.

    Raises :class:`UnevaluatedElementError` if the account does not have it.
    """
    policy = account.managed_policies.get(arn)
    if policy is None:
        raise UnevaluatedElementError(f"the managed policy {arn}, which the sandbox does not hold")
    return _default_version(policy)


def _of_a_user(account: IAMBackend, key: UserKey) -> Caller:
    user: Any = account.users[key.user_name]
    groups = [group for group in account.groups.values() if user in group.users]
    identity = [document for holder in (user, *groups) for document in _attached(holder)]
    boundary = getattr(user, "permissions_boundary_arn", None)
    return Caller(
        principal=Principal(arn=user.arn, account=user.account_id, unique_id=user.id),
        policies=Policies(
            identity=tuple(identity),
            boundary=managed_policy(account, boundary) if boundary else None,
        ),
        context={
            **_common(user.account_id),
            "aws:principalarn": user.arn,
            "aws:principaltype": "User",
            "aws:username": user.name,
            "aws:userid": user.id,
        },
        tags={tag["Key"]: tag["Value"] for tag in user.tags or []},
    )


def _of_a_session(account: IAMBackend, session: Session) -> Caller:
    role = _role(account, session)
    arn = f"arn:{role.partition}:sts::{role.account_id}:assumed-role/{role.name}/{session.name}"
    passed: tuple[str, ...] | None = None
    if session.inline_policy is not None or session.policy_arns:
        passed = tuple(managed_policy(account, one) for one in session.policy_arns)
        passed += (session.inline_policy,) if session.inline_policy is not None else ()
    boundary = role.permissions_boundary_arn
    return Caller(
        principal=Principal(arn=arn, account=role.account_id, role=role.arn, unique_id=role.id),
        policies=Policies(
            identity=tuple(_attached(role)),
            boundary=managed_policy(account, boundary) if boundary else None,
            session=passed,
        ),
        context={
            **_common(role.account_id),
            "aws:principalarn": role.arn,  # of the role: reference_policies_condition-keys.html
            "aws:principaltype": "AssumedRole",
            "aws:userid": f"{role.id}:{session.name}",
            "aws:tokenissuetime": session.issued.isoformat(timespec="seconds"),
            "aws:multifactorauthpresent": "false",
        },
        tags={**_tags(role.tags), **session.tags},
    )


def _role(account: IAMBackend, session: Session) -> Any:
    """Return the role of a session. Raises if it was deleted since."""
    name = session.role_arn.rpartition("/")[2]
    role = next(
        (one for one in account.roles.values() if one.name == name and one.arn == session.role_arn),
        None,
    )
    if role is None:
        raise UnevaluatedElementError(f"a session of {session.role_arn}, which was deleted")
    return role


def _common(account_id: str) -> dict[str, ContextValue]:
    return {
        "aws:principalaccount": account_id,
        "aws:principalisawsservice": "false",
        "aws:viaawsservice": "false",
    }


def _tags(listed: Any) -> dict[str, str]:
    if isinstance(listed, dict):
        return {
            key: value["Value"] if isinstance(value, dict) else value
            for key, value in listed.items()
        }
    return {tag["Key"]: tag["Value"] for tag in listed or []}


def _attached(holder: Any) -> Iterator[str]:
    yield from holder.policies.values()
    for policy in holder.managed_policies.values():
        yield _default_version(policy)


def _default_version(policy: Any) -> str:
    return str(next(version.document for version in policy.versions if version.is_default))


def expired(key: RootKey | UserKey | Session) -> bool:
    """Whether the credentials have ended."""
    return isinstance(key, Session) and datetime.now(UTC) >= key.expires
