"""The good run as one of another drill: without a fault, on a calm day, or with less on offer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any

from seawall.conventions.evidence import Port
from seawall.experiments import experiment_of
from seawall.policy import Policy
from seawall.policy.drilling import Storm
from seawall.scorecard.rows import Demand, EarlierDemand
from seawall.scorecard.run import Run
from tests.testing.scorecard.spoiling import Files, probes, without
from tests.testing.scorecard.story import DRILL


def declared(run: Run, **expects: Any) -> Files:
    """The run's drill without faults, and with other expectations; its experiment follows."""
    drill = run.drill
    other = drill.model_copy(
        update={
            "faults": (),
            "expects": drill.expects.model_copy(update={"reaches": (), "targets": ()} | expects),
            "smallest": drill.smallest.model_copy(
                update={"fault": None, "payouts": None, "hot_balances": None}
            ),
        }
    )
    policy: Policy = run.policy.model_copy(update={"drills": {DRILL: other}})
    experiment = experiment_of(policy, DRILL)
    return {
        "policy": policy,
        "drill": other,
        "journal": run.journal
        | {
            "experiment": experiment,
            "run": [
                {"activity": activity, "status": "succeeded", "output": None}
                for activity in experiment["method"]
            ],
            "rollbacks": [
                {"activity": activity, "status": "succeeded", "output": None}
                for activity in experiment["rollbacks"]
            ],
        },
        "timeline": without(run.timeline, lambda line: line.event.startswith("fault.")),
    }


def calm(run: Run, **expects: Any) -> Files:
    """A day on which nothing happened: no fault, no flip, no page."""
    return {
        **declared(run, **expects),
        "pages": (),
        "flips": (),
        **probes(
            run, "status", lambda sample: replace(sample, detail=sample.detail | {"tier": "normal"})
        ),
    }


def offering(
    run: Run, offers: Sequence[Port], *, claims: Sequence[str], targets: Sequence[str] = ()
) -> Any:
    """The run on a deployment that offers less, of a drill that demands ``claims``."""
    expects = {"reaches": (), "avoids": (), "targets": tuple(targets)}
    drill = run.drill.model_copy(
        update={"claims": tuple(claims), "expects": run.drill.expects.model_copy(update=expects)}
    )
    policy = run.policy.model_copy(
        update={"drills": run.policy.drills | {run.manifest.drill: drill}}
    )
    return {
        "policy": policy,
        "drill": drill,
        "manifest": run.manifest.model_copy(update={"offers": tuple(offers)}),
    }


def second(run: Run) -> Files:
    """The run as one after another on a game day, which asked for what the prober asked for first.

    One request of that, of the flood, was refunded, and paid all the same.
    """
    early = run.probes["small_withdrawal"][:3]
    refunded = next(
        row
        for row in run.arrivals
        if [each.id for each in run.arrivals].count(row.id) == 1 and row.phase == "run"
    )
    asked = Demand.of_probe(early[0].detail or {})
    of_flood = Demand.of_probe(asdict(refunded))
    rows = tuple(
        EarlierDemand(
            run="first",
            network=demand.network,
            asset=demand.asset,
            destination=demand.destination,
            amount=demand.amount,
            asked=times,
            paid=paid,
        )
        for demand, times, paid in ((asked, len(early), len(early)), (of_flood, 0, 1))
    )
    return {
        "manifest": run.manifest.model_copy(update={"earlier": ("first",)}),
        "earlier": rows,
        "arrivals": without(run.arrivals, lambda row: row is refunded),
        "requests": without(run.requests, lambda row: row.index == refunded.index),
        **probes(run, "small_withdrawal", lambda sample: None if sample in early else sample),
    }


def stormy(run: Run, *, limited: int = 80) -> Files:
    """One customer asks 100 times more, beside the others; so many of these meet a limit.

    The first four are accepted; what meets no limit fails otherwise.
    """
    drill = run.drill.model_copy(
        update={
            "flood": run.drill.flood.model_copy(
                update={"storm": Storm.model_construct(requests_per_s=1, value=Decimal(1000))}
            )
        }
    )
    model, sent = next(
        (arrival, request)
        for arrival in run.arrivals
        for request in run.requests
        if arrival.phase == "run" and request.index == arrival.index and request.sent_at
    )
    first = 1 + max(arrival.index for arrival in run.arrivals)
    arrivals = tuple(
        replace(model, index=first + n, id=f"storm-{n}", customer_id="the stormer", attempt=1)
        for n in range(100)
    )
    requests = tuple(
        replace(
            sent,
            index=arrival.index,
            outcome="accepted" if n < 4 else "refused",
            error=None if n < 4 else "value_limit_reached" if n < 4 + limited else "unauthorized",
        )
        for n, arrival in enumerate(arrivals)
    )
    return {
        "policy": run.policy.model_copy(update={"drills": {DRILL: drill}}),
        "drill": drill,
        "arrivals": (*run.arrivals, *arrivals),
        "requests": (*run.requests, *requests),
    }
