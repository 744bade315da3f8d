"""An override counts once it is on the disk, in a chain that shows every later hand."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from seawall.errors import EvidenceError, WorldError
from seawall.guard import journal


def write(path: Path, justification: str = "a reason") -> int:
    return journal.append(path, kind=journal.OVERRIDE, justification=justification, body={"who": "jane", "covers": []})


def test_entries_are_numbered_chained_and_private(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"

    assert [write(path), write(path), write(path)] == [1, 2, 3]

    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert [entry["n"] for entry in entries] == [1, 2, 3]
    assert [entry["previous_hash"] for entry in entries[1:]] == [entry["hash"] for entry in entries[:-1]]
    assert journal.breaks(path) == []
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_journal_yet_is_no_break(tmp_path: Path) -> None:
    assert journal.breaks(tmp_path / "journal.jsonl") == []


def tampered(lines: list[str], how: str) -> str:
    entry: dict[str, Any] = json.loads(lines[1])
    return {
        "changed": "".join([lines[0], json.dumps({**entry, "justification": "another reason"}) + "\n", lines[2]]),
        "missing": "".join([lines[0], lines[2]]),
        "swapped": "".join([lines[1], lines[0], lines[2]]),
        "torn": "".join(lines)[:-20],
        "unended": "".join(lines)[:-1],
        "foreign": "".join([*lines, json.dumps({**entry, "writer": "guard"}) + "\n"]),
        "garbage": "".join([*lines, "oops\n"]),
        "blank": "".join([*lines, "\n"]),
    }[how]


@pytest.mark.parametrize("how", ["changed", "missing", "swapped", "torn", "unended", "foreign", "garbage", "blank"])
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
