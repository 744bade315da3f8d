"""``python -m localaws.provider --aws-endpoint URL``: serve the provider.

Prints its port as its first line, as a Pulumi plugin does. Credentials come from the environment
(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY): the deployer's.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from localaws.provider.server import start_provider
from seawall.errors import SeawallError


def main() -> int:
    """Serve until SIGTERM or SIGINT; the exit code is that of the error met, if any."""
    parser = argparse.ArgumentParser(
        prog="python -m localaws.provider",
        description="The aws package for a stack in the sandbox.",
    )
    parser.add_argument("--aws-endpoint", required=True, help="where the sandbox's AWS listens")
    parser.add_argument(
        "--port", type=int, default=0, help="port on loopback; by default a free one"
    )
    arguments = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        server, port = start_provider(aws_endpoint=arguments.aws_endpoint, port=arguments.port)
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(port, flush=True)
    stopped.wait()
    server.stop(grace=1).wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
