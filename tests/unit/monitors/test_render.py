"""What is generated follows from the policy and is committed fresh."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from monitors import render
from monitors.alerts import alerts_of
from monitors.promql import duration, grown, number
from seawall.conventions import metrics
from seawall.policy import Policy
from seawall.policy_file import load_policy

ROOT = Path(__file__).resolve().parents[3]
POLICIES = sorted((ROOT / "policies").glob("*.yaml"))


@pytest.fixture
def policy() -> Policy:
    return load_policy(ROOT / "policies" / "sandbox.yaml")


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_generated_files_are_fresh(path: Path) -> None:
    """A change of the policy is rendered again."""
    assert render.RENDERER.stale(load_policy(path)) == []


def test_a_changed_missing_or_foreign_file_is_stale(policy: Policy, tmp_path: Path) -> None:
    """All three, by name."""
    render.RENDERER.write(policy, folder=tmp_path)
    (tmp_path / "rules.yml").write_text("groups: []\n")
    (tmp_path / "alertmanager.yml").unlink()
    (tmp_path / "old.yml").write_text("")
    assert {path.name for path in render.RENDERER.stale(policy, folder=tmp_path)} == {
        "rules.yml",
        "alertmanager.yml",
        "old.yml",
    }


def test_every_trigger_has_an_alert_with_the_policys_roles(policy: Policy) -> None:
    """Severity, roles, impact and threshold are the policy's own."""
    rules = {
        rule["alert"]: rule
        for rule in yaml.safe_load(render.render(policy)["rules.yml"])["groups"][0]["rules"]
    }
    for trigger in policy.triggers:
        rule = rules[metrics.trigger_alert(trigger.name)]
        assert rule["expr"].endswith(f">= {number(trigger.enter_at)}")
        assert rule["labels"] == {
            "severity": trigger.severity,
            "roles": ",".join(trigger.pages),
            "policy": "sandbox",
        }
        assert rule["annotations"]["customer_impact"] == trigger.customer_impact


def test_every_alert_has_a_test_and_a_runbook(policy: Policy) -> None:
    """An alert that no test fires, or that says nothing of what to do, is not shipped."""
    tested = {
        test["name"].partition(":")[0]
        for test in yaml.safe_load(render.render(policy)["rules_test.yml"])["tests"]
    }
    assert tested == {alert.name for alert in alerts_of(policy)}
    assert all((ROOT / alert.runbook).is_file() for alert in alerts_of(policy))


def test_no_alert_reads_what_the_mode_controller_decided_but_the_tier(policy: Policy) -> None:
    """Alerts are evidence that does not depend on the mode controller."""
    assert not any(metrics.INDICATOR in alert.expression for alert in alerts_of(policy))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("3/10", "0.3"),
        ("30", "30"),
        ("1/3", "(1 / 3)"),
        ("1/8", "0.125"),
        ("0", "0"),
        ("101/100", "1.01"),
    ],
)
def test_levels_are_written_exactly(value: str, text: str) -> None:
    assert number(Fraction(value)) == text


def test_windows_are_plain_differences() -> None:
    assert duration(5_000) == "5s"
    assert duration(1_500) == "1500ms"
    assert grown("x", window_ms=5_000) == "(x - x offset 5s >= 0 or x)"
