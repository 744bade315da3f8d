"""What an alert is, and whom most of them page."""

from __future__ import annotations

from dataclasses import dataclass

from seawall.policy import Policy, Severity

RUNBOOKS = "docs/runbooks"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert.

    Args:
        expression: PromQL.
        pending_ms: how long it must hold before the alert fires.
        roles: who is paged.
        runbook: path within the repository.
    """

    name: str
    expression: str
    pending_ms: int
    severity: Severity
    roles: tuple[str, ...]
    summary: str
    customer_impact: str
    runbook: str


def for_owners(
    policy: Policy,
    *,
    name: str,
    expression: str,
    summary: str,
    customer_impact: str,
    runbook: str,
    severity: Severity = "critical",
) -> Alert:
    """An alert for the owners of all buckets; ``runbook`` is a file of the runbooks' folder."""
    return Alert(
        name=name,
        expression=expression,
        pending_ms=policy.monitoring.pending_for,
        severity=severity,
        roles=_owners(policy),
        summary=summary,
        customer_impact=customer_impact,
        runbook=f"{RUNBOOKS}/{runbook}",
    )


def _owners(policy: Policy) -> tuple[str, ...]:
    return tuple(sorted({bucket.owner for bucket in policy.buckets.values()}))
