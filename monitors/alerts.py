"""The alerts of a policy; `monitors.rules` writes them as Prometheus rules.

One alert per trigger, and those that every venue needs. Alerts are computed from the venue's
metrics and not from the decisions of the mode controller, so that they are independent evidence of
them. Thresholds, windows, severities and roles come from the policy alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction

from monitors.alert import RUNBOOKS, Alert, for_owners
from monitors.counterparties import of_cold, of_rails, of_rebalancing
from monitors.promql import duration, grown, number
from seawall.conventions import components, metrics
from seawall.errors import UsageError
from seawall.policy import TIERS, IndicatorName, Policy, Trigger

PROTECTED = TIERS.index("protected")

SOURCES: Mapping[IndicatorName, str] = {
    "drawdown_velocity": "drawdown",
    "queue_age_s": "queue-age",
    "queue_age_guaranteed_s": "queue-age",
    "signing_failures": "signing-dark",
}
"""Indicator -> its runbook: what to do depends on what was measured, not on a trigger's name."""

OWNERS: Mapping[str, str] = {
    metrics.RESERVED_VALUE: components.API_PROCESS,
    metrics.HOT_TARGET_VALUE: components.API_PROCESS,
    metrics.QUEUE_AGE: components.TREASURY_PROCESS,
    metrics.LEDGER_DEFICIT: components.TREASURY_PROCESS,
    metrics.UNIDENTIFIED: components.TREASURY_PROCESS,
    metrics.HOT_EXCESS: components.TREASURY_PROCESS,
    metrics.HELD: components.TREASURY_PROCESS,
    metrics.ASSET_RESTS: components.TREASURY_PROCESS,
    metrics.GAS_LEFT: components.TREASURY_PROCESS,
    metrics.REVIEWS_OVERDUE: components.TREASURY_PROCESS,
    metrics.TIER: components.MODE_CONTROLLER_PROCESS,
    metrics.WAL_RECEIVED: components.WAL_STREAM_PROCESS,
    metrics.RAIL_DOUBT_AGE: components.RAILS_PROCESS,
    metrics.RAIL_QUEUE_AGE: components.RAILS_PROCESS,
    metrics.RAIL_UNEXPLAINED: components.RAILS_PROCESS,
    metrics.RAIL_SETTLE_AGE: components.RAILS_PROCESS,
    metrics.RAIL_SHORTENED: components.RAILS_PROCESS,
    metrics.RAIL_NO_FUNDS: components.RAILS_PROCESS,
    metrics.RAIL_FAILURES: components.RAILS_PROCESS,
}
"""Metric that an alert reads -> the process that must serve it."""
_OF_COLD = (metrics.COLD_AGE, metrics.COLD_HELD, metrics.COLD_REFUSED)
_OF_REBALANCING = (metrics.REBALANCE_AGE, metrics.REBALANCE_HELD, metrics.REBALANCE_REFUSED)
GAS_LEFT_MIN = 100
"""Full payouts, at the fees of the moment: a few minutes of a flood, and days of a calm venue."""
SIGNERS = "signer-.+"
OF_SIGNERS = (metrics.SIGN_REQUESTS, metrics.SIGN_LOG_UNREACHABLE)
"""Metrics that every signer serves."""


def alerts_of(policy: Policy) -> list[Alert]:
    """Every alert of ``policy``, triggers first."""
    return [
        *(_of_trigger(policy, trigger) for trigger in policy.triggers),
        *_signing_dark(policy),
        _tier_protected(policy),
        _ledger_deficit(policy),
        _unidentified(policy),
        _hot_excess(policy),
        _asset_rests(policy),
        _held(policy),
        _gas_low(policy),
        _review_missed(policy),
        _lane_disputed(policy),
        _lane_stuck(policy),
        _signer_capped(policy),
        _signer_stranger(policy),
        _sign_log_unreachable(policy),
        *of_rails(policy),
        *of_cold(policy),
        *of_rebalancing(policy),
        _wal_behind(policy),
        _metrics_absent(policy),
    ]


def _of_trigger(policy: Policy, trigger: Trigger) -> Alert:
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
        reserved, voided = (
            f"sum({grown(metric, window_ms=window_ms(policy, name))})"
            for metric in (metrics.RESERVED_VALUE, metrics.VOIDED_VALUE)
        )
        # A venue that counts no cancellations has had none.
        return f"({reserved} - ({voided} or vector(0))) / max({metrics.HOT_TARGET_VALUE})"
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
    """The window over which ``indicator`` is counted, in milliseconds.

    Raises :class:`UsageError` if the policy declares none.
    """
    settings = policy.indicators.get(indicator)
    if settings is None or settings.window is None:
        raise UsageError(
            f"indicators.{indicator} of {policy.policy} has no window",
            remedy="declare one; an alert counts within it",
        )
    return settings.window


