"""The files under ``generated/<policy>/`` that the program reads.

``seawall render`` wrote them from the policy; they are committed and reviewed.
A file that was rendered from another policy, or from an earlier text of this one, is refused.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from infra.expected_resources import ExpectedResource, parse
from seawall.conventions import environment, generated
from seawall.errors import UsageError
from seawall.policy import Policy

_REMEDY = "run bin/seawall render with this policy, and look at what changes"
_HEAD_LINES = 3
"""The digest of the policy stands in one of the first lines."""


@dataclass(frozen=True, kw_only=True)
class MonitoringFiles:
    """What ``monitors/`` rendered.

    Args:
        rules: text of a Prometheus rules file.
        routing: text of an Alertmanager definition for Amazon Managed Prometheus, with
            ``string.Template`` placeholders for the region and its topics.
    """

    rules: str
    routing: str

    @classmethod
    def read(cls, policy: Policy, *, folder: Path) -> Self:
        """The files in ``folder``.

        Raises :class:`UsageError` if one is missing or of another policy.
        """
        return cls(
            rules=read_generated(policy, generated.RULES_FILE, folder=folder),
            routing=read_generated(policy, generated.AMP_ROUTING_FILE, folder=folder),
        )


def folder_of(policy: Policy, *, repository: Path) -> Path:
    """Where the generated files of ``policy`` are.

    ``generated/<policy>/`` of the repository, unless the environment names another folder.
    """
    named = os.environ.get(environment.GENERATED_VARIABLE)
    return Path(named) if named else repository / "generated" / policy.policy


def read_expected(policy: Policy, *, folder: Path) -> tuple[ExpectedResource, ...]:
    """The list of resources that a stack of ``policy`` must declare.

    Raises :class:`UsageError` if the file is missing, of another policy, or damaged.
    """
    text = read_generated(policy, generated.EXPECTED_RESOURCES_FILE, folder=folder)
    try:
        return parse(text)
    except ValueError as error:
        path = f"{folder.name}/{generated.EXPECTED_RESOURCES_FILE}"
        raise UsageError(f"{path} is damaged: {error}", remedy=_REMEDY) from error


def read_generated(policy: Policy, file: str, *, folder: Path) -> str:
    """The text of ``file`` in ``folder``.

    Raises :class:`UsageError` if it is missing or was rendered from another policy.
    """
    path = folder / file
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"the rendered {path.parent.name}/{path.name} cannot be read: {error.strerror}",
            remedy=_REMEDY,
        ) from error
    if generated.rendered_from(policy.infrastructure_digest) not in text.splitlines()[:_HEAD_LINES]:
        raise UsageError(
            f"{path.parent.name}/{path.name} was rendered from another policy than"
            f" {policy.policy} as it is now",
            remedy=_REMEDY,
        )
    return text
