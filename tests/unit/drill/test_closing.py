"""A drill's late evidence and verdict come while the next drill begins."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from seawall.drill import closing as module
from seawall.drill.closing import Closing
from seawall.drill.collect import LateLog
from seawall.formats.run_directory import Manifest, describe
from seawall.policy_file import load_policy

POLICY = load_policy(Path("policies/sandbox.yaml"))


class Log(LateLog):
    """Comes when it is told to, or not at all once it is abandoned."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__(run_dir=run_dir, report=print)
        self.came = threading.Event()
        self.waited: list[bool] = []

    def finish(self, *, wait: bool) -> None:
        """As a log that takes its time."""
        self.waited.append(wait)
        self.came.wait(10)

    def abandon(self) -> None:
        """As a log of which nothing is read any more."""
        self.came.set()


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Of a run that just ended, with nothing in its directory."""
    return describe(
        POLICY,
        root=Path.cwd(),
        policy_path="policies/sandbox.yaml",
        run_id="run-1",
        seed=1,
        gameday=None,
        drill="calm",
        replay="bin/seawall drill calm",
        sabotage=None,
        programs={},
        knobs={},
    )


def closing(log: Log, manifest: Manifest, said: list[str]) -> Closing:
    """The end of a drill."""
    return Closing(drill="calm", log=log, manifest=manifest, report=said.append)


def test_it_is_judged_once_its_log_has_come(tmp_path: Path, manifest: Manifest) -> None:
    log, said = Log(tmp_path), list[str]()
    under_way = closing(log, manifest, said)
    assert not (tmp_path / "verdict.json").exists()

    log.came.set()

    assert str(under_way.verdict().outcome) == "UNKNOWN"  # there is no evidence at all
    assert (tmp_path / "verdict.json").stat().st_size > 0
    assert log.waited == [True]
    assert said == ["judging the evidence of calm", "UNKNOWN calm"]


def test_nothing_is_waited_for_of_one_that_broke(tmp_path: Path, manifest: Manifest) -> None:
    log = Log(tmp_path)
    log.came.set()
    manifest.broke = "the switch was set"
    closing(log, manifest, []).verdict()
    assert log.waited == [False]


def test_one_that_is_abandoned_has_no_verdict(tmp_path: Path, manifest: Manifest) -> None:
    """Its runner was interrupted: what would be judged is not what the drill left."""
    under_way = closing(Log(tmp_path), manifest, [])

    under_way.abandon()

    with pytest.raises(CancelledError):
        under_way.verdict()
    assert list(tmp_path.iterdir()) == []


def test_whoever_waits_for_the_verdict_hears_what_prevented_it(
    tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write", full)
    log = Log(tmp_path)
    log.came.set()

    with pytest.raises(OSError, match="No space left"):
        closing(log, manifest, []).verdict()
