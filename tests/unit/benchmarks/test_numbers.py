"""The page of goals and figures names what benchmarks measure, and no figure of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import failover, intake, payouts, report, reservations, soak
from benchmarks.money_path import main

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "numbers.md").read_text(encoding="utf-8")
MONEY_PATH = re.compile(r"benchmarks\.money_path (\w+)")


@pytest.mark.parametrize(
    ("what", "goals"),
    [
        ("reservations in batches", [f">= {reservations.GOAL_PER_S:,}/s"]),
        (
            f"with p99 <= {intake.P99_MS_MAX:g} ms from the planned instant",
            [f">= {intake.GOAL_PER_S:,}/s"],
        ),
        ("payouts confirmed", [f">= {payouts.GOAL_PER_S:,}/s"]),
        ("from a restart", [f"<= {payouts.RESTART_S_MAX:g} s"]),
        ("signing region dark", [f"<= {failover.P99_MS_MAX:g} ms"]),
        ("drift", [f"<= {soak.DRIFT_PERCENT_MAX:g} %"]),
        (
            "of the sandbox's stack",
            [f"<= {report.LIMITS_S[report.SANDBOX][each]} s" for each in ("up", "unchanged")],
        ),
        ("for 100 signing wallets", [f"<= {report.LIMITS_S['100']['up']} s"]),
    ],
)
def test_the_goals_are_those_of_the_benchmarks(what: str, goals: list[str]) -> None:
    (row,) = (line for line in PAGE.splitlines() if line.startswith("| ") and what in line)
    assert all(goal in row.split("|")[2] for goal in goals)


def test_the_page_names_every_part_of_the_money_path(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    (parts,) = re.findall(r"PART\s+(\w+(?:,\s+\w+)+)", capsys.readouterr().out)
    assert {*MONEY_PATH.findall(PAGE)} == {*re.split(r",\s+", parts)}


def test_what_is_called_measured_stands_in_the_readme() -> None:
    """Nothing here was measured anywhere else."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, drills, stack = PAGE.split("\n## ")[1:]
    figures = re.findall(r"\| (\d+\.\d+) s \|", drills)
    figures += re.findall(r"([\d.]+) s(?=[;,])", stack.split("`make bench` |")[1])
    assert len(figures) == 8
    assert all(f"{figure} s" in readme for figure in figures)
