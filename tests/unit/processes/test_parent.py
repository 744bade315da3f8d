from __future__ import annotations

import os
import select
import subprocess
import sys

import pytest

from seawall.conventions.environment import RUNNER_VARIABLE
from seawall.processes.parent import end_with_runner

OBSERVER = """
import time
from seawall.processes.parent import end_with_runner
end_with_runner()
print("observing", flush=True)
time.sleep(60)
"""
RUNNER = f"""
import os, subprocess, sys, time
environment = {{**os.environ, {RUNNER_VARIABLE!r}: str(os.getpid())}}
subprocess.Popen([sys.executable, "-c", {OBSERVER!r}], env=environment)
time.sleep(60)
"""


def test_an_observer_ends_with_a_runner_that_is_killed() -> None:
    """Both share the pipe, so it reads as ended only once neither lives."""
    with subprocess.Popen([sys.executable, "-c", RUNNER], stdout=subprocess.PIPE) as runner:
        assert runner.stdout is not None
        assert runner.stdout.readline() == b"observing\n"
        runner.kill()
        assert select.select([runner.stdout], [], [], 30)[0], "the observer outlives its runner"
        assert runner.stdout.read() == b""


def test_an_observer_whose_runner_died_before_it_could_ask_does_not_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(RUNNER_VARIABLE, str(os.getpid()))
    with pytest.raises(SystemExit) as ended:
        end_with_runner()
    assert ended.value.code == 2


def test_without_a_runner_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUNNER_VARIABLE, raising=False)
    end_with_runner()
