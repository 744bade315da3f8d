"""Reads and checks the configuration of a stack: policy, account, principals, runner, deletion."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pulumi

from infra.principals import Principals, read_principals
from seawall.conventions import aws, environment
from seawall.errors import Problem, UsageError
from seawall.policy import Policy
from seawall.policy_file import load_policy


class Deletion(Enum):
    """Whether a stack may be thrown away.

    ``protected``: signing keys and evidence cannot be removed before the setting is changed.
    ``disposable``: a drill's stack.
    """

    PROTECTED = "protected"
    DISPOSABLE = "disposable"

    @property
    def protect(self) -> bool:
        """Whether Pulumi must refuse to delete what cannot be made again."""
        return self is Deletion.PROTECTED

    @property
    def key_window_days(self) -> int:
        """How long KMS waits before it destroys a key.

        The longest or the shortest time that it allows (API reference, ScheduleKeyDeletion).
        """
        return 30 if self is Deletion.PROTECTED else 7


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Where game days run; all of it exists before the stack and is not created by it.

    Args:
        vpc: id.
        subnets: ids.
        security_groups: ids.
        cluster: ARN of an ECS cluster; it also says the region.
        image: the container image, with its digest.
    """

    vpc: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    cluster: str
    image: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The stack's configuration, checked.

    Args:
        stack: its name.
        account: the AWS account that it belongs in.
        policy: what the business promises.
        deletion: whether the stack may be thrown away.
        principals: who may take on which role.
        runner: where game days run.
        irrevocable_compliance: whether object and vault locks may be of the kind that
            can never be lifted.
        indicators_published: whether the venue's indicators are published to CloudWatch. Until they
            are, alarms on them act on nothing; otherwise all of them would page at once.
    """

    stack: str
    account: str
    policy: Policy
    deletion: Deletion
    principals: Principals
    runner: Runner
    irrevocable_compliance: bool
    indicators_published: bool

    @property
    def protected(self) -> bool:
        """Whether nothing that matters may be removed."""
        return self.deletion is Deletion.PROTECTED

    @property
    def lock_mode(self) -> str:
        """The mode of object locks.

        COMPLIANCE, which not even the account's root user can shorten, needs a setting of its own.
        """
        return "COMPLIANCE" if self.protected and self.irrevocable_compliance else "GOVERNANCE"


def read_settings(config: pulumi.Config, *, stack: str, repository: Path) -> Settings:
    """The settings in ``config``.

    A stack that names no policy takes the one that the environment names.

    Raises:
        UsageError: with everything that is wrong.
        PolicyError: for a wrong policy.
    """
    policy = _policy(config, repository)
    reading = _Reading(config)
    account = policy.accounts.get(stack)
    if account is None:
        known = ", ".join(sorted(policy.accounts))
        reading.refuse(
            "the stack",
            repr(stack),
            f"select one of {known}, or name its account under accounts of the policy",
        )
    deletion = reading.take("deletion", Deletion, "write protected or disposable")
    principals, problems = read_principals(
        reading.object("principals") or {}, policy, path=f"{aws.PREFIX}:principals"
    )
    reading.problems += problems
    runner = _runner(reading)
    published = reading.switch(
        "indicatorsPublished", "write true once the venue's indicators reach CloudWatch, else false"
    )
    irrevocable = reading.switch(
        "irrevocableCompliance",
        "write true only if locks that nobody can ever undo are wanted, else false",
    )
    if irrevocable and deletion is Deletion.DISPOSABLE:
        remedy = "take the key out; what nobody can undo is not disposable"
        reading.refuse(f"{aws.PREFIX}:irrevocableCompliance", "true in a disposable stack", remedy)
    if (
        reading.problems
        or account is None
        or deletion is None
        or principals is None
        or runner is None
    ):
        lines = "\n".join(f"  {problem}" for problem in reading.problems)
        raise UsageError(
            f"the configuration of stack {stack} has {len(reading.problems)} problem(s):\n{lines}"
        )
    return Settings(
        stack=stack,
        account=account,
        policy=policy,
        deletion=deletion,
        principals=principals,
        runner=runner,
        irrevocable_compliance=irrevocable,
        indicators_published=published,
    )


def refuse_other_account(settings: Settings, *, caller: str) -> None:
    """Raise :class:`UsageError` if the credentials in use are of another account."""
    if caller != settings.account:
        raise UsageError(
            f"stack {settings.stack} belongs in account {settings.account},"
            f" and these credentials are of {caller}",
            remedy=(
                f"use credentials of that account, or correct accounts.{settings.stack} in the"
                " policy; nothing was changed"
            ),
        )


class _Reading:
    """Reads a configuration and keeps every problem that it meets."""

    def __init__(self, config: pulumi.Config) -> None:
        self._config = config
        self.problems: list[Problem] = []

    def refuse(self, path: str, found: str, remedy: str) -> None:
        self.problems.append(Problem(path=path, found=found, remedy=remedy))

    def take(self, key: str, kind: Callable[[str], Any], remedy: str) -> Any:
        found = self._config.get(key)
        try:
            return kind(found or "")
        except ValueError:
            self.refuse(f"{aws.PREFIX}:{key}", repr(found) if found else "nothing", remedy)
            return None

    def switch(self, key: str, remedy: str) -> bool:
        try:
            return self._config.get_bool(key) or False
        except pulumi.ConfigTypeError:
            self.refuse(f"{aws.PREFIX}:{key}", repr(self._config.get(key)), remedy)
            return False

    def object(self, key: str) -> Any:
        try:
            return self._config.get_object(key)
        except pulumi.ConfigTypeError:
            self.refuse(f"{aws.PREFIX}:{key}", repr(self._config.get(key)), "write it as an object")
            return None


def _policy(config: pulumi.Config, repository: Path) -> Policy:
    named = config.get("policy")
    path = repository / named if named else os.environ.get(environment.POLICY_VARIABLE)
    if not path:
        raise UsageError(
            "no policy: neither seawall:policy nor the environment names one",
            remedy=(
                "pulumi config set seawall:policy policies/<name>.yaml, or set "
                f"{environment.POLICY_VARIABLE}"
            ),
        )
    return load_policy(Path(path))


def _runner(reading: _Reading) -> Runner | None:
    found = reading.object("runner")
    given: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    texts = {name: given.get(name) for name in ("vpc", "cluster", "image")}
    lists = {name: given.get(name) for name in ("subnets", "securityGroups")}
    known = len(reading.problems)
    path = f"{aws.PREFIX}:runner"
    for name, text in texts.items():
        if not isinstance(text, str) or not text:
            reading.refuse(
                f"{path}.{name}",
                repr(text),
                "name the one in which game days run; it is not made here",
            )
    for name, several in lists.items():
        if (
            not isinstance(several, list)
            or not several
            or not all(isinstance(item, str) for item in several)
        ):
            reading.refuse(
                f"{path}.{name}",
                repr(several),
                "list those in which game days run; they are not made here",
            )
    for name in sorted(set(given) - set(texts) - set(lists)):
        reading.refuse(f"{path}.{name}", repr(given[name]), "leave it out; there is no such input")
    if len(reading.problems) > known:
        return None
    return Runner(
        vpc=str(texts["vpc"]),
        cluster=str(texts["cluster"]),
        image=str(texts["image"]),
        subnets=tuple(lists["subnets"] or ()),
        security_groups=tuple(lists["securityGroups"] or ()),
    )
