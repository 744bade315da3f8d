"""An override counts once it is on the disk, in a chain that shows every later change."""

from __future__ import annotations

import json
import multiprocessing
from fcntl import LOCK_EX
from pathlib import Path
from typing import Any

import pytest

from seawall.change_review import journal
from seawall.errors import EvidenceError, WorldError


def write(path: Path, justification: str = "a reason") -> int:
    return journal.append(
        path, kind=journal.OVERRIDE, justification=justification, body={"who": "jane", "covers": []}
    )


def test_entries_are_numbered_chained_and_private(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"

    assert [write(path), write(path), write(path)] == [1, 2, 3]

    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert [entry["n"] for entry in entries] == [1, 2, 3]
    assert [entry["previous_hash"] for entry in entries[1:]] == [
        entry["hash"] for entry in entries[:-1]
    ]
    assert journal.breaks(path) == []
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_journal_yet_is_no_break(tmp_path: Path) -> None:
    assert journal.breaks(tmp_path / "journal.jsonl") == []


def without(entry: dict[str, Any], name: str) -> str:
    return json.dumps({key: value for key, value in entry.items() if key != name}) + "\n"


def tampered(lines: list[str], how: str) -> str:
    entry: dict[str, Any] = json.loads(lines[1])
    return {
        "changed": "".join(
            [lines[0], json.dumps({**entry, "justification": "another reason"}) + "\n", lines[2]]
        ),
        "missing": "".join([lines[0], lines[2]]),
        "swapped": "".join([lines[1], lines[0], lines[2]]),
        "torn": "".join(lines)[:-20],
        "unended": "".join(lines)[:-1],
        "foreign": "".join([*lines, json.dumps({**entry, "writer": "guard"}) + "\n"]),
        "unchained": "".join([*lines, json.dumps({**entry, "previous_hash": None}) + "\n"]),
        "hashless": "".join([*lines, without(entry, "hash")]),
        "bodyless": "".join([*lines, without(entry, "body")]),
        "garbage": "".join([*lines, "oops\n"]),
        "blank": "".join([*lines, "\n"]),
    }[how]


HOW = [
    "changed",
    "missing",
    "swapped",
    "torn",
    "unended",
    "foreign",
    "unchained",
    "hashless",
    "bodyless",
    "garbage",
    "blank",
]


@pytest.mark.parametrize("how", HOW)
def test_a_journal_that_somebody_touched_takes_no_further_entry(how: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    for _ in range(3):
        write(path)
    text = tampered(path.read_text().splitlines(keepends=True), how)
    path.write_text(text)

    assert journal.breaks(path) != []
    with pytest.raises(EvidenceError, match="does not hold"):
        write(path)
    assert path.read_text() == text


def test_another_writers_journal_is_not_continued_although_its_chain_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr(journal, "WRITER", "guard")
        write(path)
        assert journal.breaks(path) == []
    assert journal.breaks(path) == ["change-review: line 1 is not this writer's"]


def test_a_journal_that_was_begun_under_the_former_name_is_continued_under_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr(journal, "WRITER", "change-guard")
        write(path)

    assert journal.breaks(path) == []
    assert write(path) == 2
    assert journal.breaks(path) == []
    writers = [json.loads(line)["writer"] for line in path.read_text().splitlines()]
    assert writers == ["change-guard", "change-guard"]


def test_the_two_names_of_the_writer_do_not_share_a_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each name has a chain of its own, so an entry under the other one was put there by hand."""
    path, other = tmp_path / "journal.jsonl", tmp_path / "other.jsonl"
    write(path)
    with monkeypatch.context() as patch:
        patch.setattr(journal, "WRITER", "change-guard")
        write(other)
    path.write_text(path.read_text() + other.read_text())

    assert journal.breaks(path) == ["change-review: line 2 is not this writer's"]


def test_an_entry_is_written_alone_and_counts_once_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new file is on the disk once its folder is."""
    path = tmp_path / "journal.jsonl"
    done: list[str] = []

    def synced(descriptor: int) -> None:
        done.append(
            f"{Path(f'/proc/self/fd/{descriptor}').resolve().name} with "
            f"{len(path.read_bytes().splitlines())}"
        )

    monkeypatch.setattr(
        "seawall.change_review.journal.fcntl.flock",
        lambda _, how: done.append("locked" if how == LOCK_EX else "not alone"),
    )
    monkeypatch.setattr("seawall.change_review.journal.os.fsync", synced)
    write(path)
    assert done == ["locked", "journal.jsonl with 1", f"{tmp_path.name} with 1"]
    done.clear()
    write(path)
    assert done == ["locked", "journal.jsonl with 2"]


def test_a_journal_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="cannot be written"):
        write(tmp_path / "missing" / "journal.jsonl")


def _write_many(path: Path) -> None:
    for _ in range(20):
        write(path)


def test_two_writers_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(path,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)

    assert [writer.exitcode for writer in writers] == [0, 0]
    assert journal.breaks(path) == []
    assert len(path.read_text().splitlines()) == 40
