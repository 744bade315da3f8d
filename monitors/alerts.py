"""Which alerts there are.

One per trigger of the policy, and those that any venue of this kind needs.

Alerts are computed from the venue's metrics, not from the guard's decisions: they are its
witnesses. Thresholds, windows, severities and people come from the policy alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from monitors.promql import duration, grown, number
from seawall.conventions import components, metrics
from seawall.errors import UsageError
from seawall.policy import TIERS, IndicatorName, Policy, Severity, Trigger

RUNBOOKS = "docs/runbooks"
RULE_GROUP = "seawall"
PROTECTED = TIERS.index("protected")

SOURCES: Mapping[IndicatorName, str] = {
    "drawdown_velocity": "drawdown",
    "queue_age_s": "queue-age",
    "queue_age_guaranteed_s": "queue-age",
    "signing_failures": "signing-dark",
}
"""Indicator -> its runbook.

What to do depends on what was seen, not on how a policy calls its trigger.
"""

OWNERS: Mapping[str, str] = {
    metrics.RESERVED_VALUE: components.API_PROCESS,
    metrics.HOT_TARGET_VALUE: components.API_PROCESS,
    metrics.QUEUE_AGE: components.TREASURY_PROCESS,
    metrics.LEDGER_DRIFT: components.TREASURY_PROCESS,
    metrics.TIER: components.GUARD_PROCESS,
}
"""Metric that an alert reads -> the process that must serve it."""
SIGNERS = "signer-.+"
"""Every signer serves SIGN_REQUESTS."""


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert: ``expression`` is PromQL, ``pending_ms`` how long it must hold, ``roles`` who is
    paged.
    """

    name: str
    expression: str
    pending_ms: int
    severity: Severity
    roles: tuple[str, ...]
    summary: str
    customer_impact: str
    runbook: str


def alerts_of(policy: Policy) -> list[Alert]:
    """Every alert of ``policy``, triggers first."""
    return [
        *(_witness(policy, trigger) for trigger in policy.triggers),
        *_signing_dark(policy),
        _tier_protected(policy),
        _ledger_drift(policy),
        _metrics_absent(policy),
    ]


def _witness(policy: Policy, trigger: Trigger) -> Alert:
    level = number(trigger.enter_at)
    return Alert(
        name=metrics.trigger_alert(trigger.name),
        expression=f"{_indicator(policy, trigger.indicator)} >= {level}",
        pending_ms=policy.monitoring.pending_for,
        severity=trigger.severity,
        roles=trigger.pages,
        summary=(
            f"{trigger.name}: {trigger.indicator} is {{{{ $value | humanize }}}}, at or above "
            f"{level}"
        ),
        customer_impact=trigger.customer_impact,
        runbook=f"{RUNBOOKS}/{SOURCES[trigger.indicator]}.md",
    )


def _indicator(policy: Policy, name: IndicatorName) -> str:
    if name == "drawdown_velocity":
        reserved = grown(metrics.RESERVED_VALUE, window_ms=window_ms(policy, name))
        return f"sum({reserved}) / max({metrics.HOT_TARGET_VALUE})"
    if name == "signing_failures":
        return f"sum({_unavailable(policy)})"
    scope = {"queue_age_s": "all", "queue_age_guaranteed_s": "guaranteed"}[name]
    return f'max({metrics.QUEUE_AGE}{{scope="{scope}"}})'


def _unavailable(policy: Policy) -> str:
    return grown(
        f'{metrics.SIGN_REQUESTS}{{outcome="unavailable"}}',
        window_ms=window_ms(policy, "signing_failures"),
    )


def window_ms(policy: Policy, indicator: IndicatorName) -> int:
    """The window over which ``indicator`` is counted.

    Raises :class:`UsageError` if the policy declares none.
    """
    settings = policy.indicators.get(indicator)
    if settings is None or settings.window is None:
        message = f"indicators.{indicator} of {policy.policy} has no window"
        raise UsageError(message, remedy="declare one; an alert counts within it")
    return settings.window


