"""What a drill says is about the machine, too: what is done where the machine spoilt a test.

- A drill during which the machine's clock was set is repeated, once. The judge says UNKNOWN of it,
  as it should (`drill.flood`): what workers, observers and the chain stamped before and after no
  longer fits together.
- A test marked ``measured`` wants a verdict that the machine must be fast enough for. If it fails
  while the processors are too slow for that, it is skipped, and the reason is in the summary; so
  are those that share what it could not set up.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from _pytest.runner import runtestprotocol

from seawall.processes.machine import SLOW_MS, MachineLoad, MachineWatch

SET_MS_MIN = 5.0
"""Less disturbs nothing: 20 ms are allowed between clocks of a drill."""

_NOT_SET_UP: dict[str, str] = {}
"""By file, why its fixtures were not set up; pytest sets up each of them once."""


def _ahead_ms() -> float:
    """The wall clock less the monotonic one, which is slewed like it and never set."""
    return (time.time() - time.monotonic()) * 1_000


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run a test, and look at the machine meanwhile."""
    before_ms = _ahead_ms()
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    with MachineWatch() as watch:
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        set_by_ms = _ahead_ms() - before_ms
        if abs(set_by_ms) >= SET_MS_MIN and any(report.failed for report in reports):
            print(f"\nthe machine's clock was set by {set_by_ms:+.1f} ms: {item.nodeid} once more")
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if item.get_closest_marker("measured") is not None:
        _skip_what_failed(item, reports, too_slow=_too_slow(watch.load()))
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _too_slow(load: MachineLoad | None) -> str | None:
    """Why nothing could be measured meanwhile; None if the processors were fast enough."""
    if load is None or load.addition_ms <= SLOW_MS:
        return None
    return (
        f"the processors took {load.addition_ms:.0f} ms for a million additions, and a venue cannot"
        f" be measured on what takes more than {SLOW_MS:.0f} ms"
    )


def _skip_what_failed(
    item: pytest.Item, reports: Sequence[pytest.TestReport], *, too_slow: str | None
) -> None:
    """Skip them where the processors were too slow, now or when the shared set-up failed."""
    file, line, _ = item.location
    for report in reports:
        if not report.failed:
            continue
        if report.when == "setup" and too_slow is not None:
            _NOT_SET_UP.setdefault(file, too_slow)
        reason = _NOT_SET_UP.get(file) if report.when == "setup" else too_slow
        if reason is not None:
            print(f"\n{report.longreprtext}\n{item.nodeid} is skipped: {reason}")
            report.outcome = "skipped"
            report.longrepr = (file, line or 0, reason)
