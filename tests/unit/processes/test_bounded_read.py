"""A read that hangs is waited for once, and one that fails says nothing."""

from __future__ import annotations

import threading

from seawall.processes.bounded_read import BoundedRead


def test_what_is_read_in_time_is_said_and_what_fails_is_none() -> None:
    answers = iter([1, 2])
    read = BoundedRead(lambda: next(answers), within_s=10)

    assert [read(), read(), read()] == [1, 2, None]


def test_a_read_that_hangs_is_waited_for_once_and_its_late_answer_is_dropped() -> None:
    goes_on, ended = threading.Event(), threading.Event()
    begun: list[int] = []

    def hang() -> str:
        begun.append(len(begun))
        if len(begun) == 1:
            goes_on.wait(10)
            ended.set()
            return "old"
        return "new"

    read = BoundedRead(hang, within_s=0.01)

    assert [read() for _ in range(3)] == [None] * 3
    assert begun == [0]

    goes_on.set()
    assert ended.wait(10)
    read._within_s = 10
    found = next(filter(None, iter(read, 0)))
    assert found == "new"
    assert begun == [0, 1]
