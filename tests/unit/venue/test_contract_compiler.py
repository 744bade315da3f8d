"""A contract is compiled once, and again only where what it is made of has changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from venue.contracts import compiler

CODE = bytes.fromhex("60006000fd")


class Compiler:
    """In place of the real one, which takes a second."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, contract: str) -> bytes:
        """Always the same code."""
        self.asked.append(contract)
        return CODE


@pytest.fixture
def compiling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Compiler]:
    """Sources and a cache of its own; nothing is remembered of the process's earlier contracts."""
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "token.vy").write_text("# one\n", encoding="utf-8")
    (sources / "payments.vy").write_text("# imported by others\n", encoding="utf-8")
    made = Compiler()
    monkeypatch.setattr(compiler, "_SOURCES", sources)
    monkeypatch.setattr(compiler, "_compiled", made)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    compiler.bytecode.cache_clear()
    yield made
    compiler.bytecode.cache_clear()


def again() -> bytes:
    """As another process would."""
    compiler.bytecode.cache_clear()
    return compiler.bytecode("token")


def test_another_process_finds_what_was_compiled(compiling: Compiler) -> None:
    assert [again(), again()] == [CODE, CODE]
    assert compiling.asked == ["token"]


@pytest.mark.parametrize("changed", ["token.vy", "payments.vy"])
def test_a_change_of_any_source_compiles_again(
    compiling: Compiler, tmp_path: Path, changed: str
) -> None:
    """It may import the other."""
    again()
    (tmp_path / "sources" / changed).write_text("# two\n", encoding="utf-8")
    again()
    assert compiling.asked == ["token", "token"]


def test_another_compiler_compiles_again(
    compiling: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    again()
    monkeypatch.setattr(compiler, "version", lambda name: f"{name} 99")
    again()
    assert compiling.asked == ["token", "token"]


@pytest.mark.parametrize("left", ["", "6000zz", "half", "other"])
def test_what_is_not_the_code_is_made_again(compiling: Compiler, tmp_path: Path, left: str) -> None:
    """A contract of no code would be deployed with success."""
    again()
    (kept,) = (tmp_path / "cache" / "seawall" / "contracts").iterdir()
    whole = kept.read_text(encoding="ascii").strip()
    cut = {"half": whole[:-2], "other": whole[:-2] + "fe"}
    kept.write_text(cut.get(left, left), encoding="ascii")
    assert [again(), again()] == [CODE, CODE]
    assert compiling.asked == ["token", "token"]


def test_a_cache_that_cannot_be_used_costs_time_alone(compiling: Compiler, tmp_path: Path) -> None:
    """A file is where its folder should be."""
    (tmp_path / "cache").write_text("", encoding="utf-8")
    assert [again(), again()] == [CODE, CODE]
    assert compiling.asked == ["token", "token"]
