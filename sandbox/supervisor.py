"""The supervisor: starts every part of a sandbox, watches them, ends them all.

A process of the venue that dies by itself is started again, as any platform does it
(`sandbox.restarts`). Its death stays on record, so that what was drilled meanwhile is unproven.
Nothing else is started again: databases, chains, the emulated AWS and proxies would lose the state
that evidence rests on. What a fault ended, the end of the fault brings back.
"""

from __future__ import annotations

import itertools
import math
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sandbox import kept, providers, reaper
from sandbox.data_directory import prepare
from sandbox.database import Credentials, load_credentials, write_credentials
from sandbox.environment import ROOT, additions
from sandbox.layout import Layout, sabotaged_components
from sandbox.parts import chains
from sandbox.parts.part import READY_TIMEOUT_S, Part
from sandbox.ports import pick_port
from sandbox.reaping import Watch
from sandbox.restarts import Restarts
from seawall.conventions import components as components_names
from seawall.conventions import environment as environment_names
from seawall.errors import (
    ComponentDiedError,
    ExitCode,
    PortBusyError,
    SeawallError,
    ServiceError,
    UsageError,
    WorldError,
)
from seawall.formats.component_status import ComponentStatus, write_components
from seawall.formats.deployment import (
    DEPLOYMENT_FILE,
    Deployment,
    Process,
    load_deployment,
    restarts_forbidden,
)
from seawall.policy import Policy
from seawall.processes.components import NICENESS, Component
from seawall.processes.environment import inherited
from seawall.processes.failures import os_failure
from seawall.processes.readiness import Ready, log_line

