"""What the stack's configuration decides: which policy, who may sign, and whether the stack may be thrown away."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pulumi

from seawall import conventions
from seawall.errors import UsageError
from seawall.policy import Policy, load_policy


class Deletion(Enum):
    """``guarded``: signing keys and evidence cannot be removed without first saying so; ``disposable``: a drill's stack."""

    GUARDED = "guarded"
    DISPOSABLE = "disposable"

    @property
    def protect(self) -> bool:
        """Whether Pulumi must refuse to delete what cannot be made again."""
        return self is Deletion.GUARDED

    @property
    def key_window_days(self) -> int:
        """How long KMS waits before it destroys a key: the longest or shortest that it allows (API reference, ScheduleKeyDeletion)."""
        return 30 if self is Deletion.GUARDED else 7


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The stack's configuration, checked.

    ``signer_principals``: who may assume the signer roles, by region. ``indicators_published``: whether someone puts the venue's
    indicators into CloudWatch; until then alarms on them page nobody, because all of them would, at once and for nothing.
    """

    policy: Policy
    deletion: Deletion
    signer_principals: Mapping[str, str]
    indicators_published: bool


def read_settings(config: pulumi.Config, *, repository: Path) -> Settings:
    """The settings in ``config``. Raises :class:`UsageError` for what is missing, :class:`PolicyError` for a wrong policy.

    A stack that names no policy takes the one in force where it runs, from the environment.
    """
    named = config.get("policy")
    path = repository / named if named else os.environ.get(conventions.POLICY_VARIABLE)
    if not path:
        message = "no policy: neither seawall:policy nor the environment names one"
        raise UsageError(
            message,
            remedy=f"pulumi config set seawall:policy policies/<name>.yaml, or set {conventions.POLICY_VARIABLE}",
        )
    policy = load_policy(Path(path))
    try:
        deletion = Deletion(config.require("deletion"))
    except ValueError as error:
        message = f"seawall:deletion is {config.require('deletion')!r}"
        raise UsageError(message, remedy="write guarded or disposable") from error
    principals = config.require_object("signerPrincipals")
    missing = [region for region in (policy.regions.primary, policy.regions.standby) if region not in principals]
    if missing:
        message = f"seawall:signerPrincipals names nobody for {', '.join(missing)}"
        raise UsageError(message, remedy="name the ARN of the signer that runs in each region of the policy")
    try:
        published = config.get_bool("indicatorsPublished") or False
    except pulumi.ConfigTypeError as error:
        message = f"seawall:indicatorsPublished is {config.get('indicatorsPublished')!r}"
        raise UsageError(
            message, remedy="write true once the venue's indicators reach CloudWatch, else false"
        ) from error
    return Settings(policy=policy, deletion=deletion, signer_principals=principals, indicators_published=published)
