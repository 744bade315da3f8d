"""Free loopback ports by name, handed out long before they are bound."""

from __future__ import annotations

import errno
import random
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from seawall.errors import PortBusyError, WorldError

LOOPBACK = "127.0.0.1"
FIRST_PORT = 10_240
ATTEMPTS_MAX = 200
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def _below_ephemeral() -> range:
    try:
        first_ephemeral = int(_EPHEMERAL_RANGE.read_text(encoding="ascii").split()[0])
    except OSError:
        first_ephemeral = 32_768  # the default of Linux; other systems begin higher
    # A machine may hand out nearly all ports to outgoing connections; then only luck is left, and a
    # retry.
    return (
        range(FIRST_PORT, first_ephemeral)
        if first_ephemeral > FIRST_PORT + 4_000
        else range(FIRST_PORT, 65_535)
    )


def pick_port() -> int:
    """A port that nothing is bound to now.

    Taken from below the ephemeral range: a venue process binds its port seconds after it was
    promised to the proxies, and until then any outgoing connection could take a port that the
    kernel chose (bind to port 0). Raises :class:`PortBusyError` if no free port was found.
    """
    candidates = _below_ephemeral()
    for _ in range(ATTEMPTS_MAX):
        port = random.SystemRandom().choice(candidates)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    message = f"no port can be bound on {LOOPBACK}: {error.strerror}"
                    raise WorldError(
                        message, remedy="allow programs to listen on the loopback interface"
                    ) from error
                continue
        return port
    raise PortBusyError(
        f"no free port between {candidates.start} and {candidates.stop} after"
        f" {ATTEMPTS_MAX} attempts",
        remedy="end some programs that listen",
    )


class Ports:
    """One port per name, chosen at first use and then fixed; safe to ask from several threads."""

    def __init__(self, pick: Callable[[], int] = pick_port) -> None:
        self._pick = pick
        self._lock = threading.Lock()
        self._ports: dict[str, int] = {}

    def of(self, name: str) -> int:
        """The port of ``name``."""
        with self._lock:
            if name not in self._ports:
                port = self._pick()
                while port in self._ports.values():
                    port = self._pick()
                self._ports[name] = port
            return self._ports[name]

    def address(self, name: str) -> str:
        """``127.0.0.1:<port of name>``."""
        return f"{LOOPBACK}:{self.of(name)}"

    def url(self, name: str) -> str:
        """``http://127.0.0.1:<port of name>``."""
        return f"http://{self.address(name)}"
