"""``python -m seawall.lease --data-dir DIR --port N``.

The lease holder and its sentinel, until told to end.

Two processes watch each other through a socket: the death of either makes the other run every
lodged undo at once and end. Leases that an earlier life left in the data directory are undone
before the first answer. SIGTERM and SIGINT undo what is held, then end both. Exit status: 0 if told
to end and nothing is left applied; 1 if a peer died or an undo was not done; 4 if the port is busy.
"""

from __future__ import annotations

import argparse
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path

from seawall.errors import SeawallError
from seawall.lease.holder import STOPPING_MS_MAX, UNDO_MS_MAX, Holder
from seawall.lease.sentinel import watch
from seawall.lease.server import HOST, LeaseServer
from seawall.lease.undo import REAL_CLOCK

TOLD_TO_END = "the holder was told to end"
SENTINEL_DIED = "the sentinel died"
ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(arguments: list[str] | None = None) -> int:
    """Run the holder in this process and the sentinel in a child; returns the exit status."""
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
    try:
        server = LeaseServer(options.port)
        return _run(server, data_dir=options.data_dir)
    except SeawallError as error:
        print(f"lease: {error}", file=sys.stderr)
        return error.exit_code


def _run(server: LeaseServer, *, data_dir: Path) -> int:
    ours, theirs = socket.socketpair()
    # Forked before any thread exists: a child of a threaded process may inherit a lock that nobody
    # will open.
    holder_pid, sentinel_pid = os.getpid(), os.fork()
    if sentinel_pid == 0:
        _become_sentinel(server, ours, theirs, data_dir=data_dir)
    theirs.close()

    endings: queue.SimpleQueue[str] = queue.SimpleQueue()  # its put is safe in a signal handler
    for number in ENDINGS:
        signal.signal(number, lambda _number, _frame: endings.put(TOLD_TO_END))
    ours.setblocking(True)
    holder = Holder(data_dir=data_dir, clock=REAL_CLOCK, announce=lambda: _announce(ours))
    clean = holder.expire_all(cause="left by an earlier holder")

    def await_sentinel() -> None:
        ours.recv(1)  # it never sends: this returns when it is gone
        endings.put(SENTINEL_DIED)

    def serve() -> None:
        server.serve(holder, holder_pid=holder_pid, sentinel_pid=sentinel_pid, clock=REAL_CLOCK)

    for work in (await_sentinel, serve, holder.run):
        threading.Thread(target=work, daemon=True).start()
    print(f"lease holder ready on http://{HOST}:{server.server_address[1]}", flush=True)
    ending = endings.get()
    clean &= holder.expire_all(
        cause=ending, within_ms=STOPPING_MS_MAX if ending == TOLD_TO_END else UNDO_MS_MAX
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
    """Turn this child into the sentinel; never returns. The holder alone decides when both end."""
    status = 1
    try:
        for number in ENDINGS:
            signal.signal(number, signal.SIG_IGN)
        ours.close()
        server.socket.close()
        status = watch(holder=theirs, data_dir=data_dir, clock=REAL_CLOCK)
    # whatever it is, it must be seen, and must not return into the parent's code
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        os._exit(status)


def _announce(sentinel: socket.socket) -> None:
    """Tell the sentinel to look again; if it is dead, the thread that waits for it acts."""
    try:
        sentinel.send(b".", socket.MSG_DONTWAIT)
    except (BrokenPipeError, ConnectionResetError, BlockingIOError):
        return  # a full buffer wakes the sentinel as well as one more byte would


if __name__ == "__main__":
    sys.exit(main())
