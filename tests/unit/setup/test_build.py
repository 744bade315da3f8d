"""A failed build ends set-up at once; the other builds are stopped or never begin."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from seawall.errors import RegistryError
from seawall.setup import PROGRAMS, Program, SetupProgress, build, ensure
from seawall.setup.commands import run_logged


@pytest.mark.parametrize(
    "cause", [RegistryError("no registry"), KeyboardInterrupt()], ids=["failure", "interruption"]
)
def test_a_failed_or_interrupted_build_stops_the_others(
    cause: BaseException, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    begun: list[str] = []
    compiling = threading.Event()

    def fail_or_compile(program: Program, *, report: Callable[[SetupProgress], None]) -> None:
        begun.append(program.name)
        report(SetupProgress(program=program.name, activity="compiling"))
        if program is PROGRAMS[0]:
            assert compiling.wait(timeout=10)
            raise cause
        run_logged(
            ["sh", "-c", "echo on; exec sleep 600"],
            purpose="x",
            log_name="x",
            env=os.environ,
            on_line=lambda _: compiling.set(),
        )

    monkeypatch.setattr(build, "build", fail_or_compile)
    monkeypatch.setattr(build, "find", lambda _program: None)
    shown: list[SetupProgress] = []
    with pytest.raises(type(cause)):
        ensure(report=shown.append)
    assert len(begun) <= 3  # the two places, and at most the one that the failure freed
    assert {step.program for step in shown} == {program.name for program in PROGRAMS}


def test_a_program_that_is_in_the_cache_is_neither_built_nor_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for program in PROGRAMS:
        folder = program.folder() / "bin"
        folder.mkdir(parents=True)
        for name in program.executables:
            (folder / name).touch(mode=0o755)
    found = ensure(report=lambda step: pytest.fail(step.activity))
    assert set(found) == {name for program in PROGRAMS for name in program.executables}
    assert {located.source for located in found.values()} <= {"path", "cache"}
