"""Ends every process of a run when its runner is gone, however the runner ended.

Usage: ``reaper.py RUN_ID DATA_DIR RUNNER_PID`` with the read end of a pipe from the runner as
standard input. The runner holds the other end and never writes: end of file, or another parent,
means that the runner is gone. Standard library only, and run as a file, so that it is up within
some 50 ms, before the first part of the sandbox.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

# as in seawall.conventions, which this file does not import: a test compares them
RUN_ID_VARIABLE = b"SEAWALL_RUN_ID"
PARENT_POLL_S = 0.25
GRACE_S = 1.2
SWEEP_S = 0.05
GIVE_UP_S = 8.0
MARKER = ".seawall-sandbox"
ENDING = ".seawall-ending"
"""Says that the sandbox in whose data directory it lies is being ended by another process."""
LOGS = "logs"

Process = tuple[int, int]
"""Process id and start time: a reused id is another process."""


def processes(proc: Path = Path("/proc")) -> dict[Process, tuple[int, bytes]]:
    """Every process that we may look at, with its parent's id and the text of its environment.

    Zombies are left out.
    """
    found: dict[Process, tuple[int, bytes]] = {}
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_bytes().rpartition(b") ")[2].split()
            if fields[0] in (b"Z", b"X"):
                continue
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue  # it ended while we looked, or belongs to someone else
        found[int(entry.name), int(fields[19])] = (int(fields[1]), environment)
    return found


def carriers(
    run_id: str, *, listing: Mapping[Process, tuple[int, bytes]] | None = None
) -> set[Process]:
    """Processes that carry ``run_id`` in their environment, and their descendants.

    PostgreSQL's children write their titles over their environment; they are found as descendants.
    """
    listing = processes() if listing is None else listing
    wanted = RUN_ID_VARIABLE + b"=" + run_id.encode()
    found = {
        process
        for process, (_, environment) in listing.items()
        if wanted in environment.split(b"\0")
    }
    grown = True
    while grown:
        parents = {pid for pid, _ in found}
        children = {
            process for process, (parent, _) in listing.items() if parent in parents
        } - found
        found |= children
        grown = bool(children)
    own = os.getpid()
    return {process for process in found if process[0] != own}


def reap(
    run_id: str,
    *,
    grace_s: float = GRACE_S,
    give_up_s: float = GIVE_UP_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> set[Process]:
    """Ask every process of the run to end, then force it.

    Returns those that are still there when ``give_up_s`` is over.

    Looks again until nothing is left: a process may have been starting another one while it was
    being ended.
    """
    began = clock()
    asked: set[Process] = set()
    seen: set[Process] = set()
    while True:
        listing = processes()
        seen |= carriers(run_id, listing=listing)
        left = {process for process in seen if process in listing}
        if not left or clock() - began > give_up_s:
            return left
        force = clock() - began > grace_s
        _signal(left if force else left - asked, force=force)
        asked |= left
        sleep(SWEEP_S)


def _signal(victims: Iterable[Process], *, force: bool) -> None:
    for pid, _ in victims:
        try:
            if force:
                os.kill(pid, signal.SIGKILL)
                continue
            # SIGTERM would make PostgreSQL wait for its clients; SIGQUIT ends it at once and leaves
            # no shared memory behind.
            name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
            os.kill(pid, signal.SIGQUIT if name == "postgres" else signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)  # a frozen process acts on no other signal before it
        except (ProcessLookupError, FileNotFoundError):
            continue  # gone meanwhile, which is what we want


def clear(data_dir: Path) -> None:
    """Remove everything in a sandbox's data directory but its logs.

    Databases and secrets do not outlive it.

    Does nothing to a directory without the sandbox's marker.
    """
    if not (data_dir / MARKER).exists():
        return
    for entry in data_dir.iterdir():
        if entry.name in (LOGS, MARKER, ENDING):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    (data_dir / MARKER).unlink(missing_ok=True)
    (data_dir / ENDING).unlink(missing_ok=True)


def is_ending(data_dir: Path) -> bool:
    """Whether the sandbox in ``data_dir`` is being ended, or has been."""
    return (data_dir / ENDING).exists() or not (data_dir / MARKER).exists()


def wait_for_end_of(runner_pid: int, pipe: int) -> None:
    """Return when the other end of ``pipe`` is closed or our parent is no longer ``runner_pid``."""
    while os.getppid() == runner_pid:
        readable, _, _ = select.select([pipe], [], [], PARENT_POLL_S)
        # The second look at the parent covers a write end that a forked child of the runner still
        # holds.
        if readable and not os.read(pipe, 1):
            return


def main(arguments: list[str]) -> int:
    """Wait, reap, clear; 0 if nothing is left."""
    run_id, data_dir, runner_pid = arguments[0], Path(arguments[1]), int(arguments[2])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # whatever ends the runner must not end us first
    wait_for_end_of(runner_pid, 0)
    left = reap(run_id)
    clear(data_dir)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
