"""Spoiled runs whose fault is not the one that the drill declares, or was not watched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from seawall.scorecard.outcome import Outcome
from seawall.scorecard.run import Run
from tests.testing.scorecard.spoiled_signing import INCOMPLETE
from tests.testing.scorecard.spoiling import Files, Spoil, each, events, journal, probes, us
from tests.testing.scorecard.story import REVERTED

UNKNOWN = Outcome.UNKNOWN

OF_THE_FAULT = dict.fromkeys(
    ("drill.fault_landed", "drill.fault_length", "drill.payouts", "failover.time", "page.failover"),
    UNKNOWN,
)
"""What cannot be said when the timeline does not show when the fault began."""


def _named(run: Run, event: str, **changes: Any) -> Files:
    """The detail of ``event`` changed; of every event of a fault if ``event`` is empty."""
    return {
        "timeline": each(
            run.timeline,
            lambda line: line.event == event if event else line.event.startswith("fault."),
            detail=lambda line: line.detail | changes,
        )
    }


def _experiment(run: Run, **changes: Any) -> Files:
    return journal(run, experiment=run.journal["experiment"] | changes)


FAULTS: dict[str, tuple[Spoil, dict[str, Outcome]]] = {
    "another fault was injected": (
        lambda run: _named(run, "", fault="noop"),
        OF_THE_FAULT
        | dict.fromkeys(
            ("evidence.observers", "stress.small_completed", "recovery.time", "customer.followed"),
            UNKNOWN,
        ),
    ),
    "the fault was in the other region": (
        lambda run: _named(run, "fault.effective", target="kms.standby"),
        OF_THE_FAULT,
    ),
    "the fault had a parameter that the drill does not plan": (
        lambda run: _named(run, "fault.applied", parameters={"latency": "3s"}),
        {"drill.fault_landed": UNKNOWN},
    ),
    "the venue was stressed when the drill began": (
        lambda run: {"flips": each(run.flips, lambda flip: flip.epoch == 2, previous="stressed")},
        {"drill.calm": UNKNOWN},
    ),
    "the status said stressed in the calm": (
        lambda run: probes(
            run,
            "status",
            lambda sample: (
                replace(sample, detail=sample.detail | {"tier": "stressed"})
                if us(5) < sample.at < us(6)
                else sample
            ),
        ),
        {"drill.calm": UNKNOWN},
    ),
    "nobody asked for the status in the calm": (
        lambda run: probes(
            run, "status", lambda sample: None if us(-1) < sample.at < us(15) else sample
        ),
        {"drill.calm": UNKNOWN, "evidence.observers": UNKNOWN},
    ),
    "a network was paid on that nobody read": (
        lambda run: {"manifest": run.manifest.model_copy(update={"chains": ("birch",)})},
        {"evidence.observers": UNKNOWN},
    ),
    "another activity was run than the planned one": (
        lambda run: journal(run, run=[run.journal["run"][0] | {"activity": {"name": "wait"}}]),
        {"experiment.sound": UNKNOWN},
    ),
    "nobody watched the fault": (
        lambda run: {
            "timeline": tuple(line for line in run.timeline if line.event != "fault.held")
        },
        {"drill.fault_landed": UNKNOWN},
    ),
    "the fault's own observer was away for three seconds": (
        lambda run: _named(run, "fault.held", gap_ms=3_000),
        {"drill.fault_landed": UNKNOWN},
    ),
    "the fault's own observer saw it for half of the time": (
        lambda run: _named(run, "fault.held", effective=35),
        {"drill.fault_landed": UNKNOWN},
    ),
    "the fault's own observer saw it gone once": (
        lambda run: _named(run, "fault.held", effective=69, clear=1),
        {"drill.fault_landed": UNKNOWN},
    ),
    "the fault's own observer looked too seldom for the gap that it names": (
        lambda run: _named(run, "fault.held", samples=1, effective=1),
        {"drill.fault_landed": UNKNOWN},
    ),
    "the fault's own observer stopped three seconds before the fault was undone": (
        lambda run: events(run, held=REVERTED - 3),
        {"drill.fault_landed": UNKNOWN},
    ),
    "the fault's own observer counted on after the fault was undone": (
        lambda run: events(run, held=REVERTED + 1),
        {"drill.fault_landed": UNKNOWN},
    ),
    "the signer of the dark region signed for the prober": (
        lambda run: probes(run, "signer", lambda sample: replace(sample, ok=True)),
        {"drill.fault_landed": UNKNOWN, **INCOMPLETE},
    ),
    "the fault's own observer looked never": (
        lambda run: _named(run, "fault.held", samples=0, effective=0),
        {"drill.fault_landed": UNKNOWN},
    ),
    "the fault's own observer says nothing that can be counted": (
        lambda run: _named(run, "fault.held", samples="many"),
        {"drill.fault_landed": UNKNOWN},
    ),
    "another experiment was run": (
        lambda run: _experiment(
            run, configuration=run.journal["experiment"]["configuration"] | {"lease_ttl_ms": 1}
        ),
        {"experiment.sound": UNKNOWN},
    ),
    "the experiment had a control that may skip its activities": (
        lambda run: _experiment(run, controls=[{"name": "skip", "provider": {"type": "python"}}]),
        {"experiment.sound": UNKNOWN},
    ),
}
