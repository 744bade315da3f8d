"""The files that a drill of one control leaves: for machines, and for CI."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

from seawall.drill.result import DrillResult
from seawall.scorecard.outcome import Outcome, failed, passed, unknown

RESULT = DrillResult(
    drill="noisy-neighbour",
    sentence="a flood",
    findings={
        "neighbour.calm": passed(measured="1", target="1", reason="well"),
        "neighbour.generator": unknown(target="0 ms", reason="late\x00"),
        "control.keys": failed(measured="0", target="1", reason="silent", details=["key a"]),
    },
    conditions={"seed": 7},
    evidence=[],
)


def test_unknown_is_as_little_green_in_ci_as_a_failure(tmp_path: Path) -> None:
    path = RESULT.write(tmp_path)

    assert json.loads(path.read_text())["outcome"] == RESULT.outcome == Outcome.FAIL
    suites = ET.parse(tmp_path / "junit.xml").getroot()  # noqa: S314 - we wrote it
    assert [suites.get(key) for key in ("tests", "failures", "errors")] == ["3", "1", "1"]
    assert [suite.get("name") for suite in suites] == ["neighbour", "control"]
    assert "key a" in (suites.findtext(".//failure") or "")
    assert [error.get("message") for error in suites.iter("error")] == ["late?"]
