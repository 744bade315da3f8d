"""What a command that drills ends with: the verdict of every drill that it was asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from seawall.formats.run_directory import numbered, repetition_of
from seawall.scorecard import Outcome, Verdict, terminal_summary
from seawall.scorecard.files import summary
from seawall.scorecard.outcome import combine
from seawall.scorecard.report.terminal import STYLE


@dataclass(kw_only=True)
class Results:
    """The verdicts of ``drills``, as far as they were reached: name, run directory, verdict.

    A name is that of the run among those of the day.
    """

    gameday: str | None
    seed: int
    sabotage: str | None
    drills: tuple[str, ...]
    verdicts: list[tuple[str, Path, Verdict]] = field(default_factory=list)

    def outcomes(self) -> list[Outcome]:
        """Of every drill that was asked for; one that was not reached is UNKNOWN."""
        reached = {name: verdict.outcome for name, _, verdict in self.verdicts}
        return [reached.get(name, Outcome.UNKNOWN) for name in self.names()]

    def names(self) -> list[str]:
        """Of the runs that were asked for, in their order."""
        return [
            numbered(drill, *repetition_of(self.drills, position))
            for position, drill in enumerate(self.drills)
        ]

    def document(self) -> dict[str, Any]:
        """For machines: the outcome of all, and the verdict of each that was reached."""
        outcome = combine(self.outcomes())
        return {
            "gameday": self.gameday,
            "seed": self.seed,
            "sabotage": self.sabotage,
            "outcome": str(outcome),
            "exit_code": int(outcome.exit_code),
            "drills": [
                {"drill": name, "run": str(run_dir), **summary(verdict)}
                for name, run_dir, verdict in self.verdicts
            ],
        }

    def print(self, console: Console) -> None:
        """For people: each verdict, and one line for each drill below if there are several."""
        for _, run_dir, verdict in self.verdicts:
            console.print(terminal_summary(verdict, run_dir))
        if len(self.drills) == 1:
            return
        for name, outcome in zip(self.names(), self.outcomes(), strict=True):
            console.print(Text.assemble((f"{outcome:<8}", STYLE[outcome]), name))
        outcome = combine(self.outcomes())
        console.print(Text.assemble((f"{outcome:<8}", STYLE[outcome]), f"all {len(self.drills)}"))

    def show(self, *, as_json: bool) -> int:
        """Print them to standard output; returns the exit code of all together."""
        if as_json:
            print(json.dumps(self.document(), indent=1))
        else:
            self.print(Console())
        return combine(self.outcomes()).exit_code
