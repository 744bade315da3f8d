"""Changes outside the stack in CloudWatch alarms, EventBridge and CloudTrail."""

from __future__ import annotations

import json
from typing import Any

from tests.testing.stack_drift.change import Account, Change, Removal, Resource, patched
from tests.testing.stack_drift.s3 import place_in

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
RULE, TARGET = "aws:cloudwatch/eventRule:EventRule", "aws:cloudwatch/eventTarget:EventTarget"
TRAIL = "aws:cloudtrail/trail:Trail"
TAG = [{"Key": "owner", "Value": "mallory"}]
NOBODY = "arn:aws:sns:us-east-1:123456789012:nobody"
_TAKEN = (
    "AlarmName",
    "ActionsEnabled",
    "AlarmActions",
    "AlarmDescription",
    "ComparisonOperator",
    "Dimensions",
    "EvaluationPeriods",
    "MetricName",
    "Namespace",
    "OKActions",
    "Period",
    "Statistic",
    "Threshold",
    "TreatMissingData",
)
"""What PutMetricAlarm takes of what DescribeAlarms tells; it replaces all of an alarm."""


def alarm(path: str, value: Any) -> Any:
    def read(cloudwatch: Any, each: Resource) -> dict[str, Any]:
        [found] = cloudwatch.describe_alarms(AlarmNames=[each.id])["MetricAlarms"]
        return {part: found[part] for part in _TAKEN if part in found}

    return patched(
        read,
        lambda cloudwatch, _, whole: cloudwatch.put_metric_alarm(**whole),
        "cloudwatch",
        path,
        value,
    )


def turn_actions(account: Account, each: Resource) -> bool:
    cloudwatch = account.of(each, "cloudwatch")
    on = each.outputs["actionsEnabled"]
    (cloudwatch.disable_alarm_actions if on else cloudwatch.enable_alarm_actions)(
        AlarmNames=[each.id]
    )
    return not on


def turn_comparison(account: Account, each: Resource) -> str:
    other = (
        "LessThanThreshold"
        if each.outputs["comparisonOperator"] != "LessThanThreshold"
        else "GreaterThanThreshold"
    )
    return str(alarm("ComparisonOperator", other)(account, each))


def tag_alarm(account: Account, each: Resource) -> str:
    account.of(each, "cloudwatch").tag_resource(ResourceARN=each.outputs["arn"], Tags=TAG)
    return "mallory"


def rule(name: str, value: Any, said: Any) -> Any:
    taken = ("Name", "EventPattern", "State", "Description", "EventBusName")

    def read(events: Any, each: Resource) -> dict[str, Any]:
        found = events.describe_rule(Name=each.outputs["name"])
        return {part: found[part] for part in taken if part in found}

    put = patched(read, lambda events, _, whole: events.put_rule(**whole), "events", name, value)

    def how(account: Account, each: Resource) -> Any:
        put(account, each)
        return said

    return how


def disable_rule(account: Account, each: Resource) -> str:
    account.of(each, "events").disable_rule(Name=each.outputs["name"])
    return "DISABLED"


def tag_rule(account: Account, each: Resource) -> str:
    account.of(each, "events").tag_resource(ResourceARN=each.outputs["arn"], Tags=TAG)
    return "mallory"


def target(path: str, value: str) -> Any:
    def read(events: Any, each: Resource) -> dict[str, Any]:
        targets = events.list_targets_by_rule(Rule=each.outputs["rule"])["Targets"]
        return dict(next(one for one in targets if one["Id"] == each.outputs["targetId"]))

    def write(events: Any, each: Resource, whole: dict[str, Any]) -> None:
        done = events.put_targets(Rule=each.outputs["rule"], Targets=[whole])
        assert done["FailedEntryCount"] == 0, done

    return patched(read, write, "events", path, value)


def remove_target(account: Account, each: Resource) -> None:
    account.of(each, "events").remove_targets(
        Rule=each.outputs["rule"], Ids=[each.outputs["targetId"]]
    )


def remove_rule(account: Account, each: Resource) -> None:
    events = account.of(each, "events")
    targets = [
        one["Id"] for one in events.list_targets_by_rule(Rule=each.outputs["name"])["Targets"]
    ]
    events.remove_targets(Rule=each.outputs["name"], Ids=targets)
    events.delete_rule(Name=each.outputs["name"])


def trail(name: str, value: Any) -> Any:
    def how(account: Account, each: Resource) -> Any:
        account.of(each, "cloudtrail").update_trail(Name=each.id, **{name: value})
        return value

    return how


