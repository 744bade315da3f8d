"""A sandbox that outlives its command: at most one per user, found through a file in the cache."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from sandbox import reaper
from seawall.cache import cache_root, make_folder
from seawall.errors import ServiceError, UsageError
from seawall.formats.atomic import write_private
from seawall.processes.failures import os_failure

SANDBOXES = "sandboxes"
RECORD_FILE = "sandbox.json"


class Record(BaseModel):
    """What a later command needs to know of a sandbox, beyond its deployment file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    policy_path: Path
    programs: dict[str, Path]

    def write(self, data_dir: Path) -> None:
        """Keep it in the data directory."""
        write_private(data_dir / RECORD_FILE, self.model_dump_json(indent=1) + "\n")


def load_record(data_dir: Path) -> Record:
    """Read the record of the sandbox in ``data_dir``.

    Raises :class:`UsageError` if there is none.
    """
    try:
        return Record.model_validate_json((data_dir / RECORD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        message = f"there is no sandbox in {data_dir}"
        raise UsageError(message, remedy="start one with `seawall up`") from error


def new_data_dir(run_id: str) -> Path:
    """An empty data directory for ``run_id`` in the user's cache, readable by the user alone."""
    path = make_folder(cache_root() / SANDBOXES) / run_id
    try:
        path.mkdir(mode=0o700)
    except OSError as error:
        raise os_failure(f"{path} cannot be made", error) from error
    return path


def kept_data_dir() -> Path | None:
    """Data directory of the sandbox that was left running; None if no process of it runs."""
    try:
        kept = json.loads(_pointer().read_text(encoding="utf-8"))
        run_id, data_dir = str(kept["run_id"]), Path(kept["data_dir"])
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return None
    return data_dir if reaper.carriers(run_id) else None


def keep(run_id: str, data_dir: Path) -> None:
    """Make this sandbox the kept one, before its first process starts.

    Raises :class:`UsageError` if there is another.
    """
    other = kept_data_dir()
    if other is not None:
        message = f"a sandbox is running already, in {other}"
        raise UsageError(message, remedy="remove it with `seawall down`, or use it")
    make_folder(_pointer().parent)
    write_private(_pointer(), json.dumps({"run_id": run_id, "data_dir": str(data_dir)}) + "\n")


def forget(run_id: str) -> None:
    """Drop the pointer if it names ``run_id``."""
    try:
        named = json.loads(_pointer().read_text(encoding="utf-8")).get("run_id")
    except (FileNotFoundError, json.JSONDecodeError):
        return
    if named == run_id:
        _pointer().unlink(missing_ok=True)


def down(data_dir: Path | None = None) -> Path | None:
    """End every process of a sandbox and remove its data but the logs.

    ``data_dir`` is that of the kept sandbox by default. Returns the data directory, or None if no
    sandbox was kept. Raises :class:`ServiceError` if a process would not end.
    """
    if data_dir is None:
        try:
            kept = json.loads(_pointer().read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        run_id, data_dir = str(kept["run_id"]), Path(kept["data_dir"])
    else:
        run_id = load_record(data_dir).run_id
    if (data_dir / reaper.MARKER).exists():
        # Before its processes end: a supervisor that still runs must not start them again.
        (data_dir / reaper.ENDING).touch()
    left = reaper.reap(run_id)
    if left:
        message = (
            f"{len(left)} processes of {run_id} would not end: {sorted(pid for pid, _ in left)}"
        )
        raise ServiceError(message)
    if data_dir.is_dir():
        reaper.clear(data_dir)
    forget(run_id)
    return data_dir


def _pointer() -> Path:
    return cache_root() / SANDBOXES / "current"
