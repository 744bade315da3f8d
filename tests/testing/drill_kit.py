"""What drill tests share.

The real command line, the timeline of the run in progress, and a look at /proc.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[2]
SEAWALL = ROOT / "bin" / "seawall"
RUNS = ROOT / "runs"
T = TypeVar("T")


def seawall(
    *arguments: str, timeout_s: float = 400, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``bin/seawall`` to its end."""
    return subprocess.run(
        [str(SEAWALL), *arguments],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def start(*arguments: str, log: Path) -> subprocess.Popen[bytes]:
    """Start ``bin/seawall`` in a session of its own, its output in ``log``."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [str(SEAWALL), *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def until(look: Callable[[], T | None], *, within_s: float, what: str) -> T:
    """The first thing that ``look`` finds.

    Fails the test when ``within_s`` have passed; the bound is the test's claim.
    """
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {within_s:g} s")


def run_directories() -> set[Path]:
    """Every run directory there is."""
    return (
        {path for path in RUNS.iterdir() if path.is_dir() and not path.is_symlink()}
        if RUNS.is_dir()
        else set()
    )


def events(run_dir: Path) -> list[dict[str, Any]]:
    """The timeline so far."""
    path = run_dir / "timeline.jsonl"
    if not path.is_file():
        return []
    return [
        json.loads(line)
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.endswith("}")
    ]


def saw(run_dir: Path, event: str) -> dict[str, Any] | None:
    """The last ``event`` on the timeline, if it is there."""
    return next((entry for entry in reversed(events(run_dir)) if entry["event"] == event), None)


def run_id_of(run_dir: Path) -> str:
    """The run's id."""
    return str(json.loads((run_dir / "manifest.json").read_text(encoding="utf-8"))["run_id"])


def carriers(run_id: str) -> list[int]:
    """Processes whose environment carries the run's id: what must be gone after a teardown."""
    wanted = f"SEAWALL_RUN_ID={run_id}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def verdict_of(run_dir: Path) -> dict[str, Any]:
    """verdict.json of a run."""
    return _document(run_dir / "verdict.json")


def scorecard_of(run_dir: Path) -> dict[str, Any]:
    """scorecard.json of a run: every check with its finding."""
    return _document(run_dir / "scorecard.json")


def _document(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
