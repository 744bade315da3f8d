"""Translates the failed start of a component, by its log, into one of our errors."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from seawall.errors import (
    DiskFullError,
    MissingProgramError,
    PortBusyError,
    SeawallError,
    ServiceError,
    WorldError,
)

TAIL_LINES = 15
_BUSY = re.compile(r"address (is )?already in use|EADDRINUSE|port \d+ is in use", re.IGNORECASE)
_TELLING = re.compile(r"\b(\w*error|fatal|panic|cannot|denied|refused)\b", re.IGNORECASE)
_FULL = re.compile(r"no space left on device|ENOSPC|disk quota exceeded", re.IGNORECASE)


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last ``lines`` lines of ``text`` that say anything."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def hopeless(log_text: str) -> bool:
    """Whether a component that still runs has said that it will never be ready.

    Toxiproxy stays up without its port.
    """
    return _BUSY.search(log_text) is not None or _FULL.search(log_text) is not None


def start_failure(name: str, *, how: str, log_text: str, log: Path) -> SeawallError:
    """The error that says why component ``name`` did not start.

    ``how`` is what was seen of it (it ended, it did not answer).
    """
    return explain(f"{name} {how}", said=tail(log_text), remedy=f"its log is {log}")


def explain(what: str, *, said: str, remedy: str) -> SeawallError:
    """The error for ``what`` failed, with the cause that the program printed (``said``)."""
    if _FULL.search(said):
        return DiskFullError(
            f"{what}: no space left on the disk", remedy="free some space and try again"
        )
    if _BUSY.search(said):
        return PortBusyError(
            f"{what}: an address that it must bind is taken",
            remedy=f"end what listens there; {remedy}",
        )
    lines = said.splitlines()
    # Some programs end with what they clean up; the cause stands above it.
    telling = [line for line in lines if _TELLING.search(line)] or lines or ["it said nothing"]
    return ServiceError(f"{what}: {telling[-1].strip()}", remedy=remedy)


def os_failure(what: str, error: OSError) -> SeawallError:
    """Our name for a failure of the operating system while we did ``what``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"{what}: no space left on the disk", remedy="free some space and try again"
        )
    if error.errno == errno.EADDRINUSE:
        return PortBusyError(f"{what}: the address is taken", remedy="end what listens there")
    if isinstance(error, FileNotFoundError):
        return MissingProgramError(
            f"{what}: {error.filename} is not there", remedy="run `seawall doctor`"
        )
    return WorldError(f"{what}: {error.strerror or error}")
