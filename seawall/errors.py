"""The one error tree, split by who is to blame.

    SeawallError
    ├── CallerError            you asked for something that cannot be done (exit 3)
    │   ├── UsageError         a flag, argument or file that does not make sense
    │   │   └── DocumentError      a YAML or JSON file is malformed; carries every problem
    │   └── PolicyError        the policy is wrong; carries every problem, not only the first
    ├── WorldError             the machine or a foreign service is in the way (exit 4)
    │   ├── MissingProgramError    an external program is absent or too old
    │   ├── RegistryError          a package registry did not answer
    │   ├── PortBusyError          an address that we must bind is taken
    │   ├── DiskFullError          no space left where we must write
    │   └── ServiceError           a service answered wrongly, late or not at all
    └── DrillError             the drill could not be judged (exit 2)
        ├── NotBegunError          the stack was not found as a drill must find it
        ├── ComponentDiedError     a part of the sandbox ended on its own
        ├── EvidenceError          a run directory is missing, truncated or contradicts itself
        └── InternalError          we are wrong

Foreign errors are translated at the adapter that meets them, with ``from exc``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What a process tells its caller; the meaning of each number is fixed."""

    PASS = 0
    FAIL = 1
    UNKNOWN = 2
    USAGE = 3
    UNFIT = 4


class SeawallError(Exception):
    """Root of the tree; ``remedy`` says what to do next, in one sentence."""

    exit_code: ExitCode = ExitCode.UNKNOWN

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} ({self.remedy})" if self.remedy else message


class CallerError(SeawallError):
    """The caller asked for something that cannot be done."""

    exit_code = ExitCode.USAGE


class UsageError(CallerError):
    """A flag, argument or file does not make sense."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One fault in a policy or document: its place, what was found, what to write instead."""

    path: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: found {self.found}; {self.remedy}"


class DocumentError(UsageError):
    """A YAML or JSON file is malformed; ``problems`` lists every fault at once."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        super().__init__(_listed(source, problems))
        self.source = source
        self.problems = problems


class PolicyError(CallerError):
    """The policy is wrong; ``problems`` lists every fault at once."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        super().__init__(_listed(source, problems))
        self.source = source
        self.problems = problems


def _listed(source: str, problems: list[Problem]) -> str:
    lines = "\n".join(f"  {problem}" for problem in problems)
    return f"{source} has {len(problems)} problem{'s' if len(problems) != 1 else ''}:\n{lines}"


class WorldError(SeawallError):
    """The machine or a foreign service is in the way."""

    exit_code = ExitCode.UNFIT


class MissingProgramError(WorldError):
    """An external program is absent or too old."""


class RegistryError(WorldError):
    """A package registry did not answer."""


class PortBusyError(WorldError):
    """An address that must be bound is taken."""


class DiskFullError(WorldError):
    """No space is left where something must be written."""


class ServiceError(WorldError):
    """A service answered wrongly, late or not at all."""


class DrillError(SeawallError):
    """The drill could not be judged."""

    exit_code = ExitCode.UNKNOWN


class NotBegunError(DrillError):
    """The stack was not found as a drill must find it, so nothing was done to it."""


class ComponentDiedError(DrillError):
    """A part of the sandbox ended on its own; carries its name and the tail of its log."""

    def __init__(self, component: str, *, log_tail: str) -> None:
        super().__init__(f"{component} died on its own; the end of its log:\n{log_tail}")
        self.component = component
        self.log_tail = log_tail


class EvidenceError(DrillError):
    """A run directory is missing, truncated or contradicts itself."""


class InternalError(DrillError):
    """We are wrong: an invariant of the kit itself does not hold."""


def errors_of(*steps: Callable[[], object]) -> list[str]:
    """The error of each of ``steps``, which are all taken in any case; each text once."""
    errors: list[str] = []
    for step in steps:
        try:
            step()
        except SeawallError as error:
            errors += [str(error)] if str(error) not in errors else []
    return errors
