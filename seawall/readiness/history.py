"""Reads the runs of a folder: from what stands in them, or judged again from their evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from seawall.errors import UsageError
from seawall.policy import Policy
from seawall.readiness.model import PastRun, latest
from seawall.scorecard import judge as judge_run
from seawall.scorecard.outcome import Outcome

_MICRO = 1_000_000


def read_runs(folder: Path) -> list[PastRun]:
    """Every run in ``folder`` that names its drill; ``latest`` and drills of one control are not.

    Raises :class:`UsageError` if there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(
            f"there is no folder {folder}", remedy="run a drill first, or name another folder"
        )
    found = []
    for path in folder.iterdir():
        if path.is_symlink() or not path.is_dir():
            continue
        manifest = _object(path / "manifest.json")
        if isinstance(manifest.get("drill"), str):
            found.append(_past(path, manifest, _object(path / "verdict.json")))
    return found


def judged_again(policy: Policy, runs: list[PastRun], *, folder: Path) -> list[PastRun]:
    """``runs``, where those that count for a requirement have the outcome of their evidence.

    A verdict is a file that anyone can write; the evidence is what it must follow from.
    """
    counting = {
        run.name for required in policy.readiness if (run := latest(required, runs)) is not None
    }
    return [
        replace(run, outcome=_again(folder / run.name)) if run.name in counting else run
        for run in runs
    ]


def _again(directory: Path) -> Outcome:
    return judge_run(directory).outcome


def _past(path: Path, manifest: Mapping[str, Any], verdict: Mapping[str, Any]) -> PastRun:
    outcome = verdict.get("outcome")
    started_at = manifest.get("started_at")
    return PastRun(
        name=path.name,
        drill=str(manifest["drill"]),
        stack=_text(manifest.get("stack")),
        policy_digest=str(manifest.get("policy_digest")),
        sabotage=_text(manifest.get("sabotage")),
        started_at=float(started_at) if isinstance(started_at, int | float) else 0.0,
        outcome=Outcome(outcome) if outcome in list(Outcome) else Outcome.UNKNOWN,
        times=_times(verdict.get("times")),
        failed=tuple(str(check) for check in verdict.get("failed") or ()),
    )


def _times(written: object) -> dict[str, float]:
    """Measured times in seconds, the later of the two observers', by their id."""
    found = {}
    for time in written if isinstance(written, list) else []:
        if not isinstance(time, dict):
            continue
        seen = [time.get("measured_us"), time.get("witness_us")]
        values = [value for value in seen if isinstance(value, int)]
        if values:
            found[str(time.get("id"))] = max(values) / _MICRO
    return found


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _object(path: Path) -> Mapping[str, Any]:
    """A JSON object; an empty one for a file that is missing or holds something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
