"""The default game day and its sabotages through the command line: what the product promises."""

from __future__ import annotations

import csv
import functools
import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from seawall.conventions.sabotage import SABOTAGE_RPC_FAILOVER
from seawall.drill.sabotage import controls_of
from seawall.policy_file import load_policy
from seawall.scorecard import fails_without
from tests.testing.drill_kit import (
    POLICY_PATH,
    ROOT,
    Command,
    GameDay,
    latest_run,
    measured,
    processes_of,
    read_json,
    run_directories,
    run_id_of,
    scorecard_of,
    seawall,
    verdict_of,
)
from tests.testing.environments import COMPANY, CONTAINER, PLAIN, Environment, Machine
from tests.testing.nightly import repetitions

pytestmark = pytest.mark.drill

SEED = "20250221"
DRILLS = load_policy(POLICY_PATH).drills
TIMEOUT_S = 900.0


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Folders that the environments share."""
    machine = Machine()
    yield machine
    machine.remove()


def within(machine: Machine, environment: Environment) -> tuple[Command, Path]:
    """``bin/seawall`` in an environment, and where its runs are; a plain one if it must be."""
    if machine.obstacle(environment):
        environment = PLAIN
    run = functools.partial(machine.run, environment, timeout_s=TIMEOUT_S)
    return run, machine.runs(environment)


@pytest.fixture(scope="module")
def healthy(machine: Machine) -> tuple[subprocess.CompletedProcess[str], Path]:
    """The default game day, once for two tests: what it printed, and its directory.

    Of another user, with all settings of a company that could disturb it.
    """
    run, runs = within(machine, COMPANY)
    done = measured("gameday", "--seed", SEED, run=run, runs=runs)
    return done, latest_run(runs)


@pytest.mark.measured
def test_a_healthy_venue_passes_and_leaves_its_evidence(
    healthy: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    """Exit 0, all files of a run, a report that needs nothing else, and no process left behind."""
    done, run_dir = healthy

    assert done.returncode == 0, done.stdout + done.stderr
    verdict = verdict_of(run_dir)
    assert verdict["outcome"] == "PASS"
    assert verdict["failed"] == verdict["unknown"] == []
    assert len(scorecard_of(run_dir)["checks"]) > 20
    assert "PASS" in done.stdout.strip().splitlines()[-1]
    report = (run_dir / "report.html").read_text(encoding="utf-8")
    assert "<svg" in report
    assert 'src="http' not in report
    for name in (
        "manifest.json",
        "timeline.jsonl",
        "chaos-journal.json",
        "requests.csv",
        "reads.csv",
        "metrics.json",
        "scorecard.json",
        "junit.xml",
    ):
        assert (run_dir / name).stat().st_size > 0, name
    assert processes_of(run_id_of(run_dir)) == []


def test_the_scorecard_judges_a_run_again_and_calls_a_truncated_one_unknown(
    healthy: tuple[subprocess.CompletedProcess[str], Path], tmp_path: Path
) -> None:
    """The verdict follows from the files alone.

    It is the same for a copy, and UNKNOWN after a file of the copy is cut short.
    """
    if healthy[0].returncode != 0:
        pytest.skip("the game day did not pass, of which the test before this one says more")
    copy = shutil.copytree(healthy[1], tmp_path / "run")

    again = seawall("scorecard", str(copy), "--json")

    assert again.returncode == 0, again.stdout + again.stderr

    requests = copy / "requests.csv"
    requests.write_bytes(requests.read_bytes()[: requests.stat().st_size // 2])

    cut = seawall("scorecard", str(copy), "--json")

    assert cut.returncode == 2, cut.stdout + cut.stderr
    assert json.loads(cut.stdout)["outcome"] == "UNKNOWN"
    assert "requests.csv" in json.dumps(scorecard_of(copy)["checks"])
    assert "Traceback" not in cut.stdout + cut.stderr


def _covered() -> list[tuple[str, list[str]]]:
    """Every control with all drills of the policy that cover it; the first is in `make test`.

    One sandbox has money for one run on the bank.
    """
    found: dict[tuple[str, str], list[str]] = {(SABOTAGE_RPC_FAILOVER, ""): []}
    for name, drill in DRILLS.items():
        for control in controls_of(drill):
            alone = name if drill.expects.reaches else ""
            found.setdefault((control, alone), []).append(name)
    return [(control, drills) for (control, _), drills in found.items()]


@pytest.mark.measured
@pytest.mark.parametrize(("sabotage", "drills"), repetitions(_covered(), keep=1))
def test_a_control_that_is_switched_off_fails_exactly_the_checks_that_it_carries(
    sabotage: str, drills: list[str], machine: Machine
) -> None:
    """A drill that cannot fail proves nothing.

    Same seed, one control off: exit 1, and only the declared ids fail. As in a container.
    """
    run, runs = within(machine, CONTAINER)
    before = run_directories(runs)

    done = run("drill", *drills, "--seed", SEED, "--sabotage", sabotage)

    assert done.returncode == 1, done.stdout + done.stderr
    made = run_directories(runs) - before
    failed = {read_json(each / "manifest.json")["drill"]: verdict_of(each) for each in made}
    assert {name: set(verdict["failed"]) for name, verdict in failed.items()} == {
        name: fails_without(sabotage, DRILLS[name]) for name in drills
    }
    assert [pid for each in made for pid in processes_of(run_id_of(each))] == []


@pytest.mark.measured
@pytest.mark.nightly
def test_one_customer_alone_forces_no_tier() -> None:
    """It asks for more than everybody else together; most of that is refused, and said why."""
    done = measured("drill", "one-customer", "--seed", SEED)

    assert done.returncode == 0, done.stdout + done.stderr
    run_dir = latest_run()
    assert verdict_of(run_dir)["outcome"] == "PASS"
    with (run_dir / "requests.csv").open(encoding="utf-8", newline="") as file:
        refused = Counter(row["error"] for row in csv.DictReader(file) if row["error"])
    assert set(refused) == {"value_limit_reached"}
    assert refused["value_limit_reached"] > 1_000


@pytest.mark.nightly  # that a component's death is found and named is an integration test, too
def test_a_component_that_dies_by_itself_makes_the_verdict_unknown_and_is_named(
    tmp_path: Path,
) -> None:
    """The mode controller dies in the middle of the run.

    Nothing is proven, and the report says who died, with its last words.
    """
    game_day = GameDay.start("--seed", "11", log=tmp_path / "out.txt")
    try:
        game_day.wait_for("run.started")
        os.kill(game_day.targets()["processes"]["mode-controller"]["pid"], signal.SIGKILL)
        code = game_day.runner.wait(timeout=240)
    finally:
        game_day.end()

    assert code == 2, game_day.printed()
    assert verdict_of(game_day.run_dir)["outcome"] == "UNKNOWN"
    assert "mode-controller" in json.dumps(scorecard_of(game_day.run_dir)["checks"])
    assert "mode-controller" in game_day.printed()


def test_a_broken_policy_is_refused_with_every_problem_and_nothing_is_started(
    tmp_path: Path,
) -> None:
    """Several mistakes, several lines, exit 3, no run directory."""
    policy = (ROOT / "policies" / "production.yaml").read_text(encoding="utf-8")
    broken = tmp_path / "broken.yaml"
    broken.write_text(
        policy.replace("failover_max: 30s", "failover_max: soon").replace(
            "standby: us-west-2}", "standby: us-east-1}", 1
        ),
        encoding="utf-8",
    )
    before = run_directories()

    done = seawall("gameday", "--policy", str(broken))

    assert done.returncode == 3
    assert "targets.failover_max" in done.stderr
    assert run_directories() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["gameday", "--sabotage", "everything"],
        ["gameday", "--seed", "soon"],
        ["flod"],
        ["scorecard", "no-such-run"],
    ],
)
def test_a_usage_error_is_three_and_says_what_to_do(arguments: list[str]) -> None:
    """Click's default of 2 would read as UNKNOWN."""
    done = seawall(*arguments)

    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


def test_a_machine_that_cannot_hold_a_sandbox_is_unfit(tmp_path: Path) -> None:
    """A cache directory that is a file: one clear line and exit 4."""
    (tmp_path / "seawall").write_text("", encoding="utf-8")

    done = seawall("doctor", env={"XDG_CACHE_HOME": str(tmp_path)})

    assert done.returncode == 4, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
