"""The reaper finds what belongs to a run, ends it, and touches nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from sandbox import reaper
from seawall.conventions import environment

IGNORES_SIGTERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""


def test_the_variable_is_the_one_that_components_carry() -> None:
    """The reaper imports nothing of the kit, so its copy of the name is compared here."""
    assert reaper.RUN_ID_VARIABLE.decode() == environment.RUN_ID_VARIABLE


def test_carriers_are_found_with_descendants_that_lost_their_environment() -> None:
    """A child that wrote its title over its environment is found through its parent.

    A longer id is another run.
    """
    listing = {
        (10, 1): (1, b"PATH=/bin\0SEAWALL_RUN_ID=r1\0"),
        (11, 2): (10, b"postgres: checkpointer"),
        (12, 3): (11, b""),
        (13, 4): (1, b"SEAWALL_RUN_ID=r12\0"),
        (14, 5): (1, b"OTHER_SEAWALL_RUN_ID=r1\0"),
    }
    assert reaper.carriers("r1", listing=listing) == {(10, 1), (11, 2), (12, 3)}


def test_reap_ends_a_process_that_ignores_the_polite_signal_and_spares_others() -> None:
    """Forced after the grace; a process without the run's id lives on."""
    run_id = uuid.uuid4().hex
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    stubborn = subprocess.Popen(
        [sys.executable, "-c", IGNORES_SIGTERM],
        env={**os.environ, environment.RUN_ID_VARIABLE: run_id},
        stdout=subprocess.PIPE,
    )
    try:
        assert stubborn.stdout is not None
        assert stubborn.stdout.readline() == b"up\n"
        began = time.monotonic()
        assert reaper.reap(run_id, grace_s=0.2) == set()
        assert stubborn.wait(1) == -9
        assert 0.2 <= time.monotonic() - began < 3
        assert bystander.poll() is None
    finally:
        stubborn.kill()
        bystander.kill()
        stubborn.communicate()
        bystander.wait()


def test_reap_gives_up_on_what_would_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is returned, never hidden."""
    immortal = {(99, 7): (1, b"SEAWALL_RUN_ID=r1\0")}
    now = iter(range(100))
    monkeypatch.setattr(reaper, "processes", lambda: immortal)
    monkeypatch.setattr(reaper, "_signal", lambda _victims, *, force: None)
    left = reaper.reap("r1", give_up_s=5, clock=lambda: float(next(now)), sleep=lambda _s: None)
    assert left == {(99, 7)}


def test_clear_keeps_the_logs_and_leaves_foreign_directories_alone(tmp_path: Path) -> None:
    """Only a directory with the sandbox's marker loses anything."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "api.log").write_text("x")
    (tmp_path / "pg").mkdir()
    (tmp_path / "database.json").write_text("secret")
    reaper.clear(tmp_path)
    assert (tmp_path / "database.json").exists()
    (tmp_path / reaper.MARKER).touch()
    reaper.clear(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs"]
