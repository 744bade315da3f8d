"""The data directory of a sandbox that is about to start."""

from __future__ import annotations

import shutil
from pathlib import Path

from sandbox import reaper
from seawall.errors import DiskFullError, UsageError
from seawall.processes.failures import os_failure

FREE_BYTES_MIN = 1 << 30


def prepare(data_dir: Path) -> None:
    """Make the data directory, or refuse one that holds anything but what a sandbox left.

    Raises the error tree.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        strangers = [entry.name for entry in data_dir.iterdir() if entry.name != reaper.LOGS]
        if strangers:
            message = f"{data_dir} is not empty: it holds {strangers[0]}"
            raise UsageError(message, remedy="name a new directory")
        free_bytes = shutil.disk_usage(data_dir).free
        if free_bytes < FREE_BYTES_MIN:
            raise DiskFullError(
                f"{data_dir} has {free_bytes / 2**20:.0f} MiB free; a sandbox needs"
                f" {FREE_BYTES_MIN / 2**20:.0f}",
                remedy="free some space",
            )
        (data_dir / reaper.LOGS).mkdir(exist_ok=True)
        (data_dir / reaper.MARKER).touch()
    except OSError as error:
        raise os_failure(f"{data_dir} cannot be prepared", error) from error
