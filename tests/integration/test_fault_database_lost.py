"""The loss of a database under a real lease: whoever dies meanwhile, it is restored.

The database and the procedure that restores it are the test's.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator

import pytest

from chaos import actions
from chaos.session import FaultSession
from seawall.conventions.components import DATABASE_TARGET
from seawall.formats.deployment import DEPLOYMENT_FILE
from seawall.processes.postgres import look
from tests.testing.fault_harness import (
    CONFIGURATION,
    SLACK_S,
    TTL_S,
    FaultHarness,
    first_line,
    harness,
    running,
    wait_for,
)
from tests.testing.procedures import Database, served

__all__ = ["harness"]
pytestmark = pytest.mark.integration

TAKES_S = 1.5
"""Longer than a lease's holder waits for one call."""
LOST = {
    "fault": "database-lost",
    "target": DATABASE_TARGET,
    "parameters": {"restored_within": "20s"},
    "after_ms": 200,
    "length_ms": 1_000,
}
DRILL = CONFIGURATION | {"blast_radius": [DATABASE_TARGET]}
APPLY = (
    "from chaos.actions import apply_fault, hold_fault; "
    f"given = ({LOST!r}, {DRILL!r}); "
    "apply_fault(*given); print('lost', flush=True); "
)


@pytest.fixture
def database(harness: FaultHarness) -> Iterator[Database]:
    """A database that the harness's deployment file names."""
    made = Database(takes_s=TAKES_S)
    file = harness.folder / DEPLOYMENT_FILE
    with served(made.procedure) as control:
        found = json.loads(file.read_text(encoding="utf-8"))
        found["database"] = {"address": made.address, "control": control}
        file.write_text(json.dumps(found), encoding="utf-8")
        yield made


def test_it_is_in_force_until_the_procedure_has_ended(
    harness: FaultHarness, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SEAWALL_DEPLOYMENT", "SEAWALL_POLICY"):
        monkeypatch.setenv(name, harness.environment[name])
    for name in ("SEAWALL_RUNNER_PID", "SEAWALL_T_ZERO"):
        monkeypatch.delenv(name, raising=False)
    sessions: dict[tuple[str, str], FaultSession] = {}
    monkeypatch.setattr(actions, "_sessions", sessions)

    actions.apply_fault(LOST, DRILL)
    assert look(database.address) == "gone"
    actions.hold_fault(LOST, DRILL)
    assert look(database.address) == "serving"
    actions.revert_fault(LOST, DRILL)
    actions.revert_fault(LOST, DRILL)
    for session in sessions.values():
        session.close()

    facts = harness.timeline("chaos")
    assert [fact["event"] for fact in facts] == [
        "fault.applied",
        "fault.effective",
        "fault.undoing",
        "fault.held",
        "fault.reverted",
        "fault.cleared",
    ]
    held = facts[3]["detail"]
    assert facts[3]["at"] - facts[1]["at"] >= 1 + TAKES_S
    assert (held["clear"], held["effective"]) == (0, held["samples"])
    assert held["samples"] > 10
    said = [step["said"] for step in facts[4]["detail"]["procedure"]["steps"]]
    assert said == ["lost", "the restoration begins", "the log is applied", "restored"]
    leases = [fact["event"] for fact in harness.timeline("lease")]
    assert (leases[0], leases[-1]) == ("lodged", "released")


@pytest.mark.parametrize("then", ["import time; time.sleep(60)", "hold_fault(*given)"])
def test_it_is_restored_although_whoever_lost_it_was_killed(
    harness: FaultHarness, database: Database, then: str
) -> None:
    """Before the procedure was begun, or in the middle of it: the lease's holder has it done."""
    with running(sys.executable, "-c", APPLY + then, environment=harness.environment) as runner:
        assert first_line(runner) == "lost"
        if "hold" in then:
            wait_for(lambda: database.procedure.state == "restoring", within_s=10)
        else:
            time.sleep(TTL_S * 1.3)
            assert database.procedure.state == "lost", "a living owner keeps its fault"
        runner.kill()
        wait_for(lambda: look(database.address) == "serving", within_s=TTL_S + TAKES_S + SLACK_S)
    wait_for(lambda: harness.timeline("lease")[-1]["event"] == "expired", within_s=TTL_S + SLACK_S)
    assert harness.timeline("lease")[-1]["detail"]["undone"] is True
    steps = [step.said for step in database.procedure.steps]
    assert steps.count("the restoration begins") == 1
