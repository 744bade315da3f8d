"""The flood under Locust.

``locust -f loadtests/locustfile.py --headless``, alone or as a master with workers.

The schedule decides everything, so the number of users does not: each worker process runs one user,
which owns every n-th arrival. The master waits for all workers, sends them one planned zero,
collects their rows and ends the test when the schedule is done.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import gevent
from gevent.event import AsyncResult
from locust import User, events, task
from locust.env import Environment
from locust.exception import CatchResponseError, StopUser
from locust.runners import MasterRunner, Runner, WorkerRunner

from loadtests.arrivals import MICROSECONDS, Arrival, read_arrivals
from loadtests.coordinator import Conductor
from loadtests.population import read_keys
from loadtests.results import ACKNOWLEDGED, Sent
from loadtests.sender import PATH, Limits, Sender
from seawall.conventions.environment import TARGETS_VARIABLE
from seawall.errors import ExitCode, UsageError
from seawall.formats.documents import read_json
from seawall.kill_switch import SwitchSite, SwitchWatch, switches_of

READY, ZERO, REPORT = "seawall_ready", "seawall_zero", "seawall_report"
REPORT_EVERY_S = 0.5
WATCH_EVERY_S = 0.25
TELL_EVERY_S = 1.0
READY_S_MAX = 60.0
GRACE_S = 5.0
"""After the last answer can be expected, before the master gives up on workers that say nothing."""


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
        help="folder for requests.csv and flood.json; that of the arrivals if left out",
    )
    group.add_argument("--progress", default="", help="file or pipe for a JSON line each second")
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
        environment.host = options.host or _api_of_targets()
        _Master(environment, runner, workers=workers)
    if not isinstance(runner, MasterRunner):
        Depositors.zero = AsyncResult()
        runner.register_message(ZERO, lambda msg, **_: Depositors.zero.set(msg.data))


def _api_of_targets() -> str:
    """URL of the venue's api, as customers reach it."""
    path = os.environ.get(TARGETS_VARIABLE)
    if path is None:
        raise UsageError(
            "nobody says where the venue is",
            remedy=f"give --host, or name targets.json in {TARGETS_VARIABLE}",
        )
    try:
        return str(read_json(Path(path))["urls"]["api"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} names no api: {error!r}") from error


def _switch_site() -> SwitchSite | None:
    """The kill switch that targets.json names; None without either.

    Raises :class:`UsageError` if it is named wrongly.
    """
    path = os.environ.get(TARGETS_VARIABLE)
    if path is None:
        return None
    try:
        found = read_json(Path(path)).get("kill_switch")
        return None if found is None else SwitchSite.model_validate(found)
    except (ValueError, AttributeError) as error:
        raise UsageError(f"{path} does not say which kill switch to obey: {error}") from error


def _required(options: Any, name: str) -> Path:
    value = getattr(options, name)
    if not value:
        raise UsageError(f"--{name} is missing", remedy="make a plan with python -m loadtests.plan")
    return Path(value)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _opened(path: str | None) -> TextIO | None:
    """The file that progress is written to; it stays open as long as the process lives."""
    return Path(path).open("w", encoding="utf-8") if path else None


class _Master:
    """Ties a :class:`Conductor` to Locust's messages and decides when the test ends."""

    def __init__(self, environment: Environment, runner: Runner, *, workers: int) -> None:
        options: Any = environment.parsed_options
        path = _required(options, "arrivals")
        arrivals = read_arrivals(path)
        plan = path.with_name("plan.json")
        out = Path(options.out or path.parent)
        out.mkdir(parents=True, exist_ok=True)
        self._environment, self._runner, self._expected = environment, runner, workers
        self._digest = _digest(path)
        self._patience_s = float(options.answer_s_max) + GRACE_S
        self._conductor = Conductor(
            arrivals=arrivals,
            plan=read_json(plan) if plan.exists() else {},
            out=out,
            progress=_opened(options.progress),
        )
        self._ready: dict[str, dict[str, Any]] = {}
        self._finished = False
        self._switch = SwitchWatch(switches=switches_of(_switch_site()))
        runner.register_message(READY, self._on_ready)
        runner.register_message(
            REPORT, lambda msg, **_: self._conductor.heard(msg.node_id, msg.data)
        )
        environment.events.quitting.add_listener(lambda **_: self._finish(ExitCode.UNKNOWN))
        # Whatever ends the watch by surprise must end the test too, or nobody would.
        gevent.spawn(self._watch).link_exception(lambda _: self._finish(ExitCode.UNKNOWN))

    def _on_ready(self, msg: Any, **_: Any) -> None:
        self._ready[msg.node_id] = msg.data
        if len(self._ready) < self._expected or self._conductor.t_zero is not None:
            return
        if {told["arrivals_sha256"] for told in self._ready.values()} != {self._digest}:
            self._conductor.tell("refused", reason="a worker read another schedule than the master")
            self._finish(ExitCode.USAGE)
            return
        stopped = self._switch.refusal()
        if stopped is not None:
            self._conductor.tell("refused", reason=stopped)
            self._finish(ExitCode.UNKNOWN)
            return
        self._switch.start()
        for name, message in self._conductor.start(
            {name: int(told["nice"]) for name, told in self._ready.items()}, now=time.time()
        ).items():
            self._runner.send_message(ZERO, message, client_id=name)

    def _watch(self) -> None:
        began = told = time.monotonic()
        try:
            while not self._finished:
                gevent.sleep(WATCH_EVERY_S)
                now = time.time()
                if self._conductor.t_zero is None:
                    if time.monotonic() - began > READY_S_MAX:
                        self._conductor.tell(
                            "refused",
                            reason=f"{len(self._ready)} of {self._expected} workers are ready",
                        )
                        self._finish(ExitCode.UNFIT)
                    continue
                stopped = self._switch()
                if stopped is not None:
                    self._conductor.tell("stopped", reason=stopped)
                    self._finish(ExitCode.UNKNOWN)
                    continue
                if isinstance(self._runner, MasterRunner):
                    self._conductor.alive(
                        [
                            client.id
                            for client in self._runner.clients.values()
                            if client.state != "missing"
                        ]
                    )
                if time.monotonic() - told >= TELL_EVERY_S:
                    told = time.monotonic()
                    self._conductor.tick(now=now)
                last_s = self._conductor.arrivals[-1].offset_us / MICROSECONDS
                if (
                    self._conductor.ended
                    or now > self._conductor.t_zero + last_s + self._patience_s
                ):
                    self._finish(ExitCode.PASS if self._conductor.complete else ExitCode.UNKNOWN)
        except (
            BrokenPipeError
        ):  # whoever started us is gone: a flood that nobody watches must not go on
            self._conductor.progress = None
            self._finish(ExitCode.UNKNOWN)

    def _finish(self, code: ExitCode) -> None:
        if self._finished:
            return
        self._finished = True
        self._environment.process_exit_code = int(code)
        self._conductor.finish(now=time.time())
        gevent.spawn(
            self._runner.quit
        )  # not from here: quitting kills the greenlet that asks for it


class Depositors(User):
    """All depositors of one worker process.

    Greenlets on a schedule, not users with a pace of their own.
    """

    zero: AsyncResult
    taken = False

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._rows: list[list[Any]] = []
        self._missed: list[tuple[int, str]] = []

    @task
    def withdraw(self) -> None:
        """Run this worker's shard of the schedule, once."""
        if Depositors.taken:  # Locust moves a lost worker's user here; its arrivals stay missed
            raise StopUser
        Depositors.taken = True
        options: Any = self.environment.parsed_options
        path = _required(options, "arrivals")
        arrivals = read_arrivals(path)
        sender = Sender(
            url=str(self.environment.host),
            keys=read_keys(_required(options, "customers")),
            limits=Limits(
                inflight_max=options.inflight_max,
                answer_s_max=options.answer_s_max,
                late_ms_max=options.late_ms_max,
            ),
            worker=str(max(0, getattr(self.environment.runner, "worker_index", 0))),
            on_sent=self._on_sent,
            on_missed=lambda index, reason: self._missed.append((index, reason)),
        )
        gc.collect()
        # the schedule stays to the end; looking through it again would only hold requests up
        gc.freeze()
        self._tell(
            READY, {"arrivals_sha256": _digest(path), "nice": os.getpriority(os.PRIO_PROCESS, 0)}
        )
        told = Depositors.zero.get()
        mine: Sequence[Arrival] = arrivals[told["shard"] :: told["shards"]]
        reporter = gevent.spawn(self._report_often)
        sender.send_all(mine, t_zero=told["t_zero"])
        reporter.kill()
        self._report(done=True)
        raise StopUser

    def _on_sent(self, sent: Sent, length: int) -> None:
        self._rows.append(sent.packed())
        self.environment.events.request.fire(
            request_type="POST",
            name=PATH,
            response_time=sent.latency_ms,
            response_length=length,
            exception=None
            if sent.outcome in ACKNOWLEDGED
            else CatchResponseError(f"{sent.outcome}: {sent.error}"),
            context={},
            start_time=sent.planned_at,
            url=PATH,
        )

    def _report_often(self) -> None:
        while True:
            gevent.sleep(REPORT_EVERY_S)
            self._report(done=False)

    def _report(self, *, done: bool) -> None:
        rows, self._rows = self._rows, []
        missed, self._missed = self._missed, []
        self._tell(REPORT, {"rows": rows, "missed": missed, "done": done})

    def _tell(self, kind: str, data: dict[str, Any]) -> None:
        runner = self.environment.runner
        if runner is None:
            raise StopUser
        runner.send_message(kind, data)
