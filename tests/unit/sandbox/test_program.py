"""The sandbox's program: what it does while a sandbox is up, and at its end."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox import __main__ as program
from sandbox.supervisor import Sandbox
from seawall.conventions.components import POSTGRES_PROXY
from seawall.formats.deployment import Proxy
from seawall.processes.procedure import Say

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _handlers_of_before() -> Iterator[None]:
    handlers = [signal.getsignal(number) for number in ENDING]
    yield
    for number, handler in zip(ENDING, handlers, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_does_not_interrupt_a_sandbox_that_is_up(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An interrupt would end it with a failure, upon which the kit removes a live one's folder."""
    up: Any = SimpleNamespace(close=lambda: pytest.fail("it was ended"))
    noted: list[int] = []
    monkeypatch.setattr(program, "_ended_by", noted)
    monkeypatch.setattr(program, "bring_up", lambda *_args, **_options: None)
    monkeypatch.setattr(Sandbox, "start", lambda **_options: up)
    options = argparse.Namespace(
        attached=False, data_dir=tmp_path, sabotage=None, gameday="any", seed=1
    )
    policy: Any = None

    started = program._start(
        options, policy, tmp_path, {}, run_id="any", keep=True, report=lambda _line: None
    )
    os.kill(os.getpid(), number)

    assert started is up
    assert noted == [number]


class Restoring:
    """How a database is restored that somebody loses at once."""

    def __init__(self, asked: list[str]) -> None:
        self._asked = asked

    def lose(self) -> None:
        """It is gone."""

    def restore(self, _say: Say) -> None:
        """It is back."""
        self._asked.append("the database")


@pytest.mark.parametrize(
    ("keep", "end"),
    [
        (True, ["the database", "start again at once", "control None, database None"]),
        (False, ["close"]),
    ],
)
def test_what_died_is_started_again_until_nobody_looks_any_more(
    monkeypatch: pytest.MonkeyPatch, *, keep: bool, end: list[str]
) -> None:
    """A sandbox that stays must be whole, with its database; one that ends starts nothing.

    Its first report comes before anybody is told that it is ready, and looks how old it is.
    """
    asked: list[str] = []
    sandbox: Any = SimpleNamespace(
        data_dir=Path("data"),
        deployment=SimpleNamespace(
            path="deployment.json",
            proxies={POSTGRES_PROXY: Proxy(listen="127.0.0.1:5", upstream="127.0.0.1:6")},
        ),
        describe=lambda process_control, database: asked.append(
            f"control {process_control}, database {database and database.control}"
        ),
        restart_due=lambda at_once=False: asked.append(f"start again{' at once' * at_once}"),
        report_components=lambda: asked.append("report"),
        close=lambda: asked.append("close"),
    )
    looks = iter([False] * 4 + [True])
    closed: Any = SimpleNamespace(wait=lambda timeout: next(looks))
    nothing: Any = None
    monkeypatch.setattr(program, "_start", lambda *_arguments, **_options: sandbox)

    def control(_sandbox: Any, more: list[Any]) -> Any:
        [lose] = [route.endpoint for route in more if route.path == "/database/lose"]
        assert lose(None).status_code == 204
        return nullcontext("http://here")

    monkeypatch.setattr(program, "process_control", control)
    monkeypatch.setattr(program, "_say", lambda message: asked.append(message.kind))
    monkeypatch.setattr(program, "restoration_of", lambda _sandbox: Restoring(asked))

    program._attached(
        argparse.Namespace(keep=keep), nothing, nothing, {}, run_id="any", closed=closed
    )

    begins = "control http://here, database http://here/database"
    assert asked == [begins, "report", "ready", *["start again"] * 4, "report", *end]
