"""An interrupted start waits for no component, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sandbox import reaper
from sandbox.supervisor import Sandbox
from seawall.errors import ServiceError, UsageError

GONE_WITHIN_S = 5.0
DEAF = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
)
"""Never says that it is ready, and does not end when it is asked to."""
PRESSED_AT: list[float] = []


@contextmanager
def interrupted_when_running(sandbox: Sandbox, count: int) -> Iterator[None]:
    """Raise KeyboardInterrupt once ``count`` processes of the run are there.

    By SIGUSR1, because the test runner handles SIGINT itself.
    """

    def interrupt(*_: object) -> None:
        PRESSED_AT.append(time.monotonic())
        raise KeyboardInterrupt

    def press() -> None:
        deadline = time.monotonic() + 20
        while (
            len(reaper.carriers(sandbox.deployment.run_id)) < count and time.monotonic() < deadline
        ):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGUSR1)

    former = signal.signal(signal.SIGUSR1, interrupt)
    presser = threading.Thread(target=press)
    presser.start()
    try:
        yield
    finally:
        presser.join()
        signal.signal(signal.SIGUSR1, former)


def test_an_interrupted_start_waits_for_nobody(sandbox: Sandbox) -> None:
    """All end within five seconds, although none was ready and none ends when asked."""
    with interrupted_when_running(sandbox, 2), pytest.raises(KeyboardInterrupt):
        sandbox.spawn_all(
            {name: (DEAF, {}) for name in ("venue-api", "mode-controller")}, ready_line="ready"
        )
    assert time.monotonic() - PRESSED_AT[-1] < GONE_WITHIN_S
    assert reaper.carriers(sandbox.deployment.run_id) == set()
    assert not [status for status in sandbox.components() if status.died_at]
    with pytest.raises(UsageError, match="the sandbox is closing"):
        sandbox.spawn("late", DEAF)


def test_one_component_that_fails_ends_the_wait_for_the_others(sandbox: Sandbox) -> None:
    """The error names that component."""
    began = time.monotonic()
    doomed = (sys.executable, "-c", "raise SystemExit('ValueError: no oil')")
    with pytest.raises(
        ServiceError, match="doomed ended with exit code 1 before it was ready: ValueError: no oil"
    ):
        sandbox.spawn_all({"deaf": (DEAF, {}), "doomed": (doomed, {})}, ready_line="ready")
    assert time.monotonic() - began < GONE_WITHIN_S
    assert reaper.carriers(sandbox.deployment.run_id) == set()
