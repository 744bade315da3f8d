"""Fixtures that start real parts for integration tests, each on free loopback ports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.testing.anvil import AnvilStarter, anvil_starter
from tests.testing.venue_harness import (
    HANGS_AFTER_S,
    database_url,
    founded,
    founded_template,
    new_database,
    postgres_server,
)

LONGEST_FILES = (
    "test_stack_lifecycle.py",
    "test_settler.py",
    "test_crash_points.py",
    "test_crash_points_of_signers.py",
    "test_environments.py",
    "test_restore.py",
    "test_held.py",
    "test_approvals.py",
    "test_surplus.py",
    "test_restoration.py",
    "test_treasury.py",
    "test_flood.py",
    "test_stack_failures.py",
    "test_change_review.py",
    "test_event_history.py",
    "test_experiment.py",
    "test_stack.py",
    "test_stack_drift.py",
    "test_refused_stack.py",
    "test_operator.py",
    "test_database_lost.py",
    "test_reconcile.py",
    "test_faults_of_signing.py",
    "test_api.py",
    "test_second_venue.py",
    "test_sandbox.py",
)
"""They start first, so that no worker begins a long file when the others have nothing left."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; the others stay in their order."""
    rank = {name: number for number, name in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(autouse=True, scope="session")
def _patient_with_nodes() -> Iterator[None]:
    """What a test itself asks of a node may take as long as only a hang does.

    Settlers leave a node that does not answer within 1.5 s; beside other workers one
    that answers may take longer. Processes of the venue keep to their own time.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seawall.ethereum.rpc.TIMEOUT_S", HANGS_AFTER_S)
        yield


@pytest.fixture
def start_anvil() -> Iterator[AnvilStarter]:
    """Starts an anvil and returns its URL."""
    with ExitStack() as running:
        yield anvil_starter(running)


__all__ = [
    "database_url",
    "founded",
    "founded_template",
    "new_database",
    "postgres_server",
]  # fixtures of a founded venue, for pytest to find
