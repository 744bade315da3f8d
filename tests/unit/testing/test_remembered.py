"""Results of slow work are made once for each state of the sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testing import remembered as module
from tests.testing.remembered import STATES_KEPT, remembered


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only file that results depend on."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "SOURCES", ("sources",))
    path = tmp_path / "sources" / "program.py"
    path.parent.mkdir()
    write(path, "first")
    return path


def write(path: Path, text: str) -> None:
    """Change the source, as if it were done before the tests began."""
    path.write_text(text, encoding="utf-8")
    module._folder.cache_clear()


@pytest.mark.usefixtures("source")
def test_a_result_is_made_once_for_each_key() -> None:
    assert remembered("a", lambda: "made") == "made"
    assert remembered("a", lambda: pytest.fail("made again")) == "made"
    assert remembered("b", lambda: "another") == "another"


def test_a_changed_source_makes_it_anew(source: Path) -> None:
    remembered("a", lambda: "old")
    write(source, "second")

    assert remembered("a", lambda: "new") == "new"


@pytest.mark.usefixtures("source")
def test_what_could_not_be_made_is_tried_again() -> None:
    def fail() -> str:
        raise ValueError("the program is broken")

    with pytest.raises(ValueError, match="broken"):
        remembered("a", fail)

    assert remembered("a", lambda: "made") == "made"


def test_results_of_old_states_are_removed(source: Path, tmp_path: Path) -> None:
    for number in range(STATES_KEPT + 2):
        write(source, str(number))
        remembered("a", lambda: "made")

    assert len(list((tmp_path / "cache" / "seawall" / "tests").iterdir())) == STATES_KEPT
