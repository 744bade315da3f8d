"""The monitors' account of the drill: Prometheus series over the time of the run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import httpx

from seawall.conventions import metrics
from seawall.errors import EvidenceError

QUERIES: tuple[str, ...] = (
    metrics.TIER,
    metrics.INDICATOR,
    metrics.QUEUE_AGE,
    metrics.QUEUE_DEPTH,
    metrics.HOT_BALANCE,
    metrics.LEDGER_DEFICIT,
    metrics.UNIDENTIFIED,
    metrics.HELD,
    metrics.ASSET_RESTS,
    metrics.GAS_LEFT,
    metrics.LANE_DISPUTED,
    metrics.LANE_STUCK,
    metrics.WAL_RECEIVED,
    metrics.SIGNING_ROUTE,
    metrics.SLOTS_IN_FLIGHT,
    metrics.REQUESTS,
    metrics.RESERVED_VALUE,
    metrics.PAYOUTS_FINAL,
    metrics.RPC_REQUESTS,
    metrics.SIGN_REQUESTS,
    metrics.TOP_UPS,
    "ALERTS",
)
"""What the report plots; the verdict never rests on these alone.

A query over a time repeats the last sample for up to five minutes, so these do not show when
Prometheus recorded nothing: :data:`seawall.conventions.metrics.SCRAPED` does.
"""


def export_metrics(
    prometheus_url: str,
    *,
    start: float,
    end: float,
    step_s: float,
    expressions: Mapping[str, str],
    into: Path,
) -> None:
    """Write metrics.json: every series of :data:`QUERIES` from ``start`` to ``end`` (Unix seconds).

    Of whether each target was scraped, the samples themselves are read, with their own times.
    ``expressions`` say how a venue whose metrics have other names gives one of them. That of
    whether targets were scraped is a selector, such as ``up{job="venue"}``.

    Raises :class:`EvidenceError` if Prometheus does not answer, or takes an expression for none.
    """
    series: list[dict[str, object]] = []
    with httpx.Client(timeout=20, trust_env=False) as client:
        for query in (*QUERIES, metrics.SCRAPED):
            path = "query_range"
            expression = expressions.get(query, query)
            asked: dict[str, str | float] = {
                "query": expression,
                "start": start,
                "end": end,
                "step": step_s,
            }
            if query == metrics.SCRAPED:
                recorded = f"{expression}[{math.ceil((end - start) * 1_000)}ms]"
                path, asked = "query", {"query": recorded, "time": end}
            try:
                answer = client.get(f"{prometheus_url}/api/v1/{path}", params=asked)
                found = answer.raise_for_status().json()["data"]["result"]
                if query in expressions:
                    found = [
                        {**each, "metric": {**each["metric"], "__name__": query}} for each in found
                    ]
                series += found
            except (httpx.HTTPError, json.JSONDecodeError, KeyError) as error:
                raise EvidenceError(f"Prometheus cannot be read: {error}") from error
    into.write_text(json.dumps({"step_s": step_s, "series": series}) + "\n", encoding="utf-8")
