"""The flood as a Locust test: ``locust -f loadtests/locustfile.py --headless``.

It runs in one process, or in a master and workers. The schedule decides what is sent when, so the
number of users means nothing here: each worker process runs one user, which sends every n-th
arrival. The master waits for all workers, sends them one planned zero, collects their results and
ends the test when the schedule is done.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import gevent
import gevent.os
from gevent.event import AsyncResult
from locust import User, events, task
from locust.env import Environment
from locust.exception import CatchResponseError, StopUser
from locust.runners import MasterRunner, Runner, WorkerRunner

from loadtests.arrivals import Arrival, read_arrivals
from loadtests.clocks import EXCHANGE_EVERY_S, EXCHANGE_S_MAX, EXCHANGES, answer, question
from loadtests.coordinator import Coordinator, own_part, own_reads
from loadtests.population import read_credentials
from loadtests.reader import Reader
from loadtests.reads import PLANNED_READS, PlannedRead, reads_beside
from loadtests.results import ACKNOWLEDGED, ReadResult, RequestResult
from loadtests.sender import Limits, Sender
from loadtests.venue import Sessions, Venue
from seawall.conventions.environment import DEPLOYMENT_VARIABLE, POLICY_VARIABLE
from seawall.conventions.reads import ANSWERED
from seawall.errors import ExitCode, ServiceError, UsageError
from seawall.formats.deployment import Deployment, address_of, load_deployment
from seawall.formats.documents import read_json
from seawall.formats.drill_contract import CONTRACT, WITHDRAW, VenueAdapter, load_adapter
from seawall.kill_switch import KillSwitchWatch, kill_switches

LOADED, PART = "seawall_loaded", "seawall_part"
READY, ZERO, REPORT = "seawall_ready", "seawall_zero", "seawall_report"
"""Messages in their order: a worker has read the schedule; which part of it is its own; it is
ready, with its customers logged in; when zero is; what became of its requests.
"""
CLOCK, CLOCK_TOLD = "seawall_clock", "seawall_clock_told"
"""What time is it, asked of every worker before the zero and at the end; its answer."""
STDIN = 0
REPORT_EVERY_S = 0.5
WATCH_EVERY_S = 0.25
PROGRESS_EVERY_S = 1.0
READY_S_MAX = 60.0
LOGIN_S_MAX = 40.0
"""Within `READY_S_MAX`, so that the reason is that of the login."""
GRACE_S = 5.0
"""How long the master waits for reports after the last answer could have come."""


@events.init_command_line_parser.add_listener
def _options(parser: argparse.ArgumentParser) -> None:
    group: Any = parser.add_argument_group("seawall")
    group.add_argument(
        "--arrivals", env_var="SEAWALL_ARRIVALS", help="the schedule, from python -m loadtests.plan"
    )
    group.add_argument(
        "--customers", env_var="SEAWALL_CUSTOMERS", help="customers.csv of the same plan"
    )
    group.add_argument(
        "--out",
        env_var="SEAWALL_FLOOD_OUT",
        help="folder for the logs and flood.json; that of the arrivals if left out",
    )
    group.add_argument(
        "--speaks",
        env_var="SEAWALL_SPEAKS",
        help=f"what the venue speaks; as the deployment file says, or {CONTRACT}, if left out",
    )
    group.add_argument(
        "--policy",
        env_var=POLICY_VARIABLE,
        help="the policy in force; a mapping file with decimal amounts needs it",
    )
    group.add_argument("--progress", default="", help="file or pipe for a JSON line each second")
    group.add_argument(
        "--when-told",
        action="store_true",
        help="begin when standard input has a line, and not when it is closed before",
    )
    group.add_argument(
        "--inflight-max",
        type=int,
        default=2_000,
        help="requests in flight per worker before arrivals are missed",
    )
    group.add_argument(
        "--answer-s-max", type=float, default=10.0, help="seconds to wait for an answer"
    )
    group.add_argument(
        "--late-ms-max",
        type=float,
        default=500.0,
        help="an arrival held up for longer is missed, not sent in a bunch",
    )


@events.init.add_listener
def _init(environment: Environment, runner: Runner, **_: Any) -> None:
    options: Any = environment.parsed_options
    if not isinstance(runner, WorkerRunner):
        workers = int(options.expect_workers) if isinstance(runner, MasterRunner) else 1
        options.num_users = options.spawn_rate = workers  # one user per worker process
        deployment = _deployment()
        environment.host = options.host or _api(deployment)
        options.speaks = options.speaks or (
            CONTRACT if deployment is None else deployment.venue.speaks
        )
        _Master(environment, runner, workers=workers)
    if not isinstance(runner, MasterRunner):
        WithdrawalUser.part, WithdrawalUser.zero = AsyncResult(), AsyncResult()
        runner.register_message(PART, lambda msg, **_: WithdrawalUser.part.set(msg.data))
        runner.register_message(ZERO, lambda msg, **_: WithdrawalUser.zero.set(msg.data))
        runner.register_message(
            CLOCK,
            lambda msg, **_: runner.send_message(
                CLOCK_TOLD,
                answer(msg.data, told=WithdrawalUser.clock(), worker=_worker_name(runner)),
            ),
        )


def _worker_name(runner: Runner | None) -> str:
    """A worker's name in the results."""
    return str(max(0, getattr(runner, "worker_index", 0)))


