"""The variables that a process needs to run every part by its native entry point."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from seawall.cache import cache_root, repository_root
from seawall.setup.bootstrap import uv_folder
from seawall.setup.location import find
from seawall.setup.programs import PROGRAMS


def environment() -> dict[str, str]:
    """Return the variables to add to a process's own.

    Programs that are not there yet are left out, not waited for.

    PATH is whole: the Python environment, then each program's folder, then the caller's PATH.
    """
    cache = cache_root()
    binaries = Path(sys.prefix) / "bin"
    found = [folder.path for program in PROGRAMS if (folder := find(program)) is not None]
    caller = os.environ.get("PATH", os.defpath).split(os.pathsep)
    # Each folder once, first place wins: `exec` within `exec` must not grow it.
    path = dict.fromkeys(str(folder) for folder in (binaries, *found, uv_folder(), *caller))
    return {
        "PATH": os.pathsep.join(path),
        "VIRTUAL_ENV": sys.prefix,
        "PYTHONPATH": str(repository_root()),
        # Bytecode and caches of the checks stay out of the work tree.
        "PYTHONPYCACHEPREFIX": str(cache / "pycache"),
        "MYPY_CACHE_DIR": str(cache / "mypy"),
        "RUFF_CACHE_DIR": str(cache / "ruff"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(cache / "hypothesis"),
        "PYTEST_ADDOPTS": _once(
            os.environ.get("PYTEST_ADDOPTS", ""), f"-o cache_dir={cache / 'pytest'}"
        ),
        # The language host that tools/ builds does not see the engine's `virtualenv` option.
        "PULUMI_PYTHON_CMD": str(binaries / "python"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


def _once(options: str, option: str) -> str:
    return options if option in options else f"{options} {option}".strip()
