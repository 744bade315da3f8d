"""Examples of the resource types of EventBridge Scheduler."""

from __future__ import annotations

from localaws.provider.values import Properties
from tests.testing.stack_types.example import Example

GROUP_NEEDED = ("aws:scheduler/scheduleGroup:ScheduleGroup", {"name": "seawall-gamedays"})
TASK: Properties = {
    "taskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/gameday:1",
    "launchType": "FARGATE",
    "networkConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]},
    "tags": {"owner": "someone"},
    "propagateTags": "TASK_DEFINITION",
}

EXAMPLES: dict[str, Example] = {
    "aws:scheduler/scheduleGroup:ScheduleGroup": Example(
        inputs={"name": "seawall-thing", "tags": {"a": "1", "b": "2"}}, changed={"tags": {"a": "3"}}
    ),
    "aws:scheduler/schedule:Schedule": Example(
        inputs={
            "name": "seawall-thing",
            "groupName": "$group.name",
            "scheduleExpression": "cron(0 3 ? * TUE *)",
            "flexibleTimeWindow": {"mode": "OFF"},
            "kmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/one",
            "target": {
                "arn": "arn:aws:ecs:us-east-1:123456789012:cluster/gamedays",
                "roleArn": "arn:aws:iam::123456789012:role/seawall-gameday",
                "input": '{"containerOverrides": []}',
                "ecsParameters": TASK,
                "deadLetterConfig": {"arn": "arn:aws:sqs:us-east-1:123456789012:dead"},
            },
        },
        changed={
            "scheduleExpression": "rate(7 days)",
            "scheduleExpressionTimezone": "Europe/Zurich",
            "flexibleTimeWindow": {"mode": "FLEXIBLE", "maximumWindowInMinutes": 15},
            "state": "DISABLED",
            "description": "two",
            "kmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/two",
            "target": {
                "arn": "arn:aws:sqs:us-east-1:123456789012:gamedays.fifo",
                "roleArn": "arn:aws:iam::123456789012:role/seawall-other",
                "sqsParameters": {"messageGroupId": "one"},
                "retryPolicy": {"maximumEventAgeInSeconds": 60, "maximumRetryAttempts": 0},
            },
        },
        needs={"group": GROUP_NEEDED},
    ),
}
