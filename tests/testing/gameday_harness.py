"""A game day on nothing: what happens in each of its drills is up to the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seawall.drill import gameday
from seawall.drill.closing import Closing
from seawall.drill.collect import LateLog
from seawall.errors import NotBegunError
from seawall.formats.deployment import Deployment

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
        self.read_from: float | None = None

    @property
    def awaited(self) -> bool:
        """It is."""
        return True

    def begin(self, *_: object, started_at: float, **__: object) -> None:
        """As a log of which nothing is read yet."""
        self.read_from = started_at

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
        self._monkeypatch = monkeypatch
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

    def take_place_on(self, deployment: Deployment, shock: Callable[..., Any]) -> None:
        """Let all of a drill but its ``shock`` happen, on ``deployment``."""

        @contextmanager
        def stack(*_: object) -> Iterator[Any]:
            yield SimpleNamespace(deployment=deployment)

        own = partial(gameday._Day._shock_and_collect, self.day)
        self._monkeypatch.setattr(self.day, "_stack", stack)
        self._monkeypatch.setattr(self.day, "_shock_and_collect", own)
        self._monkeypatch.setattr(gameday, "Shock", shock)

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
        if isinstance(happened, NotBegunError):
            run.begun = False
        elif isinstance(happened, BaseException):
            raise happened
        run.manifest.broke = None if happened is None else str(happened)

    def judged(self) -> list[str]:
        """The drills that have a verdict, in their order."""
        assert all(verdict for *_, verdict in self.day.results.verdicts)
        return [name for name, *_ in self.day.results.verdicts]
