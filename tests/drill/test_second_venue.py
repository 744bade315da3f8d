"""A venue that the kit knows by its deployment file and mapping alone is drilled and judged."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from seawall.scorecard.checks import FLOOR
from seawall.scorecard.checks.reads import SHOWN as READS
from tests.testing.drill_kit import ROOT, SEAWALL, seawall, until
from tests.testing.endpoints import serving
from tests.testing.second_venue.config import Vice
from tests.testing.second_venue_harness import SecondVenue, second_venue
from tests.testing.second_venue_policy import write_policy

pytestmark = pytest.mark.drill


@contextmanager
def venue(folder: Path, vice: Vice = "none", **changes: Any) -> Iterator[SecondVenue]:
    """The second venue with its own policy; ``changes`` replace sections of that."""
    policy = write_policy(folder, **changes)
    with second_venue(folder / "venue", policy_file=policy, vice=vice, vice_every=10) as made:
        again = made.deployment.model_copy(update={"runs": folder / "runs"})
        again.write()
        yield replace(made, deployment=again)


def drilled(made: SecondVenue, *names: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of these drills on the venue."""
    done = seawall("drill", *names, "--deployment", str(made.deployment_file), "--json")
    print(done.stderr[-6000:])
    document: dict[str, Any] = json.loads(done.stdout)
    for drill in document["drills"]:
        print(json.dumps({key: drill[key] for key in ("sentence", "checks")}, indent=1))
    return done.returncode, document


def test_an_honest_venue_passes_and_says_what_is_not_claimed(tmp_path: Path) -> None:
    with venue(tmp_path) as made:
        code, document = drilled(made, "calm")
    assert (code, document["outcome"]) == (0, "PASS")
    [calm] = document["drills"]
    _says_what_a_calm_day_cannot_claim(calm)
    assert Path(calm["run"]).parent == tmp_path / "runs"


@pytest.mark.nightly  # `make test` drills a calm day, and kills an api in the drill that is stopped
def test_an_honest_venue_passes_although_its_api_is_killed(tmp_path: Path) -> None:
    """One drill after another on the same stack."""
    with venue(tmp_path) as made:
        code, document = drilled(made, "calm", "api-killed")
    assert (code, document["outcome"]) == (0, "PASS")
    calm, killed = document["drills"]
    _says_what_a_calm_day_cannot_claim(calm)
    assert set(killed["checks"]) == FLOOR | set(READS)
    assert killed["not_claimed"]["safety.old_epoch"] == ["mode_changes", "signatures"]
    _counts_claims(killed)


def _says_what_a_calm_day_cannot_claim(calm: dict[str, Any]) -> None:
    assert set(calm["checks"]) == (FLOOR - {"drill.fault_length", "drill.fault_landed"}) | {
        "stress.small_completed",
        *READS,
    }
    assert calm["not_claimed"]["safety.ledger_sums_zero"] == ["ledger"]
    _counts_claims(calm)


def _counts_claims(drill: dict[str, Any]) -> None:
    count, unclaimed = len(drill["checks"]), len(drill["not_claimed"])
    assert f"{count} of {count + unclaimed} checks are claimed and hold" in drill["sentence"]
    assert drill["identity"]["kind"] == "staging"


@pytest.mark.parametrize(
    ("vice", "failed"),
    [
        ("pays-twice", {"customer.paid_once"}),
        pytest.param(
            "loses",
            {"customer.followed", "stress.small_completed", "reads.follow"},
            marks=pytest.mark.nightly,
        ),
        pytest.param("blanks", {"reads.balances"}, marks=pytest.mark.nightly),
        pytest.param(
            "lies", {"customer.told_truth", "stress.small_completed"}, marks=pytest.mark.nightly
        ),
    ],
)
def test_a_venue_that_cheats_its_customers_is_caught(
    vice: Vice, failed: set[str], tmp_path: Path
) -> None:
    with venue(tmp_path, vice) as made:
        code, document = drilled(made, "calm")
    assert (code, document["outcome"]) == (1, "FAIL")
    [calm] = document["drills"]
    assert {check for check, outcome in calm["checks"].items() if outcome == "FAIL"} == failed


class Prometheus:
    """Answers every query with one value, which the test sets."""

    def __init__(self) -> None:
        self.value = 0

    def __call__(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """One series, or none of a range."""
        result = [] if "query_range" in path else [{"value": [0, str(self.value)]}]
        return 200, {"data": {"result": result}}


def events(run: Path) -> dict[str, float]:
    """When each event stands in the timeline of a run."""
    path = run / "timeline.jsonl"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    whole = text[: text.rfind("\n") + 1].splitlines()
    return {event["event"]: event["at"] for event in map(json.loads, whole)}


def test_a_stop_condition_ends_fault_and_flood_at_once_and_a_second_drill_is_refused(
    tmp_path: Path,
) -> None:
    """Tripped while the api is down: the drill ends, the api is back, and nothing is proven."""
    prometheus = Prometheus()
    stop = {"drift": {"query": "max(ledger_drift)", "above": "0"}}
    with venue(tmp_path, stop_conditions=stop) as made, serving(prometheus) as url:
        deployment = made.deployment
        urls = deployment.urls.model_copy(update={"prometheus": url})
        deployment.model_copy(update={"urls": urls}).write()
        command = [str(SEAWALL), "drill", "api-killed", "--json"]
        runner = subprocess.Popen(
            [*command, "--deployment", str(made.deployment_file)], stdout=subprocess.PIPE, cwd=ROOT
        )
        try:
            run = until(
                lambda: next((tmp_path / "runs").glob("*-api-killed"), None),
                within_s=60,
                what="a run directory",
            )
            # In the calm: the command takes seconds, and the fault lasts three.
            until(lambda: events(run).get("calm.started"), within_s=120, what="the calm")
            second = seawall("drill", "calm", "--deployment", str(made.deployment_file))
            assert second.returncode == 3
            assert "another drill runs on second (process" in second.stderr
            until(lambda: events(run).get("fault.effective"), within_s=120, what="the fault")
            prometheus.value = 7
            tripped_at = time.time()
            output, _ = runner.communicate(timeout=120)
        finally:
            if runner.poll() is None:
                runner.kill()
        assert httpx.get(f"{made.api_url}/service", trust_env=False).status_code == 200
    assert runner.returncode == 2
    [drill] = json.loads(output)["drills"]
    assert drill["outcome"] == "UNKNOWN"
    assert (
        "the stop condition drift holds: max(ledger_drift) is 7, more than 0" in drill["sentence"]
    )
    found = events(run)
    assert tripped_at < found["stopped"] < tripped_at + 3
    assert tripped_at < found["fault.cleared"] < tripped_at + 6
    flood = json.loads((run / "flood.json").read_text())
    assert flood["run"]["missed"] > flood["run"]["sent"]
