"""``python -m localaws.emulator --port N``: serve the emulated AWS.

Prints ``ready`` once it listens, and runs until SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from localaws.emulator.request_log import VARIABLE
from localaws.emulator.server import make_aws
from seawall.errors import SeawallError


def main() -> int:
    """Serve until SIGTERM or SIGINT; the exit code is that of the error met, if any."""
    parser = argparse.ArgumentParser(
        prog="python -m localaws.emulator", description="AWS on one machine, for the sandbox."
    )
    parser.add_argument(
        "--port",
        type=int,
        required=True,
        help="port on loopback; 0 takes a free one, which is printed",
    )
    parser.add_argument(
        "--kms-ecc-per-s",
        type=int,
        metavar="N",
        help="throttle elliptic-curve operations beyond N a second per Region (AWS: 1,000 by "
        "default); here by default never",
    )
    parser.add_argument(
        "--log",
        type=Path,
        default=os.environ.get(VARIABLE),
        help=f"file for a line per request; also {VARIABLE}",
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server = make_aws(arguments.port, kms_ecc_per_s=arguments.kms_ecc_per_s, log=arguments.log)
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if arguments.port == 0:
        print(server.port, flush=True)
    print("ready", flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
