"""A game day on nothing: what happens in each of its drills is up to the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seawall.drill import gameday
from seawall.drill.closing import Closing
from seawall.drill.collect import LateLog

LATE = "aws/sign_calls.csv"
"""What comes late."""
WAIT = Closing.wait


class Log(LateLog):
    """Comes when it is told to, or not at all once it is abandoned."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__(run_dir=run_dir, report=print)
        self.came = threading.Event()
        self.waited: list[bool] = []
        self.is_abandoned = False

    @property
    def awaited(self) -> bool:
        """It is."""
        return True

    def finish(self, *, wait: bool) -> None:
        """As a log that takes its time."""
        self.waited.append(wait)
        self.came.wait(10)
        if not self.is_abandoned:
            (self.run_dir / "aws").mkdir()
            (self.run_dir / LATE).write_text("late", encoding="utf-8")

    def abandon(self) -> None:
        """As a log of which nothing is read any more."""
        self.is_abandoned = True
        self.came.set()


class Day:
    """The drills of ``request``, on nothing; ``happens`` says by name in which one what does."""

    def __init__(
        self, request: gameday.Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.root = tmp_path
        self.said: list[str] = []
        self.logs: list[Log] = []
        self.happens: dict[str, BaseException | str] = {}
        display: Any = SimpleNamespace(line=self.said.append, phase=self.said.append)
        self.day = gameday._Day(
            request=replace(request, root=tmp_path), programs={}, switches=(), display=display
        )
        deployment = SimpleNamespace(data_dir=tmp_path, customers=None)

        @contextmanager
        def stack(*_: object) -> Iterator[Any]:
            yield SimpleNamespace(deployment=deployment)

        monkeypatch.setattr(self.day, "_stack", stack)
        monkeypatch.setattr(self.day, "_shock_and_collect", self._drill)
        monkeypatch.setattr(gameday, "use_seed", lambda *_: None)
        monkeypatch.setattr(gameday, "set_run_directory", lambda *_, **__: None)
        monkeypatch.setattr(gameday, "copy_logs", lambda *_: None)
        monkeypatch.setattr(gameday, "LateLog", self._log)
        monkeypatch.setattr(Closing, "wait", self._wait)

    def _log(self, *, run_dir: Path, report: object) -> Log:
        self.logs.append(Log(run_dir))
        return self.logs[-1]

    @staticmethod
    def _wait(ending: Closing) -> None:
        """The log comes when somebody waits for it, and not before."""
        assert isinstance(ending.log, Log)
        ending.log.came.set()
        WAIT(ending)

    def _drill(self, _stack: object, run: Any, _position: int, _log: object) -> None:
        happened = self.happens.get(run.name)
        if isinstance(happened, BaseException):
            raise happened
        run.manifest.broke = happened

    def judged(self) -> list[str]:
        """The drills that have a verdict, in their order."""
        assert all(verdict for *_, verdict in self.day.results.verdicts)
        return [name for name, *_ in self.day.results.verdicts]
