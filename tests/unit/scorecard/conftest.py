"""One good run, written and read once; tests change copies of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seawall.scorecard.run import FILES, Run
from tests.testing.scorecard.builder import write_run


@pytest.fixture(scope="session")
def good_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run directory; not to be changed."""
    return write_run(tmp_path_factory.mktemp("good"), thinned=6)


@pytest.fixture(scope="session")
def good_run(good_directory: Path) -> Run:
    """The same, read in full."""
    run = Run(good_directory)
    for name in FILES:
        getattr(run, name)
    return run


@pytest.fixture
def directory(good_directory: Path, tmp_path: Path) -> Path:
    """A copy to spoil; its files are hard links, so they must be replaced, not written into."""
    return Path(shutil.copytree(good_directory, tmp_path / "run", copy_function=os.link))


@pytest.fixture
def altered(good_run: Run) -> Callable[..., Run]:
    """Return a function that makes a run which differs from the good one in the files named."""

    def alter(**files: Any) -> Run:
        run = Run(good_run.directory)
        run.__dict__.update(good_run.__dict__ | files)
        return run

    return alter
