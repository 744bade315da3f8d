"""What holds for every test."""

from __future__ import annotations

import signal

from hypothesis import settings

# A shell that starts the tests in the background lets them ignore Ctrl-C, and so all that they
# start: nothing could be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A deadline of an example would judge the machine and its load, not the code.
settings.register_profile("seawall", deadline=None)
settings.load_profile("seawall")
