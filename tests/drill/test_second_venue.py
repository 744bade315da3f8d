"""A venue that the kit knows by its deployment file and mapping alone is drilled and judged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from seawall.scorecard.checks import FLOOR
from tests.testing.drill_kit import seawall
from tests.testing.second_venue.config import Vice
from tests.testing.second_venue_harness import SecondVenue, second_venue
from tests.testing.second_venue_policy import write_policy

pytestmark = pytest.mark.drill


@contextmanager
def venue(folder: Path, vice: Vice = "none", **changes: Any) -> Iterator[SecondVenue]:
    """The second venue with its own policy; ``changes`` replace sections of that."""
    policy = write_policy(folder, **changes)
    with second_venue(folder / "venue", policy_file=policy, vice=vice, vice_every=10) as made:
        made.deployment.model_copy(update={"runs": folder / "runs"}).write()
        yield made


def drilled(made: SecondVenue, *names: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of these drills on the venue."""
    done = seawall("drill", *names, "--deployment", str(made.deployment_file), "--json")
    print(done.stderr[-6000:])
    document: dict[str, Any] = json.loads(done.stdout)
    for drill in document["drills"]:
        print(json.dumps({key: drill[key] for key in ("sentence", "checks")}, indent=1))
    return done.returncode, document


def test_an_honest_venue_passes_and_says_what_is_not_claimed(tmp_path: Path) -> None:
    """Calm and with its api killed, one after another on the same stack."""
    with venue(tmp_path) as made:
        code, document = drilled(made, "calm", "api-killed")
    assert (code, document["outcome"]) == (0, "PASS")
    calm, killed = document["drills"]
    assert set(calm["checks"]) == (FLOOR - {"drill.fault_length", "drill.fault_landed"}) | {
        "stress.small_completed"
    }
    assert set(killed["checks"]) == FLOOR
    assert calm["not_claimed"]["safety.ledger_sums_zero"] == ["ledger"]
    assert killed["not_claimed"]["recovery.time"] == ["withdrawals", "mode_changes"]
    for drill in (calm, killed):
        count, unclaimed = len(drill["checks"]), len(drill["not_claimed"])
        assert f"{count} of {count + unclaimed} checks are claimed and hold" in drill["sentence"]
        assert drill["identity"]["kind"] == "staging"
    assert Path(calm["run"]).parent == tmp_path / "runs"


@pytest.mark.parametrize(
    ("vice", "failed"),
    [
        ("pays-twice", {"customer.paid_once"}),
        pytest.param(
            "loses", {"customer.followed", "stress.small_completed"}, marks=pytest.mark.nightly
        ),
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
