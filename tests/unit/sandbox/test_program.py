"""The sandbox's program: what a signal does to a sandbox that is up."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox import __main__ as program
from sandbox.supervisor import Sandbox

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
