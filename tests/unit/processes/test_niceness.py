"""Niceness of processes and of their sessions."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from seawall.processes import niceness


def test_a_busy_kernel_is_asked_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ordinary users may change one autogroup in 0.1 s: the others wait their turn."""
    waited: list[float] = []
    answers = itertools.chain([BlockingIOError(), BlockingIOError()], itertools.repeat(None))

    def write(_path: Path, text: str, **_: object) -> int:
        if (error := next(answers)) is not None:
            raise error
        return (tmp_path / "autogroup").write_bytes(text.encode())

    monkeypatch.setattr(Path, "write_text", write)
    assert niceness.set_session(1, 40, sleep=waited.append)
    assert (tmp_path / "autogroup").read_bytes() == b"19"
    assert len(waited) == 2


def test_a_kernel_that_never_takes_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Niceness is a wish: who cannot have it goes on without."""

    def busy(*_: object, **__: object) -> int:
        raise BlockingIOError

    monkeypatch.setattr(Path, "write_text", busy)
    waited: list[float] = []
    assert not niceness.set_session(1, 5, sleep=waited.append)
    assert 1 < len(waited) < 100


def test_a_kernel_without_autogroups_says_no() -> None:
    """A process that is gone, a kernel without the file: nothing is set, and nothing raised."""
    assert not niceness.set_session(2**22 + 1, 5, sleep=lambda _: None)