ATTEMPTS_MAX = 3
"""How often a start is tried, each time with other ports.

A port is chosen before it is bound, so another process may take it meanwhile.
"""
_KILLED_S_MAX = 5.0
"""How long the kernel may take to end a process that was killed."""
PROVIDER = "aws-provider"
_PROVIDER_PORT = re.compile(r"^(\d+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class _Command:
    """How a component was started, for starting it again."""

    argv: tuple[str | Path, ...]
    env: Mapping[str, str]
    cwd: Path
    niceness: int


class Sandbox:
    """A running sandbox. Made by :meth:`start` or, for one that was kept, :meth:`attach`."""

    def __init__(
        self,
        *,
        deployment: Deployment,
        record: kept.Record,
        credentials: Mapping[str, Credentials],
        sabotaged: Mapping[str, str],
        watch: Watch | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deployment = deployment
        self._record = record
        self._credentials = credentials
        self._sabotaged = sabotaged
        self._watch = watch
        self._clock = clock
        self._lock = threading.RLock()
        self._components: dict[str, Component] = {}
        self._commands: dict[str, _Command] = {}
        self._restarts = Restarts()
        self._former: dict[str, ComponentStatus] = {}
        self._touched: set[str] = set()
        self._closing = False

    # --- life

    @classmethod
    def start(
        cls,
        *,
        policy: Policy,
        policy_path: Path,
        run_id: str,
        data_dir: Path,
        programs: Mapping[str, Path],
        report: Callable[[str], None] = lambda _line: None,
        sabotage: str | None = None,
        keep: bool = False,
        pick: Callable[[], int] = pick_port,
    ) -> Sandbox:
        """Start every part and return when all are ready.

        ``programs`` maps external executables to their paths.

        Unless ``keep``, everything ends with this process, whatever ends it. If a part does not
        start, all that was started is ended and one error of the tree says why.
        """
        chains.check_finality(policy, str(policy_path))
        record = kept.Record(
            run_id=run_id, policy_path=policy_path.resolve(), programs=dict(programs)
        )
        prepare(data_dir)
        if keep:
            kept.keep(run_id, data_dir)
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return cls._start_once(
                    policy, record, data_dir, report=report, sabotage=sabotage, keep=keep, pick=pick
                )
            except PortBusyError as error:
                if attempt == ATTEMPTS_MAX:
                    raise
                report(f"{error}; trying other ports")
                prepare(data_dir)
                if keep:
                    kept.keep(run_id, data_dir)
        raise AssertionError(attempt)

    @classmethod
    def _start_once(
        cls,
        policy: Policy,
        record: kept.Record,
        data_dir: Path,
        *,
        report: Callable[[str], None],
        sabotage: str | None,
        keep: bool,
        pick: Callable[[], int],
    ) -> Sandbox:
        watch = None if keep else Watch(record.run_id, data_dir)
        given = additions(
            run_id=record.run_id,
            data_dir=data_dir,
            policy_path=record.policy_path,
            programs=record.programs,
        )
        layout = Layout.plan(
            policy=policy, record=record, data_dir=data_dir, env={**inherited(), **given}, pick=pick
        )
        sandbox = cls(
            deployment=layout.deployment(run_id=record.run_id, sabotage=sabotage),
            record=record,
            credentials=layout.credentials,
            sabotaged=sabotaged_components(policy, sabotage),
            watch=watch,
        )
        try:
            record.write(data_dir)
            write_credentials(layout.credentials, data_dir)
            providers.write_credentials(layout.context.providers, data_dir)
            sandbox._deployment.write()
            sandbox._launch_all(layout.parts(), report=report)
        except BaseException:
            sandbox.close()
            raise
        return sandbox

    @classmethod
    def attach(cls, data_dir: Path) -> Sandbox:
        """The sandbox that a former command left running in ``data_dir``.

        Raises :class:`UsageError` if none runs there.
        """
        record = kept.load_record(data_dir)
        if not reaper.carriers(record.run_id):
            message = f"nothing of the sandbox in {data_dir} runs any more"
            raise UsageError(message, remedy="remove it with `seawall down` and start another")
        return cls(
            deployment=load_deployment(data_dir / DEPLOYMENT_FILE),
            record=record,
            credentials=load_credentials(data_dir),
            sabotaged={},
            watch=None,
        )

    def close(self) -> None:
        """End every process that carries the run's id, then remove the data but the logs.

        Safe to call again.

        Raises :class:`ServiceError` naming what would not end.
        """
        left = self._end_all()
        if self._watch is not None:
            self._watch.end()
            self._watch = None
        reaper.clear(self.data_dir)
        kept.forget(self._record.run_id)
        if left:
            message = f"processes that would not end: {sorted(pid for pid, _ in left)}"
            raise ServiceError(message)

    # --- what other processes may read

    @property
    def deployment(self) -> Deployment:
        """The running stack, as in the deployment file."""
        return self._deployment

    @property
    def data_dir(self) -> Path:
        """The data directory."""
        return self._deployment.data_dir

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a process that belongs to this sandbox and ends with it."""
        record = self._record
        return additions(
            run_id=record.run_id,
            data_dir=self.data_dir,
            policy_path=record.policy_path,
            programs=record.programs,
        )

    def database_url(
        self,
        role: str,
        *,
        through_proxy: bool = False,
        database: str = components_names.POSTGRES_PROXY,
        address: str | None = None,
    ) -> str:
        """PostgreSQL URL of ``role``, which is ``owner`` or a part of `sandbox.database.PARTS`.

        ``database`` names the proxy before the server; ``address`` (host:port) is that of another
        server with the same roles. Raises KeyError.
        """
        proxy = self._deployment.proxies[database]
        own = proxy.listen if through_proxy else proxy.upstream
        return self._credentials[database].url(role, address=address or own)

    def describe(self, **known: Any) -> None:
        """Add what has become known of the stack to the deployment file, by field."""
        with self._lock:
            self._deployment = self._deployment.model_copy(update=known)
            self._deployment.write()

    # --- components

    def spawn(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        ready: Ready | None = None,
        timeout_s: float = READY_TIMEOUT_S,
        cwd: Path = ROOT,
        niceness: int = NICENESS,
        restarts: bool = False,
    ) -> Component:
        """Start one more component and, if ``ready`` is given, return when it holds.

        Its log is ``logs/<name>.log``. With ``restarts``, :meth:`restart_due` starts it again if it
        dies by itself from then on.
        """
        command = _Command(argv=tuple(argv), env=dict(env or {}), cwd=cwd, niceness=niceness)
        with self._lock:
            if self._closing:
                message = f"{name} cannot be started: the sandbox is closing"
                raise UsageError(message)
            former = self._components.get(name)
            if former is not None and former.died:
                raise ComponentDiedError(
                    name, log_tail=former.status().log_tail or ""
                )  # not to be covered up by a new one
            if former is not None and former.status().exit_code is None:
                message = f"{name} is running already"
                raise UsageError(message)
            component = self._begin(name, command)
        if ready is not None:
            component.wait_ready(ready, timeout_s=timeout_s)
        if restarts:
            with self._lock:
                self._restarts.cover(name, started_at=self._clock())
                if component.died:  # since it was ready
                    self._restarts.died(name, at=self._clock())
        return component

    def _begin(
        self, name: str, command: _Command, *, former: ComponentStatus | None = None
    ) -> Component:
        """Start a process by ``command``, whatever was there under that name before.

        ``former`` is what is known of a process that died and that this one replaces. It is kept
        before the new status is published, so that no reader misses the death.
        """
        variables = {**inherited(), **self.environment, **command.env}
        if name in self._sabotaged:
            variables[environment_names.SABOTAGE_VARIABLE] = self._sabotaged[name]
        component = Component(
            name=name,
            argv=command.argv,
            env=variables,
            log=self._log(name),
            cwd=command.cwd,
            niceness=command.niceness,
            ended=self._ended,
        )
        if reaper.is_ending(self.data_dir):
            # Whoever ends the sandbox may have looked for its processes before this one was there.
            component.announce_stop()
            component.signal_group(signal.SIGKILL)
            raise UsageError(f"{name} cannot be started: the sandbox is being ended")
        if former is not None:
            self._former[name] = former
        self._components[name], self._commands[name] = component, command
        self._restarts.started(name, at=self._clock())
        process = Process(pid=component.pid, log=component.log)
        self.describe(processes={**self._deployment.processes, name: process})
        self.report_components()
        return component

    def _ended(self, component: Component) -> None:
        with self._lock:
            if component.died:
                self._restarts.died(component.name, at=self._clock())
            self.report_components()

    def restart_due(self, *, at_once: bool = False) -> None:
        """Start again what died by itself and has waited long enough; ``at_once``: all of it.

        Not what a fault holds, and nothing while the sandbox is being ended or a drill that forbids
        it lasts. What cannot be started is said on standard error and tried again later.
        """
        if restarts_forbidden(self.data_dir):
            return
        with self._lock:
            for name in self._restarts.due(at=math.inf if at_once else self._clock()):
                if self._closing or reaper.is_ending(self.data_dir):
                    return
                if name not in self._touched:
                    self._restart(name)

    def _restart(self, name: str) -> None:
        former, before = self._status(name), self._components[name]
        self._restarts.started(name, at=self._clock())
        try:
            self._begin(name, self._commands[name], former=former)
        except SeawallError as error:
            print(f"{name} was not started again: {error}", file=sys.stderr)
            if self._components[name] is before:
                self._restarts.died(name, at=self._clock())
                return
        self.report_components()

    def spawn_all(
        self,
        commands: Mapping[str, tuple[Sequence[str | Path], Mapping[str, str]]],
        *,
        ready_line: str,
        timeout_s: float = READY_TIMEOUT_S,
        restarts: bool = False,
    ) -> None:
        """Start components (name -> command line, variables) side by side.

        Return when each has said ``ready_line``. ``restarts`` as in :meth:`spawn`.
        """
        ready = log_line(f"^{re.escape(ready_line)}$")
        self._side_by_side(
            {
                name: partial(
                    self.spawn,
                    name,
                    argv,
                    env=env,
                    ready=ready,
                    timeout_s=timeout_s,
                    restarts=restarts,
                )
                for name, (argv, env) in commands.items()
            }
        )

    def start_provider(self, *, credentials: Mapping[str, str]) -> int:
        """Start the AWS provider that Pulumi attaches to; returns its port.

        ``credentials`` are the AWS variables that it works with.
        """
        provider = self.spawn(
            PROVIDER,
            (
                sys.executable,
                "-P",
                "-m",
                "localaws.provider",
                "--aws-endpoint",
                self._deployment.urls.required("aws"),
            ),
            env=credentials,
            ready=log_line(_PROVIDER_PORT.pattern),
        )
        match = _PROVIDER_PORT.search(provider.log_text())
        if match is None:
            message = "the AWS provider did not name its port"
            raise ServiceError(message)
        with self._lock:
            urls = self._deployment.urls.model_copy(update={"provider": f"127.0.0.1:{match[1]}"})
            self.describe(urls=urls)
        return int(match[1])

    def freeze(self, name: str) -> None:
        """Make the component ``name`` stand still.

        Raises KeyError, and :class:`ComponentDiedError` for one that died by itself.
        """
        with self._lock:
            self._living(name).signal_group(signal.SIGSTOP)
            self._touched.add(name)

    def kill(self, name: str) -> None:
        """Kill the component ``name``; it is no death of its own. Raises as :meth:`freeze`."""
        with self._lock:
            component = self._living(name)
            if component.wait(timeout_s=0) is None:  # its group is still its own
                component.announce_stop()
                component.signal_group(signal.SIGKILL)
            self._touched.add(name)

    def bring_back(self, name: str) -> None:
        """Let the component ``name`` go on, or start it again if it was killed; idempotent.

        Raises KeyError, and what :meth:`freeze` and :meth:`spawn` raise.
        """
        with self._lock:
            if self._components[name].died:  # no fault holds it any more
                self._touched.discard(name)
            component, command = self._living(name), self._commands[name]
            if component.wait(timeout_s=0) is None:  # its group is still its own
                component.signal_group(signal.SIGCONT)
            if component.stopping:
                component.wait(timeout_s=_KILLED_S_MAX)
                self.spawn(
                    name, command.argv, env=command.env, cwd=command.cwd, niceness=command.niceness
                )
            self._touched.discard(name)

    def bring_all_back(self) -> None:
        """Bring back whatever was frozen or killed, unless the sandbox is closing.

        What cannot be brought back is said on standard error, and keeps no other down.
        """
        with self._lock:
            for name in sorted(self._touched) if not self._closing else []:
                try:
                    self.bring_back(name)
                except SeawallError as error:
                    print(f"{name} was not brought back: {error}", file=sys.stderr)

    def _living(self, name: str) -> Component:
        component = self._components[name]
        if component.died:
            raise ComponentDiedError(name, log_tail=component.status().log_tail or "")
        return component

    def stop(self, name: str) -> None:
        """End the component ``name`` on purpose. Raises KeyError."""
        self._components[name].stop()

    def check(self) -> None:
        """Raise :class:`ComponentDiedError` if a component ended by itself."""
        for status in self.components():
            if status.died_at is not None:
                raise ComponentDiedError(
                    status.name, log_tail=status.log_tail or "(it said nothing)"
                )

    def components(self) -> list[ComponentStatus]:
        """What is known of every component, in the order of their start."""
        with self._lock:
            return [self._status(name) for name in self._components]

    def _status(self, name: str) -> ComponentStatus:
        status = self._components[name].status()
        return status.after(self._former[name]) if name in self._former else status

    # --- inside

    def _launch_all(self, parts: Sequence[Part], *, report: Callable[[str], None]) -> None:
        began = time.monotonic()
        ready = itertools.count(1)

        def tell(name: str) -> None:
            passed_s = time.monotonic() - began
            report(f"{name} ready after {passed_s:.1f} s ({next(ready)} of {len(parts)})")

        self._side_by_side({part.name: partial(self._launch, part) for part in parts}, done=tell)

    def _side_by_side(
        self,
        starts: Mapping[str, Callable[[], object]],
        *,
        done: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """Run ``starts`` (by component name) at once; ``done`` is called with each.

        The first failure, or an interruption, ends the whole sandbox: a thread that waits for a
        component to be ready stops waiting as soon as its process ends, and none starts another.
        """
        with ThreadPoolExecutor(max_workers=len(starts)) as pool:
            running = {pool.submit(start): name for name, start in starts.items()}
            try:
                for future in as_completed(running):
                    future.result()
                    done(running[future])
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._end_all()
                raise

    def _end_all(self) -> set[reaper.Process]:
        """End every process that carries the run's id; nothing starts from now on.

        Returns what would not end.
        """
        with self._lock:
            self._closing = True
            components = list(self._components.values())
        for component in components:
            component.announce_stop()
        return reaper.reap(self._record.run_id)

    def _launch(self, part: Part) -> None:
        if part.prepare is not None:
            try:
                part.prepare()
            except OSError as error:
                raise os_failure(f"{part.name} cannot be prepared", error) from error
        self.spawn(part.name, part.argv, env=part.env, ready=part.ready, cwd=part.cwd or ROOT)

    def report_components(self) -> None:
        """Write the state of every process beside the deployment file.

        A supervisor that cannot report must not seem to say that all is well, so it ends at once:
        whoever reads the reports sees that, and the reaper ends the rest.
        """
        with self._lock:
            if self._closing:
                return
            try:
                write_components(self.data_dir, self.components())
            except WorldError as error:
                print(f"the state of the processes cannot be reported: {error}", file=sys.stderr)
                os._exit(ExitCode.UNFIT)

    def _log(self, name: str) -> Path:
        return self.data_dir / reaper.LOGS / f"{name}.log"
