"""Begins mypy's cache of a new checkout with that of another one: two seconds instead of minutes.

mypy looks at the hash of a source only if its time or size is not the one in the cache. A copy is
therefore sound only if no file here can have the time of a file there: all of ours must be written
after the other cache was.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_TIMES_ARE_WHOLE_S = 1.0


def begin(own: Path, *, sources_at: float) -> Path | None:
    """Copy the newest cache beside ``own`` that may be used, if ``own`` is not there yet.

    Args:
        own: The cache of this checkout; those of others are beside it.
        sources_at: When the oldest source of this checkout was written, in Unix seconds.

    Returns:
        The cache that was copied, or None.
    """
    if own.exists() or not own.parent.is_dir():
        return None
    written = {other: _written_at(other) for other in own.parent.iterdir()}
    usable = {
        other: at
        for other, at in written.items()
        if at is not None and at + _TIMES_ARE_WHOLE_S < sources_at
    }
    if not usable:
        return None
    newest = max(usable, key=lambda other: usable[other])
    try:
        with tempfile.TemporaryDirectory(dir=own.parent.parent) as folder:
            copy = Path(shutil.copytree(newest, Path(folder) / own.name))
            if _written_at(newest) != usable[newest]:
                return None  # its checkout is being checked now, and a torn copy is no cache
            copy.rename(own)
    except OSError:  # another run of this was faster, or the cache was removed
        return None
    return newest


def _written_at(cache: Path) -> float | None:
    """When a file of ``cache`` was last written, in Unix seconds; None if it has none."""
    try:
        return max(path.stat().st_mtime for path in cache.rglob("*") if path.is_file())
    except (OSError, ValueError):
        return None


def main() -> None:
    """For the checkout that this file is in."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "*.py", "*.pyi", "pyproject.toml"],
        capture_output=True,
        text=True,
        check=False,
    )
    sources = [ROOT / name for name in listed.stdout.split("\0") if name]
    times = [path.stat().st_mtime for path in sources if path.is_file()]
    if times:
        begin(Path(os.environ["MYPY_CACHE_DIR"]), sources_at=min(times))


if __name__ == "__main__":
    main()
