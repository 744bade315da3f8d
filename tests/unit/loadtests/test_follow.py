"""What a venue says afterwards of all that it acknowledged, against a venue in this process."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.pywsgi import WSGIServer

from loadtests.arrivals import write_arrivals
from loadtests.follow import COLUMNS, Followed, Follower, acknowledged, write_followed
from loadtests.results import RequestResult, write_requests
from loadtests.venue import Sessions, Venue
from seawall.errors import ServiceError, UsageError
from seawall.formats.drill_contract import ContractAdapter, Credentials, VenueAdapter
from tests.testing.deployments import urls, write_deployment
from tests.testing.flood_plans import arrival
from tests.testing.mappings import mapped

Answer = Callable[[str, dict[str, str]], tuple[int, Any]]
CUSTOMERS = {name: Credentials(customer_id=name, credential=f"sk_{name}") for name in ("1", "4")}


@contextmanager
def venue_that(answers: Answer) -> Iterator[str]:
    """A venue that answers (path, headers) as it is told; None is no answer at all."""

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        headers = {
            name.removeprefix("HTTP_").lower(): str(value)
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        status, body = answers(environ["PATH_INFO"], headers)
        start(f"{status} said", [("Content-Type", "application/json")])
        return [body if isinstance(body, bytes) else json.dumps(body).encode()]

    server = WSGIServer(("127.0.0.1", 0), app, log=None, error_log=None)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.stop(timeout=0)


def _one(name: str, **changes: Any) -> Followed:
    given = {
        "id": name,
        "venue_id": "",
        "customer_id": "4",
        "network": "aster",
        "asset": "AST",
        "amount": "1",
        "destination": "0x1",
    }
    return Followed(**given | changes)


def _follow(
    url: str, *followed: Followed, within_s: float = 5.0, adapter: VenueAdapter | None = None
) -> None:
    with Venue(url, adapter or ContractAdapter(), concurrency=8, timeout_s=1.0) as venue:
        Follower(venue, CUSTOMERS).follow([*followed], within_s=within_s, rest=lambda: ())


def _result(index: int, outcome: str, venue_id: str = "") -> RequestResult:
    return RequestResult(
        index=index,
        planned_at=1.0,
        sent_at=1.0,
        done_at=1.0,
        status=200,
        outcome=outcome,
        error="",
        worker="0",
        venue_id=venue_id,
    )


def _run(folder: Path, probes: str) -> None:
    arrivals = [arrival(index) for index in range(4)]
    arrivals[3] = replace(arrivals[0], index=3, attempt=2)
    write_arrivals(arrivals, folder / "arrivals.csv")
    outcomes = ("accepted", "refused", "accepted", "replayed")
    write_requests(
        [_result(n, outcome, "v-0" if n == 3 else "") for n, outcome in enumerate(outcomes)],
        folder / "requests.csv",
    )
    (folder / "probes.jsonl").write_text(probes)


def _sample(probe: str, *, ok: bool, **detail: Any) -> str:
    about = {
        "id": "p",
        "venue_id": None,
        "customer_id": "1",
        "network": "aster",
        "asset": "AST",
        "amount": "7",
        "destination": "0x2",
    }
    line = {"at": 1, "done_at": 1, "probe": probe, "ok": ok, "detail": about | detail}
    return json.dumps(line) + "\n"


def test_all_that_was_acknowledged_is_followed_once(tmp_path: Path) -> None:
    """By flood and prober; what was refused or not a withdrawal is not."""
    _run(
        tmp_path,
        _sample("small_withdrawal", ok=True)
        + _sample("large_transfer", ok=True, id="q", venue_id="v-q")
        + _sample("small_withdrawal", ok=False, id="r")
        + _sample("swap", ok=True, id="s")
        + _sample("small_withdrawal", ok=True, id="t").rstrip("\n")[:-9],
    )
    found = {each.id: (each.venue_id, each.customer_id) for each in acknowledged(tmp_path)}
    assert found == {"id-0": ("v-0", "4"), "id-2": ("", "4"), "p": ("", "1"), "q": ("v-q", "1")}


@pytest.mark.parametrize("spoiled", ["requests.csv", "probes.jsonl", "arrivals.csv"])
def test_evidence_that_is_missing_or_malformed_is_refused(tmp_path: Path, spoiled: str) -> None:
    _run(tmp_path, "")
    (tmp_path / spoiled).write_text("nonsense\nnonsense\n")
    with pytest.raises(UsageError, match=spoiled):
        acknowledged(tmp_path)
    (tmp_path / spoiled).unlink()
    with pytest.raises(UsageError, match=spoiled):
        acknowledged(tmp_path)


def test_each_is_asked_for_until_it_is_final_and_no_longer() -> None:
    asked: list[str] = []

    def answers(path: str, headers: dict[str, str]) -> tuple[int, Any]:
        assert headers["authorization"] == "Bearer sk_4"
        name = path.rpartition("/")[2]
        asked.append(name)
        state = {"a": "posted", "b": "voided"}.get(name, "posted" if asked.count(name) > 1 else "x")
        said = {"state": "signed" if state == "x" else state, "reason": "why", "tx_hash": "0x9"}
        return 200, said | {"seq": 3}

    a, b, c = _one("a"), _one("b"), _one("c")
    with venue_that(answers) as url:
        _follow(url, a, b, c)
    assert sorted(asked) == ["a", "b", "c", "c"]
    assert [(each.state, each.polls) for each in (a, b, c)] == [
        ("posted", 1),
        ("voided", 1),
        ("posted", 2),
    ]
    assert (c.reason, c.tx_hash, c.seq) == ("why", "0x9", "3")


def test_what_is_lost_or_unanswered_is_told_apart_and_the_last_state_seen_stands() -> None:
    times: dict[str, int] = {}

    def answers(path: str, headers: dict[str, str]) -> tuple[int, Any]:
        name = path.rpartition("/")[2]
        times[name] = times.get(name, 0) + 1
        if name == "gone":
            return 404, {"code": "not_found", "reason": "no such"}
        if name == "other":
            return 200, {"state": "posted", "id": "a4d6b8a0-0000-4000-8000-000000000009"}
        if name == "seen" and times[name] == 1:
            return 200, {"state": "broadcast"}
        if name == "moved":
            return 302, b""
        return 500, b"<html>"

    each = {name: _one(name) for name in ("gone", "nonsense", "seen", "moved", "other")}
    began = time.monotonic()
    with venue_that(answers) as url:
        _follow(url, *each.values(), within_s=1.2)
    assert time.monotonic() - began < 3
    assert {name: one.state for name, one in each.items()} == {
        "gone": "lost",
        "nonsense": "unanswered",
        "seen": "broadcast",
        "moved": "unanswered",
        "other": "unanswered",
    }
    assert "outside the contract (500)" in each["nonsense"].reason
    assert "redirect" in each["moved"].reason
    assert "another withdrawal" in each["other"].reason
    assert all(one.polls >= 2 for one in each.values())


def test_a_venue_that_hangs_ends_the_asking_in_time_and_nothing_counts_as_asked() -> None:
    def answers(path: str, headers: dict[str, str]) -> tuple[int, Any]:
        gevent.sleep(30)
        return 200, {"state": "posted"}

    each = _one("a")
    began = time.monotonic()
    with venue_that(answers) as url:
        _follow(url, each, within_s=0.5)
    assert time.monotonic() - began < 5
    assert (each.state, each.polls) == ("unanswered", 0)


def test_a_venue_of_ones_own_is_asked_by_its_id_in_a_session(tmp_path: Path) -> None:
    """A session that is worn out is opened once more; without the venue's id nothing is asked."""
    valid: list[str] = []
    paths: list[str] = []

    def answers(path: str, headers: dict[str, str]) -> tuple[int, Any]:
        paths.append(path)
        if path == "/api/sessions":
            valid.append(f"tok-{len(valid)}")
            # The first is worn out at once.
            return 200, {"token": valid[-1]}
        if headers.get("x_session") != "tok-1":
            return 401, {"error": {"kind": "bad_session"}}
        return 200, {"payout": {"status": "paid", "chain_tx": "0x5"}}

    known, nameless = _one("a", venue_id="17"), _one("b")
    with venue_that(answers) as url:
        _follow(f"{url}/api/", known, nameless, adapter=mapped(tmp_path))
    assert (known.state, known.tx_hash, known.polls) == ("posted", "0x5", 1)
    assert (nameless.state, nameless.polls) == ("unanswered", 0)
    assert "the venue gave no id of its own" in nameless.reason
    assert paths.count("/api/sessions") == 2
    assert "/api/payouts/17" in paths


