"""The lease processes: ``python -m seawall.lease --data-dir DIR --port N``.

Two processes, the holder and its sentinel, watch each other through a socket: when one dies, the
other makes every undo that is kept, at once, and ends. The sentinel also makes an undo that the
holder, frozen perhaps, has not made in time. Leases that an earlier pair left in the data directory
are undone before the first answer. SIGTERM, SIGINT and SIGHUP undo what is held, then end both.

Exit status: 0 after such a signal if nothing is left applied; 1 if the other process died or an
undo was not done; 4 if the port is busy. One that a game day starts ends in the same way with its
runner.
"""

from __future__ import annotations

import argparse
import os
import queue
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from seawall.errors import SeawallError
from seawall.lease.book import Lease, load
from seawall.lease.holder import STOPPING_MS_MAX, Holder, record_expired, undo_now
from seawall.lease.server import HOST, LeaseServer
from seawall.lease.undo import REAL_CLOCK, UNDO_MS_MAX, Clock
from seawall.processes.parent import end_with_runner

SIGNALLED = "the holder was signalled to end"
SENTINEL_DIED = "the sentinel died"
SIGNALS_TO_END = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

GRACE_MS = 500
"""How late the holder may be before the sentinel makes the undo.

Together with the undo itself, this stays below the time to live and 1 s.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the holder in this process and the sentinel in a child. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m seawall.lease", description="Hold the undo of every applied fault."
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        required=True,
        help="where leases are kept and where the run in progress is named",
    )
    parser.add_argument(
        "--port", type=int, required=True, help="port on loopback; 0 takes a free one and prints it"
    )
    options = parser.parse_args(arguments)
    end_with_runner()
    try:
        server = LeaseServer(options.port)
        return _run(server, data_dir=options.data_dir)
    except SeawallError as error:
        print(f"lease: {error}", file=sys.stderr)
        return error.exit_code


def _run(server: LeaseServer, *, data_dir: Path) -> int:
    ours, theirs = socket.socketpair()
    # Forked before any thread exists: a child of a process with threads may inherit a lock that is
    # never released.
    holder_pid, sentinel_pid = os.getpid(), os.fork()
    if sentinel_pid == 0:
        _become_sentinel(server, ours, theirs, data_dir=data_dir)
    theirs.close()

    endings: queue.SimpleQueue[str] = queue.SimpleQueue()  # its put is safe in a signal handler
    for number in SIGNALS_TO_END:
        signal.signal(number, lambda _number, _frame: endings.put(SIGNALLED))
    ours.setblocking(True)
    holder = Holder(data_dir=data_dir, clock=REAL_CLOCK, announce=lambda: _announce(ours))
    clean = holder.expire_all(cause="left by an earlier holder")

    def await_sentinel() -> None:
        # It never sends: this returns when it is gone, by an error if it left something unread.
        with suppress(ConnectionError):
            ours.recv(1)
        endings.put(SENTINEL_DIED)

    def serve() -> None:
        server.serve(holder, holder_pid=holder_pid, sentinel_pid=sentinel_pid, clock=REAL_CLOCK)

    for work in (await_sentinel, serve, holder.run):
        threading.Thread(target=work, daemon=True).start()
    print(f"lease holder ready on http://{HOST}:{server.server_address[1]}", flush=True)
    ending = endings.get()
    clean &= holder.expire_all(
        cause=ending, within_ms=STOPPING_MS_MAX if ending == SIGNALLED else UNDO_MS_MAX
    )
    if ending == SENTINEL_DIED:
        os.waitpid(sentinel_pid, os.WNOHANG)
        print(
            f"lease: {SENTINEL_DIED}; everything was undone"
            if clean
            else f"lease: {SENTINEL_DIED}; see leases.json",
            file=sys.stderr,
        )
        return 1
    return 0 if clean else 1


def _become_sentinel(
    server: LeaseServer, ours: socket.socket, theirs: socket.socket, *, data_dir: Path
) -> None:
    """Turn this child into the sentinel; never returns.

    It ignores signals to end, because the holder alone decides when both end.
    """
    status = 1
    try:
        for number in SIGNALS_TO_END:
            signal.signal(number, signal.SIG_IGN)
        ours.close()
        server.socket.close()
        status = watch(holder=theirs, data_dir=data_dir, clock=REAL_CLOCK)
    # Any failure must be visible, and must not return into the parent's code.
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        os._exit(status)


def _announce(sentinel: socket.socket) -> None:
    """Have the sentinel read the file again. If it is dead, the thread that waits for it acts."""
    try:
        sentinel.send(b".", socket.MSG_DONTWAIT)
    except (BrokenPipeError, ConnectionResetError, BlockingIOError):
        return  # a full buffer wakes the sentinel as well as one more byte would


def watch(*, holder: socket.socket, data_dir: Path, clock: Clock) -> int:
    """Run the sentinel until the holder is gone; ``holder`` is the socket to it.

    A byte in the socket means that the file of leases changed; end of file means that the holder is
    gone. The file says what is to be undone.

    Returns:
        The exit status: 0 if the holder left nothing to undo, else 1.
    """
    taken: dict[str, int] = {}
    while True:
        waiting = [
            lease
            for lease in load(data_dir).leases.values()
            if taken.get(lease.name) != lease.deadline_ms
        ]
        now_ms = clock.monotonic_ms()
        overdue = [lease for lease in waiting if now_ms >= lease.deadline_ms + GRACE_MS]
        if overdue:
            taken |= {lease.name: lease.deadline_ms for lease in overdue}
            _undo(
                overdue,
                data_dir=data_dir,
                clock=clock,
                cause="its owner fell silent and the holder did not act",
            )
            continue
        due_ms = min((lease.deadline_ms + GRACE_MS for lease in waiting), default=None)
        readable, _, _ = select.select(
            [holder], [], [], None if due_ms is None else (due_ms - now_ms) / 1_000
        )
        if readable and not _drain(holder):
            left = list(load(data_dir).leases.values())
            _undo(left, data_dir=data_dir, clock=clock, cause="the holder died")
            return 1 if left else 0


def _drain(holder: socket.socket) -> bool:
    """Read what the holder sent. False if it is gone."""
    try:
        return bool(holder.recv(4_096))
    except ConnectionError:
        return False


def _undo(leases: Iterable[Lease], *, data_dir: Path, clock: Clock, cause: str) -> None:
    """Undo all of ``leases`` at the same time and record the outcome of each."""

    def one(lease: Lease) -> None:
        failure = undo_now(lease, clock=clock, within_ms=UNDO_MS_MAX)
        record_expired(data_dir, lease, cause=cause, failure=failure, at=clock.unix_s())

    threads = [threading.Thread(target=one, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
