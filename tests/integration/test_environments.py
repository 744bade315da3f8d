"""The doctor and the policy check run for everyone: in every environment of the table."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.testing.environments import COMBINED, ENVIRONMENTS, Environment, Machine

pytestmark = pytest.mark.integration

TIMEOUT_S = 120.0
"""The first command of an account compiles what it imports."""


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Folders that all environments share."""
    machine = Machine()
    yield machine
    machine.remove()


def warnings(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what was written to standard error, except bash's own word on a missing locale."""
    return [
        line for line in done.stderr.splitlines() if not line.startswith("bash: warning: setlocale")
    ]


@pytest.mark.parametrize("environment", [*ENVIRONMENTS, *COMBINED], ids=lambda row: row.name)
def test_the_doctor_and_the_check_of_a_policy_pass(
    environment: Environment, machine: Machine
) -> None:
    if obstacle := machine.obstacle(environment):
        pytest.skip(obstacle)
    doctor = machine.run(environment, "doctor", "--json", timeout_s=TIMEOUT_S)
    assert doctor.returncode == 0, doctor.stderr or doctor.stdout
    assert warnings(doctor) == []
    assert all(part["ok"] for part in json.loads(doctor.stdout))

    check = machine.run(environment, "check", "policies/sandbox.yaml", timeout_s=TIMEOUT_S)
    assert check.returncode == 0, check.stderr or check.stdout
    assert warnings(check) == []
    assert check.stdout.startswith("policies/sandbox.yaml: good")
