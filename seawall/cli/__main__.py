"""``python -m seawall.cli``: what ``bin/seawall`` becomes once everything is in place."""

import sys

UNFIT = 4
"""As in ``seawall.errors.ExitCode``, which may be what cannot be imported.

Python's own 1 would read as FAIL.
"""

try:
    from seawall.cli.app import main
except ImportError as error:
    print(
        f"seawall: the Python environment is incomplete: {error}"
        " (remove it from the cache and try again)",
        file=sys.stderr,
    )
    sys.exit(UNFIT)

sys.exit(main(sys.argv[1:]))
