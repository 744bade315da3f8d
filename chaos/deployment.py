"""What an experiment is told by its environment.

The policy in force and where the running stack is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from seawall.conventions import environment as environment_names
from seawall.errors import UsageError
from seawall.formats.documents import read_json_model
from seawall.kill_switch import SwitchSite
from seawall.policy import GameDay, Policy
from seawall.policy_file import load_policy

_Number = TypeVar("_Number", int, float)


class _Targets(BaseModel):
    """The file says more than a fault needs."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Proxy(_Targets):
    """A Toxiproxy proxy: ``host:port`` to talk to, ``host:port`` behind it."""

    listen: str
    upstream: str


class Regions(_Targets):
    """The two signing regions."""

    primary: str
    standby: str


class Urls(_Targets):
    """Where the parts that an experiment talks to answer."""

    api: str
    prometheus: str
    lease: str


class Targets(_Targets):
    """The part of ``targets.json`` that faults and probes use.

    ``run_dir`` is None outside a game day, ``kill_switch`` where there is none.
    """

    data_dir: Path
    run_dir: Path | None
    toxiproxy: str
    proxies: dict[str, Proxy]
    urls: Urls
    regions: Regions
    kill_switch: SwitchSite | None = None


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Policy, targets, the runner's process id and the run's zero (Unix seconds).

    The latter two None by hand.
    """

    policy: Policy
    targets: Targets
    runner_pid: int | None
    t_zero: float | None

    def gameday(self, experiment: str) -> GameDay:
        """The game day that plans ``experiment``.

        Raises :class:`UsageError` if the policy plans none.
        """
        for day in self.policy.gamedays:
            if day.experiment == experiment:
                return day
        message = (
            f"the policy {self.policy.policy} has no game day with the experiment {experiment}"
        )
        raise UsageError(
            message, remedy="add one under gamedays: it says how long and how far the fault may go"
        )


def look_around(environment: Mapping[str, str] = os.environ) -> Surroundings:
    """Read what ``environment`` names.

    Raises :class:`UsageError` or :class:`PolicyError` with what is wrong.
    """
    return Surroundings(
        policy=load_policy(Path(_named(environment, environment_names.POLICY_VARIABLE))),
        targets=_targets(Path(_named(environment, environment_names.TARGETS_VARIABLE))),
        runner_pid=_number(environment, environment_names.RUNNER_VARIABLE, int),
        t_zero=_number(environment, environment_names.T_ZERO_VARIABLE, float),
    )


def _named(environment: Mapping[str, str], variable: str) -> str:
    value = environment.get(variable)
    if not value:
        message = f"{variable} is not set"
        raise UsageError(message, remedy='start a sandbox, then run eval "$(bin/seawall env)"')
    return value


def _number(environment: Mapping[str, str], variable: str, kind: type[_Number]) -> _Number | None:
    value = environment.get(variable)
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError as error:
        message = f"{variable} is {value!r}, not a number"
        raise UsageError(message) from error


def _targets(path: Path) -> Targets:
    remedy = "start a sandbox, or write the file for your own stack"
    return read_json_model(path, Targets, remedy=remedy)
