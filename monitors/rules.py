"""The alerts of a policy as Prometheus reads them."""

from __future__ import annotations

from typing import Any

from monitors.alert import Alert
from monitors.alerts import alerts_of
from monitors.promql import duration
from seawall.policy import Policy

RULE_GROUP = "seawall"


def rules_of(policy: Policy) -> dict[str, Any]:
    """The Prometheus rules file as plain data: one group."""
    return {
        "groups": [
            {
                "name": RULE_GROUP,
                "interval": duration(policy.monitoring.evaluate_every),
                "rules": [_rule(policy, alert) for alert in alerts_of(policy)],
            }
        ]
    }


def labels_of(policy: Policy, alert: Alert) -> dict[str, str]:
    """Labels that routing and the pager read."""
    return {"severity": alert.severity, "roles": ",".join(alert.roles), "policy": policy.policy}


def annotations_of(alert: Alert) -> dict[str, str]:
    """What the person who is paged reads first."""
    return {
        "summary": alert.summary,
        "customer_impact": alert.customer_impact,
        "runbook": alert.runbook,
    }


def _rule(policy: Policy, alert: Alert) -> dict[str, Any]:
    rule: dict[str, Any] = {"alert": alert.name, "expr": alert.expression}
    if alert.pending_ms:
        rule["for"] = duration(alert.pending_ms)
    return rule | {"labels": labels_of(policy, alert), "annotations": annotations_of(alert)}
