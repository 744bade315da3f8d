"""What a failed start means, read from the component's own words: our errors, one clear line each."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from seawall.errors import DiskFullError, MissingProgramError, PortBusyError, SeawallError, ServiceError, WorldError

TAIL_LINES = 15
_BUSY = re.compile(r"address (is )?already in use|EADDRINUSE|port \d+ is in use", re.IGNORECASE)
_FULL = re.compile(r"no space left on device|ENOSPC|disk quota exceeded", re.IGNORECASE)


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last ``lines`` lines of ``text`` that say anything."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def hopeless(log_text: str) -> bool:
    """Whether a component that still runs has said that it will never be ready; Toxiproxy stays up without its port."""
    return _BUSY.search(log_text) is not None or _FULL.search(log_text) is not None


def start_failure(name: str, *, how: str, log_text: str, log: Path) -> SeawallError:
    """The error that says why component ``name`` did not start; ``how`` is what was seen of it (it ended, it did not answer)."""
    end = tail(log_text)
    if _FULL.search(end):
        return DiskFullError(
            f"{name} {how}: no space left on the disk of {log.parent.parent}", remedy="free some space and try again"
        )
    if _BUSY.search(end):
        return PortBusyError(
            f"{name} {how}: an address that it must bind is taken", remedy=f"end what listens there; see {log}"
        )
    last = end.splitlines()[-1].strip() if end else "it said nothing"
    return ServiceError(f"{name} {how}: {last}", remedy=f"its log is {log}")


def os_failure(what: str, error: OSError) -> SeawallError:
    """Our name for a failure of the operating system while we did ``what``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(f"{what}: no space left on the disk", remedy="free some space and try again")
    if error.errno == errno.EADDRINUSE:
        return PortBusyError(f"{what}: the address is taken", remedy="end what listens there")
    if isinstance(error, FileNotFoundError):
        return MissingProgramError(f"{what}: {error.filename} is not there", remedy="run `seawall doctor`")
    return WorldError(f"{what}: {error.strerror or error}")
