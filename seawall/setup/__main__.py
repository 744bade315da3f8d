"""``python -m seawall.setup`` sets up every external program.

``exec -- PROGRAM ...`` runs one within the environment.
"""

from __future__ import annotations

import os
import sys

from seawall.errors import ExitCode, SeawallError, UsageError
from seawall.setup import ensure, environment, shown
from seawall.setup.bootstrap import INTERRUPTED, end_on_sigterm


def set_up() -> None:
    """Build what is missing, showing how far it is; say nothing when nothing is."""
    end_on_sigterm()
    with shown() as report:
        ensure(report=report)


def become(command: list[str]) -> None:
    """Replace this process by ``command``, which gets every program on PATH.

    Return only by raising.
    """
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        message = "exec needs a program"
        raise UsageError(message, remedy="as in: bin/seawall exec -- pytest tests/unit")
    os.environ.update(environment())
    try:
        os.execvp(command[0], command)
    except OSError as exc:
        message = f"{command[0]}: {exc.strerror}"
        raise UsageError(message, remedy="bin/seawall doctor lists what is there") from exc


def main(arguments: list[str]) -> int:
    """Return the exit code; every failure is one clear line."""
    try:
        if arguments[:1] == ["exec"]:
            become(arguments[1:])
        elif arguments:
            message = f"unknown arguments: {' '.join(arguments)}"
            raise UsageError(message, remedy="nothing, or: exec -- PROGRAM ...")
        else:
            set_up()
    except SeawallError as exc:
        print(f"seawall: {exc}", file=sys.stderr)
        return exc.exit_code
    except KeyboardInterrupt:
        print("seawall: set-up interrupted; the next command takes it up again", file=sys.stderr)
        return INTERRUPTED
    return ExitCode.PASS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
