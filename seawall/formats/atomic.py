"""Files that are written whole: a reader finds the old text or the new one, never a part of it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from seawall.processes.failures import os_failure

PRIVATE = 0o600


def write_whole(path: Path, text: str, *, mode: int | None = None, durable: bool = False) -> None:
    """Replace the file at ``path`` by one that holds ``text``, or leave it as it is.

    Args:
        path: The file; its folder must exist.
        text: Written in UTF-8.
        mode: Permissions of the new file, whatever the umask says; None takes those of the umask.
        durable: Return only when file and name would survive a power cut. Without it, the file
            survives the end of this process only.

    Raises:
        WorldError: It cannot be written; :class:`DiskFullError` if no space is left.
    """
    # Two processes or threads that write the same file must not share a draft.
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        draft.unlink(missing_ok=True)  # left by a killed process with the same id
        _write(draft, text, mode=mode, durable=durable)
        draft.replace(path)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        raise os_failure(f"{path} cannot be written", error) from error
    finally:
        draft.unlink(missing_ok=True)


def write_private(path: Path, text: str) -> None:
    """Write a secret: :func:`write_whole`, readable by its owner alone.

    Raises:
        WorldError: It cannot be written.
    """
    write_whole(path, text, mode=PRIVATE)


def _write(path: Path, text: str, *, mode: int | None, durable: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    descriptor = os.open(path, flags, 0o666 if mode is None else mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        if mode is not None:
            os.fchmod(descriptor, mode)
        file.write(text)
        if durable:
            file.flush()
            os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make a new name in ``folder`` durable; syncing the file alone does not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
