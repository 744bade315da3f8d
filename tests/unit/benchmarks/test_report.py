"""The report of the benchmark: limits, growth, and its forms as a table and as JSON."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from benchmarks.meter import Speed, Usage
from benchmarks.phases import PHASES, Phase, StackRun
from benchmarks.report import SANDBOX, document, failures, growths, limit_results, plot, table


def run(
    name: str, wallets: int, seconds: float, *, complaint: str = "", crowding: float = 1.0
) -> StackRun:
    phases = tuple(
        Phase(
            name=phase,
            seconds=seconds,
            total=Usage(peak_bytes=3 * 2**20, cpu_s=1.5),
            parts={
                "AWS": Usage(peak_bytes=2**20, cpu_s=0.5),
                "engine": Usage(peak_bytes=2 * 2**20, cpu_s=1.0),
            },
            complaint=complaint,
        )
        for phase in PHASES
    )
    speed = Speed(wall_s=0.2 * crowding, cpu_s=0.2, load=1.0)
    return StackRun(name=name, wallets=wallets, resources=300, phases=phases, speeds=(speed,) * 5)


def test_a_limit_is_kept_up_to_its_last_second() -> None:
    verdicts = {each.phase: each.holds for each in limit_results([run(SANDBOX, 9, 15.0)])}
    assert verdicts == {"up": True, "unchanged": False, "destroy": True}


def test_a_phase_that_failed_keeps_no_limit_however_fast_it_was() -> None:
    runs = [run(SANDBOX, 9, 1.0, complaint="error: denied")]
    assert not any(each.holds for each in limit_results(runs))
    assert failures(runs)[0] == "sandbox, up: error: denied"
    assert "error: denied" in table(runs)


def test_a_hundred_wallets_have_a_limit_of_their_own_and_ten_have_none() -> None:
    assert [
        (each.stack, each.phase)
        for each in limit_results([run("10", 10, 1.0), run("100", 100, 61.0)])
    ] == [("100", "up")]
    assert not limit_results([run("100", 100, 61.0)])[0].holds


def test_growth_is_a_fixed_part_and_seconds_per_wallet_of_the_generated_stacks_alone() -> None:
    runs = [run(SANDBOX, 9, 500.0), run("10", 10, 12.0), run("50", 50, 20.0), run("100", 100, 30.0)]
    found = growths(runs)
    assert [each.phase for each in found] == list(PHASES)
    assert found[0].per_wallet_s == pytest.approx(0.2)
    assert found[0].fixed_s == pytest.approx(10.0)
    assert found[0].ratio == pytest.approx(2.5)
    assert found[0].sizes == (10, 100)
    assert growths(runs[:2]) == []


def test_a_missed_limit_is_printed_with_what_an_empty_machine_could_do_at_best() -> None:
    lines = table([run(SANDBOX, 9, 40.0, crowding=4.0)]).splitlines()
    assert (
        "  sandbox   up          40.0 s of 20 s, 2.00 of the limit  MISSED; 0.50 of it on an "
        "empty machine at best"
    ) in lines


def test_the_document_is_json_and_says_everything_that_the_table_does() -> None:
    found = json.loads(
        json.dumps(document([run(SANDBOX, 9, 40.0), run("10", 10, 1.0), run("20", 20, 2.0)]))
    )
    assert [each["name"] for each in found["stacks"]] == [SANDBOX, "10", "20"]
    assert found["stacks"][0]["phases"][0]["parts"]["AWS"] == {"peak_bytes": 2**20, "cpu_s": 0.5}
    assert found["limits"][0]["holds"] is False
    assert found["growth"][0]["per_wallet_s"] == pytest.approx(0.1)


def test_the_plot_is_an_image_of_its_own_with_a_point_per_size_and_phase() -> None:
    # our own text
    root = ET.fromstring(plot([run("10", 10, 12.0), run("12", 12, 13.0), run("100", 100, 30.0)]))  # noqa: S314
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{space}svg"
    assert len(root.findall(f"{space}circle")) == 3 * len(PHASES)
    drawn = [path.attrib["d"] for path in root.findall(f"{space}path")]
    assert len(drawn) == 2 * len(PHASES)
    assert all(path.count("L") == 1 for path in drawn)
    assert "limit of up with 100 wallets" in {text.text for text in root.iter(f"{space}text")}
