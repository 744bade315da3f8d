"""What is asked of Prometheus: series over the run, and the scrapes with their own times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from seawall.conventions import metrics
from seawall.evidence.metrics import QUERIES, export_metrics
from tests.testing.endpoints import serving


def _export(into: Path, **expressions: str) -> tuple[list[Any], dict[str, dict[str, str]]]:
    """The series written for a run of two minutes, and (path, time) asked by query."""
    asked: dict[str, dict[str, str]] = {}

    def answer(path: str, _: dict[str, Any]) -> tuple[int, Any]:
        parts = urlsplit(path)
        given = {key: values[0] for key, values in parse_qs(parts.query).items()}
        query = given.pop("query")
        asked[query] = {"path": parts.path, **given}
        return 200, {"data": {"result": [{"metric": {"job": "venue"}, "values": [[100.3, "1"]]}]}}

    with serving(answer) as url:
        export_metrics(url, start=100.0, end=220.25, step_s=1, expressions=expressions, into=into)
    return json.loads(into.read_text(encoding="utf-8"))["series"], asked


def test_scrapes_are_read_as_they_were_recorded(tmp_path: Path) -> None:
    """A query over a time would repeat the last one for five minutes, and hide a gap."""
    series, asked = _export(tmp_path / "metrics.json")

    assert asked["up[120250ms]"] == {"path": "/api/v1/query", "time": "220.25"}
    assert {query for query, given in asked.items() if given["path"].endswith("query_range")} == {
        *QUERIES
    }
    assert len(series) == len(QUERIES) + 1


def test_scrapes_of_the_targets_that_the_venue_names_are_read_the_same_way(tmp_path: Path) -> None:
    """On a Prometheus that many share, its other targets say nothing of this one's."""
    series, asked = _export(tmp_path / "metrics.json", up='up{job="mine"}')

    assert asked['up{job="mine"}[120250ms]'] == {"path": "/api/v1/query", "time": "220.25"}
    assert series[-1]["metric"] == {"job": "venue", "__name__": metrics.SCRAPED}


def test_what_a_venue_maps_to_another_expression_is_asked_over_the_time(tmp_path: Path) -> None:
    """An expression has no recorded samples of its own."""
    series, asked = _export(tmp_path / "metrics.json", **{metrics.TIER: "(max(stage) - 1)"})

    assert asked["(max(stage) - 1)"]["path"].endswith("query_range")
    assert series[0]["metric"] == {"job": "venue", "__name__": metrics.TIER}
