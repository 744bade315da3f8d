"""What the kit makes of a sandbox's reports: silence is never good news."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.__main__ import find_programs
from seawall.errors import ComponentDiedError, MissingProgramError, ServiceError
from seawall.formats.component_status import COMPONENTS_FILE, ComponentStatus, write_components
from seawall.sandbox_program import RunningSandbox
from tests.testing.deployments import make_deployment

ALIVE = ComponentStatus(name="moto", pid=1, exit_code=None, died_at=None, log_tail=None)
DEAD = ALIVE.model_copy(update={"exit_code": -9, "died_at": 1.5, "log_tail": "no oil"})


@pytest.fixture
def supervisor() -> Iterator[subprocess.Popen[str]]:
    """A process in the place of the supervisor."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


@pytest.fixture
def running(tmp_path: Path, supervisor: subprocess.Popen[str]) -> RunningSandbox:
    return RunningSandbox(deployment=make_deployment(tmp_path), _process=supervisor)


def test_a_sandbox_whose_parts_live_is_good(tmp_path: Path, running: RunningSandbox) -> None:
    write_components(tmp_path, [ALIVE])
    running.check()
    assert running.components() == [ALIVE]


def test_a_part_that_died_is_named(tmp_path: Path, running: RunningSandbox) -> None:
    write_components(tmp_path, [ALIVE, DEAD])
    with pytest.raises(ComponentDiedError, match=r"moto died.*\n.*no oil"):
        running.check()


@pytest.mark.parametrize("reported", [None, []])
def test_no_report_is_no_proof_that_all_live(
    tmp_path: Path, running: RunningSandbox, reported: list[ComponentStatus] | None
) -> None:
    if reported is not None:
        write_components(tmp_path, reported)
    with pytest.raises(ServiceError, match="reports no process"):
        running.check()


def test_an_old_report_is_no_proof_that_all_live(tmp_path: Path, running: RunningSandbox) -> None:
    """The supervisor may be frozen, or its disk be full."""
    write_components(tmp_path, [ALIVE])
    long_ago = time.time() - 60
    os.utime(tmp_path / COMPONENTS_FILE, (long_ago, long_ago))
    with pytest.raises(ServiceError, match=r"has not reported its processes for 6. s"):
        running.check()


def test_a_supervisor_that_ended_is_said(
    tmp_path: Path, running: RunningSandbox, supervisor: subprocess.Popen[str]
) -> None:
    write_components(tmp_path, [ALIVE])
    supervisor.kill()
    supervisor.wait()
    with pytest.raises(ServiceError, match="supervisor ended with exit code -9"):
        running.check()


def test_the_programs_that_set_up_chose_win_over_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest names their versions."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("alertmanager", "anvil", "prometheus", "promtool", "pulumi"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(MissingProgramError, match="not on PATH: toxiproxy-server"):
        find_programs()
    found = find_programs(["toxiproxy-server=/cache/toxiproxy-server", "pulumi=/cache/pulumi"])
    assert found["pulumi"] == Path("/cache/pulumi")
    assert found["prometheus"] == tmp_path / "prometheus"
