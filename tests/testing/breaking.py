"""Take the production policy, break it, and see what is said about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from seawall.errors import PolicyError
from seawall.policy_file import load_policy

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = ROOT / "policies" / "production.yaml"
SANDBOX = ROOT / "policies" / "sandbox.yaml"


def production() -> dict[str, Any]:
    """The tree of the production policy, to be changed."""
    tree: dict[str, Any] = yaml.safe_load(PRODUCTION.read_text(encoding="utf-8"))
    return tree


def write(folder: Path, tree: dict[str, Any], name: str = "policy.yaml") -> Path:
    """``tree`` as a file."""
    path = folder / name
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return path


def problems(path: Path) -> dict[str, str]:
    """Path -> what was found there and the remedy, of a policy that must be refused.

    Several of one path in lines.
    """
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    found: dict[str, str] = {}
    for problem in caught.value.problems:
        found.setdefault(problem.path, "")
        found[problem.path] += f"{problem.found} | {problem.remedy}\n"
    return found


def put(tree: Any, path: str, value: Any) -> None:
    """Set ``a.b.0.c`` in ``tree``."""
    *above, last = path.split(".")
    for part in above:
        tree = tree[int(part)] if isinstance(tree, list) else tree[part]
    if isinstance(tree, list):
        tree[int(last)] = value
    else:
        tree[last] = value
