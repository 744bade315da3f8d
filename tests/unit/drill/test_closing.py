"""A drill's late evidence comes while the next drill begins, and no verdict is lost for that."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from seawall.drill import closing as module
from seawall.drill import gameday
from seawall.drill.closing import Closing
from seawall.drill.earlier import Earlier
from seawall.drill.gameday import make_request
from seawall.errors import DrillError, NotBegunError
from seawall.evidence.chain import Reach
from seawall.formats.component_status import ComponentStatus
from seawall.formats.run_directory import Manifest, describe
from seawall.policy_file import load_policy
from tests.testing.deployments import make_deployment
from tests.testing.gameday_harness import LATE, Day, Log

POLICY_FILE = Path("policies/sandbox.yaml")
POLICY = load_policy(POLICY_FILE)
DRILLS = ("calm", "rpc-dark", "api-killed")
URLS = {"api": "http://127.0.0.1:1", "lease": "http://127.0.0.1:1"}


@pytest.fixture
def manifest() -> Manifest:
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
    """The end of a drill, begun."""
    made = Closing(drill="calm", log=log, manifest=manifest, report=said.append)
    made.begin()
    return made


def test_it_is_judged_once_its_log_has_come(tmp_path: Path, manifest: Manifest) -> None:
    """What was there before is sealed at once, and the log when it is there."""
    log, said = Log(tmp_path), list[str]()
    under_way = closing(log, manifest, said)
    sealed = json.loads((tmp_path / "manifest.json").read_text())
    assert (sealed["ended_at"] is not None, sealed["files"]) == (True, {})

    log.came.set()

    assert str(under_way.verdict().outcome) == "UNKNOWN"  # there is no evidence at all
    assert list(json.loads((tmp_path / "manifest.json").read_text())["files"]) == [LATE]
    assert (tmp_path / "verdict.json").stat().st_size > 0
    assert log.waited == [True]
    assert said == [
        "waiting for AWS's own log of signatures of calm",
        "judging the evidence of calm",
        "UNKNOWN calm",
    ]


def test_nothing_is_waited_for_of_one_that_broke(tmp_path: Path, manifest: Manifest) -> None:
    log = Log(tmp_path)
    log.came.set()
    manifest.broke = "the switch was set"
    closing(log, manifest, []).verdict()
    assert log.waited == [False]


def test_one_that_is_abandoned_can_be_judged_later(tmp_path: Path, manifest: Manifest) -> None:
    """Its runner was interrupted while the next drill went on."""
    under_way = closing(Log(tmp_path), manifest, [])

    under_way.abandon()

    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    assert json.loads((tmp_path / "manifest.json").read_text())["ended_at"] is not None


def test_whoever_wants_the_verdict_hears_what_prevented_it(
    tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    def full(*_: object) -> None:
        calls.append(_)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "finish", full)
    log = Log(tmp_path)
    log.came.set()

    with pytest.raises(OSError, match="No space left"):
        closing(log, manifest, []).verdict()


@pytest.fixture(scope="module")
def request_of_day() -> gameday.Request:
    """Three drills; that they can follow each other is checked, which takes a second."""
    return make_request(
        root=Path.cwd(),
        policy_path=POLICY_FILE,
        name=None,
        drills=DRILLS,
        seed=1,
        sabotage=None,
        keep=False,
    )


@pytest.fixture
def day(request_of_day: gameday.Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Day:
    """Three drills."""
    return Day(request_of_day, tmp_path, monkeypatch)


def test_every_drill_of_a_day_has_the_verdict_of_its_own_run(day: Day) -> None:
    day.day.run()

    assert day.judged() == list(DRILLS)
    for name, run_dir, _ in day.day.results.verdicts:
        assert run_dir.name.endswith(name)
        assert (run_dir / "verdict.json").is_file()


@pytest.mark.parametrize("error", [DrillError("the node is gone"), OSError(28, "disk full")])
def test_a_drill_that_cannot_begin_costs_the_one_before_nothing(day: Day, error: Exception) -> None:
    day.happens = {"rpc-dark": error}

    with pytest.raises(type(error)):
        day.day.run()

    assert day.judged() == ["calm"]


def test_a_drill_that_broke_ends_the_day_and_both_are_judged(day: Day) -> None:
    day.happens = {"rpc-dark": "the switch was set"}

    day.day.run()

    assert day.judged() == ["calm", "rpc-dark"]
    assert day.logs[1].waited == [False]


def test_a_drill_that_finds_the_stack_otherwise_than_it_must_does_not_end_the_day(day: Day) -> None:
    """It did nothing to it, and the next one looks for itself."""
    day.happens = {"rpc-dark": NotBegunError("the drill cannot begin: the node of aster is away")}

    day.day.run()

    assert day.judged() == list(DRILLS)
    [_, (_, run_dir, verdict), _] = day.day.results.verdicts
    assert (
        "evidence.complete: the drill broke: the drill cannot begin: the node of aster is away"
        in verdict.sentence
    )
    assert json.loads((run_dir / "verdict.json").read_text())["outcome"] == "UNKNOWN"
    assert [log.waited for log in day.logs] == [[True], [False], [True]]


class Shocked:
    """A shock that finds no node in the second drill."""

    def __init__(self, *, name: str, before: Reach | None, **_: object) -> None:
        self.name, self.before = name, before
        self.components: Callable[[], list[ComponentStatus]] = list
        self.machine = self.check = lambda: None

    def run(self) -> None:
        """As a shock does on a stack that is there, and on one whose node is away."""
        if self.before is None and self.name == "rpc-dark":
            raise NotBegunError("the drill cannot begin: the node of aster is away")


def test_the_first_drill_asks_the_nodes_at_once_and_a_later_one_waits_for_them(
    day: Day, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a stack whose nodes are not there nothing is touched; later a drill is lost, not a day."""
    asked: list[object] = []

    def before(found: object) -> Reach:
        asked.append(found)
        return Reach()

    deployment = make_deployment(tmp_path, urls=URLS)
    day.take_place_on(deployment, Shocked)
    monkeypatch.setattr(gameday, "await_undone", lambda _: None)
    monkeypatch.setattr(gameday, "before_of", before)

    day.day.run()

    assert asked == [deployment]
    assert day.judged() == list(DRILLS)
    broke = [
        json.loads((run_dir / "manifest.json").read_text())["broke"]
        for _, run_dir, _ in day.day.results.verdicts
    ]
    assert broke == [None, "the drill cannot begin: the node of aster is away", None]


