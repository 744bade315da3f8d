"""The kill switch that stops game days, and the watch that a runner keeps on it.

A drill asks before it starts, before it applies its fault, and once a second while it lasts.

The switch is an SSM parameter in each region of the stack; its value is ``armed`` or ``stopped``,
and people set it (docs/standby.md). The deployment file says where it is
(:class:`KillSwitchLocation`); a runner that a stack's schedule started finds a second location in
its environment.

Fail direction: to start, every region must be readable and armed. Later one readable region is
enough, because the drill itself may have taken the other one away. Any region with another value
stops the drill at once, and so do UNREADABLE_S_MAX seconds in which no region could be read.
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

from seawall.aws import isolated_client
from seawall.conventions import aws
from seawall.conventions import environment as environment_names
from seawall.errors import DocumentError, DrillError, UsageError
from seawall.formats.documents import parse_json
from seawall.processes.environment import is_loopback

READ_EVERY_S = 1.0
"""How often the switch is read during a drill.

A person who stops a drill sees it stop within two readings.
"""
UNREADABLE_S_MAX = 10.0
"""How long a drill goes on without having read the switch in any region.

A few failed readings mean a busy machine; this many do not.
"""
_ANSWER_S_MAX = 2.0
_ROLE_S = 3_600
REMEDY = (
    "no drill runs that cannot be stopped: arm the kill switch, or see why it cannot be read "
    "(docs/standby.md)"
)


class KillSwitchLocation(BaseModel):
    """Where a stack's kill switch is, and with which credentials it is read.

    Attributes:
        parameter: Name of the SSM parameter.
        regions: The regions that have it.
        endpoint: The sandbox's AWS; None for the real one.
        role: ARN of a role to assume for reading; None reads without one.
        credentials: A file of the sandbox with the runner's access key (:class:`AccessKey`). None
            takes the credentials of the SDK's usual chain.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameter: str
    regions: tuple[str, ...] = Field(min_length=1)
    endpoint: str | None = None
    role: str | None = None
    credentials: Path | None = None

    def client(self, service: str, region: str) -> Any:
        """A client of ``service`` with the credentials with which the switch is read."""
        return client_as_runner(
            service, region, endpoint=self.endpoint, role=self.role, credentials=self.credentials
        )


