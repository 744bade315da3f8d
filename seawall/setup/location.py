"""Finds external programs: PATH first, with a minimum release, then the cache."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seawall.cache import cache_root
from seawall.errors import MissingProgramError
from seawall.setup.programs import Program, Version, format_version, parse_version, program_of

VERSION_TIMEOUT_S = 10.0
"""A program that takes longer to say its version is not one to drill with."""


@dataclass(frozen=True, kw_only=True)
class Located:
    """An executable that may be used.

    Where it is, its release, and whether PATH or the cache gave it.
    """

    path: Path
    version: Version
    source: Literal["path", "cache"]


def locate(executable: str) -> Located:
    """Return where ``executable`` is.

    Raise `MissingProgramError` if neither PATH nor the cache has a fit one.
    """
    program = program_of(executable)
    found = find(program)
    if found is None:
        message = f"{executable} {format_version(program.pinned)} or newer is neither on PATH nor in {cache_root()}"
        raise MissingProgramError(
            message, remedy=f"{program.remedy}, or let `make test` or a game day build it"
        )
    return Located(path=found.path / executable, version=found.version, source=found.source)


def find(program: Program) -> Located | None:
    """Return the folder that brings all executables of ``program``, or None."""
    folder = _on_path(program)
    if folder is not None:
        return folder
    binaries = program.folder() / "bin"
    if all(os.access(binaries / name, os.X_OK) for name in program.executables):
        return Located(path=binaries, version=program.pinned, source="cache")
    return None


def version_of(binary: Path, arguments: tuple[str, ...]) -> Version | None:
    """Ask ``binary`` for its release; None if it does not start, hangs, fails or says none."""
    # No update check: asking for a version must not reach for the network.
    env = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        answer = subprocess.run(
            [str(binary), *arguments],
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_S,
            check=True,
            env=env,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_version(answer.stdout) or parse_version(answer.stderr)


def _on_path(program: Program) -> Located | None:
    for entry in os.get_exec_path():
        folder = Path(entry)
        # The environment puts the cache on PATH; what is found there is still the cache's, and may
        # be of older pins.
        if not entry or folder.is_relative_to(cache_root()):
            continue
        if not all(os.access(folder / name, os.X_OK) for name in program.executables):
            continue
        version = version_of(folder / program.executables[0], program.version_arguments)
        if version is not None and program.accepts(version):
            return Located(path=folder, version=version, source="path")
    return None
