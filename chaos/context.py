"""What an experiment works with: the policy and the deployment that its environment names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from seawall.conventions import environment as environment_names
from seawall.errors import UsageError
from seawall.formats.deployment import Deployment, load_deployment
from seawall.policy import Policy
from seawall.policy_file import load_policy

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the actions and probes of one experiment share.

    Attributes:
        policy: Says what a steady state is.
        deployment: The running stack.
        runner_pid: Process that the experiment runs for; None by hand.
        t_zero: The run's zero in Unix seconds; None by hand.
    """

    policy: Policy
    deployment: Deployment
    runner_pid: int | None
    t_zero: float | None


def read_context(environment: Mapping[str, str] = os.environ) -> Context:
    """Read the files that ``environment`` names.

    Raises:
        UsageError: A variable or the deployment file is missing or malformed.
        PolicyError: The policy is wrong.
    """
    return Context(
        policy=load_policy(Path(_required(environment, environment_names.POLICY_VARIABLE))),
        deployment=load_deployment(
            Path(_required(environment, environment_names.DEPLOYMENT_VARIABLE))
        ),
        runner_pid=_number(environment, environment_names.RUNNER_VARIABLE, int),
        t_zero=_number(environment, environment_names.T_ZERO_VARIABLE, float),
    )


def _required(environment: Mapping[str, str], variable: str) -> str:
    value = environment.get(variable)
    if not value:
        raise UsageError(
            f"{variable} is not set", remedy='start a sandbox, then run eval "$(bin/seawall env)"'
        )
    return value


def _number(environment: Mapping[str, str], variable: str, kind: type[_Number]) -> _Number | None:
    value = environment.get(variable)
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError as error:
        raise UsageError(f"{variable} is {value!r}, not a number") from error
