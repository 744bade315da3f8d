"""Every step that leaves a settler or a signer has its crash points; none is forgotten or idle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from venue import crash_points
from venue.crash_points import CRASH_POINTS, Moment, Step, crash_point

ROOT = Path(__file__).parents[3]
FILES = (
    *sorted((ROOT / "venue" / "settler").glob("*.py")),
    ROOT / "venue" / "signer" / "logs.py",
    ROOT / "venue" / "signer" / "service.py",
)
READS = {
    "_WAITING",
    "_GIVEN_OUT",
    "_IN_FLIGHT",
    "_REPLACEMENTS",
    "_RECENT",
    "_ITEMS",
    "_CALL_OF_SLOT",
    "_TOPUP_ITEM",
    "PAUSED",
    "_HELD",
    "_ANSWERS",
    "_ANY_DUE",
}
"""Statements without a trace, which may be sent without a transaction."""
PROOFS = {"_ASKED", "_GIVEN"}
"""Proofs of key control, which no payout needs (venue/signer/logs.py, ProofLog)."""
STEPS_WITHOUT_COMMIT = {"broadcast", "broadcast_everywhere", "_ask"}
"""Calls of a node's pool and of the key provider."""


def functions(source: str) -> Iterator[ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AsyncFunctionDef):
            yield node


def called(node: ast.AST) -> str:
    """The name of what is called, without what it is called on."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id
    return ""


def unguarded(source: str) -> list[str]:
    """Steps of ``source`` that a process could not be made to die around."""
    found = []
    for function in functions(source):
        calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        names = [called(call) for call in calls]
        points = names.count("crash_point")
        for call, name in zip(calls, names, strict=True):
            text = ast.unparse(call)
            if name == "transaction":
                found.append(f"{function.name}: {text} outside of committing()")
            pooled = any(pool in text for pool in (".pool.", ".records.", ".log."))
            if name in {"execute", "fetch", "fetchrow", "fetchval"} and pooled:
                statement = ast.unparse(call.args[0])
                if statement not in READS | PROOFS and points < 2:
                    found.append(f"{function.name}: {text} without crash points")
            sends = name in {"broadcast", "broadcast_everywhere"} and "rpc" in text
            signs = text.startswith("self._ask(wallet")
            if (sends or signs) and points < 2:
                found.append(f"{function.name}: {text} without crash points")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_step_has_a_crash_point_on_each_side(path: Path) -> None:
    assert unguarded(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "async def f():\n    async with pool.acquire() as c, c.transaction():\n        pass",
        "async def f(self):\n    await self.pool.execute(_RESUME)",
        "async def f(self):\n    await self.log.fetchrow(_RECORD)",
        "async def f(self):\n    crash_point('send', 'before')\n    await self.rpc.broadcast(raw)",
        "async def f(self, wallet):\n    await self._ask(wallet, digest)",
    ],
)
def test_a_step_without_them_is_reported(source: str) -> None:
    assert len(unguarded(source)) == 1


def _named() -> set[tuple[str, str]]:
    """Every step that the sources name, with its moments."""
    found: set[tuple[str, str]] = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            texts = [
                each.value
                for each in node.args
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
            ]
            if called(node) == "crash_point":
                found.add((texts[0], texts[1]))
            elif called(node) in {"committing", "committed", "_step"} and texts:
                found |= {(texts[0], moment) for moment in ("before", "after")}
    return found


def test_the_sources_name_every_crash_point_and_no_other() -> None:
    """One that nothing reaches would be on the list of what a campaign must hit for ever."""
    assert _named() == set(CRASH_POINTS)


def test_a_crash_point_does_nothing_until_a_hook_is_installed() -> None:
    seen: list[tuple[Step, Moment]] = []
    crash_point("send", "before")
    crash_points.install(lambda step, moment: seen.append((step, moment)))
    try:
        crash_point("send", "after")
    finally:
        crash_points.install(None)
    crash_point("send", "before")
    assert seen == [("send", "after")]


def test_only_tests_install_a_hook() -> None:
    """In production nothing must be able to make a process die."""
    users = [
        path
        for path in (ROOT / "venue").rglob("*.py")
        if "crash_points.install" in path.read_text(encoding="utf-8")
    ]
    assert users == []
