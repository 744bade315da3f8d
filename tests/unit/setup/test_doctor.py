"""What the doctor says of the machine."""

from __future__ import annotations

import pytest

from seawall.processes.machine import SLOW_MS
from seawall.setup import doctor


@pytest.mark.parametrize(
    ("processors", "each_ms", "says"),
    [
        (2, SLOW_MS, ""),
        (2, SLOW_MS + 30, "may miss its targets"),
        (1, SLOW_MS, "a sandbox wants 2"),
        (1, SLOW_MS + 30, "a sandbox wants 2; slow"),
    ],
)
def test_too_few_or_slow_processors_are_pointed_out_and_no_fault(
    monkeypatch: pytest.MonkeyPatch, processors: int, each_ms: float, says: str
) -> None:
    """What only calculates runs on them."""
    monkeypatch.setattr(doctor, "addition_ms", lambda: each_ms)
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(processors)))

    [part] = [each for each in doctor.examine() if each.name == "processors"]

    assert part.ok
    assert says in part.remedy
    assert bool(part.remedy) == bool(says)
    assert (part.version, part.where) == (
        str(processors),
        f"{each_ms:.0f} ms for a million additions",
    )
