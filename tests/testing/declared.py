"""What the Pulumi program declares under a configuration, for tests.

It runs on the engine's own mocks, in a process of its own, once per configuration.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from seawall.conventions import environment
from seawall.policy_file import load_policy
from tests.testing.remembered import remembered

ROOT = Path(__file__).resolve().parents[2]
POLICY_PATH = ROOT / "policies" / "sandbox.yaml"
POLICY = load_policy(POLICY_PATH)
ACCOUNT = POLICY.accounts["sandbox"]
REGIONS = (PRIMARY, STANDBY) = (POLICY.regions.primary, POLICY.regions.standby)
DEPLOYER = f"arn:aws:iam::{ACCOUNT}:user/deployer"
_SECRET = "4dabf18193072939515e22adb298388d"
"""The key under which the engine's protocol marks a value as secret (pulumi.runtime.rpc)."""


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One resource as the program declared it."""

    type: str
    name: str
    inputs: dict[str, Any]
    protect: bool


def configuration(stack: str = "sandbox", **change: Any) -> dict[str, str]:
    """The configuration in a stack's file, as Pulumi hands it over, with ``change``.

    None takes a key out.
    """
    text = (ROOT / "infra" / "stacks" / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)["config"] | {
        f"seawall:{name}": value for name, value in change.items()
    }
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in config.items()
        if value is not None
    }


def run(
    stack: str, config: dict[str, str], *, account: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the program on the engine's mocks with credentials of ``account``.

    By default that is the stack's own account.
    """
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.testing.declaration",
            json.dumps(config),
            stack,
            account or POLICY.accounts[stack],
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), environment.POLICY_VARIABLE: str(POLICY_PATH)},
        text=True,
        capture_output=True,
        check=False,
    )


@cache
def _declared(stack: str, config: tuple[tuple[str, str], ...]) -> tuple[Declared, ...]:
    def make() -> str:
        done = run(stack, dict(config))
        assert done.returncode == 0, done.stderr
        return done.stdout

    text = remembered(json.dumps([stack, config]), make)
    return tuple(Declared(**resource) for resource in json.loads(text))


def declared(stack: str = "sandbox", **change: Any) -> tuple[Declared, ...]:
    """Everything that ``stack`` declares, with ``change`` to its configuration."""
    return _declared(stack, tuple(sorted(configuration(stack, **change).items())))


def of(kind: str, stack: str = "sandbox", **change: Any) -> list[Declared]:
    """Those of one type."""
    return [resource for resource in declared(stack, **change) if resource.type == kind]


def inputs_of(kind: str, *, protected: bool = False) -> dict[str, dict[str, Any]]:
    """Inputs by logical name of the sandbox's resources of one type.

    The engine's marks of what is secret are removed.
    """
    change = {"deletion": "protected"} if protected else {}
    return {each.name: _plain(each.inputs) for each in of(kind, **change)}


def _plain(inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value["value"] if isinstance(value, dict) and _SECRET in value else value
        for name, value in inputs.items()
    }


def statements(text: str) -> dict[str, dict[str, Any]]:
    """Statements of a policy document by their Sid."""
    return {statement["Sid"]: statement for statement in json.loads(text)["Statement"]}