def _deployment() -> Deployment | None:
    """The running stack that the environment names; None without one.

    Raises:
        UsageError: Its file is missing or malformed.
    """
    path = os.environ.get(DEPLOYMENT_VARIABLE)
    return None if path is None else load_deployment(Path(path))


def _api(deployment: Deployment | None) -> str:
    if deployment is None:
        raise UsageError(
            "it is not known where the venue is",
            remedy=f"give --host, or name deployment.json in {DEPLOYMENT_VARIABLE}",
        )
    return deployment.urls.api


def _adapter(options: Any) -> VenueAdapter:
    return load_adapter(
        options.speaks or CONTRACT, policy=Path(options.policy) if options.policy else None
    )


def _required(options: Any, name: str) -> Path:
    value = getattr(options, name)
    if not value:
        raise UsageError(f"--{name} is missing", remedy="make a plan with python -m loadtests.plan")
    return Path(value)


def _told() -> bool:
    """Wait for a line on standard input; False if it is closed before."""
    gevent.os.make_nonblocking(STDIN)
    return bool(gevent.os.nb_read(STDIN, 1))


def _digest(path: Path) -> str:
    """SHA-256 of the schedule at ``path``, and of the reads that are planned beside it."""
    parts = [part for part in (path, path.with_name(PLANNED_READS)) if part.exists()]
    return hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()


def _offered_reads(
    path: Path, arrivals: Sequence[Arrival], adapter: VenueAdapter
) -> list[PlannedRead]:
    """The reads of what the venue offers; the others are neither sent nor missed."""
    return [read for read in reads_beside(path, arrivals) if read.operation in adapter.operations]


def _opened(path: str | None) -> TextIO | None:
    """The file for progress lines; it stays open until the process ends."""
    return Path(path).open("w", encoding="utf-8") if path else None


