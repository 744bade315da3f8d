"""What the Pulumi program declares for the sandbox's policy, on the engine's own mocks, with the
sandbox's configuration.
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

ROOT = Path(__file__).resolve().parents[2]
POLICY = ROOT / "policies" / "sandbox.yaml"
REGIONS = ("us-east-1", "us-west-2")
ACCOUNT = "123456789012"
DEPLOYER = f"arn:aws:iam::{ACCOUNT}:user/deployer"


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One resource as the program declared it."""

    type: str
    name: str
    inputs: dict[str, Any]
    protect: bool


@cache
def declared(*, protected: bool) -> tuple[Declared, ...]:
    file = yaml.safe_load(
        (ROOT / "infra" / "stacks" / "Pulumi.sandbox.yaml").read_text(encoding="utf-8")
    )
    config = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in file["config"].items()
        if name.startswith("seawall:")
    }
    config["seawall:deletion"] = "protected" if protected else "disposable"
    done = subprocess.run(
        [sys.executable, "-m", "tests.testing.declaration", json.dumps(config), "sandbox", ACCOUNT],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), environment.POLICY_VARIABLE: str(POLICY)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return tuple(Declared(**resource) for resource in json.loads(done.stdout.splitlines()[-1]))


_SECRET = "4dabf18193072939515e22adb298388d"
"""The key under which the engine's protocol marks a value as secret (pulumi.runtime.rpc)."""


def plain(inputs: dict[str, Any]) -> dict[str, Any]:
    """Inputs without the marks of what is secret to the engine."""
    return {
        name: value["value"] if isinstance(value, dict) and _SECRET in value else value
        for name, value in inputs.items()
    }


def of(kind: str, *, protected: bool = False) -> dict[str, dict[str, Any]]:
    """Inputs by logical name."""
    return {
        each.name: plain(each.inputs) for each in declared(protected=protected) if each.type == kind
    }


def statements(text: str) -> dict[str, dict[str, Any]]:
    """Statements of a policy by their Sid."""
    return {statement["Sid"]: statement for statement in json.loads(text)["Statement"]}
