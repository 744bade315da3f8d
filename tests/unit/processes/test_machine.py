"""What a machine had to give: how busy it was, and what a fixed piece of work took."""

from __future__ import annotations

import pytest

from seawall.processes import machine
from seawall.processes.machine import MachineWatch


def test_the_middle_of_what_was_seen_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """One slow moment says nothing of the whole; nor does the first reading, which is of before."""
    took_ms, busy = [10.0, 11.0, 12.34, 90.0], [100.0, 50.0, 99.0, 75.0]
    monkeypatch.setattr(machine, "_EVERY_S", 0.0)
    watch = MachineWatch()

    def used() -> float:
        if len(busy) == 1:
            watch._ended.set()
        return busy.pop(0)

    monkeypatch.setattr(machine, "addition_ms", lambda: took_ms.pop(0))
    monkeypatch.setattr("psutil.cpu_percent", used)
    watch._look()
    found = watch.load()

    assert found is not None
    assert (found.addition_ms, found.busy) == (11.7, 0.75)
    assert found.processors > 0


def test_a_block_that_ends_at_once_has_no_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "addition_ms", lambda: 12.34)

    with MachineWatch() as watch:
        pass
    found = watch.load()

    assert found is not None
    assert (found.addition_ms, found.busy) == (12.3, None)
    assert MachineWatch().load() is None
