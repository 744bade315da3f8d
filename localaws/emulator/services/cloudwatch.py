"""CloudWatch: alarms are evaluated, change state, and notify their topics and the default bus.

AWS: a new alarm is INSUFFICIENT_DATA until it was evaluated, and an update leaves its state (API
reference, PutMetricAlarm); on a change of state the actions of the new state are carried out, if
they are enabled (user guide, "Using Amazon CloudWatch alarms"), and EventBridge gets "CloudWatch
Alarm State Change"; SetAlarmState lasts until the next evaluation (API reference). moto sets OK and
changes nothing. Evaluated here: when data of its metric is put, when alarms are described, and
every few seconds by :func:`keep_evaluating`. Only actions that are SNS topics are carried out.
Alarms on metric math or anomaly bands are not evaluated; of the metrics that AWS services publish
there are only those of queues. Composite alarms: moto cannot make them. An alarm that is made again
begins with the tags that it is given (PutMetricAlarm: ``Tags`` are those of the new alarm); moto
gives it those of the deleted one.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.session import Session
from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import Alarm, CloudWatchBackend, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import EmptyResult
from moto.events.models import events_backends
from moto.sqs.models import Queue, sqs_backends

from localaws.emulator.services import sns
from localaws.emulator.services.alarm_states import (
    ALARM,
    FURTHER_BACK,
    INSUFFICIENT_DATA,
    OK,
    AlarmRuleError,
    Condition,
    Sample,
    alarms_in,
    holds,
    next_state,
    statistic,
)
from localaws.emulator.services.sqs import UndeliveredError, log_undelivered

_EVERY_S = 5.0
_KEPT_S = 7 * 24 * 3600
"""Data points are kept as long as the longest alarm evaluates them.

