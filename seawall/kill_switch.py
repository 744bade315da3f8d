"""The kill switch of game days.

Everyone who runs one asks it before it starts, before the fault, and as long as it lasts.

The switch is an SSM parameter in each region of the stack, and says ``armed`` or ``stopped``;
people set it (docs/standby.md). Where it is comes from ``targets.json`` (:class:`SwitchSite`), or,
for a runner that a stack's schedule started, from its environment.

Fail direction: to start, every region must be read and say armed. On the way one region is enough,
because the drill may be what took the other one away; any region that says something else stops the
drill at once, and so does having read none for UNREADABLE_S_MAX.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seawall.conventions import aws
from seawall.conventions import environment as environment_names
from seawall.errors import DocumentError, DrillError, UsageError
from seawall.formats.documents import parse_json

LOOK_EVERY_S = 1.0
"""How often the switch is read on the way.

A person who stops a drill sees it stop within two looks.
"""
UNREADABLE_S_MAX = 10.0
"""How long a drill goes on without having read the switch anywhere.

A few failed looks are a busy machine, this many are not.
"""
_ANSWER_S_MAX = 2.0
_ROLE_S = 3_600
REMEDY = "nobody stops what has no brake: arm it, or see why it cannot be read (docs/standby.md)"


class SwitchSite(BaseModel):
    """Where a stack's switch is.

    ``endpoint`` is that of the sandbox, else AWS's own; ``role`` is taken on to read it.

    ``credentials``: a file of the sandbox with the runner's access key; without one the usual chain
    of the SDK holds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameter: str
    regions: tuple[str, ...] = Field(min_length=1)
    endpoint: str | None = None
    role: str | None = None
    credentials: Path | None = None


class RunnerKey(BaseModel):
    """The access key in the file that :attr:`SwitchSite.credentials` names."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    access_key_id: str
    secret_access_key: str = Field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look found, by region: ``says`` what was read, ``unreadable`` why nothing was."""

    says: Mapping[str, str]
    unreadable: Mapping[str, str]

    @property
    def stopped(self) -> str | None:
        """Who says that drills must not run, and what; None if nobody does."""
        for region, value in self.says.items():
            if value != aws.KILL_SWITCH_ARMED:
                return f"the kill switch in {region} says {value!r}"
        return None


class Switch(Protocol):
    """A switch that can be looked at; never raises."""

    def look(self) -> Look:
        """Read it in every region."""
        ...


@dataclass(kw_only=True)
class SsmSwitch:
    """The parameter of one stack; each region is read by itself and at the same time."""

    site: SwitchSite
    _clients: dict[str, Any] = field(default_factory=dict)

    def look(self) -> Look:
        """Read it in every region, for at most a few seconds."""
        says, unreadable = {}, {}
        with ThreadPoolExecutor(len(self.site.regions)) as pool:
            for region, answer in zip(
                self.site.regions, pool.map(self._read, self.site.regions), strict=True
            ):
                if isinstance(answer, Exception):
                    unreadable[region] = f"{type(answer).__name__}: {answer}"
                else:
                    says[region] = answer
        return Look(says=says, unreadable=unreadable)

    def _read(self, region: str) -> str | Exception:
        try:
            if region not in self._clients:
                self._clients[region] = self._client(region)
            found = self._clients[region].get_parameter(Name=self.site.parameter)
            return str(found["Parameter"]["Value"])
        # whatever keeps us from reading a brake means that it was not read
        except Exception as error:  # noqa: BLE001
            self._clients.pop(region, None)  # the next look takes the role on again
            return error

    def _client(self, region: str) -> Any:
        import boto3  # noqa: PLC0415 - most of the contract's users have no AWS and need none
        from botocore.config import Config  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415

        config = Config(
            connect_timeout=_ANSWER_S_MAX,
            read_timeout=_ANSWER_S_MAX,
            retries={"total_max_attempts": 1},
        )
        given: dict[str, Any] = {"endpoint_url": self.site.endpoint, "config": config}
        session = boto3.Session(region_name=region)
        if self.site.credentials is not None:
            # Nothing of the caller's own AWS: neither its profile nor its files.
            nothing = {
                "profile": (None, None, None, None),
                "config_file": (None, None, os.devnull, None),
            }
            session = boto3.Session(
                region_name=region, botocore_session=Session(session_vars=nothing)
            )
            key = RunnerKey.model_validate_json(self.site.credentials.read_text(encoding="utf-8"))
            given |= {
                "aws_access_key_id": key.access_key_id,
                "aws_secret_access_key": key.secret_access_key,
            }
        if self.site.role is not None:
            taken = session.client("sts", **given).assume_role(
                RoleArn=self.site.role, RoleSessionName="kill-switch", DurationSeconds=_ROLE_S
            )["Credentials"]
            given |= {
                "aws_access_key_id": taken["AccessKeyId"],
                "aws_secret_access_key": taken["SecretAccessKey"],
                "aws_session_token": taken["SessionToken"],
            }
        return session.client("ssm", **given)


