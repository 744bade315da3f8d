"""A drill during which the machine's clock was set is repeated, once, because it proves nothing.

The judge says UNKNOWN of such a run, as it should (`drill.flood`): what workers, observers and the
chain stamped before and after no longer fits together. That says nothing of what a test is about.
"""

from __future__ import annotations

import time

import pytest
from _pytest.runner import runtestprotocol

SET_MS_MIN = 5.0
"""Less disturbs nothing: 20 ms are allowed between clocks of a drill."""


def _ahead_ms() -> float:
    """The wall clock less the monotonic one, which is slewed like it and never set."""
    return (time.time() - time.monotonic()) * 1_000


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run a test, and once more if it failed while the clock was set."""
    before_ms = _ahead_ms()
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    set_by_ms = _ahead_ms() - before_ms
    if abs(set_by_ms) >= SET_MS_MIN and any(report.failed for report in reports):
        print(f"\nthe machine's clock was set by {set_by_ms:+.1f} ms: {item.nodeid} once more")
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
