"""Reads the runs of a folder: from what stands in them, or judged again from their evidence."""

from __future__ import annotations

import calendar
import json
import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from seawall.errors import UsageError
from seawall.formats.run_directory import PREPARED
from seawall.policy import Policy
from seawall.processes.failures import os_failure
from seawall.readiness.model import PastRun, latest
from seawall.scorecard.files import judged
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.verdict import Verdict

_MICRO = 1_000_000
_LINK = "latest"
_NAME = re.compile(r"(?P<at>[0-9]{8}T[0-9]{6}Z)-[0-9]+-(?P<drill>[A-Za-z][A-Za-z0-9-]*)")
_ODD = (TypeError, ValueError, LookupError, OverflowError, RecursionError, AttributeError)
"""What reading a file of somebody else's making may raise."""


def read_runs(folders: Iterable[Path]) -> list[PastRun]:
    """Every run of a drill in ``folders``.

    A run whose manifest cannot be read is one of unknown outcome, by the drill and the time in the
    name of its directory: it must not make way for an older PASS. One that is only prepared, while
    the drill before it ends, is none yet.

    Raises :class:`UsageError` for a folder that is not there, :class:`WorldError` for one that
    cannot be read.
    """
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(
                f"there is no folder {folder}", remedy="run a drill first, or name another folder"
            )
        try:
            paths = sorted(folder.iterdir())
        except OSError as error:
            raise os_failure(f"{folder} cannot be read", error) from error
        runs = (_run_in(path) for path in paths if path.name != _LINK)
        found += [run for run in runs if run is not None]
    return found


def judged_again(policy: Policy, runs: Sequence[PastRun]) -> list[PastRun]:
    """``runs``, where those that count for a requirement are as their evidence says.

    A verdict is a file that anyone can write; the evidence is what it must follow from.
    """
    counting = {
        run.directory
        for required in policy.readiness
        if (run := latest(required, runs)) is not None
    }
    return [
        _as_judged(run, judged(run.directory)[0]) if run.directory in counting else run
        for run in runs
    ]


def _as_judged(run: PastRun, verdict: Verdict) -> PastRun:
    return replace(
        run,
        outcome=verdict.outcome,
        failed=verdict.failed,
        times=_times([each.model_dump(mode="json") for each in verdict.times]),
        claimed=(len(verdict.results), len(verdict.results) + len(verdict.not_claimed)),
        figures={each.id: (each.value, each.unit) for each in verdict.figures},
    )


def _run_in(path: Path) -> PastRun | None:
    """The run in the directory ``path``; None if nothing says that there is one."""
    named = _NAME.fullmatch(path.name)
    manifest = read_object(path / "manifest.json")
    try:
        if isinstance(manifest.get("drill"), str):
            return _past(path, manifest, read_object(path / "verdict.json"))
    except _ODD:
        pass
    if named is None or _is_only_prepared(path):
        return None
    return PastRun(
        directory=path,
        drill=named["drill"],
        stack=None,
        policy_digest="",
        commit=None,
        dirty=None,
        sabotage=None,
        started_at=float(calendar.timegm(time.strptime(named["at"], "%Y%m%dT%H%M%SZ"))),
        outcome=Outcome.UNKNOWN,
        times={},
        failed=(),
    )


def _is_only_prepared(path: Path) -> bool:
    return (path / PREPARED).is_file() and not (path / "manifest.json").exists()


def _past(path: Path, manifest: Mapping[str, Any], verdict: Mapping[str, Any]) -> PastRun:
    """The run as its files say; raises one of `_ODD` for what is none."""
    outcome, failed, dirty = verdict.get("outcome"), verdict.get("failed"), manifest.get("dirty")
    started_at = float(_number(manifest["started_at"]))
    return PastRun(
        directory=path,
        drill=str(manifest["drill"]),
        stack=_text(manifest.get("stack")),
        policy_digest=str(manifest.get("policy_digest")),
        commit=_text(manifest.get("commit")),
        dirty=dirty if isinstance(dirty, bool) else None,
        sabotage=_text(manifest.get("sabotage")),
        started_at=started_at,
        outcome=Outcome(outcome) if outcome in list(Outcome) else Outcome.UNKNOWN,
        times=_times(verdict.get("times")),
        failed=tuple(str(check) for check in failed) if isinstance(failed, list) else (),
        claimed=_claimed(verdict),
        figures=_figures(verdict.get("figures")),
    )


def _claimed(verdict: Mapping[str, Any]) -> tuple[int, int] | None:
    checks, others = verdict.get("checks"), verdict.get("not_claimed", {})
    if not isinstance(checks, dict) or not isinstance(others, dict):
        return None
    return len(checks), len(checks) + len(others)


def _figures(written: object) -> dict[str, tuple[float, str]]:
    return {
        str(each.get("id")): (_number(each.get("value")), str(each.get("unit")))
        for each in (written if isinstance(written, list) else [])
        if isinstance(each, dict)
    }


def _number(value: object) -> float:
    """``value`` as a finite number. Raises ValueError, TypeError or OverflowError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _times(written: object) -> dict[str, float]:
    """Measured times in seconds, the later of the two observers', by their id."""
    found = {}
    for each in written if isinstance(written, list) else []:
        if not isinstance(each, dict):
            continue
        seen = [each.get("measured_us"), each.get("witness_us")]
        values = [_number(value) for value in seen if isinstance(value, int)]
        if values:
            found[str(each.get("id"))] = max(values) / _MICRO
    return found


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def read_object(path: Path) -> Mapping[str, Any]:
    """A JSON object; an empty one for a file that cannot be read or holds something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, *_ODD):
        return {}
    return found if isinstance(found, dict) else {}