def _signing_dark(policy: Policy) -> list[Alert]:
    """Per region, what the triggers on signing failures see over all regions.

    Nothing if the policy has no such trigger.
    """
    triggers = [trigger for trigger in policy.triggers if trigger.indicator == "signing_failures"]
    if not triggers:
        return []
    level = number(min(trigger.enter_at for trigger in triggers))
    return [
        Alert(
            name=metrics.ALERT_SIGNING_DARK,
            expression=f"sum by (region) ({_unavailable(policy)}) >= {level}",
            pending_ms=policy.monitoring.pending_for,
            severity="critical",
            roles=_roles(triggers),
            summary=(
                "Signing in {{ $labels.region }} is dark: {{ $value | humanize }} requests found "
                "no provider"
            ),
            customer_impact="Payouts signed in this region stand still until the standby region signs them.",
            runbook=f"{RUNBOOKS}/{SOURCES['signing_failures']}.md",
        )
    ]


def _tier_protected(policy: Policy) -> Alert:
    triggers = [trigger for trigger in policy.triggers if trigger.tier == "protected"]
    promise = policy.tiers.promise("protected")
    limits = "; ".join(
        f"{verb} {', '.join(functions)}"
        for verb, functions in (("suspends", promise.suspends), ("defers", promise.defers))
        if functions
    )
    return Alert(
        name=metrics.ALERT_TIER_PROTECTED,
        expression=f"max({metrics.TIER}) >= {PROTECTED}",
        pending_ms=policy.monitoring.pending_for,
        severity="critical",
        roles=_roles(triggers or policy.triggers),
        summary="The venue is in protected mode",
        customer_impact=f"Protected mode {limits or 'keeps every function'}.",
        runbook=f"{RUNBOOKS}/tier-protected.md",
    )


def _ledger_drift(policy: Policy) -> Alert:
    owners = {bucket.owner for bucket in policy.buckets.values()}
    return Alert(
        name=metrics.ALERT_LEDGER_DRIFT,
        expression=f"max by (network, bucket, asset) (abs({metrics.LEDGER_DRIFT})) > 0",
        pending_ms=policy.monitoring.pending_for,
        severity="critical",
        roles=tuple(sorted(owners)),
        summary=(
            "Ledger and chain differ by {{ $value | humanize }} base units of {{ $labels.asset "
            "}} of {{ $labels.bucket }} on {{ $labels.network }}"
        ),
        customer_impact=(
            "The venue no longer knows what it holds; if the bucket pays customers, top-ups stop "
            "until the difference is explained."
        ),
        runbook=f"{RUNBOOKS}/ledger-drift.md",
    )


def _metrics_absent(policy: Policy) -> Alert:
    """The twin of all others: an alert that reads nothing never fires.

    A process that was scraped within the window and is not any more; or one that is scraped and
    does not serve what it must.
    """
    seen = f'max by (process) (max_over_time(up{{job="venue"}}[{10 * policy.monitoring.absent_for}ms]))'
    gone = f'{seen} == 1 unless on (process) up{{job="venue"}} == 1'
    mute = [_mute(policy, metric, f'process="{owner}"') for metric, owner in OWNERS.items()]
    mute.append(_mute(policy, metrics.SIGN_REQUESTS, f'process=~"{SIGNERS}"'))
    return Alert(
        name=metrics.ALERT_VENUE_METRICS_ABSENT,
        expression="count by (process) (" + "\n  or ".join([gone, *mute]) + "\n)",
        pending_ms=policy.monitoring.absent_for,
        severity="critical",
        roles=_roles(policy.triggers),
        summary="{{ $labels.process }} serves no metrics, or not those that alerts are made of",
        customer_impact=(
            "Customers may be affected without anyone being told: the alerts that would say so "
            "cannot fire."
        ),
        runbook=f"{RUNBOOKS}/metrics-absent.md",
    )


def _mute(policy: Policy, metric: str, process: str) -> str:
    """Processes that answer, and have answered for as long as ``metric`` may take to appear,
    without it.
    """
    up = f'up{{job="venue",{process}}}'
    grace = grace_ms(policy, metric)
    since = f" and on (process) {up} offset {duration(grace)} == 1" if grace else ""
    return f"{up} == 1{since} unless on (process) {metric}"


def grace_ms(policy: Policy, metric: str) -> int:
    """How long the owner of ``metric`` may serve others before it.

    Reconciliation knows nothing before its first pass.
    """
    if metric != metrics.LEDGER_DRIFT:
        return 0
    return max(bucket.reconciliation_every for bucket in policy.buckets.values())


def _roles(triggers: Iterable[Trigger]) -> tuple[str, ...]:
    return tuple(sorted({role for trigger in triggers for role in trigger.pages}))


def rules_of(policy: Policy) -> dict[str, Any]:
    """The rules file as plain data: one group, evaluated at the policy's pace."""
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
    """What the person who is woken reads first."""
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
