"""promtool tests for every alert.

Each alert is silent before its event, fires at the threshold, is silent just below it, and silent
afterwards. Times are counted in samples, so that the tests hold for any scrape interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from monitors.alerts import (
    GAS_LEFT_MIN,
    OF_SIGNERS,
    PROTECTED,
    alerts_of,
    grace_ms,
    hot_excess_pending_ms,
    owners_of,
    window_ms,
)
from monitors.promql import duration, number
from monitors.rules import labels_of
from seawall.conventions import components, metrics
from seawall.policy import Policy, Trigger

CALM = 10
"""Samples before anything happens."""
HOT_TARGET_MICRO = 10**9


Labels = tuple[tuple[str, str], ...]
"""Names and values."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One test of an alert.

    Args:
        story: what happens, in words.
        series: selector -> values in promtool's notation.
        silent_at: samples at which the alert must be silent.
        firing_at: samples at which it must fire.
        labels: that it must then have.
    """

    alert: str
    story: str
    series: dict[str, str]
    silent_at: tuple[int, ...]
    firing_at: tuple[int, ...] = ()
    labels: Labels = ()


def rule_tests_of(policy: Policy, *, rules_file: str) -> dict[str, Any]:
    """The test file as plain data."""
    return {
        "rule_files": [rules_file],
        "evaluation_interval": duration(policy.monitoring.evaluate_every),
        "tests": [_test(policy, case) for case in cases_of(policy)],
    }


def cases_of(policy: Policy) -> list[Case]:
    """Every test of ``policy``."""
    cases = [case for trigger in policy.triggers for case in _trigger_cases(policy, trigger)]
    signing = [trigger for trigger in policy.triggers if trigger.indicator == "signing_failures"]
    if signing:
        region = policy.regions.primary
        level = _ceiling(min(trigger.enter_at for trigger in signing))
        cases.append(
            Case(
                alert=metrics.ALERT_SIGNING_DARK,
                story="one region's provider is gone",
                series={
                    f'{metrics.SIGN_REQUESTS}{{outcome="unavailable",region="{region}"}}': _step(
                        level
                    )
                },
                silent_at=(
                    CALM,
                    CALM + 1 + _samples(policy, window_ms(policy, "signing_failures")),
                ),
                firing_at=(CALM + 1,),
                labels=(("region", region),),
            )
        )
    return [
        *cases,
        _protected(policy),
        *_ledger(policy),
        *_hot_excess(policy),
        *_gas(policy),
        *_lane(policy),
        *_asked_of_signers(policy),
        *_sign_log(policy),
        *_rails(policy),
        *_cold(policy),
        *_rebalancing(policy),
        *_rail_failed(policy),
        *_wal(policy),
        *_absent(policy),
    ]


def _trigger_cases(policy: Policy, trigger: Trigger) -> list[Case]:
    alert = metrics.trigger_alert(trigger.name)
    cancelled: list[Case] = []
    if trigger.indicator == "drawdown_velocity":
        at = _ceiling(trigger.enter_at * HOT_TARGET_MICRO)
        labels = '{network="n",asset="a",size="small"}'
        selector = f"{metrics.RESERVED_VALUE}{labels}"
        cancelled = [_cancelled(alert, selector, f"{metrics.VOIDED_VALUE}{labels}", level=at)]
        more = {metrics.HOT_TARGET_VALUE: f"{HOT_TARGET_MICRO}x40"}
        over = CALM + 1 + _samples(policy, window_ms(policy, trigger.indicator))
        first, values = (
            "the value reserved within the window reaches the level",
            (_step(at), _step(at - 1)),
        )
    elif trigger.indicator == "signing_failures":
        at = _ceiling(trigger.enter_at)
        selector, more = (
            f'{metrics.SIGN_REQUESTS}{{outcome="unavailable",region="{policy.regions.primary}"}}',
            {},
        )
        over = CALM + 1 + _samples(policy, window_ms(policy, trigger.indicator))
        first, values = (
            "a counter that begins at the level",
            (f"_x{CALM + 1} {at}x30", _step(at - 1)),
        )
    else:
        at = _ceiling(trigger.enter_at)
        scope = "all" if trigger.indicator == "queue_age_s" else "guaranteed"
        selector, more, over = f'{metrics.QUEUE_AGE}{{scope="{scope}"}}', {}, CALM + 11
        first, values = "the queue reaches the age, then drains", (_pulse(at), _pulse(at - 1))
    return [
        Case(
            alert=alert,
            story=first,
            series={selector: values[0], **more},
            silent_at=(CALM, over),
            firing_at=(CALM + 1 + _pending(policy),),
        ),
        Case(
            alert=alert,
            story="just below the level",
            series={selector: values[1], **more},
            silent_at=(CALM + 1, CALM + 3),
        ),
        *cancelled,
    ]


def _cancelled(alert: str, reserved: str, voided: str, *, level: int) -> Case:
    """One customer who reserves and cancels, over and over, is no run."""
    return Case(
        alert=alert,
        story="as much is reserved again and again, and cancelled each time",
        series={
            reserved: f"0x{CALM} {level}+{level}x30",
            voided: f"0x{CALM} {level}+{level}x30",
            metrics.HOT_TARGET_VALUE: f"{HOT_TARGET_MICRO}x40",
        },
        silent_at=(CALM + 1, CALM + 5, CALM + 20),
    )


def _protected(policy: Policy) -> Case:
    return Case(
        alert=metrics.ALERT_TIER_PROTECTED,
        story="the mode controller enters protected mode and leaves it",
        series={metrics.TIER: _pulse(PROTECTED)},
        silent_at=(CALM, CALM + 11),
        firing_at=(CALM + 1 + _pending(policy),),
    )


def _ledger(policy: Policy) -> list[Case]:
    """One base unit is missing, one comes from outside; a payment is held, and none moves."""
    network, declared = next(iter(policy.networks.items()))
    name, wallet = next(each for each in policy.wallets.items() if each[1].network == network)
    bucket = (("asset", declared.native), ("bucket", wallet.bucket), ("network", network))
    asset = (("asset", declared.native), ("network", network))
    return [
        _pulsing(policy, alert, metric, labels, level=1, story=story)
        for alert, metric, story, labels in (
            (
                metrics.ALERT_LEDGER_DEFICIT,
                metrics.LEDGER_DEFICIT,
                "one base unit is missing, then found",
                (*bucket, ("wallet", name)),
            ),
            (
                metrics.ALERT_UNIDENTIFIED,
                metrics.UNIDENTIFIED,
                "one base unit comes from outside, then is identified",
                bucket,
            ),
            (
                metrics.ALERT_HELD,
                metrics.HELD,
                "a payment is refused, then its customer has it back",
                asset,
            ),
            (
                metrics.ALERT_ASSET_RESTS,
                metrics.ASSET_RESTS,
                "an issuer pauses a token, then lets it go on",
                asset,
            ),
        )
    ]


def _hot_excess(policy: Policy) -> list[Case]:
    """A hot wallet holds too much until sweeps have brought it back, and once they do not."""
    network, declared = next(iter(policy.networks.items()))
    labels = (("asset", declared.native), ("network", network))
    selector = _selector(metrics.HOT_EXCESS, labels)
    pending = _samples(policy, hot_excess_pending_ms(policy))
    return [
        Case(
            alert=metrics.ALERT_HOT_EXCESS,
            story="a hot wallet gives back too little, then enough",
            series={selector: f"0x{CALM} 1x{pending + 9} 0x20"},
            silent_at=(CALM, CALM + pending, CALM + pending + 11),
            firing_at=(CALM + 2 + pending,),
            labels=labels,
        ),
        Case(
            alert=metrics.ALERT_HOT_EXCESS,
            story="a hot wallet gives back what somebody has sent",
            series={selector: f"0x{CALM} 1x{pending - 2} 0x20"},
            silent_at=(CALM, CALM + pending - 1, CALM + pending + 5),
        ),
    ]


def _sign_log(policy: Policy) -> list[Case]:
    """The signers of one region lose their log, and have it again."""
    labels = (("region", policy.regions.primary),)
    return [
        _pulsing(
            policy,
            metrics.ALERT_SIGN_LOG_UNREACHABLE,
            metrics.SIGN_LOG_UNREACHABLE,
            labels,
            level=1,
            story="the sign log stops answering, then is back",
        )
    ]


def _rails(policy: Policy) -> list[Case]:
    """A provider says nothing of an instruction, and another one too much."""
    doubt_s = _ceiling(Fraction(policy.targets.rail_failover_max, 1_000))
    return [
        _pulsing(
            policy,
            alert,
            metric,
            labels,
            level=level,
            story=story,
            shown=labels[:1] if metric == metrics.RAIL_QUEUE_AGE else labels,
        )
        for rail in list(policy.paying_rails())[:1]
        for labels in ((("rail", rail), ("side", "primary")),)
        for alert, metric, level, story in (
            (
                metrics.ALERT_RAIL_IN_DOUBT,
                metrics.RAIL_DOUBT_AGE,
                doubt_s + 1,
                "a provider goes dark with an instruction, then is back",
            ),
            (
                metrics.ALERT_RAIL_QUEUE,
                metrics.RAIL_QUEUE_AGE,
                _ceiling(Fraction(policy.targets.small_withdrawal_within, 1_000)) + 1,
                "a provider runs out of funds, then has some",
            ),
            (
                metrics.ALERT_RAIL_UNEXPLAINED,
                metrics.RAIL_UNEXPLAINED,
                1,
                "a provider has paid what nobody asked for, then people have settled it",
            ),
            (
                metrics.ALERT_RAIL_UNSETTLED,
                metrics.RAIL_SETTLE_AGE,
                _ceiling(Fraction(policy.rails[rail].settles_within, 1_000)) + 1,
                "a payout is accepted and stays so, then is settled",
            ),
            (
                metrics.ALERT_RAIL_SHORTENED,
                metrics.RAIL_SHORTENED,
                1,
                "a provider has lost lines of its statement, then has them again",
            ),
            (
                metrics.ALERT_RAIL_NO_FUNDS,
                metrics.RAIL_NO_FUNDS,
                1,
                "a provider refuses for want of money, then has some",
            ),
        )
    ]


def _cold(policy: Policy) -> list[Case]:
    """A custodian is late, moves something else, and refuses; each time people see to it."""
    if policy.custody is None:
        return []
    network, declared = next(iter(policy.networks.items()))
    labels = (("asset", declared.native), ("network", network))
    late_s = _ceiling(Fraction(policy.custody.lead_time, 1_000))
    return [
        _pulsing(policy, alert, metric, labels, level=level, story=story)
        for alert, metric, level, story in (
            (
                metrics.ALERT_COLD_LATE,
                metrics.COLD_AGE,
                late_s + 1,
                "what a reserve waits for is late, then there",
            ),
            (
                metrics.ALERT_COLD_HELD,
                metrics.COLD_HELD,
                1,
                "a custodian has moved something else, then people have looked",
            ),
            (
                metrics.ALERT_COLD_REFUSED,
                metrics.COLD_REFUSED,
                1,
                "a custodian refuses, then takes the next one",
            ),
        )
    ]


def _rebalancing(policy: Policy) -> list[Case]:
    """A carrier is late, pays something else, and refuses; each time people see to it."""
    if policy.rebalancing is None:
        return []
    labels = (("asset", next(iter(policy.rebalancing.assets))),)
    late_s = _ceiling(Fraction(policy.rebalancing.lead_time, 1_000))
    return [
        _pulsing(policy, alert, metric, labels, level=level, story=story)
        for alert, metric, level, story in (
            (metrics.ALERT_REBALANCE_LATE, metrics.REBALANCE_AGE, late_s + 1, "late, then there"),
            (
                metrics.ALERT_REBALANCE_HELD,
                metrics.REBALANCE_HELD,
                1,
                "other money, then looked at",
            ),
            (metrics.ALERT_REBALANCE_REFUSED, metrics.REBALANCE_REFUSED, 1, "refused, then taken"),
        )
    ]


def _rail_failed(policy: Policy) -> list[Case]:
    """Paying over a rail ends with an error once."""
    return [
        Case(
            alert=metrics.ALERT_RAIL_FAILED,
            story="what a provider says breaks a rule of the database once",
            series={_selector(metrics.RAIL_FAILURES, (("rail", rail),)): _step(1)},
            silent_at=(CALM, CALM + 1 + _samples(policy, policy.caps.signer.window)),
            firing_at=(CALM + 1 + _pending(policy),),
            labels=(("rail", rail),),
        )
        for rail in list(policy.paying_rails())[:1]
    ]


def _lane(policy: Policy) -> list[Case]:
    network = next(iter(policy.networks))
    wallet = next(name for name, each in policy.wallets.items() if each.network == network)
    labels = (("network", network), ("wallet", wallet))
    return [
        _pulsing(policy, alert, metric, labels, level=1, story=story)
        for alert, metric, story in (
            (
                metrics.ALERT_LANE_DISPUTED,
                metrics.LANE_DISPUTED,
                "the chain has used a nonce that was never given out, then people have resolved it",
            ),
            (
                metrics.ALERT_LANE_STUCK,
                metrics.LANE_STUCK,
                "a network's fees rise above what a signer allows, then fall",
            ),
            (
                metrics.ALERT_REVIEW_MISSED,
                metrics.REVIEWS_OVERDUE,
                "a movement of the fast lane is not reviewed in time, then it is",
            ),
        )
    ]


def _asked_of_signers(policy: Policy) -> list[Case]:
    """Too much is asked of a signer once; somebody whom it does not know asks it once."""
    region = policy.regions.primary
    return [
        Case(
            alert=alert,
            story=story,
            series={f'{metric}{{{labels}region="{region}"}}': _step(1)},
            silent_at=(CALM, CALM + 1 + _samples(policy, policy.caps.signer.window)),
            firing_at=(CALM + 1 + _pending(policy),),
            labels=(("region", region),),
        )
        for alert, story, metric, labels in (
            (
                metrics.ALERT_SIGNER_CAPPED,
                "more is asked for once than a window of the caps has room for",
                metrics.SIGN_REQUESTS,
                'outcome="capped",',
            ),
            (
                metrics.ALERT_SIGNER_STRANGER,
                "somebody without a credential asks once",
                metrics.SIGNER_STRANGERS,
                "",
            ),
        )
    ]


def _gas(policy: Policy) -> list[Case]:
    """Gas money runs low and is sent; it is never asked for while there is just enough."""
    network = next(iter(policy.networks))
    wallet = next(name for name, each in policy.wallets.items() if each.network == network)
    labels = (("network", network), ("wallet", wallet))
    selector = _selector(metrics.GAS_LEFT, labels)
    return [
        Case(
            alert=metrics.ALERT_GAS_LOW,
            story="gas money runs low, then is sent",
            series={selector: f"{GAS_LEFT_MIN}x{CALM} {GAS_LEFT_MIN - 1}x9 {GAS_LEFT_MIN}x20"},
            silent_at=(CALM, CALM + 11),
            firing_at=(CALM + 1 + _pending(policy),),
            labels=labels,
        )
    ]


def _wal(policy: Policy) -> list[Case]:
    """The receiver of the log is gone for longer than a scrape may explain, then has it all.

    The metric is a time, and so is the clock of these tests, which begins at 0.
    """
    step, late = policy.monitoring.scrape_every, policy.monitoring.absent_for
    firing = CALM + late // step + 1 + _samples(policy, late)
    back = firing + 4

    def at(sample: int) -> str:
        return number(Fraction(sample * step, 1_000))

    return [
        Case(
            alert=metrics.ALERT_WAL_BEHIND,
            story="the receiver of the log is gone, then has it all",
            series={
                metrics.WAL_RECEIVED: f"0+{at(1)}x{CALM} {at(CALM)}x{back - CALM - 2}"
                f" {at(back)}+{at(1)}x20"
            },
            silent_at=(CALM, firing - 1, back),
            firing_at=(firing,),
        )
    ]


def _selector(metric: str, labels: Labels) -> str:
    pairs = ",".join(f'{label}="{value}"' for label, value in labels)
    return f"{metric}{{{pairs}}}"


def _absent(policy: Policy) -> list[Case]:
    pending = _samples(policy, policy.monitoring.absent_for)
    back = CALM + 1 + 2 * pending
    process = components.MODE_CONTROLLER_PROCESS
    gone = Case(
        alert=metrics.ALERT_VENUE_METRICS_ABSENT,
        story="a process stops answering, then is back",
        series={
            f'up{{job="venue",process="{process}"}}': f"1x{CALM} 0x{2 * pending - 1} 1x10",
            f'{metrics.TIER}{{job="venue",process="{process}"}}': f"0x{back + 10}",
        },
        silent_at=(CALM, CALM + pending, back + 1),
        firing_at=(CALM + 1 + pending,),
        labels=(("process", process),),
    )
    signer = components.signer_process(policy.regions.primary, policy.signing_buckets()[0])
    owed = {**owners_of(policy), **dict.fromkeys(OF_SIGNERS, signer)}
    return [gone, *(_mute(policy, owed, metric) for metric in owed)]


def _mute(policy: Policy, owed: Mapping[str, str], metric: str) -> Case:
    """The owner of ``metric`` serves all of its metrics except this one, later this one, too."""
    owner = owed[metric]
    others = [name for name, process in owed.items() if process == owner and name != metric]
    pending = _samples(policy, policy.monitoring.absent_for) + _samples(
        policy, grace_ms(policy, metric)
    )
    late = pending + 5
    return Case(
        alert=metrics.ALERT_VENUE_METRICS_ABSENT,
        story=f"a process answers without {metric}, then with it",
        series={
            f'up{{job="venue",process="{owner}"}}': f"_x{CALM + 1} 1x90",
            **{f'{name}{{process="{owner}"}}': f"_x{CALM + 1} 0x90" for name in others},
            f'{metric}{{process="{owner}"}}': f"_x{CALM + 1 + late} 0x40",
        },
        silent_at=(CALM, CALM + pending, CALM + 1 + late),
        firing_at=(CALM + 1 + pending,),
        labels=(("process", owner),),
    )


def _test(policy: Policy, case: Case) -> dict[str, Any]:
    alert = next(alert for alert in alerts_of(policy) if alert.name == case.alert)
    firing = f'ALERTS{{alertname="{case.alert}",alertstate="firing"}}'
    labels = {
        "alertname": case.alert,
        "alertstate": "firing",
        **labels_of(policy, alert),
        **dict(case.labels),
    }
    named = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    samples: dict[int, list[dict[str, Any]]] = {at: [] for at in case.silent_at}
    samples |= {at: [{"labels": f"ALERTS{{{named}}}", "value": 1}] for at in case.firing_at}
    step = policy.monitoring.scrape_every
    return {
        "name": f"{case.alert}: {case.story}",
        "interval": duration(step),
        "input_series": [
            {"series": series, "values": values} for series, values in case.series.items()
        ],
        "promql_expr_test": [
            {"expr": firing, "eval_time": duration(at * step), "exp_samples": expected}
            for at, expected in sorted(samples.items())
        ],
    }


def _step(level: int) -> str:
    return f"0x{CALM} {level}x30"


def _pulse(level: int) -> str:
    return f"0x{CALM} {level}x9 0x20"


def _pulsing(
    policy: Policy,
    alert: str,
    metric: str,
    labels: Labels,
    *,
    level: int,
    story: str,
    shown: Labels | None = None,
) -> Case:
    """``metric`` is at ``level`` for a while; ``shown``: the labels of the alert, if others."""
    return Case(
        alert=alert,
        story=story,
        series={_selector(metric, labels): _pulse(level)},
        silent_at=(CALM, CALM + 11),
        firing_at=(CALM + 1 + _pending(policy),),
        labels=labels if shown is None else shown,
    )


def _samples(policy: Policy, ms: int) -> int:
    """How many scrapes ``ms`` spans, rounded up."""
    return -(-ms // policy.monitoring.scrape_every)


def _pending(policy: Policy) -> int:
    return _samples(policy, policy.monitoring.pending_for)


def _ceiling(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)