Evaluation periods times period may be a week (PutMetricAlarm).
"""
_lock = threading.RLock()
_samples: dict[tuple[Any, ...], deque[tuple[float, str | None, Sample]]] = {}
now: Callable[[], float] = time.time
"""Unix time; a test may put another clock here."""


def install() -> None:
    """Evaluate alarms; carry out actions; make composite alarms."""
    backend: Any = CloudWatchBackend
    backend.put_metric_data = _remembered(backend.put_metric_data)
    backend.put_metric_alarm = _stateful(backend.put_metric_alarm)
    backend.set_alarm_state = _forced(backend.set_alarm_state)
    backend.delete_alarms = _with_their_tags(backend.delete_alarms)
    response: Any = CloudWatchResponse
    response.describe_alarms = _evaluated(response.describe_alarms)
    response.put_composite_alarm = _put_composite_alarm


def keep_evaluating() -> None:
    """Evaluate all alarms every few seconds, in a thread of this process.

    Without data there are no calls, and missing data may be an alarm.
    """

    def run() -> None:
        while True:
            time.sleep(_EVERY_S)
            for regions in list(cloudwatch_backends.values()):
                for backend in list(regions.values()):
                    evaluate(backend)

    threading.Thread(target=run, name="cloudwatch-alarms", daemon=True).start()


def evaluate(backend: CloudWatchBackend, alarms: Iterable[Alarm] | None = None) -> None:
    """Update the states of ``alarms`` (None: all of the backend), then of all composite alarms."""
    with _lock:
        for alarm in list(backend.alarms.values()) if alarms is None else alarms:
            if alarm.rule is None:
                _evaluate_metric(backend, alarm)
        _evaluate_composites(backend)


# ------------------------------------------------------------------------------------------------
# Data
# ------------------------------------------------------------------------------------------------


def _remembered(moto_put: Callable[..., None]) -> Callable[..., None]:
    def put(self: CloudWatchBackend, namespace: str, metric_data: list[dict[str, Any]]) -> None:
        moto_put(self, namespace, metric_data)
        with _lock:
            concerned = [_remember(self, namespace, datum) for datum in metric_data]
            evaluate(
                self,
                [
                    alarm
                    for alarm in list(self.alarms.values())
                    if _metric_of(self, alarm) in concerned
                ],
            )

    return put


def _remember(backend: CloudWatchBackend, namespace: str, datum: dict[str, Any]) -> tuple[Any, ...]:
    dimensions = {each["Name"]: each["Value"] for each in datum.get("Dimensions") or ()}
    metric = _metric(backend, namespace, datum["MetricName"], dimensions)
    _keep(metric, _unix(datum.get("Timestamp")), datum.get("Unit"), _sample(datum))
    return metric


def _measure_queue(backend: CloudWatchBackend, alarm: Alarm) -> None:
    dimensions = {str(each.name): str(each.value) for each in alarm.dimensions}
    value = queue_metric(
        account=backend.account_id,
        region=backend.region_name,
        metric=alarm.metric_name,
        dimensions=dimensions,
        now=now(),
    )
    if value is not None:
        sample = Sample(minimum=value, maximum=value, total=value, count=1, values=(value,))
        unit = "Seconds" if "Age" in alarm.metric_name else "Count"
        _keep(_metric_of(backend, alarm), now(), unit, sample)


def _keep(metric: tuple[Any, ...], when: float, unit: str | None, sample: Sample) -> None:
    kept = _samples.setdefault(metric, deque())
    kept.append((when, unit, sample))
    while kept and kept[0][0] < now() - _KEPT_S:
        kept.popleft()


def _unix(when: datetime | None) -> float:
    if when is None:
        return now()
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _sample(datum: dict[str, Any]) -> Sample:
    if datum.get("StatisticValues"):
        fields = datum["StatisticValues"]
        return Sample(
            minimum=float(fields["Minimum"]),
            maximum=float(fields["Maximum"]),
            total=float(fields["Sum"]),
            count=float(fields["SampleCount"]),
        )
    if datum.get("Values"):
        counts = [int(float(each)) for each in datum.get("Counts") or [1] * len(datum["Values"])]
        values = [
            float(value)
            for value, count in zip(datum["Values"], counts, strict=True)
            for _ in range(count)
        ]
    else:
        values = [float(datum.get("Value", 0))]
    return Sample(
        minimum=min(values),
        maximum=max(values),
        total=sum(values),
        count=len(values),
        values=tuple(values),
    )


def _metric(
    backend: CloudWatchBackend, namespace: str, name: str, dimensions: dict[str, str]
) -> tuple[Any, ...]:
    return (backend.account_id, backend.region_name, namespace, name, frozenset(dimensions.items()))


def _metric_of(backend: CloudWatchBackend, alarm: Alarm) -> tuple[Any, ...]:
    dimensions = {str(each.name): str(each.value) for each in alarm.dimensions}
    return _metric(backend, alarm.namespace, alarm.metric_name, dimensions)


# ------------------------------------------------------------------------------------------------
# States
# ------------------------------------------------------------------------------------------------


def _stateful(moto_put: Callable[..., Alarm]) -> Callable[..., Alarm]:
    def put(self: CloudWatchBackend, *args: Any, **more: Any) -> Alarm:
        with _lock:
            before = self.alarms.get(str(more.get("name")))
            alarm = moto_put(self, *args, **more)
            if before is None:
                alarm.state_value = INSUFFICIENT_DATA
            else:
                for name in (
                    "state_value",
                    "state_reason",
                    "state_reason_data",
                    "state_updated_timestamp",
                    "history",
                ):
                    setattr(alarm, name, getattr(before, name))
            evaluate(self, [alarm])
        return alarm

    return put


def _with_their_tags(moto_delete: Callable[..., None]) -> Callable[..., None]:
    def delete(self: Any, alarm_names: list[str]) -> None:
        for alarm in self.get_alarms_by_alarm_names(alarm_names):
            self.tagger.delete_all_tags_for_resource(alarm.alarm_arn)
        moto_delete(self, alarm_names)

    return delete


def _evaluated(moto_describe: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def describe(self: Any) -> Any:
        evaluate(self.cloudwatch_backend)
        return moto_describe(self)

    return describe


def _forced(moto_set: Callable[..., None]) -> Callable[..., None]:
    def force(
        self: CloudWatchBackend, alarm_name: str, reason: str, reason_data: str, state_value: str
    ) -> None:
        with _lock:
            alarm = self.alarms.get(alarm_name)
            before = alarm.state_value if alarm else None
            moto_set(self, alarm_name, reason, reason_data, state_value)
            alarm = self.alarms[alarm_name]
            alarm.forced_until = now() + (alarm.period or 60)  # type: ignore[attr-defined]
            if before != state_value:
                _notify(self, alarm, str(before))
            _evaluate_composites(self)

    return force


def _evaluate_metric(backend: CloudWatchBackend, alarm: Alarm) -> None:
    condition = _condition(alarm)
    if condition is None or now() < getattr(alarm, "forced_until", 0):
        return
    if alarm.namespace == QUEUE_NAMESPACE:
        _measure_queue(backend, alarm)
    points = _points(backend, alarm, condition.evaluation_periods + FURTHER_BACK)
    state = next_state(condition, points, current=alarm.state_value)
    newest = next((point for point in reversed(points) if point is not None), None)
    reason = (
        f"Threshold Crossed: newest of {len(points)} datapoints [{newest}], "
        f"{alarm.comparison_operator} {alarm.threshold}"
    )
    _change(
        backend,
        alarm,
        state,
        reason if newest is not None else "Insufficient Data: no datapoints were received",
    )


def _condition(alarm: Any) -> Condition | None:
    """Return the condition of an alarm; None if it is on metric math or an anomaly band.

    Such alarms are not evaluated.
    """
    if alarm.metric_data_queries or alarm.threshold is None or alarm.threshold_metric_id:
        return None
    return Condition(
        comparison=alarm.comparison_operator,
        threshold=float(alarm.threshold),
        evaluation_periods=int(alarm.evaluation_periods),
        datapoints_to_alarm=int(alarm.datapoints_to_alarm or alarm.evaluation_periods),
        missing=alarm.treat_missing_data or "missing",
    )


def _points(backend: CloudWatchBackend, alarm: Alarm, count: int) -> list[float | None]:
    """Return the newest ``count`` data points, oldest first.

    The current period counts once it has data.
    """
    period = int(alarm.period)
    kept = _samples.get(_metric_of(backend, alarm), ())
    at = now()
    current = int(at // period)
    periods: dict[int, list[Sample]] = {}
    for when, unit, sample in kept:
        if (
            when <= at
            and when >= (current - count) * period
            and (alarm.unit is None or alarm.unit == unit)
        ):
            periods.setdefault(int(when // period), []).append(sample)
    last = current if current in periods else current - 1
    name = alarm.extended_statistic or alarm.statistic
    return [statistic(name, periods.get(index, ())) for index in range(last - count + 1, last + 1)]


def _evaluate_composites(backend: CloudWatchBackend) -> None:
    """Evaluate composite alarms until none changes: one may depend on another."""
    composites = [alarm for alarm in list(backend.alarms.values()) if alarm.rule is not None]
    for _ in composites:
        changed = False
        for alarm in composites:
            if now() < getattr(alarm, "forced_until", 0):
                continue
            state = ALARM if holds(str(alarm.rule), lambda name: _state_of(backend, name)) else OK
            changed = (
                _change(backend, alarm, state, f"{alarm.alarm_arn}: the rule is {state == ALARM}")
                or changed
            )
        if not changed:
            return


def _state_of(backend: CloudWatchBackend, name: str) -> str:
    alarm = backend.alarms.get(name.rpartition(":alarm:")[2])
    return INSUFFICIENT_DATA if alarm is None else alarm.state_value


def _change(backend: CloudWatchBackend, alarm: Alarm, state: str, reason: str) -> bool:
    before = alarm.state_value
    if state == before:
        return False
    alarm.update_state(reason, "{}", state)
    _notify(backend, alarm, before)
    return True


# ------------------------------------------------------------------------------------------------
# Composite alarms
# ------------------------------------------------------------------------------------------------


def _put_composite_alarm(self: Any) -> EmptyResult:
    rule, backend = self._get_param("AlarmRule"), self.cloudwatch_backend
    try:
        unknown = [
            name for name in alarms_in(rule) if name.rpartition(":alarm:")[2] not in backend.alarms
        ]
        holds(rule, lambda _name: OK)
    except AlarmRuleError as error:
        raise ValidationError(f"AlarmRule: {error}") from error
    if unknown:
        raise ValidationError(f"AlarmRule: there is no alarm {', '.join(unknown)}")
    backend.put_metric_alarm(
        name=self._get_param("AlarmName"),
        rule=rule,
        description=self._get_param("AlarmDescription"),
        tags=self._get_param("Tags", []),
        actions_enabled=self._get_bool_param("ActionsEnabled"),
        alarm_actions=self._get_param("AlarmActions", []),
        ok_actions=self._get_param("OKActions", []),
        insufficient_data_actions=self._get_param("InsufficientDataActions", []),
        namespace=None,
        metric_name=None,
        comparison_operator=None,
        evaluation_periods=None,
        period=None,
        threshold=None,
        statistic=None,
        dimensions=[],
    )
    return EmptyResult()


# ------------------------------------------------------------------------------------------------
# Notices of a change of state
#
# CloudWatch user guide, "Amazon SNS notification schemas" and "Alarm events and EventBridge": the
# topics among the alarm's actions are notified, and an event goes to the Region's default bus.
# ------------------------------------------------------------------------------------------------

_SERVICE = "cloudwatch.amazonaws.com"
_actions = {
    ALARM: "alarm_actions",
    OK: "ok_actions",
    INSUFFICIENT_DATA: "insufficient_data_actions",
}


def _notify(backend: CloudWatchBackend, alarm: Alarm, before: str) -> None:
    """Put an event about ``alarm``, which was in state ``before``, and carry out its actions.

    Actions are carried out if they are enabled; one that is no topic is not.
    """
    account, region = backend.account_id, backend.region_name
    _put_event(backend, alarm, before)
    if not alarm.actions_enabled:
        return
    context = {
        "AWS:SourceOwner": account,
        "aws:SourceAccount": account,
        "aws:SourceArn": alarm.alarm_arn,
    }
    subject = f'{alarm.state_value}: "{alarm.name}" in {_region_name(region)}'[:100]
    for action in getattr(alarm, _actions[alarm.state_value]) or ():
        if action.split(":")[2] != "sns":
            continue
        try:
            sns.publish(
                topic_arn=action,
                message=_message(alarm, before, account, region),
                subject=subject,
                service=_SERVICE,
                context=context,
            )
        except UndeliveredError as error:
            log_undelivered(error)


def _message(alarm: Alarm, before: str, account: str, region: str) -> str:
    fields = {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": account,
        "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": _iso(alarm.state_updated_timestamp),
        "Region": _region_name(region),
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": before,
        "OKActions": alarm.ok_actions,
        "AlarmActions": alarm.alarm_actions,
        "InsufficientDataActions": alarm.insufficient_data_actions,
    }
    if alarm.rule is not None:
        return json.dumps({**fields, "AlarmRule": alarm.rule})
    trigger = {
        "MetricName": alarm.metric_name,
        "Namespace": alarm.namespace,
        "Period": alarm.period,
        "EvaluationPeriods": alarm.evaluation_periods,
        "DatapointsToAlarm": alarm.datapoints_to_alarm or alarm.evaluation_periods,
        "ComparisonOperator": alarm.comparison_operator,
        "Threshold": alarm.threshold,
        "TreatMissingData": alarm.treat_missing_data or "missing",
        "Unit": alarm.unit,
        "Dimensions": [{"name": each.name, "value": each.value} for each in alarm.dimensions],
        "StatisticType": "ExtendedStatistic" if alarm.extended_statistic else "Statistic",
        **(
            {"ExtendedStatistic": alarm.extended_statistic}
            if alarm.extended_statistic
            else {"Statistic": str(alarm.statistic).upper()}
        ),
    }
    return json.dumps({**fields, "Trigger": trigger})


def _put_event(backend: CloudWatchBackend, alarm: Alarm, before: str) -> None:
    detail = {
        "alarmName": alarm.name,
        "configuration": {"description": alarm.description},
        "previousState": {"value": before},
        "state": {
            "value": alarm.state_value,
            "reason": alarm.state_reason,
            "timestamp": _iso(alarm.state_updated_timestamp),
        },
    }
    entry = {
        "Source": "aws.cloudwatch",
        "DetailType": "CloudWatch Alarm State Change",
        "Detail": json.dumps(detail),
        "Resources": [alarm.alarm_arn],
    }
    events_backends[backend.account_id][backend.region_name].put_events([entry])


def _iso(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


@cache
def _region_name(region: str) -> str:
    partitions = Session().get_data("endpoints")["partitions"]
    return next(
        (
            each["regions"][region]["description"]
            for each in partitions
            if region in each["regions"]
        ),
        region,
    )


# ------------------------------------------------------------------------------------------------
# Metrics of queues
#
# SQS developer guide, "Available CloudWatch metrics for Amazon SQS": namespace AWS/SQS, dimension
# QueueName, one datum a minute. moto publishes none. Here a queue is measured whenever an alarm on
# it is evaluated, so its alarms are some seconds faster than on AWS.
# ------------------------------------------------------------------------------------------------

QUEUE_NAMESPACE = "AWS/SQS"


def queue_metric(
    *, account: str, region: str, metric: str, dimensions: Mapping[str, str], now: float
) -> float | None:
    """Return what ``metric`` of a queue is at Unix time ``now``.

    None for one that is not measured, or a queue that is not there.
    """
    if set(dimensions) != {"QueueName"}:
        return None
    queue = sqs_backends[account][region].queues.get(dimensions["QueueName"])
    return None if queue is None else _value(queue, metric, now)


def _value(queue: Queue, metric: str, now: float) -> float | None:
    waiting: list[Any] = list(queue._messages)  # noqa: SLF001 - its public list receives
    if metric == "ApproximateNumberOfMessagesVisible":
        return float(sum(1 for message in waiting if message.visible and not message.delayed))
    if metric == "ApproximateNumberOfMessagesNotVisible":
        return float(sum(1 for message in waiting if not message.visible))
    if metric == "ApproximateNumberOfMessagesDelayed":
        return float(sum(1 for message in waiting if message.delayed))
    if metric == "ApproximateAgeOfOldestMessage":
        return max((now - message.sent_timestamp / 1000 for message in waiting), default=0.0)
    return None
