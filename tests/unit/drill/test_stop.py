"""A drill that people stop: it ends, its experiment first, and says why."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seawall.controls.modes import settling_ms
from seawall.conventions import aws
from seawall.errors import DrillError, EvidenceError, NotBegunError
from seawall.evidence.chain import Reach
from seawall.formats.venue_records import VenueState
from tests.testing.shock_harness import EXPERIMENT, Hand, shock

AT_REST: dict[str, Any] = {"open_withdrawals": 0, "posted": 0, "signing_region": "us-east-1"}


def test_a_drill_does_not_begin_when_drills_are_stopped(tmp_path: Path) -> None:
    """Nothing was started, so nothing is on the timeline."""
    hand = Hand()
    hand.value = aws.KILL_SWITCH_STOPPED
    made, _ = shock(tmp_path, hand)
    with pytest.raises(DrillError, match="the kill switch in us-west-2 says 'stopped'"):
        made.run()
    assert list(tmp_path.iterdir()) == []


def test_a_stop_ends_experiment_and_flood_at_once_and_then_the_drill(tmp_path: Path) -> None:
    """The flood does not go on while the fault is taken back."""
    hand = Hand()
    made, shown = shock(tmp_path, hand)
    experiment = subprocess.Popen(
        [sys.executable, "-c", EXPERIMENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert experiment.stdin is not None
        made.flood = SimpleNamespace(end=experiment.stdin.close)  # type: ignore[assignment]
        assert experiment.stdout is not None
        assert experiment.stdout.readline() == b"ready\n"
        made._children["chaos"] = experiment
        made._obey()
        assert experiment.poll() is None
        hand.value = aws.KILL_SWITCH_STOPPED
        assert made.switch is not None
        made.switch.poll()
        with pytest.raises(DrillError, match="says 'stopped'"):
            made._obey()
        assert experiment.returncode == 17  # it was waited for, and had its own way of ending
    finally:
        if experiment.poll() is None:
            experiment.send_signal(signal.SIGKILL)
        experiment.wait()
        if experiment.stdout is not None:
            experiment.stdout.close()
    [line] = [
        json.loads(text)
        for text in (tmp_path / "timeline.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert (line["source"], line["event"], line["detail"]) == (
        "gameday",
        "stopped",
        {"reason": "the kill switch in us-west-2 says 'stopped'"},
    )
    assert shown == ["stopped: the kill switch in us-west-2 says 'stopped'"]


@pytest.mark.parametrize(
    ("journal", "why"),
    [
        (
            {"status": "failed", "experiment": {}, "deviated": True},
            "the journal does not say that the steady state held: deviated is True",
        ),
        (None, "Toxiproxy did not answer"),
    ],
)
def test_an_experiment_that_ends_early_ends_the_drill_and_says_why(
    tmp_path: Path, journal: dict[str, Any] | None, why: str
) -> None:
    """By its journal, or by its log if it left none; nobody waits for the end of the flood."""
    made, _ = shock(tmp_path, Hand())
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "chaos.log").write_text("Toxiproxy did not answer\n")
    stack: Any = made.stack
    stack.deployment.data_dir = tmp_path
    if journal is not None:
        (tmp_path / "chaos-journal.json").write_text(json.dumps(journal))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()

    made._require_in_time(ended, "the experiment", made.clock() + 0.5, made._why_chaos_ended)
    with pytest.raises(DrillError, match=r"^the experiment ended 30 s before its plan") as raised:
        made._require_in_time(ended, "the experiment", made.clock() + 30, made._why_chaos_ended)
    assert why in str(raised.value)


@pytest.mark.parametrize(
    ("state", "found"),
    [
        (VenueState(tier="stressed", oldest_s=0.0, **AT_REST), "the venue is in tier stressed"),
        (VenueState(tier="normal", oldest_s=60.0, **AT_REST), "the venue is in tier normal"),
        (None, "the venue could not be read"),
    ],
)
def test_a_drill_does_not_begin_on_a_venue_that_does_not_come_to_rest(
    tmp_path: Path, state: VenueState | None, found: str
) -> None:
    """What an earlier drill left behind would be judged as this one's."""
    made, _ = shock(tmp_path, Hand())
    moments = iter(range(0, 10_000, 60))
    made.clock = lambda: float(next(moments))

    def read() -> VenueState:
        if state is None:
            raise EvidenceError("no answer")
        return state

    made.records = SimpleNamespace(state=read)
    made.display = SimpleNamespace(state=lambda *_, **__: None)  # type: ignore[assignment]

    with pytest.raises(
        NotBegunError, match=rf"^the drill cannot begin: {found}, and does not come"
    ):
        made._await_steady()


