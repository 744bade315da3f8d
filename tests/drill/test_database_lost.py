"""The database of a sandbox is lost under load, through the command line."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from seawall.conventions.components import POSTGRES_PROXY
from seawall.processes.postgres import look
from tests.testing.drill_kit import (
    GameDay,
    details_of,
    drill_result,
    not_passed,
    pays_a_withdrawal,
    seawall,
    until,
    verdict_of,
)

pytestmark = [pytest.mark.drill, pytest.mark.nightly]

SEED = "20250221"
RESTORED_WITHIN_S = 120.0
"""Only a restoration that hangs takes that long; the policy's target is a minute."""


@pytest.mark.measured
def test_nothing_acknowledged_is_lost_and_payments_go_on_in_time() -> None:
    code, result = drill_result("database-lost", "--seed", SEED)

    assert (code, not_passed(result)) == (0, {})
    run_dir = Path(result["run"])
    [restoration] = [each for each in verdict_of(run_dir)["times"] if each["id"] == "restoration"]
    assert restoration["outcome"] == "PASS"
    assert details_of(result, "database.rpo") == []
    steps = [moment["name"] for moment in restoration["moments"]]
    assert any(step.startswith("the log is applied up to") for step in steps), steps
    assert any(step.startswith("catch-up: generation 1 begins") for step in steps), steps


@pytest.mark.measured
def test_without_the_stream_every_withdrawal_that_is_lost_is_listed() -> None:
    """That exactly the declared checks fail is asked with the other sabotages."""
    code, result = drill_result("database-lost", "--seed", SEED, "--sabotage", "wal-stream")

    assert code == 1, not_passed(result)
    lost = details_of(result, "database.rpo")
    assert len(lost) > 100
    assert any(each.endswith("the chain has paid it") for each in lost)
    assert all("before the loss; " in each for each in lost)


def test_a_kept_sandbox_has_its_database_again_although_the_runner_was_killed(
    tmp_path: Path,
) -> None:
    """Killed in the middle of the restoration, with everything that belongs to the run."""
    seawall("down")
    game_day = GameDay.start(
        "--seed", SEED, "--keep", log=tmp_path / "out.txt", command=("drill", "database-lost")
    )
    try:
        game_day.wait_for("fault.undoing")
        database = game_day.targets()["proxies"][POSTGRES_PROXY]["listen"]
        assert look(database) == "gone"
        game_day.runner.send_signal(signal.SIGKILL)
        game_day.runner.wait(timeout=5)
        until(
            lambda: look(database) == "serving" or None,
            within_s=RESTORED_WITHIN_S,
            what="the database serving again",
        )
        pays_a_withdrawal(game_day)
    finally:
        game_day.end()
        seawall("down")
