"""The benchmark of the whole stack runs, and its report is complete.

Whether the machine is fast is not a test's business.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.harness import AWS, ENGINE, PROVIDER
from benchmarks.meter import LANGUAGE_HOST
from benchmarks.phases import PHASES
from benchmarks.stack import main

pytestmark = [pytest.mark.integration, pytest.mark.nightly]

TIMES_OVER = 8
"""How often over a limit is a hang rather than a busy machine."""


def test_the_smallest_benchmark_reports_every_phase_part_and_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["--wallets", "--json", "--out", str(tmp_path / "found")])
    found = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "found" / "stack.json").read_text(encoding="utf-8")) == found
    assert (tmp_path / "found" / "stack.svg").read_text(encoding="utf-8").startswith("<svg xmlns")

    assert found["failures"] == []
    (stack,) = found["stacks"]
    assert stack["name"] == "sandbox"
    assert stack["resources"] > 30 * stack["wallets"]
    assert [phase["name"] for phase in stack["phases"]] == list(PHASES)
    for phase in stack["phases"]:
        assert set(phase["parts"]) >= {AWS, PROVIDER, ENGINE}
        assert all(part["peak_bytes"] > 2**20 for part in phase["parts"].values())
        assert phase["total"]["cpu_s"] > 0
    assert {LANGUAGE_HOST} <= set(stack["phases"][0]["parts"])
    assert [limit["phase"] for limit in found["limits"]] == ["up", "unchanged", "destroy"]
    assert all(limit["seconds"] < TIMES_OVER * limit["limit_s"] for limit in found["limits"])
    assert code == (0 if all(limit["holds"] for limit in found["limits"]) else 1)