class _Master:
    """Connects a :class:`Coordinator` to Locust's messages, and decides when the test ends."""

    def __init__(self, environment: Environment, runner: Runner, *, workers: int) -> None:
        options: Any = environment.parsed_options
        path = _required(options, "arrivals")
        arrivals = read_arrivals(path)
        plan = path.with_name("plan.json")
        out = Path(options.out or path.parent)
        out.mkdir(parents=True, exist_ok=True)
        self._environment, self._runner, self._expected = environment, runner, workers
        self._digest = _digest(path)
        self._timeout_s = float(options.answer_s_max) + GRACE_S
        self._when_told = bool(options.when_told)
        self._coordinator = Coordinator(
            arrivals=arrivals,
            reads=_offered_reads(path, arrivals, _adapter(options)),
            api=None if environment.host is None else address_of(environment.host),
            plan=read_json(plan) if plan.exists() else {},
            out=out,
            progress=_opened(options.progress),
        )
        self._loaded: dict[str, dict[str, Any]] = {}
        self._ready: dict[str, dict[str, Any]] = {}
        self._began = self._finished = False
        deployment = _deployment()
        self._kill_switch = KillSwitchWatch(
            switches=kill_switches(None if deployment is None else deployment.kill_switch)
        )
        runner.register_message(LOADED, self._on_loaded)
        runner.register_message(READY, self._on_ready)
        runner.register_message(
            REPORT, lambda msg, **_: self._coordinator.add_report(msg.node_id, msg.data)
        )
        runner.register_message(CLOCK_TOLD, self._on_clock)
        environment.events.quitting.add_listener(lambda **_: self._finish(ExitCode.UNKNOWN))
        # If the watch fails, the test must end, because nothing else would end it.
        gevent.spawn(self._watch).link_exception(lambda _: self._finish(ExitCode.UNKNOWN))

    def _on_loaded(self, msg: Any, **_: Any) -> None:
        if self._ready:
            return
        self._loaded[msg.node_id] = msg.data
        if len(self._loaded) < self._expected:
            return
        if {loaded["arrivals_sha256"] for loaded in self._loaded.values()} != {self._digest}:
            self._coordinator.emit(
                "refused", reason="a worker read another schedule than the master"
            )
            self._finish(ExitCode.USAGE)
            return
        for part, name in enumerate(sorted(self._loaded)):
            message = {"part": part, "parts": len(self._loaded)}
            self._runner.send_message(PART, message, client_id=name)

    def _on_ready(self, msg: Any, **_: Any) -> None:
        if "refused" in msg.data:
            self._coordinator.emit("refused", reason=msg.data["refused"])
            self._finish(ExitCode.UNFIT)
            return
        self._ready[msg.node_id] = msg.data
        if len(self._ready) < self._expected or self._began:
            return
        self._began = True
        # In a greenlet of its own: the answers about clocks come through the one that runs this.
        gevent.spawn(self._begin).link_exception(lambda _: self._finish(ExitCode.UNKNOWN))

    def _begin(self) -> None:
        """Measure the clocks, then send every worker the zero; when told, if that was asked for."""
        if self._when_told:
            self._coordinator.emit("ready", workers=len(self._ready))
            if not _told():
                self._coordinator.emit("refused", reason="nobody is there to begin it any more")
                self._finish(ExitCode.UNKNOWN)
                return
        self._measure_clocks("before")
        if self._finished:
            return
        stopped = self._kill_switch.refusal()
        if stopped is not None:
            self._coordinator.emit("refused", reason=stopped)
            self._finish(ExitCode.UNKNOWN)
            return
        self._kill_switch.start()
        for name, message in self._coordinator.start(
            {name: int(ready["nice"]) for name, ready in self._ready.items()}, now=time.time()
        ).items():
            self._runner.send_message(ZERO, message, client_id=name)

    def _on_clock(self, msg: Any, **_: Any) -> None:
        self._coordinator.add_clock(
            msg.node_id, msg.data, answered=time.monotonic(), now=time.time()
        )

    def _measure_clocks(self, moment: str) -> None:
        """Ask every worker that is still there for its time, and wait for the answers."""
        lost = {name for name, worker in self._coordinator.workers.items() if worker.lost}
        names = [name for name in sorted(self._ready) if name not in lost]
        for _ in range(EXCHANGES):
            for name in names:
                message = question(moment, asked=time.monotonic())
                self._runner.send_message(CLOCK, message, client_id=name)
            gevent.sleep(EXCHANGE_EVERY_S)
        deadline = time.monotonic() + EXCHANGE_S_MAX
        while time.monotonic() < deadline and any(
            self._coordinator.exchanges(name, moment) < EXCHANGES for name in names
        ):
            gevent.sleep(EXCHANGE_EVERY_S)
        self._coordinator.emit_clocks(moment)

    def _watch(self) -> None:
        began = shown = time.monotonic()
        try:
            while not self._finished:
                gevent.sleep(WATCH_EVERY_S)
                now = time.time()
                if self._coordinator.t_zero is None:
                    if not self._began and time.monotonic() - began > READY_S_MAX:
                        self._coordinator.emit(
                            "refused",
                            reason=f"{len(self._ready)} of {self._expected} workers are ready",
                        )
                        self._finish(ExitCode.UNFIT)
                    continue
                stopped = self._kill_switch()
                if stopped is not None:
                    self._coordinator.emit("stopped", reason=stopped)
                    self._finish(ExitCode.UNKNOWN)
                    continue
                if isinstance(self._runner, MasterRunner):
                    self._coordinator.mark_lost(
                        [
                            client.id
                            for client in self._runner.clients.values()
                            if client.state != "missing"
                        ]
                    )
                if time.monotonic() - shown >= PROGRESS_EVERY_S:
                    shown = time.monotonic()
                    self._coordinator.emit_progress(now=now)
                ends_at = self._coordinator.t_zero + self._coordinator.lasts_s + self._timeout_s
                if self._coordinator.ended or now > ends_at:
                    self._measure_clocks("after")
                    self._finish(ExitCode.PASS if self._coordinator.complete else ExitCode.UNKNOWN)
        except BrokenPipeError:
            # The process that started this one is gone, so nothing could stop the flood any more.
            self._coordinator.progress = None
            self._finish(ExitCode.UNKNOWN)

    def _finish(self, code: ExitCode) -> None:
        if self._finished:
            return
        self._finished = True
        self._environment.process_exit_code = int(code)
        self._coordinator.finish(now=time.time())
        gevent.spawn(self._runner.quit)  # in a greenlet of its own: quitting kills this one


