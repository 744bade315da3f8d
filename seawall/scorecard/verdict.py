"""The verdict as data: one outcome, its findings, and how to run the drill again.

All of it can be written as JSON.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from seawall.errors import ExitCode
from seawall.formats.run_directory import numbered
from seawall.scorecard.outcome import Outcome


class Part(BaseModel):
    """A section of the verdict; immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Result(Part):
    """One check with its finding."""

    id: str
    category: str
    outcome: Outcome
    question: str
    motivation: str
    measured: str
    target: str
    reason: str
    details: tuple[str, ...]
    evidence: tuple[str, ...]
    remediation: str


class Unclaimed(Part):
    """A check that was not claimed, and what it would need.

    A port of evidence, an operation of the venue, or play money.
    """

    id: str
    question: str
    needs: tuple[str, ...]


class Goal(Part):
    """An engineering goal of the kit with what this run showed; reported, never a gate.

    ``met`` is None without evidence.
    """

    id: str
    title: str
    goal: str
    measured: str
    met: bool | None


class Figure(Part):
    """A figure that readiness follows over time; ``unit`` is ``s`` or ``ratio``."""

    id: str
    title: str
    value: float
    unit: str


class Moment(Part):
    """A step of a measured time, in microseconds after its start.

    ``limit_us`` is set where the step has a target of its own.
    """

    name: str
    observer: str
    offset_us: int
    limit_us: int | None


class Time(Part):
    """A measured time as both observers saw it, in microseconds; ``shown`` is for people."""

    id: str
    title: str
    begins: str
    outcome: Outcome
    reason: str
    limit_us: int
    measured_us: int | None
    witness_us: int | None
    tolerance_us: int | None
    shown: str
    moments: tuple[Moment, ...]


class Identity(Part):
    """Which run this was, and how to run it again.

    Of ``repetitions`` of its drill on a game day it was the ``repetition``, counted from 1.
    """

    run_id: str
    seed: int
    policy: str
    policy_digest: str
    policy_scale: dict[str, str]
    gameday: str | None
    drill: str
    repetition: int = 1
    repetitions: int = 1
    stack: str | None
    kind: str | None
    faults: tuple[str, ...]
    experiment_digest: str | None
    sabotage: str | None
    commit: str | None
    dirty: bool | None
    started_at: float
    ended_at: float
    versions: dict[str, str]
    knobs: dict[str, Any]
    replay: str

    @property
    def name(self) -> str:
        """What it is called among the runs of its game day."""
        return numbered(self.drill, self.repetition, self.repetitions)


class Verdict(Part):
    """PASS, FAIL or UNKNOWN, and why.

    ``note`` is what to know before a FAIL or UNKNOWN is believed: that the machine was too slow.
    """

    outcome: Outcome
    sentence: str
    failed: tuple[str, ...]
    unknown: tuple[str, ...]
    identity: Identity | None
    times: tuple[Time, ...]
    results: tuple[Result, ...]
    not_claimed: tuple[Unclaimed, ...]
    goals: tuple[Goal, ...]
    figures: tuple[Figure, ...]
    note: str | None = None

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a process that ends with this verdict."""
        return self.outcome.exit_code

    def result(self, identity: str) -> Result:
        """The result of the check called ``identity``. Raises KeyError."""
        for result in self.results:
            if result.id == identity:
                return result
        raise KeyError(identity)
