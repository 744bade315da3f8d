"""Small files of a sandbox, written whole; secrets readable by the user alone."""

from __future__ import annotations

import os
from pathlib import Path

from seawall.processes.failures import os_failure

PRIVATE = 0o600


def write_private(path: Path, text: str) -> None:
    """Write ``text`` at ``path`` with mode 0600, whole or not at all.

    Raises :class:`WorldError`.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.touch(mode=PRIVATE)
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise os_failure(f"{path} cannot be written", error) from error