def store_elsewhere(account: Account, each: Resource) -> str:
    """Into a bucket that the stack does not know, whose owner lets CloudTrail write."""
    s3, bucket = account.of(each, "s3"), "seawall-harbour-trail-theirs"
    s3.create_bucket(Bucket=bucket, **place_in(each.region))
    policy = s3.get_bucket_policy(Bucket=each.outputs["s3BucketName"])["Policy"]
    s3.put_bucket_policy(Bucket=bucket, Policy=policy.replace(each.outputs["s3BucketName"], bucket))
    return str(trail("S3BucketName", bucket)(account, each))


def stop_logging(account: Account, each: Resource) -> bool:
    account.of(each, "cloudtrail").stop_logging(Name=each.id)
    return False


def tag_trail(account: Account, each: Resource) -> str:
    account.of(each, "cloudtrail").add_tags(ResourceId=each.id, TagsList=TAG)
    return "mallory"


CHANGES = (
    Change(kind=ALARM, leaf="actionsEnabled", how=turn_actions),
    Change(kind=ALARM, leaf="alarmActions", how=alarm("AlarmActions", [NOBODY])),
    Change(kind=ALARM, leaf="alarmDescription", how=alarm("AlarmDescription", "theirs")),
    Change(kind=ALARM, leaf="comparisonOperator", how=turn_comparison),
    Change(kind=ALARM, leaf="dimensions", how=alarm("Dimensions.0.Value", "theirs")),
    Change(kind=ALARM, leaf="evaluationPeriods", how=alarm("EvaluationPeriods", 9)),
    Change(kind=ALARM, leaf="metricName", how=alarm("MetricName", "theirs")),
    Change(kind=ALARM, leaf="namespace", how=alarm("Namespace", "theirs")),
    Change(kind=ALARM, leaf="okActions", how=alarm("OKActions", [NOBODY])),
    Change(kind=ALARM, leaf="period", how=alarm("Period", 300)),
    Change(kind=ALARM, leaf="statistic", how=alarm("Statistic", "Sum")),
    Change(kind=ALARM, leaf="tags", how=tag_alarm),
    Change(kind=ALARM, leaf="threshold", how=alarm("Threshold", 98765.5)),
    Change(kind=ALARM, leaf="treatMissingData", how=alarm("TreatMissingData", "ignore")),
    Change(kind=RULE, leaf="description", how=rule("Description", "theirs", "theirs")),
    Change(
        kind=RULE,
        leaf="eventPattern",
        how=rule("EventPattern", json.dumps({"source": ["aws.s3"]}), None),
    ),
    Change(kind=RULE, leaf="state", how=disable_rule),
    Change(kind=RULE, leaf="tags", how=tag_rule),
    Change(kind=TARGET, leaf="arn", how=target("Arn", NOBODY)),
    *(
        Change(
            kind=TARGET,
            leaf="inputTransformer.inputPaths",
            how=target(f"InputTransformer.InputPathsMap.{name}", "$.detail.theirs"),
        )
        for name in ("what", "when", "where", "who")
    ),
    Change(
        kind=TARGET,
        leaf="inputTransformer.inputTemplate",
        how=target("InputTransformer.InputTemplate", '"<what> <when> <where> <who>"'),
    ),
    Change(kind=TRAIL, leaf="enableLogFileValidation", how=trail("EnableLogFileValidation", False)),
    Change(kind=TRAIL, leaf="enableLogging", how=stop_logging),
    Change(kind=TRAIL, leaf="s3BucketName", how=store_elsewhere),
    Change(kind=TRAIL, leaf="tags", how=tag_trail),
    Change(kind=TRAIL, leaf="isMultiRegionTrail", how=trail("IsMultiRegionTrail", False)),
    Change(
        kind=TRAIL,
        leaf="includeGlobalServiceEvents",
        how=trail("IncludeGlobalServiceEvents", False),
    ),
)
REMOVALS = (
    Removal(
        kind=ALARM,
        how=lambda account, each: account.of(each, "cloudwatch").delete_alarms(
            AlarmNames=[each.id]
        ),
    ),
    Removal(kind=TARGET, how=remove_target),
    Removal(kind=RULE, how=remove_rule, drags=(TARGET,)),
    Removal(
        kind=TRAIL,
        how=lambda account, each: account.of(each, "cloudtrail").delete_trail(
            Name=each.outputs["name"]
        ),
    ),
)
