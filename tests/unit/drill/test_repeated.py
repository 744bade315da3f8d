"""A game day may have the same drill several times, and each run of it has a name of its own."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from rich.console import Console

from seawall.drill.gameday import Request, make_request
from seawall.policy.rules.drills import drills
from seawall.policy_file import load_policy
from tests.testing.gameday_harness import Day

CALM = ("calm",) * 5
POLICY_FILE = Path("policies/sandbox.yaml")

pytestmark = pytest.mark.usefixtures("programs_asked_once")


def request_of(*names: str) -> Request:
    return make_request(
        root=Path.cwd(),
        policy_path=POLICY_FILE,
        name=None,
        drills=names,
        seed=1,
        sabotage=None,
        keep=False,
    )


def test_five_calm_days_in_a_row_are_drilled_each_under_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the folder of runs, in JUnit, in the report, for machines and for people."""
    day = Day(request_of(*CALM), tmp_path, monkeypatch)

    day.day.run()

    names = [f"calm-{number}" for number in range(1, 6)]
    assert day.judged() == names
    runs = [run_dir for _, run_dir, _ in day.day.results.verdicts]
    assert [run.name.split("-", 2)[2] for run in runs] == names
    for number, run in enumerate(runs, start=1):
        manifest = json.loads((run / "manifest.json").read_text())
        assert (manifest["drill"], manifest["repetition"], manifest["repetitions"]) == (
            "calm",
            number,
            5,
        )
        suites = ET.parse(run / "junit.xml").getroot()  # noqa: S314 - we wrote it
        assert suites.get("name") == f"seawall.calm-{number}"
        assert {str(case.get("classname")).split(".")[1] for case in suites.iter("testcase")} == {
            f"calm-{number}"
        }
        assert f"<b>calm</b>, repetition {number} of 5" in (run / "report.html").read_text()
    document = day.day.results.document()
    assert [each["drill"] for each in document["drills"]] == names
    assert {each["identity"]["drill"] for each in document["drills"]} == {"calm"}
    console = Console(width=200, record=True, file=io.StringIO())
    day.day.results.print(console)
    last = console.export_text().splitlines()[-6:]
    assert [line.split()[1] for line in last] == [*names, "all"]


def test_a_drill_that_is_run_once_has_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = Day(request_of("calm", "rpc-dark", "calm"), tmp_path, monkeypatch)

    day.day.run()

    assert day.judged() == ["calm-1", "rpc-dark", "calm-2"]
    [_, (_, run, _), _] = day.day.results.verdicts
    assert "repetition" not in (run / "report.html").read_text()


def test_a_game_day_of_the_policy_may_repeat_a_drill() -> None:
    policy = load_policy(POLICY_FILE)
    day = policy.gamedays[0].model_copy(update={"drills": CALM})

    assert list(drills(policy.model_copy(update={"gamedays": (day,)}))) == []
