"""Files that are written whole."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from seawall.errors import DiskFullError, WorldError
from seawall.formats.atomic import write_private, write_whole


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask() -> int:
    """The umask of this process."""
    before = os.umask(0)
    os.umask(before)
    return before


def test_the_old_text_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text("old and longer")
    write_whole(path, "né\n")
    assert path.read_bytes() == "né\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_of_the_umask_or_those_asked_for(tmp_path: Path, umask: int) -> None:
    write_whole(tmp_path / "open", "x")
    assert _mode(tmp_path / "open") == 0o666 & ~umask
    write_whole(tmp_path / "shared", "x", mode=0o664)
    assert _mode(tmp_path / "shared") == 0o664


def test_a_secret_is_private_even_if_the_file_was_not(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("x")
    path.chmod(0o644)
    write_private(path, "secret")
    assert (_mode(path), path.read_text()) == (0o600, "secret")


def test_the_draft_of_a_killed_process_with_the_same_id_is_replaced(tmp_path: Path) -> None:
    """Its permissions must not become those of the new file."""
    path = tmp_path / "key"
    write_whole(path, "x")
    (tmp_path / f".key.{os.getpid()}.{threading.get_ident()}").touch(mode=0o644)
    write_private(path, "secret")
    assert _mode(path) == 0o600


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_no_draft(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "facts.json"
    path.write_text("old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    where: tuple[object, str] = {
        "write": (os, "fdopen"),
        "fsync": (os, "fsync"),
        "replace": (Path, "replace"),
    }[step]
    monkeypatch.setattr(*where, fail)
    with pytest.raises(DiskFullError, match=r"facts\.json cannot be written: no space left"):
        write_whole(path, "new", durable=True)
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_text_that_cannot_be_encoded_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_durable_file_is_synced_before_it_is_renamed_and_its_folder_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a power cut could leave the new name with an empty file."""
    path = tmp_path / "leases.json"
    path.write_text("old")
    seen: list[tuple[bool, str]] = []
    sync = os.fsync

    def note(descriptor: int) -> None:
        seen.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), path.read_text()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    write_whole(path, "new", durable=True)
    assert seen == [(False, "old"), (True, "new")]


def test_a_missing_folder_is_an_error_of_the_machine(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="cannot be written"):
        write_whole(tmp_path / "missing" / "facts.json", "x")
