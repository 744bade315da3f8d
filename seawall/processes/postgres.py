"""Whether a PostgreSQL serves at an address: one question that needs no account of it.

A session is begun for a user that does not exist, and what the server says to that is looked at
(PostgreSQL 18, "Frontend/Backend Protocol": start-up, and error fields). Through a proxy whose
server is gone, the connection is taken and closed without a word.
"""

from __future__ import annotations

import socket
import struct
from typing import Literal

Answer = Literal["serving", "starting", "gone", "silent"]

ANSWER_S_MAX = 0.5
_VERSION_3 = 196_608
_STARTUP = b"user\0seawall_probe\0database\0postgres\0\0"
_HEAD_BYTES = 5
_SAID_BYTES_MAX = 4_096
_NOT_YET = "57P03"
"""cannot_connect_now: the server starts, applies its log, or shuts down."""


def look(address: str) -> Answer:
    """Ask the server at ``address`` (host:port) once.

    Returns:
        ``serving`` if it takes sessions, also if it refuses this one; ``starting`` if it says that
        it takes none at present; ``gone`` if nobody listens, or the connection is closed without an
        answer; ``silent`` if nothing came back in time.
    """
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=ANSWER_S_MAX) as connection:
            connection.sendall(struct.pack("!ii", 8 + len(_STARTUP), _VERSION_3) + _STARTUP)
            head = _read(connection, _HEAD_BYTES)
            if len(head) < _HEAD_BYTES:
                return "gone"
            if head[:1] != b"E":
                return "serving"
            said = _read(connection, min(struct.unpack("!i", head[1:])[0] - 4, _SAID_BYTES_MAX))
    except TimeoutError:
        return "silent"
    except OSError:
        return "gone"
    return "starting" if _code(said) == _NOT_YET else "serving"


def _read(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count and (more := connection.recv(count - len(found))):
        found += more
    return found


def _code(said: bytes) -> str:
    """The SQLSTATE among the fields of an error; empty without one."""
    fields = (field.decode("ascii", "replace") for field in said.split(b"\0"))
    return next((field[1:] for field in fields if field.startswith("C")), "")
