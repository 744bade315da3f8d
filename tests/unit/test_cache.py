"""The cache: a build appears whole or not at all, once, under a key made of its pins."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from seawall import cache
from seawall.errors import DiskFullError, WorldError


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "seawall"


def test_a_relative_cache_home_is_ignored_as_the_xdg_specification_demands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert cache.cache_root() == Path.home() / ".cache" / "seawall"


def test_without_any_home_the_remedy_names_the_variable_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a container whose account has no entry in the passwd database."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)
    with pytest.raises(WorldError, match=r"^neither HOME nor .*export XDG_CACHE_HOME=FOLDER"):
        cache.cache_root()


def test_a_build_becomes_visible_only_when_it_is_whole(own_cache: Path) -> None:
    folder = own_cache / "programs" / "tool-1"
    with cache.published(folder) as draft:
        (draft / "binary").write_text("whole")
        assert not folder.exists()
    assert (folder / "binary").read_text() == "whole"


def test_a_build_that_fails_leaves_nothing(own_cache: Path) -> None:
    folder = own_cache / "programs" / "tool-1"
    failure = RuntimeError("compiler")

    def build() -> None:
        with cache.published(folder) as draft:
            (draft / "half").write_text("half")
            raise failure

    with pytest.raises(RuntimeError, match=r"^compiler$"):
        build()
    assert list(folder.parent.iterdir()) == []


def test_leftovers_of_a_killed_build_are_removed_and_those_of_others_are_not(
    own_cache: Path,
) -> None:
    folder = own_cache / "programs" / "tool-1"
    killed, foreign = folder.parent / ".tool-1.abc", folder.parent / ".other-1.abc"
    killed.mkdir(parents=True)
    foreign.mkdir()
    with cache.published(folder):
        assert not killed.exists()
    assert foreign.exists()


def test_a_second_holder_is_notified_and_waits_for_the_first() -> None:
    notified, entered = threading.Event(), threading.Event()

    def second() -> None:
        with cache.exclusive("tool", waiting=notified.set):
            entered.set()

    thread = threading.Thread(target=second)
    with cache.exclusive("tool", waiting=lambda: pytest.fail("nobody held it")):
        thread.start()
        assert notified.wait(timeout=10)
        assert not entered.is_set()
    thread.join(timeout=10)
    assert entered.is_set()


def test_too_little_space_is_reported_with_both_figures() -> None:
    with pytest.raises(
        DiskFullError,
        match=r"^building x needs \d+\.\d GiB, but .* has .* GiB free \(free some space",
    ):
        cache.require_space(free_bytes_min=1 << 62, purpose="building x")


def test_a_cache_that_cannot_be_made_is_the_machines_fault(own_cache: Path) -> None:
    own_cache.write_text("a file where the folder should be")
    with pytest.raises(WorldError, match=r"cannot be written.*XDG_CACHE_HOME"):
        cache.make_folder(own_cache / "locks")


def test_the_key_depends_on_every_byte_of_the_pins() -> None:
    assert cache.digest_of(b"a", b"b") == cache.digest_of(b"ab")
    assert cache.digest_of(b"ab") != cache.digest_of(b"ac")
