"""The database is lost by one handle, restored by another, and looked at past both."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from chaos.faults import Fault, RestoredFault, make_fault
from chaos.noop import Noop
from seawall.conventions.components import DATABASE_TARGET
from seawall.errors import ServiceError, UsageError
from seawall.lease import UndoCall
from tests.testing.deployments import NOTHING, make_deployment
from tests.testing.procedures import Database, served

WITHIN_S = 10.0


def lost(folder: Path, *, address: str, control: str, **parameters: str) -> RestoredFault:
    deployment = make_deployment(folder, database={"address": address, "control": control})
    fault = make_fault(
        "database-lost",
        target=DATABASE_TARGET,
        parameters=parameters,
        deployment=deployment,
        blast_radius=(DATABASE_TARGET,),
    )
    assert isinstance(fault, RestoredFault)
    return fault


def until(fault: Fault, state: str) -> None:
    give_up = time.monotonic() + WITHIN_S
    while (seen := fault.observe()).state != state:
        assert time.monotonic() < give_up, seen
        time.sleep(0.02)


def test_it_is_lost_restored_and_seen_at_its_own_address(tmp_path: Path) -> None:
    """A restoration that failed is begun again by whoever repeats the undo, as a lease does."""
    database = Database(fails=1)
    with served(database.procedure) as control:
        fault = lost(tmp_path, address=database.address, control=f"{control}/")
        fault.revert(within_ms=1_000)  # what an earlier run left, and nothing did
        until(fault, "clear")
        fault.apply()
        until(fault, "effective")
        with pytest.raises(ServiceError, match="refused to lose it: HTTP 409"):
            fault.apply()
        fault.begin_undo()
        fault.begin_undo()
        fault.revert(within_ms=10_000)
        until(fault, "clear")
        account = fault.account()

    assert account is not None
    assert account["failure"] is None
    said = [step["said"] for step in account["steps"]]
    assert said[0] == "lost"
    assert "failed: the log has a gap" in said
    assert said[-2:] == ["the log is applied", "restored"]


def test_a_lease_keeps_one_call_that_is_done_when_the_database_is_back(tmp_path: Path) -> None:
    fault = lost(tmp_path, address="127.0.0.1:1", control=f"{NOTHING}/database")
    assert fault.undo() == (UndoCall(method="POST", url=f"{NOTHING}/database/restore"),)
    assert (fault.reaches, fault.procedure_ms) == ((DATABASE_TARGET,), 180_000)
    assert (
        lost(tmp_path, address="127.0.0.1:1", control=NOTHING, restored_within="90s").procedure_ms
        == 90_000
    )
    with pytest.raises(ServiceError, match="did not lose it"):
        fault.apply()
    account = fault.account()
    assert account is not None
    assert "it gives no account" in account["failure"]


def test_its_sibling_touches_nothing(tmp_path: Path) -> None:
    database = Database()
    with served(database.procedure) as control:
        noop = Noop(lost(tmp_path, address=database.address, control=control))
        noop.apply()
        assert noop.observe().state == "effective"
        assert database.procedure.state == "whole"
        noop.revert(within_ms=1_000)
        assert noop.observe().state == "clear"
        assert not isinstance(noop, RestoredFault), "its undo takes no time"


def test_a_deployment_without_handles_cannot_lose_its_database(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names no database with handles"):
        make_fault(
            "database-lost",
            target=DATABASE_TARGET,
            parameters={},
            deployment=make_deployment(tmp_path),
            blast_radius=(DATABASE_TARGET,),
        )
    with pytest.raises(UsageError, match="restored_within"):
        lost(tmp_path, address="127.0.0.1:1", control=NOTHING, restored_within="soon")