def no_node() -> EvidenceError:
    """As `seawall.evidence.chain` says it, without the address, which may hold a key."""
    return EvidenceError("the node of aster was not reached: ConnectError")


def test_a_node_that_does_not_answer_at_first_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, shown = shock(tmp_path, Hand())
    found = Reach(heads={"aster": 7})
    answers: list[EvidenceError | Reach] = [no_node(), no_node(), found]

    def ask(_deployment: object) -> Reach:
        answer = answers.pop(0)
        if isinstance(answer, EvidenceError):
            raise answer
        return answer

    ticked: list[None] = []
    monkeypatch.setattr("seawall.drill.shock.before_of", ask)
    monkeypatch.setattr(made, "_tick", ticked.append)

    made._await_nodes()
    made._await_nodes()  # what is known is not asked for again

    assert (made.before, len(ticked)) == (found, 2)
    assert shown == ["waiting for a node: the node of aster was not reached: ConnectError"]


def test_a_drill_does_not_begin_without_a_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for as long as for a venue at rest."""
    made, _ = shock(tmp_path, Hand())
    now = 1_000.0
    made.clock = lambda: now

    def silent(_deployment: object) -> Reach:
        raise no_node()

    def tick(_progress: object) -> None:
        nonlocal now
        now += 5.0

    monkeypatch.setattr("seawall.drill.shock.before_of", silent)
    monkeypatch.setattr(made, "_tick", tick)

    with pytest.raises(NotBegunError) as raised:
        made._await_nodes()

    bound_s = made.policy.targets.recovery_max / 1000
    assert str(raised.value) == (
        "the drill cannot begin: the node of aster was not reached: ConnectError"
    )
    assert bound_s < now - 1_000.0 <= bound_s + 5.0
    assert made.before is None


def test_people_stop_a_drill_that_waits_for_a_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = Hand()
    made, _ = shock(tmp_path, hand)

    def silent(_deployment: object) -> Reach:
        hand.value = aws.KILL_SWITCH_STOPPED
        assert made.switch is not None
        made.switch.poll()
        raise no_node()

    monkeypatch.setattr("seawall.drill.shock.before_of", silent)

    with pytest.raises(DrillError, match="says 'stopped'") as raised:
        made._await_nodes()
    assert not isinstance(raised.value, NotBegunError)


def test_a_drill_begins_on_a_venue_at_rest(tmp_path: Path) -> None:
    made, _ = shock(tmp_path, Hand())
    calm = VenueState(tier="normal", oldest_s=2.0, **AT_REST)
    made.records = SimpleNamespace(state=lambda: calm)
    made.display = SimpleNamespace(state=lambda *_, **__: None)  # type: ignore[assignment]

    made._await_steady()


def page(status: str, region: str) -> str:
    """A line of what the pager received."""
    return json.dumps({"status": status, "labels": {"alertname": "Dark", "region": region}}) + "\n"


def test_what_the_drill_before_left_is_waited_for_and_forbids_no_drill(tmp_path: Path) -> None:
    """A page of before would be taken for this drill's, and a lane must begin in the primary."""
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    pages = tmp_path / "pages.jsonl"
    pages.write_text(page("firing", "a") + page("firing", "b") + page("resolved", "a") + '{"st')
    made, shown = shock(run_dir, Hand())
    made.display.state = lambda *_, **__: None  # type: ignore[method-assign]
    found: list[str | None] = []

    def state() -> VenueState:
        found.append(made._left_over(signing))
        if len(found) == 2:
            pages.write_text(pages.read_text().replace('{"st', page("resolved", "b")))
        return signing if len(found) < 4 else home

    home = VenueState(tier="normal", oldest_s=0.0, **AT_REST)
    signing = VenueState(
        tier="normal", oldest_s=0.0, open_withdrawals=0, posted=0, signing_region="us-west-2"
    )
    made.records = SimpleNamespace(state=state)

    made._await_steady()

    away = "signing is in us-west-2"
    assert found == ["open pages: 1", "open pages: 1", away, away]
    assert shown == ["waiting for what was left before: open pages: 1"]
    assert made._left_over(home) is None

    pages.write_text(page("firing", "a"))
    moments = iter(range(0, 10_000, 60))
    made.clock = lambda: float(next(moments))
    made.records = SimpleNamespace(state=lambda: home)
    made._await_steady()
    assert next(moments) > 60

    moments = iter(range(0, 10_000, 60))
    made._await_steady(waited_for_the_rest=True)
    assert next(moments) == 120  # the deadline and one look: nothing is waited for a second time


