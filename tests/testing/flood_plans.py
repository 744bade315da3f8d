"""Small plans of floods: even schedules of one customer, for tests that send or count them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtests.arrivals import MICROSECONDS, Arrival, write_arrivals


def arrival(index: int, **changes: Any) -> Arrival:
    """A small request of customer 4 in the run, at zero; ``changes`` replace its fields."""
    fields: dict[str, Any] = {
        "index": index,
        "offset_us": 0,
        "phase": "run",
        "attempt": 1,
        "id": f"id-{index}",
        "customer_id": "4",
        "network": "aster",
        "asset": "AST",
        "amount": 1,
        "value_micro": 1,
        "size": "small",
        "destination": "0x" + "1" * 40,
    }
    return Arrival(**fields | changes)


def even_run(*, seconds: int, rate_per_s: int) -> list[Arrival]:
    """Arrivals at an even rate, all of them in the run."""
    return [
        arrival(index, offset_us=index * MICROSECONDS // rate_per_s)
        for index in range(seconds * rate_per_s)
    ]


def write_plan(folder: Path, arrivals: Sequence[Arrival], *, seconds: int) -> list[str]:
    """Write the files of a plan; returns the options of ``loadtests.flood`` that name them."""
    write_arrivals(arrivals, folder / "arrivals.csv")
    plan = {"seed": 1, "knobs": {"calm_ms": 0, "flood_ms": seconds * 1_000}, "scaling": {}}
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    customers = folder / "customers.csv"
    customers.write_text(
        "customer_id,api_key,network,asset,amount\n4,sk_4,aster,AST,100000\n", encoding="utf-8"
    )
    return ["--arrivals", str(folder / "arrivals.csv"), "--customers", str(customers)]