class Kept(Earlier):
    """Watches the requests of every drill that went to its end; ``ends`` is when each did."""

    over: tuple[str, ...] = ()
    ends: tuple[float, ...] = ()

    @property
    def runs(self) -> tuple[str, ...]:
        """Those."""
        return self.over

    def add(self, run_dir: Path, *, ended_at: float, report: Callable[[str], None]) -> None:
        """One more, whatever is in it."""
        super().add(run_dir, ended_at=ended_at, report=report)
        self.over, self.ends = (*self.over, run_dir.name), (*self.ends, ended_at)

    def write(self, run_dir: Path) -> None:
        """As much as can be seen."""
        (run_dir / "earlier.csv").write_text("\n".join(self.over), encoding="utf-8")


def test_each_drill_looks_back_to_those_that_went_to_their_end(
    day: Day, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they asked for is kept with it, and AWS's own log is read on without a gap."""
    deployment = make_deployment(tmp_path, urls=URLS)
    day.take_place_on(deployment, Shocked)
    monkeypatch.setattr(gameday, "await_undone", lambda _: None)
    monkeypatch.setattr(gameday, "before_of", lambda _: Reach(heads={"aster": 5}))
    gathered: list[tuple[Reach, Earlier]] = []

    def gather(*_: object, before: Reach, earlier: Earlier, **__: object) -> None:
        gathered.append((before, earlier))

    monkeypatch.setattr(gameday, "collect", gather)
    day.day._earlier = kept = Kept()

    day.day.run()

    calm, dark, killed = (run_dir for _, run_dir, _ in day.day.results.verdicts)
    for run_dir, earlier in ((calm, []), (dark, [calm.name]), (killed, [calm.name])):
        manifest = json.loads((run_dir / "manifest.json").read_text())
        assert manifest["earlier"] == earlier
        assert (run_dir / "earlier.csv").read_text().split() == earlier
    began = json.loads((calm / "manifest.json").read_text())["started_at"]
    assert [log.read_from for log in day.logs] == [began, kept.ends[0], kept.ends[0]]
    assert gathered == [(Reach(heads={"aster": 5}), kept)] * 3


def test_an_interruption_leaves_the_drill_before_to_be_judged_later(day: Day) -> None:
    day.happens = {"rpc-dark": KeyboardInterrupt()}

    with pytest.raises(KeyboardInterrupt):
        day.day.run()

    assert day.judged() == []
    assert day.logs[0].is_abandoned
    [said] = [line for line in day.said if "is not judged" in line]
    assert said.startswith("calm is not judged; bin/seawall scorecard ")
    run_dir = Path(said.split()[6])
    assert json.loads((run_dir / "manifest.json").read_text())["ended_at"] is not None
