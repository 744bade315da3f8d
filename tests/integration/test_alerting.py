"""Every committed alert is checked by Prometheus' own tools: silent, firing, silent again.

The tools also notice a broken rule.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from seawall.conventions.generated import ROUTING_FILE, RULES_FILE, TESTS_FILE
from seawall.setup import locate
from tests.testing.nightly import repetitions

ROOT = Path(__file__).resolve().parents[2]
GENERATED = sorted(path for path in (ROOT / "generated").iterdir() if path.is_dir())

pytestmark = pytest.mark.integration


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [str(locate(program).path), *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("folder", repetitions(GENERATED, keep=1), ids=lambda folder: folder.name)
def test_rules_tests_and_routes_are_accepted(folder: Path) -> None:
    """By promtool and amtool, as a person would call them."""
    for done in (
        run("promtool", "check", "rules", folder / RULES_FILE),
        run("promtool", "test", "rules", folder / TESTS_FILE),
        run("amtool", "check-config", folder / ROUTING_FILE),
    ):
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    repetitions(
        [
            (
                "max(seawall_hot_target_value_micro) >= 0.3",
                "max(seawall_hot_target_value_micro) >= 0.31",
            ),
            (
                "unless on (process) seawall_queue_age_seconds",
                "and on (process) seawall_queue_age_seconds",
            ),
            (" >= 0 or seawall_sign_requests_total", " >= 0 and seawall_sign_requests_total"),
            ("severity: critical", "severity: info"),
            ("max(seawall_tier) >= 2", "max(seawall_tier) > 2"),
            (
                "max(seawall_hot_target_value_micro) >= 0.3",
                "max(seawall_hot_target_value_micro) >= 0.29",
            ),
            (
                "unless on (process) seawall_queue_age_seconds",
                "unless on (process) seawall_queue_depth",
            ),
        ],
        keep=1,
    ),
)
def test_a_broken_rule_fails_its_tests(before: str, after: str, tmp_path: Path) -> None:
    """A test that cannot fail proves nothing."""
    rules = (ROOT / "generated" / "sandbox" / RULES_FILE).read_text(encoding="utf-8")
    assert before in rules
    (tmp_path / RULES_FILE).write_text(rules.replace(before, after), encoding="utf-8")
    shutil.copy(ROOT / "generated" / "sandbox" / TESTS_FILE, tmp_path)
    assert run("promtool", "test", "rules", tmp_path / TESTS_FILE).returncode == 1