@dataclass(kw_only=True)
class SwitchWatch:
    """Obeys ``switches``, all of them; without any there is nothing to obey.

    ``monotonic_s`` is the clock.

    Looking happens in a thread of its own (:meth:`start`), so that a region that hangs holds nobody
    up: asking costs nothing.
    """

    switches: Sequence[Switch]
    monotonic_s: Callable[[], float] = time.monotonic
    _began_at: float | None = None
    _read_at: float | None = None
    _stopped: str | None = None
    _unread: str = "nobody has looked yet"
    _ending: threading.Event = field(default_factory=threading.Event)
    _started: bool = False

    def require_armed(self) -> None:
        """Raise :class:`DrillError` unless every switch was read in every region and says armed.

        Nothing starts otherwise.
        """
        reason = self.refusal()
        if reason is not None:
            raise DrillError(reason, remedy=REMEDY)

    def refusal(self) -> str | None:
        """Look now, and say why nothing may start; None if it may."""
        for switch in self.switches:
            look = switch.look()
            if look.stopped is not None:
                return look.stopped
            for region, why in look.unreadable.items():
                return f"the kill switch in {region} cannot be read: {why}"
        self._read_at = self.monotonic_s()
        return None

    def start(self) -> SwitchWatch:
        """Look once a second from now on, until :meth:`stop` or the end of the process.

        Idempotent.
        """
        if self.switches and not self._started:
            self._started = True
            threading.Thread(target=self._run, name="kill switch", daemon=True).start()
        return self

    def stop(self) -> None:
        """Look no more."""
        self._ending.set()

    def __call__(self) -> str | None:
        """Why what is under way must end now; None if it may go on. A stop is never taken back."""
        if self._stopped is None and self.switches:
            now = self.monotonic_s()
            self._began_at = now if self._began_at is None else self._began_at
            read_at = self._began_at if self._read_at is None else self._read_at
            if now - read_at > UNREADABLE_S_MAX:
                self._stopped = (
                    f"the kill switch was not read for {UNREADABLE_S_MAX:g} s ({self._unread})"
                )
        return self._stopped

    def step(self) -> None:
        """Look once at every switch and remember what it means."""
        looks = [switch.look() for switch in self.switches]
        says_stop = next((look.stopped for look in looks if look.stopped is not None), None)
        if says_stop is not None:
            self._stopped = says_stop
        elif all(look.says for look in looks):
            self._read_at = self.monotonic_s()
        else:
            self._unread = "; ".join(
                f"{region}: {why}" for look in looks for region, why in look.unreadable.items()
            )

    def _run(self) -> None:
        while not self._ending.wait(LOOK_EVERY_S) and self._stopped is None:
            self.step()


def switches_of(
    site: SwitchSite | None, environment: Mapping[str, str] = os.environ
) -> list[Switch]:
    """The switches that a runner obeys.

    The one of ``targets.json``, if it names one, and that of the environment, if there is one.

    Raises :class:`UsageError` if the environment's makes no sense: a brake that is written wrongly
    is not left out.
    """
    sites = [] if site is None else [site]
    told = environment.get(environment_names.KILL_SWITCH_VARIABLE)
    if told:
        try:
            sites.append(
                SwitchSite.model_validate(
                    parse_json(told, source=environment_names.KILL_SWITCH_VARIABLE)
                )
            )
        except (DocumentError, ValidationError) as error:
            message = f"{environment_names.KILL_SWITCH_VARIABLE} names no kill switch: {error}"
            raise UsageError(
                message, remedy='write {"parameter": "...", "regions": ["..."]}'
            ) from error
    return [SsmSwitch(site=each) for each in sites]
