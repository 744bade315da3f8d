"""The shock of a drill with nothing to drill on, and a hand on its kill switch."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from seawall.conventions import aws
from seawall.drill.shock import Shock
from seawall.kill_switch import KillSwitchWatch, Reading, kill_switch_reading
from seawall.policy_file import load_policy

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENT = """
import signal, sys
def end(*_):
    sys.stdin.read()
    exit(17)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
signal.pause()
"""
"""Ends as Chaos Toolkit does when it has rolled back: by itself, after the signal.

The roll back takes until its standard input is closed.
"""


class Hand:
    """A kill switch that the test sets."""

    def __init__(self) -> None:
        self.value = aws.KILL_SWITCH_ARMED

    def read(self) -> Reading:
        """What it says."""
        return kill_switch_reading({"us-west-2": self.value}, {})


def shock(run_dir: Path, hand: Hand) -> tuple[Shock, list[str]]:
    """A shock with nothing to drill on, and what it shows."""
    shown: list[str] = []
    stack: Any = SimpleNamespace(
        check=lambda: None,
        deployment=SimpleNamespace(
            kind="sandbox",
            kill_switch=None,
            approval=None,
            pages=run_dir.parent / "pages.jsonl",
            regions=SimpleNamespace(primary="us-east-1", standby="us-west-2"),
        ),
        components=list,
    )
    display: Any = SimpleNamespace(phase=shown.append, line=shown.append)
    policy = load_policy(ROOT / "policies" / "sandbox.yaml")
    records: Any = None
    flood: Any = SimpleNamespace(end=lambda: None)
    made = Shock(
        stack=stack,
        records=records,
        policy=policy,
        name="signing-region-dark",
        operations=(),
        flood=flood,
        root=ROOT,
        run_dir=run_dir,
        display=display,
        switch=KillSwitchWatch(switches=[hand]),
    )
    return made, shown
