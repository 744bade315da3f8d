"""What a machine had to give: read from the kernel's counts and from a fixed piece of work."""

from __future__ import annotations

from pathlib import Path

import pytest

from seawall.processes import machine
from seawall.processes.machine import MachineWatch, busy_share, processor_ticks


def test_ticks_are_those_of_all_processors_without_what_is_counted_twice(tmp_path: Path) -> None:
    """Guest time is a part of user time."""
    stat = tmp_path / "stat"
    stat.write_text("cpu  10 20 30 400 50 6 7 8 9 9\ncpu0 1 1 1 1 1 1 1 1 0 0\n", encoding="ascii")

    assert processor_ticks(stat) == (450, 531)


@pytest.mark.parametrize("content", ["", "cpu  1 2 3\n", "cpu  a b c d e f g h\n", "intr 1 2 3\n"])
def test_what_the_kernel_does_not_tell_is_none(tmp_path: Path, content: str) -> None:
    stat = tmp_path / "stat"
    stat.write_text(content, encoding="ascii")

    assert processor_ticks(stat) is None
    assert processor_ticks(tmp_path / "not-there") is None


@pytest.mark.parametrize(
    ("before", "now", "share"),
    [
        ((100, 200), (125, 300), 0.75),
        ((100, 200), (100, 300), 1.0),
        ((100, 200), (90, 300), 1.0),
        ((100, 200), (100, 200), None),
        (None, (100, 200), None),
    ],
)
def test_busy_is_what_was_not_idle(
    before: tuple[int, int] | None, now: tuple[int, int], share: float | None
) -> None:
    assert busy_share(before, now) == share


def test_the_middle_of_what_was_seen_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One slow moment says nothing of the whole."""
    monkeypatch.setattr(machine, "addition_ms", lambda: 12.34)

    with MachineWatch(stat=tmp_path / "not-there") as watch:
        pass
    found = watch.load()

    assert found is not None
    assert (found.addition_ms, found.busy) == (12.3, None)
    assert found.processors > 0
    assert MachineWatch().load() is None
