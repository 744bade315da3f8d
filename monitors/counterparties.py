"""The alerts on counterparties: providers of rails, and the custodian of cold wallets."""

from __future__ import annotations

from fractions import Fraction

from monitors.alert import Alert, for_owners
from monitors.promql import grown, number
from seawall.conventions import metrics
from seawall.policy import Policy


def of_rails(policy: Policy) -> list[Alert]:
    """The alerts on providers of rails; none where nothing is paid over any."""
    if not policy.paying_rails():
        return []
    doubt_s = number(Fraction(policy.targets.rail_failover_max, 1_000))
    waits_s = number(Fraction(policy.targets.small_withdrawal_within, 1_000))
    unsettled = " or ".join(
        f'max by (rail, side) ({metrics.RAIL_SETTLE_AGE}{{rail="{name}"}})'
        f" > {number(Fraction(rail.settles_within, 1_000))}"
        for name, rail in policy.paying_rails().items()
    )
    failures = grown(metrics.RAIL_FAILURES, window_ms=policy.caps.signer.window)
    return [
        for_owners(
            policy,
            name=metrics.ALERT_RAIL_IN_DOUBT,
            expression=f"max by (rail, side) ({metrics.RAIL_DOUBT_AGE}) > {doubt_s}",
            summary=(
                "The {{ $labels.side }} provider of {{ $labels.rail }} has not said for"
                " {{ $value | humanize }} s whether it has an instruction"
            ),
            customer_impact=(
                "A few withdrawals over this rail wait for that provider; if the other one does"
                " not answer either, all of them wait."
            ),
            runbook="rails.md",
        ),
        for_owners(
            policy,
            name=metrics.ALERT_RAIL_QUEUE,
            expression=f"max by (rail) ({metrics.RAIL_QUEUE_AGE}) > {waits_s}",
            summary=(
                "A withdrawal over {{ $labels.rail }} has waited for {{ $value | humanize }} s, and"
                " no provider has accepted it"
            ),
            customer_impact="Withdrawals over this rail wait longer than promised.",
            runbook="rails.md",
            severity="warning",
        ),
        for_owners(
            policy,
            name=metrics.ALERT_RAIL_UNEXPLAINED,
            expression=f"max by (rail, side) ({metrics.RAIL_UNEXPLAINED}) > 0",
            summary=(
                "The statement of the {{ $labels.side }} provider of {{ $labels.rail }} says what"
                " nothing on record explains"
            ),
            customer_impact="Money may have left twice; the withdrawals concerned stand still.",
            runbook="rails.md",
        ),
        for_owners(
            policy,
            name=metrics.ALERT_RAIL_FAILED,
            expression=f"sum by (rail) ({failures}) > 0",
            summary="Paying over {{ $labels.rail }} ends with an error again and again",
            customer_impact="Withdrawals over this rail wait.",
            runbook="rails.md",
        ),
        for_owners(
            policy,
            name=metrics.ALERT_RAIL_UNSETTLED,
            expression=unsettled,
            summary=(
                "The {{ $labels.side }} provider of {{ $labels.rail }} has accepted a payout"
                " {{ $value | humanizeDuration }} ago, and has neither settled nor returned it"
            ),
            customer_impact="A customer waits for money that the provider says it has sent.",
            runbook="rails.md",
            severity="warning",
        ),
        for_owners(
            policy,
            name=metrics.ALERT_RAIL_SHORTENED,
            expression=f"max by (rail, side) ({metrics.RAIL_SHORTENED}) > 0",
            summary=(
                "The statement of the {{ $labels.side }} provider of {{ $labels.rail }} lacks what"
                " it said before"
            ),
            customer_impact=(
                "Nothing more is asked of that provider; withdrawals that it may have wait, and if"
                " the other one does not pay, all of them wait."
            ),
            runbook="rails.md",
        ),
        for_owners(
            policy,
            name=metrics.ALERT_RAIL_NO_FUNDS,
            expression=f"max by (rail, side) ({metrics.RAIL_NO_FUNDS}) > 0",
            summary=(
                "The {{ $labels.side }} provider of {{ $labels.rail }} has no money for"
                " {{ $value | humanize }} instructions that the venue's records say it has"
            ),
            customer_impact="None while the standby pays; else withdrawals over this rail wait.",
            runbook="rails.md",
        ),
    ]


def of_cold(policy: Policy) -> list[Alert]:
    """The alerts on what comes from cold wallets; none where the policy names no custodian."""
    if policy.custody is None:
        return []
    late_s = number(Fraction(policy.custody.lead_time, 1_000))
    return [
        for_owners(
            policy,
            name=metrics.ALERT_COLD_LATE,
            expression=f"max by (network, asset) ({metrics.COLD_AGE}) > {late_s}",
            summary=(
                "The reserve of {{ $labels.network }} has waited for {{ $labels.asset }} from cold"
                " for {{ $value | humanize }} s, longer than its lead time"
            ),
            customer_impact="None yet; in a run the reserve would not refill the hot wallet.",
            runbook="cold-transfers.md",
        ),
        for_owners(
            policy,
            name=metrics.ALERT_COLD_HELD,
            expression=f"max by (network, asset) ({metrics.COLD_HELD}) > 0",
            summary=(
                "What moved out of the cold wallet of {{ $labels.network }} is not what was asked"
                " for: {{ $labels.asset }} is held until people have looked"
            ),
            customer_impact="None yet; money of the venue may be where it should not be.",
            runbook="cold-transfers.md",
        ),
        for_owners(
            policy,
            name=metrics.ALERT_COLD_REFUSED,
            expression=f"max by (network, asset) ({metrics.COLD_REFUSED}) > 0",
            summary=(
                "What was asked of the cold wallet of {{ $labels.network }} was refused, or has"
                " expired: no {{ $labels.asset }} comes from there"
            ),
            customer_impact="None yet; the reserve stays below its minimum.",
            runbook="cold-transfers.md",
            severity="warning",
        ),
    ]


def of_rebalancing(policy: Policy) -> list[Alert]:
    """The alerts on what moves between networks; none where the policy names no carrier."""
    if policy.rebalancing is None:
        return []
    late_s = number(Fraction(policy.rebalancing.lead_time, 1_000))
    return [
        for_owners(
            policy,
            name=metrics.ALERT_REBALANCE_LATE,
            expression=f"max by (asset) ({metrics.REBALANCE_AGE}) > {late_s}",
            summary=(
                "{{ $labels.asset }} that is to go from one network to another has not arrived for"
                " {{ $value | humanize }} s, longer than its lead time"
            ),
            customer_impact="None yet; the reserve of one network stays low.",
            runbook="rebalancing.md",
        ),
        for_owners(
            policy,
            name=metrics.ALERT_REBALANCE_HELD,
            expression=f"max by (asset) ({metrics.REBALANCE_HELD}) > 0",
            summary=(
                "What the carrier has paid is not what it was paid: {{ $labels.asset }} between"
                " networks is held until people have looked"
            ),
            customer_impact="None yet; money of the venue may be where it should not be.",
            runbook="rebalancing.md",
        ),
        for_owners(
            policy,
            name=metrics.ALERT_REBALANCE_REFUSED,
            expression=f"max by (asset) ({metrics.REBALANCE_REFUSED}) > 0",
            summary=(
                "What was to go from one network to another was refused, or has expired: no"
                " {{ $labels.asset }} has left"
            ),
            customer_impact="None yet; the reserve of one network stays low.",
            runbook="rebalancing.md",
            severity="warning",
        ),
    ]
