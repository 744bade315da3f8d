"""One component: a process in a session of its own, with a log, watched until its end."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from seawall.formats.component_status import ComponentStatus
from seawall.processes.failures import hopeless, os_failure, start_failure, tail
from seawall.processes.niceness import set_process, set_session
from seawall.processes.readiness import Ready

POLL_S = 0.03
STOP_GRACE_S = 3.0
NICENESS = 5
"""Added to the niceness of the process that starts a component.

Load generator and observers are started without it: on one machine with the stack they must run
first, because a request that leaves late is no evidence.
"""


class Component:
    """A running process of the sandbox; restarts nothing."""

    def __init__(
        self,
        *,
        name: str,
        argv: Sequence[str | Path],
        env: Mapping[str, str],
        log: Path,
        cwd: Path,
        niceness: int = NICENESS,
        clock: Callable[[], float] = time.time,
        ended: Callable[[Component], None] = lambda _component: None,
    ) -> None:
        """Start it; ``ended`` is called with it, from a thread, once it has ended.

        Raises :class:`MissingProgramError`, :class:`DiskFullError` or
        :class:`WorldError`.
        """
        self.name = name
        self.log = log
        self._clock = clock
        self._on_end = ended
        self._stopping = False
        self._died_at: float | None = None
        self._ended = threading.Event()
        try:
            with log.open("ab") as output:
                self._process = subprocess.Popen(
                    [str(word) for word in argv],
                    env=dict(env),
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise os_failure(f"{name} cannot be started", error) from error
        self.pid = self._process.pid
        # On top of this process's: only root may go below that.
        set_process(self.pid, os.getpriority(os.PRIO_PROCESS, 0) + niceness)
        threading.Thread(target=self._watch, name=f"watch {name}", daemon=True).start()
        threading.Thread(
            target=set_session, args=(self.pid, niceness), name=f"nice {name}", daemon=True
        ).start()

    def _watch(self) -> None:
        self._process.wait()
        if not self._stopping:
            self._died_at = self._clock()
        self._ended.set()
        self._on_end(self)

    @property
    def died(self) -> bool:
        """Whether it ended without being stopped."""
        return self._died_at is not None

    @property
    def stopping(self) -> bool:
        """Whether it was told to end, or has ended because of that."""
        return self._stopping

    def log_text(self) -> str:
        """Everything that it has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_ready(
        self, ready: Ready, *, timeout_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Return when ``ready`` holds.

        Raises :class:`ServiceError` (or a closer :class:`WorldError`) with the end of the log if
        the component ends first or ``timeout_s`` is over.
        """
        deadline = clock() + timeout_s
        while not ready(self):
            if self._ended.wait(POLL_S):
                how = f"ended with exit code {self._process.returncode} before it was ready"
                raise start_failure(self.name, how=how, log_text=self.log_text(), log=self.log)
            if hopeless(self.log_text()):
                raise start_failure(
                    self.name, how="cannot start", log_text=self.log_text(), log=self.log
                )
            if clock() > deadline:
                raise start_failure(
                    self.name,
                    how=f"was not ready within {timeout_s:g} s",
                    log_text=self.log_text(),
                    log=self.log,
                )

    def wait(self, *, timeout_s: float) -> int | None:
        """Its exit code, or None if it still runs after ``timeout_s``."""
        return self._process.returncode if self._ended.wait(timeout_s) else None

    def announce_stop(self) -> None:
        """Note that it is being stopped, so that its end does not count as a death."""
        self._stopping = True

    def stop(
        self, *, grace_s: float = STOP_GRACE_S, gentle: signal.Signals = signal.SIGTERM
    ) -> None:
        """End its whole process group: ask, wait up to ``grace_s``, then force."""
        self.announce_stop()
        self.signal_group(gentle)
        self.signal_group(signal.SIGCONT)
        self._ended.wait(grace_s)
        self.signal_group(signal.SIGKILL)  # also what it left behind in its group
        self._ended.wait(STOP_GRACE_S)

    def leave(self, *, grace_s: float = STOP_GRACE_S) -> None:
        """End it alone: ask, wait up to ``grace_s``, then force. What it started goes on."""
        self.announce_stop()
        self._process.terminate()
        if not self._ended.wait(grace_s):
            self._process.kill()
            self._ended.wait(STOP_GRACE_S)

    def signal_group(self, number: signal.Signals) -> None:
        """Send ``number`` to its process group, if there still is one."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def status(self) -> ComponentStatus:
        """What is known of it now."""
        exit_code = self._process.returncode if self._ended.is_set() else None
        return ComponentStatus(
            name=self.name,
            pid=self.pid,
            exit_code=exit_code,
            died_at=self._died_at,
            log_tail=tail(self.log_text()) if self.died else None,
            died_with=exit_code if self.died else None,
            deaths=int(self.died),
        )
