"""The flood of a drill: planned, loaded into Locust's processes, and begun when the venue rests.

All but the beginning takes seconds and needs nothing of the venue's state, so it is done by a
thread of its own, beside whatever else is waited for.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from seawall.drill.progress import JsonLines
from seawall.drill.stack import environment_of_run, module
from seawall.errors import DrillError, SeawallError, ServiceError
from seawall.formats.deployment import Deployment
from seawall.processes.components import NICENESS
from seawall.processes.failures import tail
from seawall.processes.groups import end_groups
from seawall.processes.niceness import set_process, set_session

ARRIVALS = "arrivals.csv"
WORKERS = 2
PLAN_S_MAX = 120.0
READY_S_MAX = 75.0
"""Longer than Locust itself waits for its workers, so that its reason is the one reported."""
BEGIN_S_MAX = 30.0
"""From the word to begin to the zero: the workers' clocks are compared in between."""
_POLL_S = 0.05
_END_S_MAX = 1.5


@dataclass(kw_only=True)
class Flood:
    """The flood of one drill, used once: prepared, begun, ended.

    Attributes:
        deployment: What is drilled.
        drill: Name of the drill.
        seed: Of its arrivals.
        spent: Schedules of earlier floods on this deployment.
        root: The checkout.
        run_dir: Where the plan, the logs and the results go.
        faults: Folders with faults of the user's own, as `SEAWALL_FAULTS` has them.
    """

    deployment: Deployment
    drill: str
    seed: int
    spent: Sequence[Path]
    root: Path
    run_dir: Path
    faults: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _prepared: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)
    _children: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _locust: subprocess.Popen[bytes] | None = None
    _progress: JsonLines | None = None
    _error: SeawallError | None = None
    _thread: threading.Thread | None = None
    _ended: bool = False

    def prepare(self) -> None:
        """Begin to plan and load it, and return at once; idempotent."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._prepare, name=f"flood of {self.drill}", daemon=True
            )
            self._thread.start()

    def ready(self) -> bool:
        """Whether it waits for the word to begin.

        Raises :class:`DrillError` or :class:`ServiceError` if it cannot be planned or loaded.
        """
        if self._error is not None:
            raise self._error
        return self._prepared.is_set()

    def begin(self, meanwhile: Callable[[], object]) -> float:
        """Give the word to begin; the zero that its workers share, in Unix seconds.

        ``meanwhile`` is called again and again until that is known.

        Raises :class:`ServiceError` if it does not begin, and what ``meanwhile`` raises.
        """
        process = self.process
        if process.stdin is None:
            raise AssertionError(process)
        with suppress(BrokenPipeError):  # it has ended, and its log says why
            process.stdin.write(b"\n")
            process.stdin.close()
        deadline = time.monotonic() + BEGIN_S_MAX
        while time.monotonic() < deadline:
            ended = process.poll() is not None
            for line in self.progress.read():
                if "t_zero" in line:
                    return float(line["t_zero"])
            if ended:
                break
            meanwhile()
            time.sleep(_POLL_S)
        raise self._not_started()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The program that passes on what Locust's master says; there once it is ready."""
        if self._locust is None:
            raise AssertionError(self.drill)
        return self._locust

    @property
    def progress(self) -> JsonLines:
        """What that program prints."""
        if self._progress is None:
            raise AssertionError(self.drill)
        return self._progress

    def last_words(self) -> str:
        """The end of its log."""
        return self._tail("flood")

    def end(self) -> None:
        """End whatever of it still runs, and read no more of it; idempotent."""
        with self._lock:
            self._ended = True
            children = tuple(self._children)
        with suppress(subprocess.TimeoutExpired):
            end_groups(children, grace_s=_END_S_MAX)
        self._over.set()
        if self._thread is not None:  # it reads from what is closed next
            self._thread.join(_END_S_MAX)
        for pipe in () if self._locust is None else (self._locust.stdin, self._locust.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _prepare(self) -> None:
        try:
            self._plan()
            self._load()
        except SeawallError as error:
            self._error = error
        # Whoever waits for it must hear of anything else, too: a thread has nobody to tell.
        except Exception as error:  # noqa: BLE001
            self._error = DrillError(f"the flood could not be prepared: {error!r}")
        else:
            self._prepared.set()
            # The flood ends with the thread that started it (seawall/processes/parent.py).
            self._over.wait()

    def _plan(self) -> None:
        """Write the schedule into the run directory."""
        if self.deployment.customers is None:
            raise DrillError(f"{self.deployment.path} names no customers to act as")
        planning = self._start(
            "flood-plan",
            [
                *module("loadtests.plan"),
                *("--policy", str(self.deployment.policy), "--drill", self.drill),
                *("--seed", str(self.seed), "--customers", str(self.deployment.customers)),
                *("--spent", *map(str, self.spent)),
                *("--out", str(self.run_dir)),
            ],
        )
        # The prober's first withdrawals may be paid meanwhile: a planner that has a processor first
        # makes signatures late, and the venue is stressed when the calm begins.
        niceness = os.getpriority(os.PRIO_PROCESS, 0) + 2 * NICENESS
        set_process(planning.pid, niceness)
        set_session(planning.pid, niceness)
        with suppress(subprocess.TimeoutExpired):
            planning.wait(timeout=PLAN_S_MAX)
        if planning.poll() != 0:
            raise DrillError(f"the flood could not be planned:\n{self._tail('flood-plan')}")

    def _load(self) -> None:
        """Start Locust, and wait until every worker has read the schedule and is logged in."""
        self._locust = self._start(
            "flood",
            [
                *module("loadtests.flood"),
                *("--arrivals", str(self.run_dir / ARRIVALS)),
                *("--customers", str(self.deployment.customers)),
                *("--url", self.deployment.urls.api, "--speaks", self.deployment.venue.speaks),
                *("--policy", str(self.deployment.policy)),
                *("--out", str(self.run_dir), "--workers", str(WORKERS), "--when-told"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._progress = JsonLines(self._locust.stdout)
        deadline = time.monotonic() + READY_S_MAX
        while time.monotonic() < deadline:
            ended = self._locust.poll() is not None
            if any(line.get("event") == "ready" for line in self._progress.read()):
                return
            if ended:
                break
            time.sleep(_POLL_S)
        raise self._not_started()

    def _not_started(self) -> ServiceError:
        return ServiceError(f"the flood did not start:\n{self.last_words()}")

    def _start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
    ) -> subprocess.Popen[bytes]:
        self._log(name).parent.mkdir(exist_ok=True)
        with self._log(name).open("ab") as log, self._lock:
            if self._ended:
                raise DrillError("the flood was ended before it began")
            child = subprocess.Popen(
                argv,
                cwd=self.root,
                env=environment_of_run(self.deployment, self.faults),
                stdin=stdin,
                stdout=log if stdout is None else stdout,
                stderr=log,
                start_new_session=True,
            )
            self._children.append(child)
        return child

    def _log(self, name: str) -> Path:
        return self.run_dir / "logs" / f"{name}.log"

    def _tail(self, name: str) -> str:
        return tail(self._log(name).read_text(encoding="utf-8", errors="replace"))