def test_a_customer_that_cannot_log_in_is_unanswered(tmp_path: Path) -> None:
    each = _one("a", venue_id="17")
    with venue_that(lambda *_: (401, {"error": {"kind": "bad_session"}})) as url:
        _follow(url, each, adapter=mapped(tmp_path), within_s=0.3)
    assert each.state == "unanswered"
    assert "customer 4 cannot log in: unauthorized" in each.reason


def test_all_sessions_are_opened_or_the_first_failure_is_named(tmp_path: Path) -> None:
    def answers(path: str, headers: dict[str, str]) -> tuple[int, Any]:
        return 200, {"token": "t"}

    adapter = mapped(tmp_path)
    with venue_that(answers) as url, Venue(url, adapter, concurrency=4, timeout_s=1) as venue:
        sessions = Sessions(venue)
        sessions.open_all(list(CUSTOMERS.values()), within_s=5)
        assert sessions.known == {"1": "t", "4": "t"}
    with (
        venue_that(lambda *_: (503, {"error": {"kind": "moon"}})) as url,
        Venue(url, adapter, concurrency=4, timeout_s=1) as venue,
        pytest.raises(ServiceError, match="the code 'moon'"),
    ):
        Sessions(venue).open_all(list(CUSTOMERS.values()), within_s=5)

    def hang(path: str, headers: dict[str, str]) -> tuple[int, Any]:
        gevent.sleep(30)
        return 200, {"token": "t"}

    with (
        venue_that(hang) as url,
        Venue(url, adapter, concurrency=4, timeout_s=9) as venue,
        pytest.raises(ServiceError, match=r"only 0 of 2 customers were logged in within"),
    ):
        Sessions(venue).open_all(list(CUSTOMERS.values()), within_s=0.2)


