"""Folders meet only along the arrows of the design; the sources are parsed, nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("adapters", "chaos", "infra", "loadtests", "localaws", "monitors", "sandbox", "venue")
"""Programs of their own: none imports another, and the kit imports none of them. ``benchmarks``
may import all of them, as tests may.
"""
SHARED = {
    "accounts",
    "aws",
    "cache",
    "drill_report",
    "experiments",
    "controls",
    "conventions",
    "errors",
    "ethereum",
    "feasibility",
    "formats",
    "iam",
    "indicators",
    "keys",
    "kill_switch",
    "lease",
    "policy",
    "policy_file",
    "processes",
    "rendering",
}
"""The kit's libraries; its other modules are its own affair."""
PURE = {
    "controls": {"controls", "indicators", "policy"},
    "feasibility": {"controls", "feasibility", "policy"},
    "iam": {"errors", "iam"},
    "indicators": {"indicators", "policy"},
    "policy": {"errors", "policy"},
}
PURE_LIBRARIES = {"policy": {"pydantic", "hashlib", "urllib"}}
"""What one pure folder uses beyond the list below: models, a digest, the parts of a URL."""
PURE_STANDARD_LIBRARY = {
    "__future__",
    "abc",
    "bisect",
    "collections",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "heapq",
    "ipaddress",
    "itertools",
    "json",
    "math",
    "operator",
    "re",
    "types",
    "typing",
}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}


def imports_of(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the dotted name of every import in ``source``.

    Relative imports are resolved against ``package``.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = (
                package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            )
            base = ".".join([*above, *([node.module] if node.module else [])])
            # `from seawall import policy` names a module, too.
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def offences(source: str, package: str) -> list[str]:
    """Return what a module of ``package`` imports against the arrows."""
    top, _, rest = package.partition(".")
    part_of_kit = rest.split(".")[0]
    found = []
    for line, name in imports_of(source, package):
        target, _, inner = name.partition(".")
        inner = inner.split(".")[0]
        if top == "benchmarks":
            continue  # measures whole programs
        if target in (*PARTS, "benchmarks") and target != top:
            found.append(f"line {line}: {top} may not import {target}")
        elif top in PARTS and target == "seawall" and inner not in SHARED:
            found.append(f"line {line}: {top} may not import seawall.{inner}")
        elif top == "seawall" and part_of_kit in PURE:
            allowed = (
                inner in PURE[part_of_kit]
                if target == "seawall"
                else target in PURE_STANDARD_LIBRARY | PURE_LIBRARIES.get(part_of_kit, set())
            )
            if not allowed:
                found.append(
                    f"line {line}: seawall.{part_of_kit} is pure and may not import {name}"
                )
    if top == "seawall" and part_of_kit in PURE:
        found += [
            f"line {node.lineno}: seawall.{part_of_kit} is pure and may not call {node.func.id}"
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in IMPURE_CALLS
        ]
    return found


def sources(*folders: str) -> Iterator[tuple[Path, str]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            relative = path.relative_to(ROOT)
            yield relative, ".".join(relative.parent.parts)


def test_folders_import_only_along_the_arrows() -> None:
    found = [
        f"{path}: {offence}"
        for path, package in sources("seawall", "benchmarks", *PARTS)
        for offence in offences((ROOT / path).read_text(encoding="utf-8"), package)
    ]
    assert not found, "\n".join(found)


def test_every_folder_of_the_design_was_read() -> None:
    seen = {path.parts[0] for path, _ in sources("seawall", "benchmarks", *PARTS)}
    assert seen == {"seawall", "benchmarks", *PARTS}


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ("import venue.api", "chaos.faults"),
        ("from venue import api", "seawall.drill"),
        ("from sandbox.supervisor import Sandbox", "venue"),
        ("from seawall import gameday", "monitors"),
        ("if TYPE_CHECKING:\n    from loadtests.plan import Plan", "chaos"),
        ("def f():\n    import infra", "venue"),
        ("from benchmarks.meter import Meter", "seawall.drill"),
        ("import time", "seawall.controls"),
        ("from seawall.errors import WorldError", "seawall.indicators"),
        ("from ..sandbox import x", "seawall.controls"),
        ("print(1)", "seawall.indicators"),
        ("import yaml", "seawall.policy"),
        ("from seawall.feasibility import sums_of", "seawall.policy.rules"),
        ("from pydantic import BaseModel", "seawall.controls"),
    ],
)
def test_a_forbidden_arrow_is_reported(source: str, package: str) -> None:
    assert len(offences(source, package)) == 1


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ("from seawall.policy import Policy", "venue"),
        ("from seawall import conventions, errors", "chaos.faults"),
        ("from . import sibling\nfrom .deeper import thing", "venue.api"),
        ("from fractions import Fraction\nfrom seawall.policy import Policy", "seawall.controls"),
        ("import asyncpg", "seawall.evidence"),
        ("from sandbox import stack\nfrom seawall import setup", "benchmarks"),
        ("from pydantic import Field\nfrom seawall.errors import Problem", "seawall.policy"),
    ],
)
def test_an_allowed_arrow_is_silent(source: str, package: str) -> None:
    assert offences(source, package) == []


def test_what_runs_before_the_environment_exists_needs_the_standard_library_only() -> None:
    """The Python of the machine imports seawall.setup while no package is installed yet."""
    import sys

    found = []
    for path, package in sources("seawall/setup"):
        if path.name == "doctor.py":
            continue  # imported by the command line alone
        for statement in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                for line, name in imports_of(ast.unparse(statement), package):
                    first = name.split(".")[0]
                    if first not in sys.stdlib_module_names and not name.startswith(
                        ("seawall.setup", "seawall.errors", "seawall.cache")
                    ):
                        found.append(f"{path}:{line}: {name}")
    assert not found
