"""A failing installer is translated into who is to blame and what to do.

An interrupted one is gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from seawall.cache import exclusive, repository_root
from seawall.errors import DiskFullError, MissingProgramError, RegistryError, WorldError
from seawall.setup.commands import end_running_commands, explain, run_logged


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "seawall"


@pytest.mark.parametrize(
    ("output", "blame"),
    [
        ("error: failed to write: No space left on device (os error 28)", DiskFullError),
        ("npm error code ENOSPC", DiskFullError),
        ("/usr/bin/ld: write: disk quota exceeded", DiskFullError),
        (
            "error: Request failed\n  Caused by: dns error: failed to lookup address information",
            RegistryError,
        ),
        (
            'go: example.com/x@v1: Get "https://proxy": dial tcp: lookup proxy: no such host',
            RegistryError,
        ),
        ("npm error code EAI_AGAIN", RegistryError),
        (
            "WARNING: Retrying ... NewConnectionError: Failed to establish a new connection",
            RegistryError,
        ),
        ("main.go:3:1: syntax error", WorldError),
    ],
)
def test_the_words_of_each_installer_are_understood(output: str, blame: type[WorldError]) -> None:
    error = explain(purpose="building x", output=output, exit_code=1, log_path=Path("x.log"))
    assert type(error) is blame
    assert str(error).startswith("building x")
    assert "x.log" in str(error)


def test_a_failure_that_nobody_knows_shows_the_end_of_the_log_and_where_the_rest_is(
    own_cache: Path,
) -> None:
    command = [
        sys.executable,
        "-c",
        "import sys\nfor i in range(100): print('line', i)\nsys.exit(7)",
    ]
    with pytest.raises(
        WorldError, match=r"(?s)^compiling failed with exit code 7:.*line 99.*compiling\.log"
    ) as caught:
        run_logged(command, purpose="compiling", log_name="compiling", env=os.environ)
    assert "line 50" not in str(caught.value)
    assert "line 50" in (own_cache / "logs" / "compiling.log").read_text()


def test_every_line_is_heard_and_returned() -> None:
    heard: list[str] = []
    output = run_logged(
        [sys.executable, "-c", "print('one\\ntwo')"],
        purpose="x",
        log_name="x",
        env=os.environ,
        on_line=heard.append,
    )
    assert output == "one\ntwo"
    assert heard == ["one", "two"]


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(MissingProgramError, match=r"^x: no-such-compiler is not there"):
        run_logged(["no-such-compiler"], purpose="x", log_name="x", env=os.environ)


def ends(pid: int) -> bool:
    """SIGKILL is sure but not instant.

    The process may still be on its way out when its leader is reaped.
    """
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("how", ["the listener is interrupted", "another thread ends it"])
def test_a_stopped_command_dies_with_everything_that_it_started(how: str) -> None:
    children: list[int] = []

    def on_line(line: str) -> None:
        children.append(int(line))
        if how == "the listener is interrupted":
            raise KeyboardInterrupt
        threading.Thread(target=end_running_commands).start()

    script = (
        "import signal, subprocess\n"
        "print(subprocess.Popen(['sleep', '600']).pid, flush=True)\n"
        "signal.pause()\n"
    )
    with pytest.raises((KeyboardInterrupt, WorldError)):
        run_logged(
            [sys.executable, "-c", script],
            purpose="x",
            log_name="x",
            env=os.environ,
            on_line=on_line,
        )
    (child,) = children
    assert ends(child)


def test_an_installer_that_outlives_a_killed_set_up_keeps_the_lock_until_it_ends(
    tmp_path: Path,
) -> None:
    """Otherwise the next set-up would write into the same folder beside it."""
    script = (
        "import os, sys\n"
        "from seawall.cache import exclusive\n"
        "from seawall.setup.commands import run_logged\n"
        "with exclusive('tool', waiting=lambda: None):\n"
        "    run_logged(['sh', '-c', 'echo $$; exec sleep 600'], purpose='x', log_name='x',"
        " env=os.environ, on_line=lambda line: print(line, flush=True))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(repository_root())}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=env
    ) as set_up:
        assert set_up.stdout is not None
        installer = int(set_up.stdout.readline())
        set_up.kill()
        set_up.wait()
        told = threading.Event()

        def end_the_installer() -> None:
            told.set()
            os.kill(installer, signal.SIGKILL)

        with exclusive("tool", waiting=end_the_installer):
            assert told.is_set()
