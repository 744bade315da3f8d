"""What several folders of unit tests share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from seawall import drill_check
from seawall.drill_report import DrillReport

_ask = drill_check.ask


@cache
def _answer(module: str, path: Path, _content: bytes, drills: Sequence[str] = ()) -> DrillReport:
    return _ask(module, path, drills=drills)


@pytest.fixture
def programs_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs that carry out drills are started once for each policy, not for each question.

    What they say of the same file is always the same, and starting them takes most of a test.
    """
    monkeypatch.setattr(
        drill_check,
        "ask",
        lambda module, path, drills=(): _answer(module, path, path.read_bytes(), tuple(drills)),
    )
