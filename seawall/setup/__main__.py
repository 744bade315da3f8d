"""``python -m seawall.setup`` sets up every external program.

``python -m seawall.setup exec -- PROGRAM ...`` runs any program within the environment.
"""

from __future__ import annotations

import os
import sys

from seawall.errors import ExitCode, SeawallError, UsageError
from seawall.setup import ensure, environment, shown
from seawall.setup.bootstrap import INTERRUPTED, end_on_sigterm


def set_up() -> None:
    """Build what is missing and show the progress; print nothing when all is there."""
    end_on_sigterm()
    with shown() as report:
        ensure(report=report)


def become(command: list[str]) -> None:
    """Replace this process by ``command``, which gets every program on PATH.

    Raises `UsageError` if it cannot be started; does not return otherwise.
    """
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        raise UsageError(
            "exec needs a program", remedy="as in: bin/seawall exec -- pytest tests/unit"
        )
    os.environ.update(environment())
    try:
        os.execvp(command[0], command)
    except OSError as exc:
        raise UsageError(
            f"{command[0]}: {exc.strerror}", remedy="bin/seawall doctor lists what is there"
        ) from exc


def main(arguments: list[str]) -> int:
    """Return the exit code; print every failure as one line."""
    try:
        if arguments[:1] == ["exec"]:
            become(arguments[1:])
        elif arguments:
            raise UsageError(
                f"unknown arguments: {' '.join(arguments)}",
                remedy="nothing, or: exec -- PROGRAM ...",
            )
        else:
            set_up()
    except SeawallError as exc:
        print(f"seawall: {exc}", file=sys.stderr)
        return exc.exit_code
    except KeyboardInterrupt:
        print("seawall: set-up interrupted; the next command goes on from here", file=sys.stderr)
        return INTERRUPTED
    return ExitCode.PASS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
