"""A breached CloudWatch alarm changes state and notifies its topics.

Time is in the data, not in the test.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.testing.aws_harness import PRIMARY, ROOT_KEY, client

pytestmark = pytest.mark.integration

ACCOUNT = "123456789012"
PERIOD_S = 60


@dataclass(frozen=True, kw_only=True)
class Watch:
    """An alarm's name, its metric, and the queue at the end of its topic."""

    cloudwatch: Any
    sqs: Any
    queue: str
    topic: str
    name: str

    def alarm(self, **more: Any) -> None:
        """Put the alarm: two of three minutes beyond 10, unless said otherwise."""
        self.cloudwatch.put_metric_alarm(
            **{
                "AlarmName": self.name,
                "Namespace": "Seawall",
                "MetricName": self.name,
                "Period": PERIOD_S,
                "Statistic": "Maximum",
                "ComparisonOperator": "GreaterThanThreshold",
                "Threshold": 10,
                "EvaluationPeriods": 3,
                "DatapointsToAlarm": 2,
                "TreatMissingData": "notBreaching",
                "AlarmActions": [self.topic],
                "OKActions": [self.topic],
                "Dimensions": [{"Name": "venue", "Value": "harbour"}],
                **more,
            }
        )

    def put(self, value: float, *, periods_ago: int, **more: Any) -> None:
        """Data of a minute that is over."""
        when = datetime.fromtimestamp(time.time() - periods_ago * PERIOD_S, tz=UTC)
        datum = {
            "MetricName": self.name,
            "Value": value,
            "Timestamp": when,
            "Dimensions": [{"Name": "venue", "Value": "harbour"}],
            **more,
        }
        self.cloudwatch.put_metric_data(Namespace="Seawall", MetricData=[datum])

    def state(self, name: str | None = None) -> str:
        """As DescribeAlarms says."""
        described = self.cloudwatch.describe_alarms(
            AlarmNames=[name or self.name], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        return str([*described["MetricAlarms"], *described["CompositeAlarms"]][0]["StateValue"])

    def heard(self) -> list[dict[str, Any]]:
        """Notifications that arrived and were not taken yet."""
        found = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get(
            "Messages", []
        )
        for message in found:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found]

    def changes(self) -> list[tuple[str, str]]:
        """(old, new) of the notifications."""
        said = [json.loads(each["Message"]) for each in self.heard()]
        return [(each["OldStateValue"], each["NewStateValue"]) for each in said]


@pytest.fixture
def watch(aws: str) -> Watch:
    name = f"seawall-{uuid.uuid4().hex[:8]}"
    sns, sqs = client("sns", aws, ROOT_KEY), client("sqs", aws, ROOT_KEY)
    topic, arn = sns.create_topic(Name=name)["TopicArn"], f"arn:aws:sqs:{PRIMARY}:{ACCOUNT}:{name}"
    admits = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [admits]})
    queue = sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return Watch(
        cloudwatch=client("cloudwatch", aws, ROOT_KEY), sqs=sqs, queue=queue, topic=topic, name=name
    )


def test_a_breached_alarm_changes_state_and_notifies_its_topic(watch: Watch) -> None:
    watch.alarm(AlarmDescription="hot wallet low")
    assert watch.state() == "OK"
    watch.heard()
    watch.put(11, periods_ago=2)
    assert watch.changes() == []
    watch.put(12, periods_ago=1)
    [heard] = watch.heard()
    assert heard["Subject"] == f'ALARM: "{watch.name}" in US East (N. Virginia)'
    said = json.loads(heard["Message"])
    assert (said["OldStateValue"], said["NewStateValue"], said["AWSAccountId"]) == (
        "OK",
        "ALARM",
        ACCOUNT,
    )
    assert said["AlarmDescription"] == "hot wallet low"
    assert said["Trigger"]["Dimensions"] == [{"name": "venue", "value": "harbour"}]
    assert watch.state() == "ALARM"
    assert watch.changes() == [], "a state that stays is not told again"


def test_good_data_takes_the_alarm_back(watch: Watch) -> None:
    watch.alarm(EvaluationPeriods=1, DatapointsToAlarm=1)
    watch.put(11, periods_ago=1)
    watch.put(3, periods_ago=0)
    assert watch.changes()[-2:] == [("OK", "ALARM"), ("ALARM", "OK")]


def test_a_new_alarm_has_insufficient_data_and_an_update_leaves_its_state(watch: Watch) -> None:
    watch.alarm(TreatMissingData="missing")
    assert watch.state() == "INSUFFICIENT_DATA"
    watch.put(11, periods_ago=3)
    watch.put(11, periods_ago=2)
    watch.put(11, periods_ago=1)
    watch.heard()
    watch.alarm(TreatMissingData="missing", AlarmDescription="another")
    assert watch.state() == "ALARM"
    assert watch.changes() == []


@pytest.mark.parametrize(
    ("more", "seen"),
    [({"Dimensions": [{"Name": "venue", "Value": "other"}]}, False), ({"Unit": "Seconds"}, True)],
)
def test_only_data_of_the_same_metric_counts(
    watch: Watch, more: dict[str, Any], seen: bool
) -> None:
    watch.alarm(EvaluationPeriods=1, DatapointsToAlarm=1)
    watch.put(11, periods_ago=1, **more)
    assert (watch.state() == "ALARM") is seen