@pytest.mark.parametrize(("stayed_normal", "settling_s"), [(False, 10), (True, 5)])
def test_the_observers_go_on_until_the_tier_can_no_longer_flip(
    stayed_normal: bool, settling_s: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prober ends with the shock, so what ends the shock early ends what is known."""
    made, shown = shock(tmp_path, Hand())
    made._stayed_normal = stayed_normal
    now = 1_000.0
    made.clock = lambda: now

    def tick(_progress: object) -> None:
        nonlocal now
        now += 0.25

    monkeypatch.setattr(made, "_tick", tick)
    made._watch_settling()

    assert settling_ms(made.policy, left_normal=not stayed_normal) == settling_s * 1000
    assert now - 1_000.0 >= settling_s
    assert shown == [f"watching whether the tier stays normal, for {settling_s} s"]


def test_a_tier_that_was_left_is_remembered_and_one_of_before_the_drill_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that did not come may have been of another tier."""
    made, _ = shock(tmp_path, Hand())
    monkeypatch.setattr("seawall.drill.shock._WATCH_EVERY_S", 0.0)
    read = iter(["protected", "normal", "normal", "stressed", "normal", None])

    def state() -> VenueState:
        tier = next(read)
        if tier is None:
            raise EvidenceError("no answer")
        return VenueState(tier=tier, oldest_s=0.0, **AT_REST)

    made.records = SimpleNamespace(state=state)
    made.display = SimpleNamespace(state=lambda *_, **__: None)  # type: ignore[assignment]
    stayed = []

    made._await_steady()
    stayed.append(made._stayed_normal)
    for _ in range(2):
        made._tick(None)
        stayed.append(made._stayed_normal)
    made._stayed_normal = True
    for _ in range(2):
        made._tick(None)
    assert [*stayed, made._stayed_normal] == [True, True, False, False]


def test_the_venue_is_at_rest_when_the_flood_begins_and_not_only_when_the_prober_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first withdrawals of the prober may have stressed it while the flood was planned."""
    made, _ = shock(tmp_path, Hand())
    done: list[Any] = []
    for name in ("_await_nodes", "_await_steady", "_observe", "_await_flood"):
        monkeypatch.setattr(made, name, lambda name=name, **named: done.append((name, *named)))

    def begin(_meanwhile: Any) -> float:
        done.append("begin")
        raise DrillError("no flood here")

    made.flood = SimpleNamespace(  # type: ignore[assignment]
        prepare=lambda: done.append("prepare"), begin=begin
    )
    with pytest.raises(DrillError, match="no flood here"):
        made._apply()
    assert done == [
        ("_await_nodes",),
        ("_await_steady",),
        ("_observe",),
        "prepare",
        ("_await_flood",),
        ("_await_steady", "waited_for_the_rest"),
        "begin",
    ]


def test_a_venue_that_hangs_keeps_no_stop_from_the_drill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its adapter is a module of the user's own."""
    monkeypatch.setattr("seawall.drill.shock._STATE_S_MAX", 0.01)
    monkeypatch.setattr("seawall.drill.shock._WATCH_EVERY_S", 0.0)
    hand, goes_on = Hand(), threading.Event()
    made, _ = shock(tmp_path, hand)
    made.records = SimpleNamespace(state=lambda: goes_on.wait(60))
    try:
        assert [made._tick(None) for _ in range(2)] == [None, None]
        hand.value = aws.KILL_SWITCH_STOPPED
        assert made.switch is not None
        made.switch.poll()
        with pytest.raises(DrillError, match="says 'stopped'"):
            made._tick(None)
    finally:
        goes_on.set()
