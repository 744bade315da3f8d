"""Runs an installer or compiler: its output goes to a log, its failure becomes one of our errors.

Standard library only: the bare Python that makes the environment imports this module too.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import threading
from typing import IO, TYPE_CHECKING

from seawall.cache import cache_root, held_locks, make_folder
from seawall.errors import DiskFullError, MissingProgramError, RegistryError, WorldError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

TAIL_LINES = 12

_running: set[subprocess.Popen[str]] = set()
_running_lock = threading.Lock()

DISK_FULL = re.compile(
    r"no space left on device|ENOSPC|disk quota exceeded|os error 28\b", re.IGNORECASE
)
"""How pip, uv, npm and go say that a disk is full (errno texts of the C library, Rust and Node)."""
UNREACHABLE = re.compile(
    r"error sending request|dns error|failed to lookup address|could not connect"
    r"|connection (refused|reset|timed out)|temporary failure in name resolution"
    r"|name or service not known|network is unreachable|no route to host|newconnectionerror"
    r"|max retries exceeded|read timed out|dial tcp|i/o timeout|tls handshake timeout|no such host"
    r"|ENOTFOUND|ECONNREFUSED|ECONNRESET|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|failed to fetch"
    r"|bad gateway|service unavailable",
    re.IGNORECASE,
)
"""How the same four say that a registry does not answer."""


def run_logged(
    command: Sequence[str],
    *,
    purpose: str,
    log_name: str,
    env: Mapping[str, str],
    cwd: Path | None = None,
    on_line: Callable[[str], None] = lambda _line: None,
) -> str:
    """Run ``command`` to its end and return its output; ``on_line`` gets each line as it comes.

    The command leads a process group of its own, which is killed when this call is interrupted: a
    set-up that was stopped leaves no compiler behind.

    Raises `MissingProgramError`, `RegistryError`, `DiskFullError`, or `WorldError` with the end of
    the log; each names ``purpose`` and the log's path.
    """
    log_path = make_folder(cache_root() / "logs") / f"{log_name}.log"
    try:
        with log_path.open("w", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command)}\n")
            process = subprocess.Popen(
                list(command),
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
                pass_fds=held_locks(),
            )
            lines, exit_code = _follow(process, log, on_line)
    except FileNotFoundError as exc:
        raise MissingProgramError(
            f"{purpose}: {command[0]} is not there",
            remedy="run the command again to set up what is missing",
        ) from exc
    except PermissionError as exc:
        raise WorldError(
            f"{purpose}: {exc.filename or command[0]}: {exc.strerror}",
            remedy="if that file system is mounted noexec, point XDG_CACHE_HOME at another one",
        ) from exc
    except OSError as exc:
        kind = DiskFullError if exc.errno == errno.ENOSPC else WorldError
        raise kind(f"{purpose}: {exc.strerror}", remedy=f"log: {log_path}") from exc
    output = "\n".join(lines)
    if exit_code != 0:
        raise explain(purpose=purpose, output=output, exit_code=exit_code, log_path=log_path)
    return output


def explain(*, purpose: str, output: str, exit_code: int, log_path: Path) -> WorldError:
    """Translate what a failed installer or compiler wrote into one of our errors."""
    if DISK_FULL.search(output):
        return DiskFullError(
            f"{purpose}: the disk is full",
            remedy=f"free some space or point XDG_CACHE_HOME elsewhere; log: {log_path}",
        )
    if match := UNREACHABLE.search(output):
        line = next(line.strip() for line in output.splitlines() if match.group() in line)
        return RegistryError(
            f"{purpose}: the package registry cannot be reached: {line[:200]}",
            remedy=f"check the network, proxy and registry settings; log: {log_path}",
        )
    tail = "\n".join(f"    {line}" for line in output.splitlines()[-TAIL_LINES:])
    return WorldError(
        f"{purpose} failed with exit code {exit_code}:\n{tail}\n", remedy=f"whole log: {log_path}"
    )


def end_running_commands() -> None:
    """Kill every command that other threads run now; `run_logged` raises in each of them."""
    with _running_lock:
        for process in _running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _follow(
    process: subprocess.Popen[str], log: IO[str], on_line: Callable[[str], None]
) -> tuple[list[str], int]:
    """Pass on each line until the command ends; kill the command if this thread is interrupted."""
    with _running_lock:
        _running.add(process)
    lines: list[str] = []
    try:
        for raw_line in process.stdout or ():
            log.write(raw_line)
            lines.append(raw_line.rstrip("\n"))
            on_line(lines[-1])
        return lines, process.wait()
    finally:
        with _running_lock:
            _running.discard(process)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
