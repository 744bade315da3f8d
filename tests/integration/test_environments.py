"""The doctor and the policy check run for everyone: in every environment of the table.

Where several peculiarities meet, the sandbox's whole policy is checked, and `make test` does no
more. Elsewhere it is one with a single drill, because planning fifteen floods takes seconds and
shows nothing of an environment.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.testing.environments import COMBINED, ENVIRONMENTS, ROOT, Environment, Machine
from tests.testing.nightly import repetitions

pytestmark = pytest.mark.integration

WHOLE = "policies/sandbox.yaml"
DRILL = "calm"
TIMEOUT_S = 120.0
"""The first command of an account compiles what it imports."""


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Folders that all environments share."""
    machine = Machine()
    yield machine
    machine.remove()


@pytest.fixture(scope="module")
def with_one_drill(machine: Machine) -> Path:
    """A policy that every account may read."""
    policy = yaml.safe_load((ROOT / "policies" / "production.yaml").read_text(encoding="utf-8"))
    policy["drills"] = {DRILL: policy["drills"][DRILL]}
    policy["gamedays"] = [{**policy["gamedays"][0], "drills": [DRILL]}]
    policy["readiness"] = [each for each in policy["readiness"] if each["drill"] == DRILL]
    path = machine.folder / "with-one-drill.yaml"
    path.write_text(yaml.safe_dump(policy, sort_keys=False), encoding="utf-8")
    return path


def warnings(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what was written to standard error, except bash's own word on a missing locale."""
    return [
        line for line in done.stderr.splitlines() if not line.startswith("bash: warning: setlocale")
    ]


@pytest.mark.parametrize(
    "environment",
    repetitions([*COMBINED, *ENVIRONMENTS], keep=len(COMBINED)),
    ids=lambda row: row.name,
)
def test_the_doctor_and_the_check_of_a_policy_pass(
    environment: Environment, machine: Machine, with_one_drill: Path
) -> None:
    if obstacle := machine.obstacle(environment):
        pytest.skip(obstacle)
    doctor = machine.run(environment, "doctor", "--json", timeout_s=TIMEOUT_S)
    assert doctor.returncode == 0, doctor.stderr or doctor.stdout
    assert warnings(doctor) == []
    assert all(part["ok"] for part in json.loads(doctor.stdout))

    policy = WHOLE if environment in COMBINED else str(with_one_drill)
    check = machine.run(environment, "check", policy, timeout_s=TIMEOUT_S)
    assert check.returncode == 0, check.stderr or check.stdout
    assert warnings(check) == []
    assert check.stdout.startswith(f"{policy}: good")
