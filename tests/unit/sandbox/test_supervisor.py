"""An interrupted start waits for no component and leaves no process; what dies comes back."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sandbox import reaper
from sandbox.supervisor import Sandbox
from seawall.errors import ComponentDiedError, ServiceError, UsageError
from seawall.formats.component_status import ComponentStatus, read_components
from seawall.formats.deployment import set_run_directory
from seawall.processes.readiness import log_line

GONE_WITHIN_S = 15.0
"""A quarter of what a deaf part would take by itself, and half of what a part has to get ready."""
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
    """All end at once, although none was ready and none ends when asked."""
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


# --- what dies by itself

READY = "print('ready', flush=True); "
LIVING = (sys.executable, "-c", READY + "import time; time.sleep(60)")
NAME = "part"


@dataclass
class Clock:
    """Stands still until it is told."""

    now: float = 1_000.0


@pytest.fixture
def clock(sandbox: Sandbox) -> Clock:
    """That of the sandbox's back-off."""
    clock = Clock()
    sandbox._clock = lambda: clock.now
    return clock


def spawn(
    sandbox: Sandbox, argv: Sequence[str] = LIVING, *, restarts: bool = True
) -> ComponentStatus:
    sandbox.spawn(NAME, argv, ready=log_line("^ready$"), restarts=restarts)
    return status_of(sandbox)


def status_of(sandbox: Sandbox) -> ComponentStatus:
    [status] = sandbox.components()
    return status


def die(sandbox: Sandbox) -> None:
    """It dies by itself, and the supervisor has noticed."""
    before = status_of(sandbox).deaths
    os.kill(status_of(sandbox).pid, signal.SIGKILL)
    until(lambda: status_of(sandbox).deaths > before)
    # The status shows a death a moment before the thread that waits for it has told the back-off.
    until(lambda: NAME not in sandbox._restarts._processes or due(sandbox))


def due(sandbox: Sandbox) -> bool:
    """Whether it is to be started again, sooner or later."""
    return NAME in sandbox._restarts.due(at=math.inf)


def until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_what_dies_by_itself_is_started_again_and_its_death_is_kept(
    sandbox: Sandbox, clock: Clock
) -> None:
    """A drill that it died in is unproven, however well it is now."""
    first = spawn(sandbox)
    die(sandbox)
    sandbox.restart_due()
    assert status_of(sandbox).pid == first.pid

    clock.now += 0.5
    sandbox.restart_due()

    status = status_of(sandbox)
    assert status.pid != first.pid
    assert sandbox.deployment.processes[NAME].pid == status.pid
    assert (status.exit_code, status.died_with, status.log_tail) == (None, -9, "ready")
    assert (status.deaths, status.restarts) == (1, 1)
    assert status.died_at is not None
    assert read_components(sandbox.data_dir) == [status]
    with pytest.raises(ComponentDiedError, match=f"^{NAME} died on its own"):
        sandbox.check()


