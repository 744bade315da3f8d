"""Where a process of the venue is ordered to die, it does; nowhere else, and no more often."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from seawall.cache import repository_root
from tests.testing.dying_process import Executioner, Order
from venue.crash_points import Moment, Step

STEP: Step = "send"
HERE: tuple[Step, Moment] = (STEP, "before")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the order is given."""
    return tmp_path / "order.json"


def kills(hook: Executioner, *points: tuple[Step, Moment]) -> int:
    """How often ``hook`` would have killed its process at ``points``."""
    with mock.patch.object(os, "kill") as kill:
        for point in points:
            hook(*point)
    assert all(call.args == (os.getpid(), signal.SIGKILL) for call in kill.call_args_list)
    return kill.call_count


def test_without_an_order_nobody_dies(path: Path) -> None:
    assert kills(Executioner(path=path), (STEP, "before"), (STEP, "after")) == 0


def test_it_dies_at_the_point_that_is_named_and_says_so_first(path: Path) -> None:
    Order(step=STEP, moment="after").write(path)
    assert kills(Executioner(path=path), (STEP, "before"), ("post", "after")) == 0
    assert kills(Executioner(path=path), (STEP, "after")) == 1
    order = Order.read(path)
    assert order is not None
    assert (order.deaths, order.died) == (0, (os.getpid(),))
    assert kills(Executioner(path=path), (STEP, "after")) == 0


def test_it_dies_at_the_arrival_and_as_often_as_was_ordered(path: Path) -> None:
    Order(step=STEP, moment="before", arrival=3, deaths=2).write(path)
    for _ in range(2):
        hook = Executioner(path=path)
        assert kills(hook, *[HERE] * 2) == 0
        assert kills(hook, HERE) == 1
    assert kills(Executioner(path=path), *[HERE] * 5) == 0


def test_a_module_runs_with_its_arguments_and_the_hook(tmp_path: Path, path: Path) -> None:
    """It is killed, not ended: what stands behind the point is never done."""
    Order(step=STEP, moment="before").write(path)
    (tmp_path / "victim.py").write_text(
        "import sys\nfrom venue.crash_points import crash_point\n"
        "print(sys.argv[1:], __name__, flush=True)\n"
        "crash_point('send', 'before')\nprint('sent', flush=True)\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.testing.dying_process",
            str(path),
            "victim",
            "--network",
            "x",
        ],
        cwd=repository_root(),
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{repository_root()}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == "['--network', 'x'] __main__\n"
