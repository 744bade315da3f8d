"""Makes the Python environment: a virtual environment with the packages of requirements.lock.

``bin/seawall`` runs this with the bare Python of the machine (3.11 to 3.13, standard library only)
and reads the environment's path from standard output. What people read goes to standard error. The
environment is complete when its ``complete`` file exists and its interpreter starts; anything else
is rebuilt. Packages are checked against the hashes of the lock.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from seawall.cache import (
    cache_root,
    digest_of,
    exclusive,
    make_folder,
    published,
    repository_root,
    require_space,
)
from seawall.errors import ExitCode, MissingProgramError, SeawallError
from seawall.setup.commands import run_logged
from seawall.setup.variables import pip_environment, uv_environment, uv_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

PINS = ("requirements.lock", "bootstrap.lock")
"""The files that the environment's key is made of, in the order in which bin/seawall joins them."""
MARKER = "complete"
START_S_MAX = 30.0
"""Bare Python starts in about 20 ms; a machine that needs seconds is only busy."""
FREE_BYTES_MIN = 2 * 2**30
"""The environment takes 0.75 GiB, the installer's download cache as much again (measured on Linux
x86_64).
"""
INTERRUPTED = 130
"""The shell's exit code for a command that Ctrl-C ended."""


def environment_key() -> str:
    """Return the key of the pinned packages."""
    folder = repository_root() / "tools" / "python"
    return digest_of(*((folder / name).read_bytes() for name in PINS))


def environment_folder() -> Path:
    """Return where this Python's environment of the pinned packages is or will be."""
    tag = sys.implementation.cache_tag or "python"
    return cache_root() / "python" / f"{environment_key()}-{tag}-{platform.machine()}"


def ensure_environment(*, say: Callable[[str], None]) -> Path:
    """Return the complete environment, made first where it is missing.

    When two clones start together, the second waits for the first and uses what it made.
    """
    folder = environment_folder()
    with exclusive(
        f"python-{folder.name}",
        waiting=lambda: say("another set-up is making the Python environment; waiting"),
    ):
        if not ((folder / MARKER).exists() and starts(folder)):
            require_space(free_bytes_min=FREE_BYTES_MIN, purpose="the Python environment")
            _make(folder, say=say)
    return folder


def starts(folder: Path) -> bool:
    """Return whether the interpreter of the environment in ``folder`` runs.

    The interpreter belongs to the system, which may have replaced it since.
    """
    command = [str(folder / "bin" / "python"), "-I", "-S", "-c", ""]
    try:
        subprocess.run(command, capture_output=True, timeout=START_S_MAX, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def ensure_uv(*, say: Callable[[str], None]) -> Path:
    """Return the pinned installer ``uv``; where it is missing, pip puts it into the cache."""
    pins = repository_root() / "tools" / "python" / "bootstrap.lock"
    folder = uv_folder().parent
    with exclusive(
        f"uv-{folder.name}", waiting=lambda: say("another set-up is fetching uv; waiting")
    ):
        if not folder.exists():
            say("fetching the package installer uv (a few seconds)")
            with published(folder) as draft:
                command = [*_pip(draft), "install", "--quiet", "--retries", "2", "--no-deps"]
                command += ["--only-binary", ":all:", "--require-hashes"]
                command += ["--target", str(draft), "-r", str(pins)]
                run_logged(command, purpose="fetching uv", log_name="uv", env=pip_environment())
                shutil.rmtree(draft / "pip-venv", ignore_errors=True)
    return folder / "bin" / "uv"


def _pip(draft: Path) -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    if importlib.util.find_spec("ensurepip") is None:
        raise MissingProgramError(
            f"{sys.executable} has neither pip nor ensurepip",
            remedy="install the system's python3-pip or python3-venv package",
        )
    venv = draft / "pip-venv"
    run_logged(
        [sys.executable, "-m", "venv", str(venv)],
        purpose="preparing pip",
        log_name="pip",
        env=pip_environment(),
    )
    return [str(venv / "bin" / "python"), "-m", "pip"]


def _make(folder: Path, *, say: Callable[[str], None]) -> None:
    """Make the environment in ``folder`` itself, and its `MARKER` last.

    A virtual environment holds its own path, so it cannot be made elsewhere and renamed.
    """
    uv = str(ensure_uv(say=say))
    say(f"making the Python environment in {folder} (about a minute the first time, then a second)")
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder.parent)
    # The resolved binary, not /usr/bin/python3: when the system moves to another Python, the link
    # must break rather than point to the other one.
    python = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
    env = uv_environment()
    # uv reads the uv.toml and pyproject.toml of the folder that it runs in and of those above:
    # never those of the project that the caller happens to be in.
    root = repository_root()
    run_logged(
        [uv, "venv", "--python", python, str(folder)],
        purpose="making the Python environment",
        log_name="venv",
        env=env,
        cwd=root,
    )
    lock = str(root / "tools" / "python" / "requirements.lock")

    def show(line: str) -> None:
        if line.strip().startswith(("Resolved ", "Downloading ", "Prepared ", "Installed ")):
            say(f"  {line.strip()}")

    run_logged(
        [uv, "pip", "sync", "--require-hashes", "--python", str(folder / "bin" / "python"), lock],
        purpose="installing the Python packages",
        log_name="packages",
        env=env,
        cwd=root,
        on_line=show,
    )
    (folder / MARKER).write_text(
        "every package of requirements.lock is installed\n", encoding="utf-8"
    )


def end_on_sigterm() -> None:
    """Make SIGTERM end this process like Ctrl-C does: through every ``finally``."""

    def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)


def main() -> int:
    """Print the environment's path and return the exit code.

    That is 4 where the machine or the package registry is in the way.
    """

    def say(line: str) -> None:
        print(f"seawall: {line}", file=sys.stderr, flush=True)

    end_on_sigterm()
    try:
        print(ensure_environment(say=say))
    except SeawallError as exc:
        say(str(exc))
        return exc.exit_code
    except KeyboardInterrupt:
        say("set-up interrupted; the next command goes on from here")
        return INTERRUPTED
    except OSError as exc:
        say(f"the Python environment cannot be made: {exc} (check the cache folder {cache_root()})")
        return ExitCode.UNFIT
    return 0