def test_an_alarm_with_a_unit_takes_no_data_of_another(watch: Watch) -> None:
    watch.alarm(EvaluationPeriods=1, DatapointsToAlarm=1, Unit="Seconds")
    watch.put(11, periods_ago=1, Unit="Count")
    assert watch.state() == "OK"
    watch.put(11, periods_ago=1, Unit="Seconds")
    assert watch.state() == "ALARM"


def test_disabled_actions_are_not_carried_out(watch: Watch) -> None:
    watch.alarm(EvaluationPeriods=1, DatapointsToAlarm=1, ActionsEnabled=False)
    watch.put(11, periods_ago=1)
    assert watch.state() == "ALARM"
    assert watch.changes() == []


def test_a_state_set_by_hand_is_notified_and_lasts_until_the_next_evaluation(watch: Watch) -> None:
    watch.alarm()
    assert watch.state() == "OK"
    watch.heard()
    watch.cloudwatch.set_alarm_state(AlarmName=watch.name, StateValue="ALARM", StateReason="drill")
    assert watch.changes() == [("OK", "ALARM")]
    assert watch.state() == "ALARM"


def test_missing_data_is_an_alarm_without_any_call(watch: Watch) -> None:
    """A period of one second, so that data is missing soon.

    Alarms are evaluated every five seconds.
    """
    watch.alarm(
        TreatMissingData="breaching",
        Period=1,
        EvaluationPeriods=1,
        DatapointsToAlarm=1,
        OKActions=[],
    )
    watch.put(1, periods_ago=0)
    watch.heard()
    deadline = time.monotonic() + 20
    while not (heard := watch.changes()) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert heard == [("OK", "ALARM")]


def test_a_composite_alarm_follows_its_rule(watch: Watch, aws: str) -> None:
    watch.alarm(EvaluationPeriods=1, DatapointsToAlarm=1, AlarmActions=[], OKActions=[])
    both = f"{watch.name}-both"
    rule = f'ALARM("{watch.name}") AND NOT INSUFFICIENT_DATA("{watch.name}")'
    watch.cloudwatch.put_composite_alarm(
        AlarmName=both, AlarmRule=rule, AlarmActions=[watch.topic], OKActions=[watch.topic]
    )
    assert watch.state(both) == "OK"
    watch.heard()
    watch.put(11, periods_ago=1)
    assert watch.state(both) == "ALARM"
    [said] = [json.loads(each["Message"]) for each in watch.heard()]
    assert (said["AlarmName"], said["AlarmRule"], said["NewStateValue"]) == (both, rule, "ALARM")


@pytest.mark.parametrize(
    ("rule", "refusal"), [("ALARM(nobody)", "no alarm nobody"), ("ALARM(", "not understood")]
)
def test_a_composite_alarm_about_nothing_is_refused(watch: Watch, rule: str, refusal: str) -> None:
    with pytest.raises(ClientError, match=refusal):
        watch.cloudwatch.put_composite_alarm(AlarmName=f"{watch.name}-both", AlarmRule=rule)


def test_a_change_of_state_is_an_event(watch: Watch, aws: str) -> None:
    events, name = client("events", aws, ROOT_KEY), f"{watch.name}-events"
    arn = f"arn:aws:sqs:{PRIMARY}:{ACCOUNT}:{name}"
    admits = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [admits]})
    queue = watch.sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
    pattern = {
        "source": ["aws.cloudwatch"],
        "detail": {"alarmName": [watch.name], "state": {"value": ["ALARM"]}},
    }
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    watch.alarm(EvaluationPeriods=1, DatapointsToAlarm=1)
    watch.put(11, periods_ago=1)
    [message] = watch.sqs.receive_message(QueueUrl=queue)["Messages"]
    event = json.loads(message["Body"])
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["detail"]["previousState"]["value"] == "OK"
    assert event["resources"] == [f"arn:aws:cloudwatch:{PRIMARY}:{ACCOUNT}:alarm:{watch.name}"]


def test_a_message_in_a_dead_letter_queue_is_an_alarm(watch: Watch) -> None:
    name = f"{watch.name}-dead"
    queue = watch.sqs.create_queue(QueueName=name)["QueueUrl"]
    metric = {
        "Namespace": "AWS/SQS",
        "Dimensions": [{"Name": "QueueName", "Value": name}],
        "EvaluationPeriods": 1,
        "DatapointsToAlarm": 1,
    }
    watch.alarm(**metric, MetricName="ApproximateNumberOfMessagesVisible", Threshold=0)
    assert watch.state() == "OK"
    watch.heard()
    watch.sqs.send_message(QueueUrl=queue, MessageBody="a payout that failed")
    assert watch.state() == "ALARM"
    assert watch.changes() == [("OK", "ALARM")]
    watch.alarm(**metric, MetricName="ApproximateAgeOfOldestMessage", Threshold=3600)
    assert watch.state() == "OK"
