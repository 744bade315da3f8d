"""A process that has imported the emulated AWS, and forks for each emulator that tests want.

To import the services and to read their models takes ``python -m localaws.emulator`` seconds, and
most files of tests want an emulator of their own. Each fork has a memory of its own, so that none
knows what another was told. Sandboxes, and with them the drills, start the emulator as users do.

``python -m tests.testing.warm_aws FD``: through the socket FD come the options of an emulator, as
JSON, with the descriptor that it is to write to; the answer is its process id. Once the other end
is closed, everything that was forked ends.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import threading
import traceback
from typing import NoReturn

from moto.moto_server.werkzeug_app import create_backend_app

from localaws.emulator import __main__ as emulator
from localaws.emulator import services
from tests.testing.aws_harness import MESSAGE_BYTES_MAX

_SERVICES = (
    *("amp", "backup", "cloudtrail", "cloudwatch", "events", "iam", "kms", "logs", "route53"),
    *("s3", "scheduler", "secretsmanager", "sns", "sqs", "ssm", "sts"),
)
"""Those that the stack has resources of; a fork imports any other where it is asked for it."""


def main() -> NoReturn:
    """Fork for each message until the other end is closed."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    services.install()
    for name in _SERVICES:
        create_backend_app(name)  # type: ignore[arg-type]
    gc.collect()
    gc.freeze()  # a fork that counts references to what never goes would copy it
    assert threading.active_count() == 1, "a fork has one thread alone"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    while True:
        message, files, _, _ = socket.recv_fds(channel, MESSAGE_BYTES_MAX, 1)
        if not message:
            os.killpg(0, signal.SIGKILL)
        [output] = files
        pid = os.fork()
        if not pid:
            channel.close()
            _become_aws(json.loads(message), output)
        os.close(output)
        channel.sendall(str(pid).encode())


def _become_aws(options: list[str], output: int) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(output, sys.stdout.fileno())
    os.close(output)
    sys.argv = ["localaws.emulator", *options]
    try:
        os._exit(emulator.main())
    finally:  # whatever it raises must not go on in the loop above
        traceback.print_exc()
        os._exit(1)


if __name__ == "__main__":
    main()
