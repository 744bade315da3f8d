"""Makes the Python environment.

A virtual environment with exactly what requirements.lock names, by hash.

``bin/seawall`` runs this with the bare Python of the machine (3.11 to 3.13, standard library only)
and reads the environment's path from standard output; what people read goes to standard error. The
environment is complete when its ``complete`` file exists and its interpreter starts; anything else
is rebuilt.
"""

from __future__ import annotations

import importlib.util
import os
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

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

PINS = ("requirements.lock", "bootstrap.lock")
"""What the key is made of, in this order; ``bin/seawall`` joins the same files."""
MARKER = "complete"
START_S_MAX = 30.0
"""Bare Python starts in some 20 ms; a machine that needs seconds is only busy."""
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
    """Return the complete environment, made first if need be.

    Two clones that start together make it once: the second waits for the first.
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
    """Whether the interpreter of the environment in ``folder`` runs.

    It is the system's, which may have been replaced.
    """
    try:
        command = [str(folder / "bin" / "python"), "-I", "-S", "-c", ""]
        return (
            subprocess.run(
                command, capture_output=True, timeout=START_S_MAX, check=False
            ).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def uv_folder() -> Path:
    """Return where the pinned uv is or will be."""
    pins = repository_root() / "tools" / "python" / "bootstrap.lock"
    return cache_root() / "uv" / f"{digest_of(pins.read_bytes())}-{platform.machine()}" / "bin"


def ensure_uv(*, say: Callable[[str], None]) -> Path:
    """Return the pinned installer ``uv``, put in the cache by pip and by hash if it is not there
    yet.
    """
    pins = repository_root() / "tools" / "python" / "bootstrap.lock"
    folder = uv_folder().parent
    with exclusive(
        f"uv-{folder.name}", waiting=lambda: say("another set-up is fetching uv; waiting")
    ):
        if not folder.exists():
            say("fetching the package installer uv (a few seconds)")
            with published(folder) as draft:
                command = [
                    *_pip(draft),
                    "install",
                    "--quiet",
                    "--retries",
                    "2",
                    "--no-deps",
                    "--only-binary",
                    ":all:",
                ]
                command += ["--require-hashes", "--target", str(draft), "-r", str(pins)]
                run_logged(command, purpose="fetching uv", log_name="uv", env=os.environ)
                shutil.rmtree(draft / "pip-venv", ignore_errors=True)
    return folder / "bin" / "uv"


def uv_environment() -> dict[str, str]:
    """Return the variables for uv: the caller's, and pip's index where only pip was told of one."""
    env = dict(os.environ)
    env.pop("VIRTUAL_ENV", None)
    # Of 14,000 modules a game day imports some 2,000, which cost it a few seconds once; compiling
    # all takes longer than installing.
    env.pop("UV_COMPILE_BYTECODE", None)
    if "PIP_INDEX_URL" in env:
        env.setdefault("UV_DEFAULT_INDEX", env["PIP_INDEX_URL"])
    return env


def _pip(draft: Path) -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    if importlib.util.find_spec("ensurepip") is None:
        message = f"{sys.executable} has neither pip nor ensurepip"
        raise MissingProgramError(
            message, remedy="install the system's python3-pip or python3-venv package"
        )
    venv = draft / "pip-venv"
    run_logged(
        [sys.executable, "-m", "venv", str(venv)],
        purpose="preparing pip",
        log_name="pip",
        env=os.environ,
    )
    return [str(venv / "bin" / "python"), "-m", "pip"]


def _make(folder: Path, *, say: Callable[[str], None]) -> None:
    """Build in place, marker last.

    A virtual environment holds its own path and cannot be renamed.
    """
    uv = str(ensure_uv(say=say))
    say(f"making the Python environment in {folder} (about a minute the first time, then a second)")
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder.parent)
    # The resolved binary, not /usr/bin/python3: when the system moves to another Python the link
    # must break, not change.
    python = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
    env = uv_environment()
    run_logged(
        [uv, "venv", "--python", python, str(folder)],
        purpose="making the Python environment",
        log_name="venv",
        env=env,
    )
    lock = str(repository_root() / "tools" / "python" / "requirements.lock")
    run_logged(
        [uv, "pip", "sync", "--require-hashes", "--python", str(folder / "bin" / "python"), lock],
        purpose="installing the Python packages",
        log_name="packages",
        env=env,
        hear=lambda line: say(f"  {line.strip()}") if _worth_showing(line) else None,
    )
    (folder / MARKER).write_text(
        "every package of requirements.lock is installed\n", encoding="utf-8"
    )


def _worth_showing(line: str) -> bool:
    return line.strip().startswith(("Resolved ", "Downloading ", "Prepared ", "Installed "))


def end_on_sigterm() -> None:
    """Make SIGTERM end this process like Ctrl-C does: through every ``finally``."""

    def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)


def main() -> int:
    """Print the environment's path; 4 if the machine or the registry is in the way."""
    end_on_sigterm()
    try:
        print(
            ensure_environment(
                say=lambda line: print(f"seawall: {line}", file=sys.stderr, flush=True)
            )
        )
    except SeawallError as exc:
        print(f"seawall: {exc}", file=sys.stderr)
        return exc.exit_code
    except KeyboardInterrupt:
        print("seawall: set-up interrupted; the next command takes it up again", file=sys.stderr)
        return INTERRUPTED
    except OSError as exc:
        print(
            f"seawall: the Python environment cannot be made: {exc} (check the cache folder {cache_root()})",
            file=sys.stderr,
        )
        return ExitCode.UNFIT
    return 0
