"""Results of slow, pure work that several tests and test runs need, kept in the user's cache.

A result is kept under the digest of every source that it could come from, so an edit of any of
them makes it anew. pytest-xdist's workers share the results: while one makes a result, the others
wait for it.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from seawall.cache import cache_root, digest_of, exclusive, make_folder

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    "seawall",
    "infra",
    "policies",
    "generated",
    "tools/python",
    "tests/testing/declared.py",
    "tests/testing/declaration.py",
)
"""What decides what the Pulumi program declares: files, and folders; ``tools/python`` has pins."""
STATES_KEPT = 3
"""Results of so many states of the sources are kept, a few megabytes each."""


def remembered(key: str, make: Callable[[], str]) -> str:
    """The text that ``make`` returns for ``key``, made once for each state of the sources."""
    name = digest_of(key.encode())
    path = _folder() / name
    with exclusive(f"remembered-{name}", waiting=lambda: None):
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            text = make()
            make_folder(path.parent)
            draft = path.with_suffix(".draft")
            draft.write_text(text, encoding="utf-8")
            draft.replace(path)
            return text


@cache
def _folder() -> Path:
    """The folder of the sources as they are now. Folders of older states are removed."""
    parent = make_folder(cache_root() / "tests")
    folder = make_folder(parent / digest_of(sys.version.encode(), *_sources()))
    folder.touch()
    states = sorted(parent.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)
    for old in states[STATES_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def _sources() -> list[bytes]:
    """Names and contents of all files in `SOURCES`."""
    found: set[Path] = set()
    for source in (ROOT / name for name in SOURCES):
        found |= (
            {source} if source.is_file() else {each for each in source.rglob("*") if each.is_file()}
        )
    return [
        part
        for path in sorted(found)
        for part in (str(path.relative_to(ROOT)).encode(), path.read_bytes())
    ]
