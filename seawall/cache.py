"""The user's cache, where everything that set-up builds is kept under a key made of its pins.

Standard library only: the bare Python that makes the environment imports this module too. Sources:
XDG Base Directory Specification for the place; flock(2) for the lock, which the kernel drops when
the last process that shares it dies, so an interrupted set-up never leaves a lock behind.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from seawall.errors import DiskFullError, WorldError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_held = threading.local()

KEY_CHARACTERS = 16
"""64 bits of a SHA-256: enough to tell sets of pins apart, short enough to read in a path."""


def cache_root() -> Path:
    """Return the folder that holds every build of the kit; it need not exist yet.

    ``bin/seawall`` makes the same choice. Raises `WorldError` where there is neither
    ``XDG_CACHE_HOME`` nor a home.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path there is invalid and to be ignored.
    if base.startswith("/"):
        return Path(base) / "seawall"
    try:
        return Path.home() / ".cache" / "seawall"
    except RuntimeError as exc:  # no HOME, and an account without an entry in the passwd database
        raise WorldError(
            "neither HOME nor XDG_CACHE_HOME says where a cache may be",
            remedy="export XDG_CACHE_HOME=FOLDER, a folder that this account may write",
        ) from exc


def repository_root() -> Path:
    """Return the checkout that this code runs from."""
    return Path(__file__).resolve().parents[1]


def machine_tag() -> str:
    """Return the platform that a build is for, as in ``linux-x86_64``."""
    return f"{platform.system().lower()}-{platform.machine()}"


def digest_of(*parts: bytes) -> str:
    """Return the key of a set of pins: the start of the SHA-256 of ``parts`` joined, in hex."""
    return hashlib.sha256(b"".join(parts)).hexdigest()[:KEY_CHARACTERS]


def make_folder(folder: Path) -> Path:
    """Make ``folder`` and its parents; raise `WorldError` where the user may not write."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise WorldError(
            f"the cache {folder} cannot be written: {exc.strerror}",
            remedy="export XDG_CACHE_HOME=FOLDER, a folder that this account may write",
        ) from exc
    return folder


def require_space(*, free_bytes_min: int, purpose: str) -> None:
    """Raise `DiskFullError` if the cache's file system has less than ``free_bytes_min`` free."""
    root = make_folder(cache_root())
    free_bytes = shutil.disk_usage(root).free
    if free_bytes < free_bytes_min:
        raise DiskFullError(
            f"{purpose} needs {free_bytes_min / 2**30:.1f} GiB, "
            f"but {root} has {free_bytes / 2**30:.1f} GiB free",
            remedy="free some space, or point XDG_CACHE_HOME at a larger disk",
        )


@contextmanager
def exclusive(name: str, *, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock ``name`` of this cache; call ``waiting`` once if another process holds it."""
    path = make_folder(cache_root() / "locks") / f"{name}.lock"
    with path.open("ab") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        outer = held_locks()
        _held.descriptors = (*outer, handle.fileno())
        try:
            yield
        finally:
            _held.descriptors = outer


def held_locks() -> tuple[int, ...]:
    """Return the descriptors of the locks that this thread holds; commands it starts inherit them.

    So if set-up is killed while an installer runs, the installer keeps the lock until it has ended
    too, and the next set-up does not write into the same folder at the same time.
    """
    descriptors: tuple[int, ...] = getattr(_held, "descriptors", ())
    return descriptors


@contextmanager
def published(folder: Path) -> Iterator[Path]:
    """Yield an empty folder, renamed to ``folder`` when the block ends well, else removed.

    The caller must hold the lock of what is built: leftovers of killed builds are removed first.
    """
    make_folder(folder.parent)
    prefix = f".{folder.name}."
    for leftover in folder.parent.glob(f"{prefix}*"):
        shutil.rmtree(leftover)
    draft = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    try:
        yield draft
        draft.chmod(0o755)  # mkdtemp makes it private; a build is as public as the cache around it
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
