"""What holds for every test."""

from __future__ import annotations

import signal

# A shell that starts the tests in the background lets them ignore Ctrl-C, and so all that they
# start: nothing could be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)
