from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.testing.type_cache import begin


def cache(folder: Path, *, written_at: float) -> Path:
    """A cache of another checkout."""
    file = folder / "3.11" / "cache.db"
    file.parent.mkdir(parents=True)
    file.write_text(folder.name, encoding="utf-8")
    os.utime(file, (written_at, written_at))
    return folder


@pytest.fixture
def caches(tmp_path: Path) -> Path:
    caches = tmp_path / "mypy"
    cache(caches / "old", written_at=1_000)
    cache(caches / "new", written_at=2_000)
    return caches


def test_a_new_checkout_begins_with_the_newest_cache(caches: Path) -> None:
    own = caches / "own"
    assert begin(own, sources_at=3_000) == caches / "new"
    assert (own / "3.11" / "cache.db").read_text(encoding="utf-8") == "new"
    assert sorted(path.name for path in caches.parent.iterdir()) == ["mypy"]


def test_a_cache_that_was_written_after_a_source_of_ours_is_not_used(caches: Path) -> None:
    """Two files of one second and one size would be taken for each other."""
    assert begin(caches / "own", sources_at=2_001) == caches / "old"
    assert begin(caches / "another", sources_at=1_001) is None
    assert not (caches / "another").exists()


def test_a_checkout_keeps_the_cache_that_it_has(caches: Path) -> None:
    assert begin(cache(caches / "own", written_at=500), sources_at=3_000) is None
    assert (caches / "own" / "3.11" / "cache.db").read_text(encoding="utf-8") == "own"


def test_without_any_cache_there_is_nothing_to_begin_with(tmp_path: Path) -> None:
    assert begin(tmp_path / "mypy" / "own", sources_at=3_000) is None