def _signing_dark(policy: Policy) -> list[Alert]:
    """The alert on signing failures per region; none if no trigger watches them.

    The triggers themselves count over all regions.
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
            customer_impact=(
                "Payouts signed in this region stand still until the standby region signs them."
            ),
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


def _ledger_deficit(policy: Policy) -> Alert:
    return for_owners(
        policy,
        name=metrics.ALERT_LEDGER_DEFICIT,
        expression=f"max by (network, bucket, wallet, asset) ({metrics.LEDGER_DEFICIT}) > 0",
        summary=(
            "{{ $labels.wallet }} lacks {{ $value | humanize }} base units of the"
            " {{ $labels.asset }} that the ledger says it holds"
        ),
        customer_impact=(
            "The venue holds less than it says; if the wallet pays customers or refills one that "
            "does, top-ups of this asset stop on its network until the difference is explained."
        ),
        runbook="ledger-deficit.md",
    )


def _unidentified(policy: Policy) -> Alert:
    """The alert on money from unknown senders: a ticket, because anyone could wake people else."""
    return for_owners(
        policy,
        name=metrics.ALERT_UNIDENTIFIED,
        expression=f"max by (network, bucket, asset) ({metrics.UNIDENTIFIED}) > 0",
        severity=metrics.TICKET,
        summary=(
            "{{ $labels.bucket }} on {{ $labels.network }} owes {{ $value | humanize }} base units"
            " of {{ $labels.asset }} to senders who are not known"
        ),
        customer_impact="None; somebody may miss what they sent.",
        runbook="unidentified-money.md",
    )


def hot_excess_pending_ms(policy: Policy) -> int:
    """How long a hot wallet may hold too much: ten refills, in which as many sweeps fit."""
    return 10 * policy.treasury.refill_lead_time


def _hot_excess(policy: Policy) -> Alert:
    """The alert on hot wallets that do not give back: a ticket, for anyone can send them money."""
    return replace(
        for_owners(
            policy,
            name=metrics.ALERT_HOT_EXCESS,
            expression=f"max by (network, asset) ({metrics.HOT_EXCESS}) > 0",
            severity=metrics.TICKET,
            summary=(
                "The hot wallet of {{ $labels.network }} has held more {{ $labels.asset }} than it"
                " should for a while, and does not give it back"
            ),
            customer_impact="None; more is within reach of a stolen key than was decided.",
            runbook="hot-excess.md",
        ),
        pending_ms=hot_excess_pending_ms(policy),
    )


def _asset_rests(policy: Policy) -> Alert:
    return for_owners(
        policy,
        name=metrics.ALERT_ASSET_RESTS,
        expression=f"max by (network, asset) ({metrics.ASSET_RESTS}) > 0",
        summary="No payment of {{ $labels.asset }} moves on {{ $labels.network }}",
        customer_impact="Withdrawals of this asset wait on this network, and can be cancelled.",
        runbook="held-withdrawals.md",
    )


def _held(policy: Policy) -> Alert:
    """The alert on held withdrawals: a ticket, for customers can name addresses that fail."""
    return for_owners(
        policy,
        name=metrics.ALERT_HELD,
        expression=f"max by (network, asset) ({metrics.HELD}) > 0",
        severity=metrics.TICKET,
        summary=(
            "{{ $value | humanize }} withdrawals of {{ $labels.asset }} on {{ $labels.network }}"
            " are held, and nobody has decided about them"
        ),
        customer_impact="Their payments did not go through; each customer can have the money back.",
        runbook="held-withdrawals.md",
    )


def _gas_low(policy: Policy) -> Alert:
    return for_owners(
        policy,
        name=metrics.ALERT_GAS_LOW,
        expression=f"min by (network, wallet) ({metrics.GAS_LEFT}) < {GAS_LEFT_MIN}",
        summary=(
            "The key of {{ $labels.wallet }} has gas money for {{ $value | humanize }} more payouts"
        ),
        customer_impact="None yet; without gas money nothing is paid from this wallet.",
        runbook="gas-low.md",
    )


def _review_missed(policy: Policy) -> Alert:
    return for_owners(
        policy,
        name=metrics.ALERT_REVIEW_MISSED,
        expression=f"max by (network, wallet) ({metrics.REVIEWS_OVERDUE}) > 0",
        summary=(
            "{{ $value | humanize }} movements of the fast lane out of {{ $labels.wallet }} were"
            " not reviewed in time, and the lane is closed"
        ),
        customer_impact="None yet; the next emergency has no fast lane until they are reviewed.",
        runbook="review-missed.md",
    )


def _lane_disputed(policy: Policy) -> Alert:
    return for_owners(
        policy,
        name=metrics.ALERT_LANE_DISPUTED,
        expression=f"max by (network, wallet) ({metrics.LANE_DISPUTED}) > 0",
        summary="The chain knows of {{ $labels.wallet }} what the venue's records do not",
        customer_impact="Nothing is paid from this wallet until people have looked.",
        runbook="lane-disputed.md",
    )


def _signer_capped(policy: Policy) -> Alert:
    """The alert on the signer's velocity caps: settlers leave room, so somebody else asks."""
    capped = grown(
        f'{metrics.SIGN_REQUESTS}{{outcome="capped"}}', window_ms=policy.caps.signer.window
    )
    return for_owners(
        policy,
        name=metrics.ALERT_SIGNER_CAPPED,
        expression=f"sum by (region) ({capped}) > 0",
        summary=(
            "The signer of {{ $labels.region }} was asked {{ $value | humanize }} times for more"
            " than it may sign away in one window"
        ),
        customer_impact="Payouts of the wallet wait until its window allows more.",
        runbook="signer-capped.md",
    )