class KillSwitchFile(BaseModel):
    """A kill switch that is a file: its one line says whether drills may run.

    For stacks without AWS. Only the machine that runs the drill sees it, so put it where those who
    may have to stop a drill can write.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path


class AccessKey(BaseModel):
    """An access key, as in the file that :attr:`KillSwitchLocation.credentials` names.

    ``session_token`` belongs to the temporary key of a role.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    access_key_id: str
    secret_access_key: str = Field(repr=False)
    session_token: str | None = Field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One reading of something that may stop a drill, by the name of each place that was read.

    Each is in ``values``, or with the reason in ``unreadable`` or, where it stops all drills, in
    ``tripped``.
    """

    values: Mapping[str, str]
    unreadable: Mapping[str, str]
    tripped: Mapping[str, str] = field(default_factory=dict)

    @property
    def stopped(self) -> str | None:
        """What forbids drills, and why; None if nothing does."""
        return next((f"{name} {why}" for name, why in self.tripped.items()), None)


def kill_switch_reading(values: Mapping[str, str], unreadable: Mapping[str, str]) -> Reading:
    """The reading of a kill switch: any word but the one that arms it stops all drills."""
    armed = {where: word for where, word in values.items() if word == aws.KILL_SWITCH_ARMED}
    return Reading(
        values={_named(where): word for where, word in armed.items()},
        unreadable={_named(where): why for where, why in unreadable.items()},
        tripped={
            _named(where): f"says {word!r}" for where, word in values.items() if where not in armed
        },
    )


def _named(where: str) -> str:
    return f"the kill switch in {where}"


class KillSwitch(Protocol):
    """A switch that can be read."""

    def read(self) -> Reading:
        """Read it in every region. Never raises."""
        ...


@dataclass(kw_only=True)
class SsmKillSwitch:
    """The SSM parameter of one stack. All regions are read at the same time."""

    location: KillSwitchLocation
    _clients: dict[str, Any] = field(default_factory=dict)

    def read(self) -> Reading:
        """Read it in every region, for at most a few seconds."""
        values, unreadable = {}, {}
        regions = self.location.regions
        with ThreadPoolExecutor(len(regions)) as pool:
            for region, answer in zip(regions, pool.map(self._read, regions), strict=True):
                if isinstance(answer, Exception):
                    unreadable[region] = f"{type(answer).__name__}: {answer}"
                else:
                    values[region] = answer
        return kill_switch_reading(values, unreadable)

    def _read(self, region: str) -> str | Exception:
        try:
            if region not in self._clients:
                self._clients[region] = self.location.client("ssm", region)
            found = self._clients[region].get_parameter(Name=self.location.parameter)
            return str(found["Parameter"]["Value"])
        # Whatever prevents the reading of a kill switch means that it was not read.
        except Exception as error:  # noqa: BLE001
            self._clients.pop(region, None)  # the next reading assumes the role again
            return error


def client_as_runner(
    service: str,
    region: str,
    *,
    endpoint: str | None,
    role: str | None = None,
    credentials: Path | None = None,
) -> Any:
    """A client of ``service`` for who runs game days, whose questions take a few seconds at most.

    Args:
        service: Its boto3 name.
        region: Where it is asked.
        endpoint: As of :class:`KillSwitchLocation`, like the others.
        role: ARN of a role that is taken on.
        credentials: A file with an :class:`AccessKey`. With it, nothing of the user's own AWS
            configuration counts; without it, the SDK's usual chain does.
    """
    key = None
    if credentials is not None:
        key = AccessKey.model_validate_json(credentials.read_text(encoding="utf-8"))
    isolated = key is not None
    if role is not None:
        sts = _client("sts", region, endpoint, key, isolated=isolated)
        assumed = sts.assume_role(
            RoleArn=role, RoleSessionName="kill-switch", DurationSeconds=_ROLE_S
        )["Credentials"]
        key = AccessKey(
            access_key_id=assumed["AccessKeyId"],
            secret_access_key=assumed["SecretAccessKey"],
            session_token=assumed["SessionToken"],
        )
    return _client(service, region, endpoint, key, isolated=isolated)


def _client(
    service: str, region: str, endpoint: str | None, key: AccessKey | None, *, isolated: bool
) -> Any:
    import boto3  # noqa: PLC0415 - slow to import, and most users of this module read no switch
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        connect_timeout=_ANSWER_S_MAX, read_timeout=_ANSWER_S_MAX, retries={"total_max_attempts": 1}
    )
    if key is not None and isolated:
        return isolated_client(
            service,
            endpoint=endpoint,
            region=region,
            access_key_id=key.access_key_id,
            secret_access_key=key.secret_access_key,
            session_token=key.session_token,
            config=config,
        )
    if is_loopback(endpoint or ""):
        config = config.merge(Config(proxies={}))
    make: Any = boto3.Session(region_name=region).client
    return make(
        service,
        endpoint_url=endpoint,
        config=config,
        aws_access_key_id=key.access_key_id if key else None,
        aws_secret_access_key=key.secret_access_key if key else None,
        aws_session_token=key.session_token if key else None,
    )


@dataclass(frozen=True, kw_only=True)
class LocalKillSwitch:
    """The kill switch that a file is."""

    location: KillSwitchFile

    def read(self) -> Reading:
        """Read the file; what prevents it is the reason why it was not read."""
        where = str(self.location.file)
        try:
            text = self.location.file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            return kill_switch_reading({}, {where: f"{type(error).__name__}: {error}"})
        return kill_switch_reading({where: text}, {})


@dataclass(kw_only=True)
class KillSwitchWatch:
    """Says whether a drill may start or go on, by all of ``switches``; with none, it always may.

    :meth:`start` reads them in a thread of its own, so that a region that does not answer delays
    nothing: calling the watch only returns what the last reading meant. ``monotonic_s`` is the
    clock.
    """

    switches: Sequence[KillSwitch]
    monotonic_s: Callable[[], float] = time.monotonic
    _began_at: float | None = None
    _read_at: float | None = None
    _stopped: str | None = None
    _unread: str = "it has not been tried yet"
    _ending: threading.Event = field(default_factory=threading.Event)
    _started: bool = False

    def require_armed(self) -> None:
        """Require that every switch can be read in every region and is armed.

        Raises:
            DrillError: It is not so; nothing may start.
        """
        reason = self.refusal()
        if reason is not None:
            raise DrillError(reason, remedy=REMEDY)

    def refusal(self) -> str | None:
        """Read all switches now. Returns why nothing may start; None if it may."""
        for switch in self.switches:
            reading = switch.read()
            if reading.stopped is not None:
                return reading.stopped
            for where, why in reading.unreadable.items():
                return f"{where} cannot be read: {why}"
        self._read_at = self.monotonic_s()
        return None

    def start(self) -> KillSwitchWatch:
        """Read once a second from now on, until :meth:`stop` or the process ends; idempotent."""
        if self.switches and not self._started:
            self._started = True
            threading.Thread(target=self._run, name="kill switch", daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop reading."""
        self._ending.set()

    def __call__(self) -> str | None:
        """Why the drill must end now; None if it may go on. A stop is never taken back."""
        if self._stopped is None and self.switches:
            now = self.monotonic_s()
            self._began_at = now if self._began_at is None else self._began_at
            read_at = self._began_at if self._read_at is None else self._read_at
            if now - read_at > UNREADABLE_S_MAX:
                self._stopped = (
                    f"nothing that could stop the drill was read for {UNREADABLE_S_MAX:g} s"
                    f" ({self._unread})"
                )
        return self._stopped

    def poll(self) -> None:
        """Read every switch once and remember what that means."""
        readings = [switch.read() for switch in self.switches]
        stopped = next((each.stopped for each in readings if each.stopped is not None), None)
        if stopped is not None:
            self._stopped = stopped
        elif all(reading.values for reading in readings):
            self._read_at = self.monotonic_s()
        else:
            self._unread = "; ".join(
                f"{where} cannot be read: {why}"
                for reading in readings
                for where, why in reading.unreadable.items()
            )

    def _run(self) -> None:
        while not self._ending.wait(READ_EVERY_S) and self._stopped is None:
            self.poll()


def kill_switches(
    location: KillSwitchLocation | KillSwitchFile | None,
    environment: Mapping[str, str] = os.environ,
) -> list[KillSwitch]:
    """The switches that a runner obeys.

    Args:
        location: That of the deployment file, if it names one.
        environment: May name another one (KILL_SWITCH_VARIABLE).

    Raises:
        UsageError: The environment's is malformed. It is not ignored, because then the drill could
            not be stopped.
    """
    locations: list[KillSwitchLocation | KillSwitchFile] = []
    if location is not None:
        locations.append(location)
    text = environment.get(environment_names.KILL_SWITCH_VARIABLE)
    if text:
        try:
            document = parse_json(text, source=environment_names.KILL_SWITCH_VARIABLE)
            locations.append(KillSwitchLocation.model_validate(document))
        except (DocumentError, ValidationError) as error:
            raise UsageError(
                f"{environment_names.KILL_SWITCH_VARIABLE} names no kill switch: {error}",
                remedy='write {"parameter": "...", "regions": ["..."]}',
            ) from error
    return [
        LocalKillSwitch(location=each)
        if isinstance(each, KillSwitchFile)
        else SsmKillSwitch(location=each)
        for each in locations
    ]
