"""The dark signing region, with a real Toxiproxy: seen from outside, undone whoever dies."""

from __future__ import annotations

import http.client
import os
import signal
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from chaos import actions
from chaos.session import FaultSession
from seawall.errors import ServiceError
from tests.testing.fault_harness import (
    EXPERIMENT,
    SLACK_S,
    TTL_S,
    Site,
    first_line,
    running,
    site,
    wait_for,
)

__all__ = ["site"]
pytestmark = pytest.mark.integration

APPLY = f"from chaos.actions import apply_fault, hold; apply_fault('kms-dark', '{EXPERIMENT}'); print('dark', flush=True); "
FOR_EVER = "import time; time.sleep(60)"


@pytest.fixture
def here(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The site, with this process as the one that runs the experiment."""
    for name in ("SEAWALL_DEPLOYMENT", "SEAWALL_POLICY"):
        monkeypatch.setenv(name, site.environment[name])
    for name in ("SEAWALL_RUNNER_PID", "SEAWALL_T_ZERO"):
        monkeypatch.delenv(name, raising=False)
    sessions: dict[str, FaultSession] = {}
    monkeypatch.setattr(actions, "_sessions", sessions)
    yield site
    for session in sessions.values():
        session.close()


def test_the_region_hangs_for_old_and_new_connections_until_reverted(here: Site) -> None:
    """Applied: silence, also on a connection that was open before. Reverted, twice: answers.

    Each fact is told once, in order.
    """
    host, _, port = here.listen.rpartition(":")
    kept = http.client.HTTPConnection(host, int(port), timeout=0.3)
    kept.request("GET", "/v1/status")
    kept.getresponse().read()

    actions.apply_fault("kms-dark", EXPERIMENT)
    kept.request("GET", "/v1/status")
    with pytest.raises(TimeoutError):
        kept.getresponse()
    kept.close()
    assert here.hangs()
    actions.hold("kms-dark", EXPERIMENT)
    actions.revert_fault("kms-dark", EXPERIMENT)
    actions.revert_fault("kms-dark", EXPERIMENT)

    assert not here.hangs()
    assert here.toxics == []
    told = here.timeline("chaos")
    assert [fact["event"] for fact in told] == [
        "fault.applied",
        "fault.effective",
        "fault.reverted",
        "fault.cleared",
    ]
    assert [fact["at"] for fact in told] == sorted(fact["at"] for fact in told)
    assert all(fact["detail"]["target"] == "kms.us-east-1" for fact in told)
    assert told[2]["at"] - told[1]["at"] >= 2.5
    leases = [fact["event"] for fact in here.timeline("lease")]
    assert (leases[0], leases[-1]) == ("lodged", "released")


def test_the_death_of_the_process_that_applied_it_ends_it(site: Site) -> None:
    """`kill -9`: the region answers within the lease's time to live and a second."""
    with running(sys.executable, "-c", APPLY + FOR_EVER, environment=site.environment) as runner:
        assert first_line(runner) == "dark"
        time.sleep(TTL_S * 1.3)
        assert site.hangs(), "a living owner keeps its fault beyond one time to live"
        runner.kill()
        wait_for(lambda: not site.hangs(), within_s=TTL_S + SLACK_S)
    wait_for(lambda: site.timeline("lease")[-1]["event"] == "expired", within_s=1)
    assert site.timeline("lease")[-1]["detail"]["undone"] is True


def test_the_death_of_the_runner_ends_it_although_the_experiment_lives(site: Site) -> None:
    """Renewal stops with the game day that the experiment belongs to, and holding the fault then
    fails.
    """
    with running(sys.executable, "-c", FOR_EVER) as gameday:
        environment = site.environment | {"SEAWALL_RUNNER_PID": str(gameday.pid)}
        held = APPLY + f"hold('kms-dark', '{EXPERIMENT}'); print('held')"
        with running(sys.executable, "-c", held, environment=environment) as experiment:
            assert first_line(experiment) == "dark"
            gameday.kill()  # and not reaped: a zombie is dead
            wait_for(lambda: not site.hangs(), within_s=TTL_S + SLACK_S)
            assert first_line(experiment) == ""
            assert experiment.wait(5) == 1


@pytest.mark.parametrize("victim", ["holder", "sentinel"])
def test_the_death_of_a_lease_process_ends_it_at_once(site: Site, victim: str) -> None:
    """Without anyone left to undo it later, it is undone now."""
    with running(sys.executable, "-c", APPLY + FOR_EVER, environment=site.environment) as runner:
        assert first_line(runner) == "dark"
        os.kill(httpx.get(f"{site.lease}/leases", trust_env=False).json()[victim], signal.SIGKILL)
        wait_for(lambda: not site.hangs(), within_s=SLACK_S)


def test_a_service_that_is_down_already_proves_nothing(here: Site) -> None:
    """The fault is not applied to what does not answer, and nothing is told."""
    here.venue.close()
    with pytest.raises(
        ServiceError,
        match=r"^kms\.us-east-1 was not seen clear within 3000 ms: .* refused or reset",
    ):
        actions.apply_fault("kms-dark", EXPERIMENT)
    assert here.toxics == []
    assert here.timeline("chaos") == []
    with pytest.raises(ServiceError, match=r"^the fault kms-dark is not in force"):
        actions.hold("kms-dark", EXPERIMENT)
