"""The fault kms-dark with a real Toxiproxy and a real lease.

It is observed independently, and undone when any process that belongs to it dies.
"""

from __future__ import annotations

import http.client
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from chaos import actions
from chaos.session import FaultSession
from seawall.errors import ServiceError
from tests.testing.fault_harness import (
    CONFIGURATION,
    FAULT,
    SLACK_S,
    TTL_S,
    FaultHarness,
    first_line,
    harness,
    running,
    wait_for,
)
from tests.testing.venue_harness import HANGS_AFTER_S

__all__ = ["harness"]
pytestmark = pytest.mark.integration

APPLY = (
    "from chaos.actions import apply_fault, hold_fault; "
    f"given = ({FAULT!r}, {CONFIGURATION!r}); "
    "apply_fault(*given); print('dark', flush=True); "
)
FOR_EVER = "import time; time.sleep(60)"


@pytest.fixture
def here(harness: FaultHarness, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultHarness]:
    """The harness, with this process as the one that runs the experiment."""
    for name in ("SEAWALL_DEPLOYMENT", "SEAWALL_POLICY"):
        monkeypatch.setenv(name, harness.environment[name])
    for name in ("SEAWALL_RUNNER_PID", "SEAWALL_T_ZERO"):
        monkeypatch.delenv(name, raising=False)
    sessions: dict[tuple[str, str], FaultSession] = {}
    monkeypatch.setattr(actions, "_sessions", sessions)
    yield harness
    for session in sessions.values():
        session.close()


def test_the_region_hangs_for_old_and_new_connections_until_reverted(here: FaultHarness) -> None:
    """Applied, it silences open connections, too; reverted, even twice, the service answers.

    Each fact is recorded once, in order.
    """
    host, _, port = here.listen.rpartition(":")
    with closing(http.client.HTTPConnection(host, int(port))) as kept:
        kept.request("GET", "/v1/status")
        kept.getresponse().read()
        kept.sock.settimeout(0.3)

        actions.apply_fault(FAULT, CONFIGURATION)
        kept.request("GET", "/v1/status")
        with pytest.raises(TimeoutError):
            kept.getresponse()
    assert here.hangs()
    actions.hold_fault(FAULT, CONFIGURATION)
    actions.revert_fault(FAULT, CONFIGURATION)
    actions.revert_fault(FAULT, CONFIGURATION)

    assert not here.hangs()
    assert here.toxics == []
    facts = here.timeline("chaos")
    assert [fact["event"] for fact in facts] == [
        "fault.applied",
        "fault.effective",
        "fault.held",
        "fault.reverted",
        "fault.cleared",
    ]
    assert [fact["at"] for fact in facts] == sorted(fact["at"] for fact in facts)
    assert all(fact["detail"]["part"] == "kms.us-east-1" for fact in facts)
    assert facts[3]["at"] - facts[1]["at"] >= 2.5
    leases = [fact["event"] for fact in here.timeline("lease")]
    assert (leases[0], leases[-1]) == ("lodged", "released")


def test_the_death_of_the_process_that_applied_it_ends_it(harness: FaultHarness) -> None:
    """After `kill -9` the region answers within the lease's time to live and a second."""
    with running(sys.executable, "-c", APPLY + FOR_EVER, environment=harness.environment) as runner:
        assert first_line(runner) == "dark"
        time.sleep(TTL_S * 1.3)
        assert harness.hangs(), "a living owner keeps its fault beyond one time to live"
        runner.kill()
        wait_for(lambda: not harness.hangs(), within_s=TTL_S + SLACK_S)
    wait_for(lambda: harness.timeline("lease")[-1]["event"] == "expired", within_s=HANGS_AFTER_S)
    assert harness.timeline("lease")[-1]["detail"]["undone"] is True


def test_the_death_of_the_runner_ends_it_although_the_experiment_lives(
    harness: FaultHarness,
) -> None:
    """Renewal stops when the game day's process dies, and holding the fault then fails."""
    with running(sys.executable, "-c", FOR_EVER) as gameday:
        environment = harness.environment | {"SEAWALL_RUNNER_PID": str(gameday.pid)}
        held = APPLY + "hold_fault(*given); print('held')"
        with running(sys.executable, "-c", held, environment=environment) as experiment:
            assert first_line(experiment) == "dark"
            gameday.kill()  # and not reaped: a zombie is dead
            wait_for(lambda: not harness.hangs(), within_s=TTL_S + SLACK_S)
            assert first_line(experiment) == ""
            assert experiment.wait(HANGS_AFTER_S) == 1


@pytest.mark.parametrize("victim", ["holder", "sentinel"])
def test_the_death_of_a_lease_process_ends_it_at_once(harness: FaultHarness, victim: str) -> None:
    """The process that is left undoes it now, because nothing might be left to do it later."""
    with running(sys.executable, "-c", APPLY + FOR_EVER, environment=harness.environment) as runner:
        assert first_line(runner) == "dark"
        os.kill(
            httpx.get(f"{harness.lease}/leases", trust_env=False).json()[victim], signal.SIGKILL
        )
        wait_for(lambda: not harness.hangs(), within_s=SLACK_S)


def test_a_service_that_is_down_already_proves_nothing(here: FaultHarness) -> None:
    """The fault is not applied to what does not answer, and nothing is recorded."""
    here.venue.close()
    with pytest.raises(
        ServiceError,
        match=r"^kms\.us-east-1 was not seen clear within 3000 ms: .* refused or reset",
    ):
        actions.apply_fault(FAULT, CONFIGURATION)
    assert here.toxics == []
    assert here.timeline("chaos") == []
    with pytest.raises(ServiceError, match=r"^the fault kms-dark is not in force"):
        actions.hold_fault(FAULT, CONFIGURATION)
