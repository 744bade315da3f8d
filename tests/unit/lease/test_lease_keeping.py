"""Renewals, undo calls and the timeline, with time and network given by the test."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from seawall.errors import DiskFullError, InternalError, ServiceError
from seawall.formats.timeline import append
from seawall.lease import Clock, Renewer, RunnerWatch, UndoCall, holder, perform
from seawall.lease.book import FILE, LeaseBook, LeaseRequest, load, save
from tests.testing.deployments import write_deployment


class Time:
    """A clock that advances only by sleeping."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.clock = Clock(
            monotonic_ms=lambda: self.now_ms, unix_s=lambda: self.now_ms / 1_000, sleep=self._sleep
        )

    def _sleep(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1_000)


class Holder:
    """Answers renewals from a script: True, False, or an error."""

    def __init__(self, *answers: bool | ServiceError) -> None:
        self.answers = list(answers)

    def renew(self, _name: str) -> bool:
        """The next answer of the script."""
        answer = self.answers.pop(0)
        if isinstance(answer, ServiceError):
            raise answer
        return answer


def _renewer(holder: Holder, time: Time, *, gone: str | None = None) -> Renewer:
    return Renewer(holder, name="dark", ttl_ms=4_000, watch=lambda: gone, clock=time.clock)


def test_a_lease_is_renewed_three_times_in_each_time_to_live() -> None:
    """Each renewal that is answered leaves the lease held."""
    renewer = _renewer(Holder(True), Time())
    assert renewer.step() == 1_333
    renewer.require_held()


def test_no_lease_is_renewed_for_a_dead_runner() -> None:
    """Not one renewal is sent once the runner is gone."""
    renewer = _renewer(Holder(), Time(), gone="the runner (process 7) is gone")
    assert renewer.step() is None
    with pytest.raises(
        ServiceError, match=r"^the lease dark is lost: the runner \(process 7\) is gone"
    ):
        renewer.require_held()


def test_an_expired_lease_is_lost_at_once() -> None:
    """If the holder says that it expired, it is not asked again."""
    renewer = _renewer(Holder(False), Time())
    assert renewer.step() is None
    assert renewer.lost == "it expired"


def test_silence_of_the_holder_is_bridged_until_the_lease_must_have_expired() -> None:
    """Unanswered renewals are repeated quickly.

    One time to live after the last answer, the lease counts as lost.
    """
    time = Time()
    silent = ServiceError("no answer")
    renewer = _renewer(Holder(silent, True, silent, silent), time)
    time.now_ms = 1_333
    assert renewer.step() == 200
    time.now_ms = 1_533
    assert renewer.step() == 1_333
    time.now_ms = 5_532
    assert renewer.step() == 200
    time.now_ms = 5_533
    assert renewer.step() is None
    assert renewer.lost == "no answer"


def test_a_zombie_runner_is_dead_and_no_runner_is_not_watched() -> None:
    """A killed process that is not reaped yet does not keep a fault in force."""
    assert RunnerWatch(None)() is None
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as runner:
        watch = RunnerWatch(runner.pid)
        assert watch() is None
        runner.kill()
        while Path(f"/proc/{runner.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            pass  # the kernel needs a moment; it is not reaped before the `with` ends
        assert watch() == f"the runner (process {runner.pid}) is gone"
    assert watch() == f"the runner (process {runner.pid}) is gone"
    assert RunnerWatch(runner.pid)() == f"the runner (process {runner.pid}) is gone"


def _undo(*statuses: int, within_ms: int = 1_000) -> int:
    """Perform one undo call against a service that answers ``statuses`` in turn.

    Returns the calls made.
    """
    answers = iter(statuses)
    made = 0

    def answer(_request: httpx.Request) -> httpx.Response:
        nonlocal made
        made += 1
        return httpx.Response(next(answers))

    call = UndoCall(method="DELETE", url="http://127.0.0.1:1/fault")
    perform([call], within_ms=within_ms, clock=Time().clock, transport=httpx.MockTransport(answer))
    return made


@pytest.mark.parametrize(
    ("statuses", "made"), [((204,), 1), ((200,), 1), ((404,), 1), ((500, 503, 204), 3)]
)
def test_an_undo_is_done_when_answered_so_or_when_nothing_is_there(
    statuses: tuple[int, ...], made: int
) -> None:
    """After an error of the service the call is repeated."""
    assert _undo(*statuses) == made


def test_an_undo_that_cannot_be_made_is_reported_with_the_last_answer() -> None:
    """It does not count as done."""
    with pytest.raises(
        ServiceError,
        match=r"^not undone after 100 ms: DELETE http://127\.0\.0\.1:1/fault: HTTP 500",
    ):
        _undo(*[500] * 10, within_ms=100)


def test_the_timeline_takes_whole_lines_and_says_when_it_cannot(tmp_path: Path) -> None:
    """One JSON object per line; a missing run directory is an error and not a lost fact."""
    append(tmp_path, source="lease", event="lodged", at=1.23456789, detail={"name": "dark"})
    append(tmp_path, source="chaos", event="fault.applied", at=2, detail={})
    lines = [json.loads(line) for line in (tmp_path / "timeline.jsonl").read_text().splitlines()]
    assert lines[0] == {
        "at": 1.234568,
        "source": "lease",
        "event": "lodged",
        "detail": {"name": "dark"},
    }
    assert [line["event"] for line in lines] == ["lodged", "fault.applied"]
    with pytest.raises(DiskFullError, match=r"^cannot write to "):
        append(tmp_path / "missing", source="lease", event="lodged", at=0, detail={})


def test_an_undo_that_failed_for_its_whole_bound_is_tried_until_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure is reported once; the lease stays in the book until the fault is gone."""
    write_deployment(tmp_path, run_dir=tmp_path)
    time = Time()
    bounds = iter([False, False, True])

    def script(*_: object, within_ms: int, **__: object) -> None:
        time.now_ms += within_ms
        if not next(bounds):
            raise ServiceError("HTTP 500")

    monkeypatch.setattr(holder, "perform", script)
    keeper = holder.Holder(data_dir=tmp_path, clock=time.clock, announce=lambda: None)
    request = LeaseRequest(
        ttl_ms=1, undo=(UndoCall(method="DELETE", url="http://127.0.0.1:1/fault"),)
    )
    assert keeper.lodge("dark", request) is not None
    before = set(threading.enumerate())
    keeper.expire_all(cause="its owner fell silent")
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    assert keeper.leases() == []
    assert load(tmp_path).leases == {}
    lines = [json.loads(line) for line in (tmp_path / "timeline.jsonl").read_text().splitlines()]
    assert [(line["event"], line["detail"].get("undone")) for line in lines] == [
        ("lodged", None),
        ("expired", False),
    ]
    assert keeper.lodge("dark", request) is not None


def test_a_book_that_cannot_be_written_is_an_error_and_not_a_lost_lease(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match=r"^cannot keep leases: "):
        save(tmp_path / "missing", LeaseBook(), durable=True)
    assert load(tmp_path / "missing") == LeaseBook()


def test_a_file_that_is_no_book_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"leases": {')
    with pytest.raises(InternalError, match=r"is no book of leases"):
        load(tmp_path)