def test_nothing_ends_before_the_rest_is_told_and_all_of_it_is_asked_for() -> None:
    asked: list[str] = []
    told = iter([None, None, [_one("late")]])
    known = [_one("early")]

    def answers(path: str, headers: dict[str, str]) -> tuple[int, Any]:
        asked.append(path.rpartition("/")[2])
        return 200, {"state": "posted"}

    with (
        venue_that(answers) as url,
        Venue(url, ContractAdapter(), concurrency=8, timeout_s=1.0) as venue,
    ):
        Follower(venue, CUSTOMERS).follow(known, within_s=5, rest=lambda: next(told))

    assert asked == ["early", "late"]
    assert [(each.id, each.state) for each in known] == [("early", "posted"), ("late", "posted")]


def test_a_venue_that_cannot_be_followed_is_refused(tmp_path: Path) -> None:
    adapter = mapped(tmp_path, {"operations.follow_withdrawal": None})
    venue = Venue("http://127.0.0.1:1", adapter, concurrency=1, timeout_s=1)
    with pytest.raises(UsageError, match="offers no follow_withdrawal"):
        Follower(venue, CUSTOMERS)


def test_the_result_is_written_with_every_column(tmp_path: Path) -> None:
    write_followed([_one("a", reason="x,y"), _one("b")], tmp_path / "followed.csv")
    with (tmp_path / "followed.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert (rows[0]["reason"], rows[1]["polls"]) == ("x,y", "0")


def test_the_program_follows_a_run_and_its_exit_code_says_whether_all_were_asked(
    tmp_path: Path,
) -> None:
    probes = _sample("small_withdrawal", ok=True)
    _run(tmp_path, "")
    customers = tmp_path / "customers.csv"
    customers.write_text(
        "customer_id,api_key,network,asset,amount\n1,sk_1,aster,AST,9\n4,sk_4,aster,AST,9\n"
    )

    def ended(url: str, within_s: str) -> tuple[int, str]:
        deployment = write_deployment(tmp_path, urls=urls(api=url), customers=str(customers))
        command = [sys.executable, "-m", "loadtests.follow", "--deployment", str(deployment)]
        command += ["--run", str(tmp_path), "--within-s", within_s]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as program:
            assert program.stdin is not None
            assert program.stdout is not None
            for _ in range(3):  # of the prober's last withdrawal it may know only afterwards
                gevent.sleep(0.02)
            _run(tmp_path, probes)
            program.stdin.close()
            while program.poll() is None:
                gevent.sleep(0.02)  # the venue answers in this process
            return program.returncode, program.stdout.read()

    with venue_that(lambda *_: (200, {"state": "posted"})) as url:
        code, said = ended(url, "20")
    assert code == 0
    last = json.loads(said.splitlines()[-1])
    assert (last["event"], last["total"], last["asked"], last["final"]) == ("ended", 3, 3, 3)
    with (tmp_path / "followed.csv").open(newline="") as file:
        assert {row["id"]: row["state"] for row in csv.DictReader(file)} == {
            "id-0": "posted",
            "id-2": "posted",
            "p": "posted",
        }

    def hang(path: str, headers: dict[str, str]) -> tuple[int, Any]:
        gevent.sleep(30)
        return 200, {"state": "posted"}

    with venue_that(hang) as url:
        code, said = ended(url, "1")
    assert code == 2
    assert json.loads(said.splitlines()[-1])["states"] == {"unanswered": 3}