class WithdrawalUser(User):
    """The one Locust user of a worker process; it sends what all its customers ask for.

    Each withdrawal and each read is a greenlet that starts on schedule; Locust's own waiting times
    are not used.
    """

    part: AsyncResult
    zero: AsyncResult
    clock: Callable[[], float] = time.time
    started = False

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._rows: list[list[Any]] = []
        self._missed: list[tuple[int, str]] = []
        self._reads: list[list[Any]] = []
        self._reads_missed: list[tuple[int, str]] = []

    @task
    def withdraw(self) -> None:
        """Run this worker's shard of the schedule, once."""
        if WithdrawalUser.started:
            raise StopUser  # Locust moves a lost worker's user here; its arrivals stay missed
        WithdrawalUser.started = True
        options: Any = self.environment.parsed_options
        path = _required(options, "arrivals")
        arrivals = read_arrivals(path)
        wanted = {arrival.customer_id for arrival in arrivals}
        customers = read_credentials(_required(options, "customers"), wanted=wanted)
        limits = Limits(
            inflight_max=options.inflight_max,
            timeout_s=options.answer_s_max,
            late_ms_max=options.late_ms_max,
        )
        venue = Venue(
            str(self.environment.host),
            _adapter(options),
            concurrency=limits.inflight_max,
            timeout_s=limits.timeout_s,
        )
        reads = _offered_reads(path, arrivals, venue.adapter)
        gc.collect()
        # The schedule is needed to the end; collecting it again and again would delay requests.
        gc.freeze()
        self._send(LOADED, {"arrivals_sha256": _digest(path)})
        part = WithdrawalUser.part.get()
        own = own_part(
            arrivals,
            by_customer=venue.adapter.needs_session,
            part=part["part"],
            parts=part["parts"],
        )
        sessions = Sessions(venue)
        try:
            sessions.open_all(
                [customers[name] for name in sorted({each.customer_id for each in own})],
                within_s=LOGIN_S_MAX,
            )
        except ServiceError as error:
            self._send(READY, {"refused": str(error)})
            WithdrawalUser.zero.get()  # there will be none: the master ends the test
        self._send(READY, {"nice": os.getpriority(os.PRIO_PROCESS, 0), "sessions": sessions.known})
        start = WithdrawalUser.zero.get()
        worker = _worker_name(self.environment.runner)
        sender = Sender(
            venue=venue,
            customers=customers,
            sessions=sessions,
            reader=Reader(
                venue=venue,
                customers=customers,
                sessions=sessions,
                arrivals=own,
                worker=worker,
                on_result=self._on_read,
                on_missed=lambda index, reason: self._reads_missed.append((index, reason)),
            ),
            limits=limits,
            worker=worker,
            on_result=self._on_result,
            on_missed=lambda index, reason: self._missed.append((index, reason)),
        )
        WithdrawalUser.clock = sender.now
        reporter = gevent.spawn(self._report_often)
        sender.send_all(own, t_zero=start["t_zero"], reads=own_reads(reads, own))
        reporter.kill()
        self._report(done=True)
        raise StopUser

    def _on_result(self, result: RequestResult, length: int) -> None:
        self._rows.append(result.to_row())
        self._fire(WITHDRAW, result, length, good=result.outcome in ACKNOWLEDGED)

    def _on_read(self, result: ReadResult, length: int) -> None:
        self._reads.append(result.to_row())
        self._fire(result.operation, result, length, good=result.outcome == ANSWERED)

    def _fire(
        self, operation: str, result: RequestResult | ReadResult, length: int, *, good: bool
    ) -> None:
        """Count a result in Locust's own statistics."""
        self.environment.events.request.fire(
            request_type="flood",
            name=operation,
            response_time=result.latency_ms,
            response_length=length,
            exception=None if good else CatchResponseError(f"{result.outcome}: {result.error}"),
            context={},
            start_time=result.planned_at,
            url=operation,
        )

    def _report_often(self) -> None:
        while True:
            gevent.sleep(REPORT_EVERY_S)
            self._report(done=False)

    def _report(self, *, done: bool) -> None:
        rows, self._rows = self._rows, []
        missed, self._missed = self._missed, []
        reads, self._reads = self._reads, []
        reads_missed, self._reads_missed = self._reads_missed, []
        report = {"rows": rows, "missed": missed, "reads": reads, "reads_missed": reads_missed}
        self._send(REPORT, report | {"done": done})

    def _send(self, kind: str, data: dict[str, Any]) -> None:
        runner = self.environment.runner
        if runner is None:
            raise StopUser
        runner.send_message(kind, data)