def _signer_stranger(policy: Policy) -> Alert:
    strangers = grown(metrics.SIGNER_STRANGERS, window_ms=policy.caps.signer.window)
    return for_owners(
        policy,
        name=metrics.ALERT_SIGNER_STRANGER,
        expression=f"sum by (region) ({strangers}) > 0",
        summary=(
            "The signer of {{ $labels.region }} was asked {{ $value | humanize }} times by somebody"
            " who may not ask"
        ),
        customer_impact=(
            "None if it is a stranger; if it is a settler with a wrong credential, payouts of its"
            " network stand still."
        ),
        runbook="signer-stranger.md",
    )


def _sign_log_unreachable(policy: Policy) -> Alert:
    """The alert on the signers' own database, also while nothing is to be signed."""
    return for_owners(
        policy,
        name=metrics.ALERT_SIGN_LOG_UNREACHABLE,
        expression=f"max by (region) ({metrics.SIGN_LOG_UNREACHABLE}) > 0",
        summary="The sign log does not answer the signers of {{ $labels.region }}",
        customer_impact="No payout is signed in this region; if in both, payouts stand still.",
        runbook="sign-log.md",
    )


def _wal_behind(policy: Policy) -> Alert:
    """The alert on a stream of the log that is behind, or a receiver that is gone.

    The process of the stream serves the metric while it has no server and no receiver, too; that it
    is gone itself, the alert on missing metrics says.
    """
    late_ms = policy.monitoring.absent_for
    return Alert(
        name=metrics.ALERT_WAL_BEHIND,
        expression=f"time() - max({metrics.WAL_RECEIVED}) > {number(Fraction(late_ms, 1_000))}",
        pending_ms=late_ms,
        severity="critical",
        roles=_roles(policy.triggers),
        summary=(
            "The log of the ledger has not reached its second disk for {{ $value | humanize }} s"
        ),
        customer_impact=(
            "Nothing is acknowledged until it does: withdrawals wait, and then are refused."
        ),
        runbook=f"{RUNBOOKS}/wal-stream.md",
    )


def _lane_stuck(policy: Policy) -> Alert:
    return for_owners(
        policy,
        name=metrics.ALERT_LANE_STUCK,
        expression=f"max by (network, wallet) ({metrics.LANE_STUCK}) > 0",
        summary="{{ $labels.network }} asks for higher fees than {{ $labels.wallet }} may offer",
        customer_impact="Payouts from this wallet wait until the network's fees fall.",
        runbook="lane-stuck.md",
    )


def owners_of(policy: Policy) -> dict[str, str]:
    """:data:`OWNERS`, with the metrics that are served where the policy names who moves money."""
    moved = [] if policy.custody is None else [*_OF_COLD]
    moved += [] if policy.rebalancing is None else _OF_REBALANCING
    return {**OWNERS, **dict.fromkeys(moved, components.TREASURY_PROCESS)}


def _metrics_absent(policy: Policy) -> Alert:
    """The alert on missing metrics, because an alert whose metric is missing never fires.

    It fires for a process that was scraped within the window and no longer is, and for one that is
    scraped and does not serve a metric that it owns.
    """
    within = f"{10 * policy.monitoring.absent_for}ms"
    seen = f'max by (process) (max_over_time(up{{job="venue"}}[{within}]))'
    gone = f'{seen} == 1 unless on (process) up{{job="venue"}} == 1'
    silent = [
        _without(policy, metric, f'process="{owner}"')
        for metric, owner in owners_of(policy).items()
    ]
    silent += [_without(policy, metric, f'process=~"{SIGNERS}"') for metric in OF_SIGNERS]
    return Alert(
        name=metrics.ALERT_VENUE_METRICS_ABSENT,
        expression="count by (process) (" + "\n  or ".join([gone, *silent]) + "\n)",
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


def _without(policy: Policy, metric: str, process: str) -> str:
    """PromQL: processes that have answered for as long as ``metric`` may take, and lack it."""
    up = f'up{{job="venue",{process}}}'
    grace = grace_ms(policy, metric)
    since = f" and on (process) {up} offset {duration(grace)} == 1" if grace else ""
    return f"{up} == 1{since} unless on (process) {metric}"


def grace_ms(policy: Policy, metric: str) -> int:
    """How long the owner of ``metric`` may run before it serves it, in milliseconds.

    Reconciliation has no result before its first pass.
    """
    if metric != metrics.LEDGER_DEFICIT:
        return 0
    return max(bucket.reconciliation_every for bucket in policy.buckets.values())


def _roles(triggers: Iterable[Trigger]) -> tuple[str, ...]:
    return tuple(sorted({role for trigger in triggers for role in trigger.pages}))
