"""What spoils the flood of a good run: arrivals that were missed, clocks that disagree."""

from __future__ import annotations

from dataclasses import replace

from seawall.scorecard.outcome import Outcome
from seawall.scorecard.rows import ClockOffset, WorkerClock
from seawall.scorecard.run import Run
from tests.testing.scorecard.spoiling import Files, Spoil, each, requests_left_late

UNKNOWN = Outcome.UNKNOWN


def clock(run: Run, **changes: ClockOffset | None) -> Files:
    """The second worker's clock changed."""
    first, second = run.flood.clocks
    clocks: tuple[WorkerClock, ...] = (first, second.model_copy(update=changes))
    return {"flood": run.flood.model_copy(update={"clocks": clocks})}


def off(offset_ms: float, *, uncertainty_ms: float = 0.5) -> ClockOffset:
    """A measured clock."""
    return ClockOffset(offset_ms=offset_ms, uncertainty_ms=uncertainty_ms)


FLOODS: dict[str, tuple[Spoil, dict[str, Outcome]]] = {
    "arrivals were missed": (
        lambda run: {
            "requests": each(
                run.requests,
                lambda row: row.index % 500 == 77,
                sent_at=None,
                status=None,
                done_at=None,
            )
        },
        {"drill.flood": UNKNOWN},
    ),
    "requests left late, which is a goal and no gate": (requests_left_late, {}),
    "the clock of one worker was four seconds behind": (
        lambda run: clock(run, before=off(-4_000.0), after=off(-4_000.0)),
        {"drill.flood": UNKNOWN},
    ),
    "the clock of one worker went astray during the flood": (
        lambda run: clock(run, after=off(19.8)),
        {"drill.flood": UNKNOWN},
    ),
    "a clock was 19 ms off, which is within the bound": (
        lambda run: clock(run, before=off(19.0), after=off(-19.0)),
        {},
    ),
    "a worker's time took so long that nobody knows how far its clock is off": (
        lambda run: clock(run, before=off(0.0, uncertainty_ms=21.0)),
        {"drill.flood": UNKNOWN},
    ),
    "a worker did not tell its time at the end": (
        lambda run: clock(run, after=None),
        {"drill.flood": UNKNOWN},
    ),
    "no clock was measured": (
        lambda run: {"flood": run.flood.model_copy(update={"clocks": ()})},
        {"drill.flood": UNKNOWN},
    ),
    "requests were sent by a worker whose clock is in no list": (
        lambda run: {
            "requests": tuple(
                replace(row, worker="2") if row.index % 9 == 0 else row for row in run.requests
            )
        },
        {"drill.flood": UNKNOWN},
    ),
}
