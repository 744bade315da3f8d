"""What holds for every test."""

from __future__ import annotations

import gc
import signal

from hypothesis import settings

# A shell that starts the tests in the background lets them ignore Ctrl-C, and so all that they
# start: nothing could be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A deadline of an example would judge the machine and its load, not the code.
settings.register_profile("seawall", deadline=None)
settings.load_profile("seawall")

# What is imported and collected stays until the end, so that looking through it for garbage again
# and again is in vain, and was a fifth of the time of the unit tests.
gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage among what the tests themselves make, and rarely: most of it is acyclic."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()
