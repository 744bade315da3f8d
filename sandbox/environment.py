"""The variables of a process that belongs to a sandbox."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from seawall.cache import repository_root
from seawall.formats.deployment import DEPLOYMENT_FILE
from seawall.processes.environment import of_deployment

ROOT = repository_root()


def search_path(programs: Iterable[Path]) -> str:
    """PATH: this Python's folder, the folders of ``programs``, then the caller's."""
    caller = os.environ.get("PATH", os.defpath).split(os.pathsep)
    folders = [
        str(Path(sys.executable).parent),
        *(str(program.parent) for program in programs),
        *caller,
    ]
    return os.pathsep.join(dict.fromkeys(folders))


def additions(
    *, run_id: str | None, data_dir: Path, policy_path: Path, programs: Mapping[str, Path]
) -> dict[str, str]:
    """What a process of the sandbox gets on top of `seawall.processes.environment.inherited`.

    A user's shell gets it without ``run_id``: teardown ends every process that carries one.
    """
    return of_deployment(
        data_dir / DEPLOYMENT_FILE,
        policy=policy_path,
        path=search_path(programs.values()),
        run_id=run_id,
    )
