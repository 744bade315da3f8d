"""Which AWS account credentials lead to: AWS itself is asked, and the policy says which it must be.

A deployment file says of itself what it is, and a profile does not say where it leads. Nothing is
tried or changed, and no log is believed, before the account that answers is the declared one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seawall.errors import ServiceError, UsageError
from seawall.formats.deployment import Deployment
from seawall.policy import Policy

if TYPE_CHECKING:
    import boto3

_PRODUCTION = "production"


def declared_account(policy: Policy, stack: str) -> str:
    """The account that ``policy`` names for ``stack``; raises :class:`UsageError` without one."""
    if stack not in policy.accounts:
        raise UsageError(
            f"the policy names no account for a stack called {stack!r}",
            remedy=f"name one of {', '.join(policy.accounts)}",
        )
    return policy.accounts[stack]


def account_of_deployment(deployment: Deployment, policy: Policy) -> str:
    """The account that ``policy`` names for the deployment's stack.

    Raises :class:`UsageError` if it names none, if the file says another, or if it is that of
    production and the file calls itself something else, which would need no approval.
    """
    declared = declared_account(policy, deployment.stack)
    if deployment.account not in (None, declared):
        raise UsageError(
            f"{deployment.path} says account {deployment.account}, and the policy names"
            f" {declared} for {deployment.stack}",
            remedy=f"correct `account` there, or accounts.{deployment.stack} in the policy",
        )
    if deployment.stack == _PRODUCTION != deployment.kind:
        raise UsageError(
            f"{deployment.path} is the stack {_PRODUCTION} and says that it is {deployment.kind}",
            remedy=f"say `kind: {_PRODUCTION}`, with its approval",
        )
    return declared


def require_account(sts: Any, *, who: str, account: str) -> str:
    """The account of the credentials of ``sts``, boto3's client, as AWS says.

    ``who`` names the credentials. Raises :class:`UsageError` if it is not ``account``, and
    :class:`ServiceError` if AWS does not say.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - slow to import

    try:
        observed = str(sts.get_caller_identity()["Account"])
    except (ClientError, BotoCoreError) as error:
        raise ServiceError(
            f"AWS does not say which account {who} is of: {error}",
            remedy="see that its credentials are in force; nothing was changed",
        ) from error
    if observed != account:
        raise UsageError(
            f"{who} is of account {observed}, and the stack belongs in {account}",
            remedy="use credentials of that account, or correct `accounts` in the policy; nothing"
            " was changed",
        )
    return observed


def require_profile(
    session: boto3.Session, profile: str, deployment: Deployment, policy: Policy
) -> None:
    """Require that the session of ``profile`` is of the account of the deployment's stack.

    Raises what :func:`account_of_deployment` and :func:`require_account` raise.
    """
    account = account_of_deployment(deployment, policy)
    sts = session.client("sts", region_name=policy.regions.primary)
    require_account(sts, who=f"the profile {profile}", account=account)
