"""Where the shipped policies lie, and every problem of a policy that must be refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from seawall.errors import PolicyError
from seawall.policy_file import load_policy

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = ROOT / "policies" / "production.yaml"
SANDBOX = ROOT / "policies" / "sandbox.yaml"


def problems(path: Path) -> dict[str, str]:
    """Path -> what was found there and the remedy, of the policy file at ``path``.

    Several problems at one path are several lines.
    """
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    found: dict[str, str] = {}
    for problem in caught.value.problems:
        found.setdefault(problem.path, "")
        found[problem.path] += f"{problem.found} | {problem.remedy}\n"
    return found
