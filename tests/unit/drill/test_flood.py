"""A drill's flood is prepared beside other things, and begins when it is told."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seawall.drill import flood as flood_module
from seawall.drill.flood import Flood
from seawall.errors import DrillError, SeawallError, ServiceError

PLANS = "import pathlib; pathlib.Path('planned').touch()"
BEGINS_WHEN_TOLD = """
import ctypes, pathlib, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # as a flood does: it ends with who started it
assert pathlib.Path("planned").exists()
print('{"event": "ready"}', flush=True)
if not sys.stdin.readline():
    sys.exit("nobody is there")
print('{"event": "zero", "t_zero": 17.5}', flush=True)
sys.stdin.read()
"""
HANGS_AFTER_S = 30.0


def flood(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, plans: str = PLANS, loads: str
) -> Flood:
    """One whose planner and load generator are the programs ``plans`` and ``loads``."""
    programs = {"loadtests.plan": plans, "loadtests.flood": loads}
    monkeypatch.setattr(flood_module, "module", lambda name: [sys.executable, "-c", programs[name]])
    monkeypatch.setattr(flood_module, "environment_of_run", lambda *_: {})
    deployment: Any = SimpleNamespace(
        customers=folder / "customers.csv",
        policy=folder / "policy.yaml",
        urls=SimpleNamespace(api="http://127.0.0.1:9"),
        venue=SimpleNamespace(speaks="contract"),
        path=folder / "deployment.json",
    )
    return Flood(deployment=deployment, drill="calm", seed=1, spent=(), root=folder, run_dir=folder)


def until_ready(made: Flood) -> None:
    """Raises what prevents it."""
    deadline = time.monotonic() + HANGS_AFTER_S
    while not made.ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_is_planned_then_loaded_and_begins_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = flood(tmp_path, monkeypatch, loads=BEGINS_WHEN_TOLD)
    try:
        made.prepare()
        made.prepare()  # once is enough
        until_ready(made)
        # For the kernel that is the thread, and not the process.
        assert "flood of calm" in {thread.name for thread in threading.enumerate()}
        assert made.begin(lambda: None) == 17.5
    finally:
        made.end()
    assert made.process.returncode is not None


@pytest.mark.parametrize(
    ("programs", "error", "says"),
    [
        (("raise SystemExit('no one can afford it')", PLANS), DrillError, "can afford it"),
        ((PLANS, "raise SystemExit('the pool is unknown')"), ServiceError, "the pool is unknown"),
    ],
)
def test_what_prevents_it_is_said_by_whoever_waits(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    programs: tuple[str, str],
    error: type[SeawallError],
    says: str,
) -> None:
    made = flood(tmp_path, monkeypatch, plans=programs[0], loads=programs[1])
    made.prepare()
    with pytest.raises(error, match=says):
        until_ready(made)
    made.end()


def test_one_that_ends_although_it_was_ready_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = flood(
        tmp_path,
        monkeypatch,
        loads="print('{\"event\": \"ready\"}', flush=True); raise SystemExit('a worker died')",
    )
    made.prepare()
    until_ready(made)
    made.process.wait(timeout=HANGS_AFTER_S)
    with pytest.raises(ServiceError, match="a worker died"):
        made.begin(lambda: None)
    made.end()


def test_whoever_looks_meanwhile_may_stop_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, and says nothing; a kill switch is obeyed all the same."""
    made = flood(
        tmp_path,
        monkeypatch,
        loads='import time; print(\'{"event": "ready"}\', flush=True); time.sleep(60)',
    )

    def stop() -> None:
        raise DrillError("people stopped it")

    try:
        made.prepare()
        until_ready(made)
        with pytest.raises(DrillError, match="people stopped it"):
            made.begin(stop)
    finally:
        made.end()
    assert made.process.returncode is not None


def test_one_that_was_ended_while_it_was_planned_starts_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = flood(tmp_path, monkeypatch, plans="import time; time.sleep(60)", loads=BEGINS_WHEN_TOLD)
    made.prepare()
    made.end()
    with pytest.raises(DrillError, match=r"could not be planned|was ended"):
        until_ready(made)
    assert not (tmp_path / "planned").exists()


def test_whatever_else_goes_wrong_is_heard_by_whoever_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that died in silence would be waited for without end."""
    made = flood(tmp_path / "not-there", monkeypatch, loads=BEGINS_WHEN_TOLD)
    made.prepare()
    with pytest.raises(DrillError, match="could not be prepared: FileNotFoundError"):
        until_ready(made)
    made.end()
