"""A component that fails says why in one line; an end by itself counts as a death, a stop not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.reaper import processes
from seawall.errors import (
    DiskFullError,
    MissingProgramError,
    PortBusyError,
    SeawallError,
    ServiceError,
)
from seawall.processes.components import Component
from seawall.processes.readiness import log_line

Start = Callable[[str], Component]
READY_TIMEOUT_S = 20.0  # generous: a Python start on a busy machine


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Component] = []
    (tmp_path / "logs").mkdir()

    def run(program: str) -> Component:
        component = Component(
            name="part",
            argv=[sys.executable, "-c", program],
            env=dict(os.environ),
            log=tmp_path / "logs" / "part.log",
            cwd=tmp_path,
        )
        started.append(component)
        return component

    yield run
    for component in started:
        component.stop(grace_s=0.1)


@pytest.mark.parametrize(
    ("last_words", "error", "says"),
    [
        (
            "OSError: [Errno 98] Address already in use",
            PortBusyError,
            "an address that it must bind is taken",
        ),
        ("write failed: No space left on device", DiskFullError, "no space left on the disk"),
        ("ValueError: no such network", ServiceError, "ValueError: no such network"),
    ],
)
def test_a_failed_start_is_one_clear_line(
    start: Start, last_words: str, error: type[SeawallError], says: str
) -> None:
    """The log's last words decide which error it is, and who is to blame."""
    component = start(f"import sys; sys.exit({last_words!r})")
    with pytest.raises(error, match=says) as caught:
        component.wait_ready(log_line("^ready$"), timeout_s=READY_TIMEOUT_S)
    assert "\n" not in str(caught.value)


def test_a_component_that_never_gets_ready_is_an_error_after_its_time(start: Start) -> None:
    """Waiting is bounded."""
    component = start("import time; time.sleep(60)")
    with pytest.raises(ServiceError, match=r"^part was not ready within 0.1 s"):
        component.wait_ready(log_line("^ready$"), timeout_s=0.1)


def test_an_end_of_its_own_is_a_death_with_the_tail_of_the_log(start: Start) -> None:
    """Exit code, time and last lines are evidence.

    Even exit code 0 is a death if the component was not stopped.
    """
    component = start("print('farewell')")
    component.wait(timeout_s=READY_TIMEOUT_S)
    status = component.status()
    assert (status.exit_code, status.log_tail) == (0, "farewell")
    assert status.died_at is not None


def test_a_stop_on_purpose_is_no_death(start: Start) -> None:
    """It ends the children of the component, too."""
    component = start(
        "import subprocess, sys; "
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        "print(p.pid, flush=True); p.wait()"
    )
    component.wait_ready(log_line(r"^\d+$"), timeout_s=READY_TIMEOUT_S)
    child = int(component.log_text())
    component.stop(grace_s=0.5)
    assert component.status().died_at is None
    deadline = time.monotonic() + READY_TIMEOUT_S
    while child in {pid for pid, _ in processes()}:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    """The error names the executable that was not there."""
    with pytest.raises(MissingProgramError, match="/nowhere/anvil is not there"):
        Component(
            name="anvil-aster", argv=["/nowhere/anvil"], env={}, log=tmp_path / "log", cwd=tmp_path
        )


def test_a_component_is_nicer_than_its_runner_even_under_nice(tmp_path: Path) -> None:
    """Setting a niceness below the runner's own is refused to everyone but root."""
    script = (
        "import os, sys; from pathlib import Path\n"
        "from seawall.processes.components import Component\n"
        "folder = Path(sys.argv[1]); os.nice(10)\n"
        "part = Component(name='part', argv=['sleep', '60'], env=dict(os.environ),\n"
        "                 log=folder / 'log', cwd=folder)\n"
        "print(os.getpriority(os.PRIO_PROCESS, part.pid)); part.stop(grace_s=0.1)\n"
    )
    own = os.getpriority(os.PRIO_PROCESS, 0)
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True, check=True
    )
    assert int(done.stdout) == min(19, own + 10 + 5)


def test_a_machine_that_refuses_priorities_starts_components_all_the_same(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Niceness is a wish, and no reason not to drill."""

    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    assert start("print('ready')").wait(timeout_s=READY_TIMEOUT_S) == 0


@pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists(), reason="this kernel has no autogroups"
)
def test_the_whole_session_of_a_component_is_nicer(start: Start) -> None:
    """With autogroups the kernel shares among sessions first, and each component has its own."""
    component = start("import time; time.sleep(60)")
    deadline = time.monotonic() + READY_TIMEOUT_S
    while "nice 5" not in (said := Path(f"/proc/{component.pid}/autogroup").read_text()):
        assert time.monotonic() < deadline, said
        time.sleep(0.01)