def test_no_report_of_a_restart_hides_the_death(
    sandbox: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads in the moment of the restart must not believe that nothing died."""
    spawn(sandbox)
    die(sandbox)
    reported: list[tuple[int, int]] = []
    monkeypatch.setattr(
        "sandbox.supervisor.write_components",
        lambda _, statuses: reported.extend((each.deaths, each.restarts) for each in statuses),
    )
    clock.now += 0.5
    sandbox.restart_due()

    assert set(reported) == {(1, 1)}


def test_what_dies_again_waits_longer(sandbox: Sandbox, clock: Clock) -> None:
    spawn(sandbox)
    for wait_s in (0.5, 1.0, 2.0):
        die(sandbox)
        dead = status_of(sandbox).pid
        clock.now += wait_s - 0.1
        sandbox.restart_due()
        assert status_of(sandbox).pid == dead
        clock.now += 0.1
        sandbox.restart_due()
        assert status_of(sandbox).pid != dead
    assert (status_of(sandbox).deaths, status_of(sandbox).restarts) == (3, 3)


def test_what_evidence_rests_on_is_not_started_again(sandbox: Sandbox, clock: Clock) -> None:
    """Its state would be lost."""
    first = spawn(sandbox, restarts=False)
    die(sandbox)
    clock.now += 60
    sandbox.restart_due()

    assert (status_of(sandbox).pid, status_of(sandbox).exit_code) == (first.pid, -9)


def test_a_drill_may_forbid_restarts_while_it_lasts(sandbox: Sandbox, clock: Clock) -> None:
    """As on a platform whose own supervisor is gone."""
    first = spawn(sandbox)
    set_run_directory(sandbox.data_dir, Path("/runs/1"), restarts=False)
    die(sandbox)
    clock.now += 60
    sandbox.restart_due()
    assert status_of(sandbox).pid == first.pid

    set_run_directory(sandbox.data_dir, None)
    sandbox.restart_due()
    assert (status_of(sandbox).deaths, status_of(sandbox).restarts) == (1, 1)


def test_what_a_fault_killed_stays_down_until_its_undo(sandbox: Sandbox, clock: Clock) -> None:
    first = spawn(sandbox)
    sandbox.kill(NAME)
    until(lambda: status_of(sandbox).exit_code is not None)
    clock.now += 60
    sandbox.restart_due(at_once=True)
    assert status_of(sandbox).pid == first.pid

    sandbox.bring_back(NAME)
    back = status_of(sandbox)
    assert (back.exit_code, back.deaths, back.restarts) == (None, 0, 0)
    die(sandbox)
    clock.now += 0.5
    sandbox.restart_due()
    assert (status_of(sandbox).deaths, status_of(sandbox).restarts) == (1, 1)


def test_a_life_that_a_fault_ended_is_not_counted_as_healthy(
    sandbox: Sandbox, clock: Clock
) -> None:
    spawn(sandbox)
    die(sandbox)
    clock.now += 0.5
    sandbox.restart_due()
    sandbox.kill(NAME)
    clock.now += 60
    sandbox.bring_back(NAME)
    die(sandbox)

    clock.now += 0.9
    sandbox.restart_due()
    assert status_of(sandbox).restarts == 1
    clock.now += 0.1
    sandbox.restart_due()
    assert (status_of(sandbox).deaths, status_of(sandbox).restarts) == (2, 2)


def test_what_died_while_a_fault_held_it_waits_for_the_undo(sandbox: Sandbox, clock: Clock) -> None:
    """A process that was to stand still must not run meanwhile."""
    first = spawn(sandbox)
    sandbox.freeze(NAME)
    die(sandbox)
    clock.now += 60
    sandbox.restart_due()
    assert status_of(sandbox).pid == first.pid

    with pytest.raises(ComponentDiedError):
        sandbox.bring_back(NAME)
    sandbox.restart_due()
    assert status_of(sandbox).pid != first.pid
    sandbox.bring_back(NAME)


def test_nothing_starts_again_once_the_sandbox_is_being_ended(
    sandbox: Sandbox, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """By this process or by another, before or after its data are gone."""
    first = spawn(sandbox)
    die(sandbox)
    clock.now += 60
    (sandbox.data_dir / reaper.ENDING).touch()
    sandbox.restart_due(at_once=True)
    assert status_of(sandbox).pid == first.pid
    (sandbox.data_dir / reaper.ENDING).unlink()
    (sandbox.data_dir / reaper.MARKER).unlink()
    sandbox.restart_due(at_once=True)
    assert status_of(sandbox).pid == first.pid
    (sandbox.data_dir / reaper.MARKER).touch()
    sandbox.close()
    (sandbox.data_dir / reaper.MARKER).touch()
    sandbox.restart_due(at_once=True)

    assert capsys.readouterr().err == ""  # it was not even tried
    assert reaper.carriers(sandbox.deployment.run_id) == set()


def test_what_starts_while_another_process_ends_the_sandbox_is_ended_at_once(
    sandbox: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have come after the last look for processes of the run."""
    spawn(sandbox)
    die(sandbox)
    clock.now += 0.5
    answers = iter([False, True])
    monkeypatch.setattr(reaper, "is_ending", lambda _data_dir: next(answers))

    sandbox.restart_due()

    until(lambda: reaper.carriers(sandbox.deployment.run_id) == set())
    assert status_of(sandbox).restarts == 0


def test_a_start_that_fails_is_tried_again_later(
    sandbox: Sandbox, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    spawn(sandbox)
    die(sandbox)
    good = sandbox._commands[NAME]
    sandbox._commands[NAME] = replace(good, argv=("/nowhere/settler",))
    clock.now += 0.5
    sandbox.restart_due()
    assert f"{NAME} was not started again" in capsys.readouterr().err
    sandbox._commands[NAME] = good
    clock.now += 0.9
    sandbox.restart_due()
    assert status_of(sandbox).restarts == 0
    clock.now += 0.1
    sandbox.restart_due()

    assert (status_of(sandbox).deaths, status_of(sandbox).restarts) == (1, 1)


def test_what_dies_before_it_is_ready_is_a_failed_start_and_no_more(
    sandbox: Sandbox, clock: Clock
) -> None:
    with pytest.raises(ServiceError, match="before it was ready"):
        sandbox.spawn(
            NAME,
            (sys.executable, "-c", "raise SystemExit('no oil')"),
            ready=log_line("^ready$"),
            restarts=True,
        )
    clock.now += 60
    sandbox.restart_due(at_once=True)

    assert status_of(sandbox).restarts == 0
