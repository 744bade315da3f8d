"""What others hear of an alarm's change of state.

The topics among its actions, and the Region's default bus.

CloudWatch user guide, "Amazon SNS notification schemas" and "Alarm events and EventBridge". Actions
that are no topics are not carried out.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache

from botocore.session import Session
from moto.cloudwatch.models import Alarm, CloudWatchBackend
from moto.events.models import events_backends

from localaws.emulator.shims import deliveries
from localaws.emulator.shims.alarm_states import ALARM, INSUFFICIENT_DATA, OK

_SERVICE = "cloudwatch.amazonaws.com"
_actions = {
    ALARM: "alarm_actions",
    OK: "ok_actions",
    INSUFFICIENT_DATA: "insufficient_data_actions",
}


def tell(backend: CloudWatchBackend, alarm: Alarm, before: str) -> None:
    """Tell of ``alarm``, which was in state ``before``.

    Actions are carried out if they are enabled.
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
            deliveries.publish(
                topic_arn=action,
                message=_message(alarm, before, account, region),
                subject=subject,
                service=_SERVICE,
                context=context,
            )
        except deliveries.UndeliveredError as error:
            deliveries.note(error)


def _message(alarm: Alarm, before: str, account: str, region: str) -> str:
    said = {
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
        return json.dumps({**said, "AlarmRule": alarm.rule})
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
    return json.dumps({**said, "Trigger": trigger})


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
