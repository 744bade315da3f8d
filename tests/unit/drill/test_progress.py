"""What a drill's programs print is read as it comes, whichever program it is."""

from __future__ import annotations

import os

import pytest

from seawall.drill.progress import JsonLines
from seawall.errors import DrillError


def test_a_program_without_a_pipe_is_not_called_the_flood() -> None:
    """A drill that has no flood has its requests followed all the same."""
    with pytest.raises(DrillError, match=r"^a program was started without a pipe"):
        JsonLines(None)


def test_whole_lines_are_read_once_and_what_is_not_json_is_passed_over() -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as pipe, os.fdopen(write, "wb", buffering=0) as program:
        lines = JsonLines(pipe)
        program.write(b'{"final": 1}\nstarted\n[2]\n{"fi')
        assert list(lines.read()) == [{"final": 1}]
        assert list(lines.read()) == []
        program.write(b'nal": 3}\n')
        assert list(lines.read()) == [{"final": 3}]
