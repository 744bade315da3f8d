"""EventBridge Scheduler: groups and schedules. Declared: nothing is ever invoked in the sandbox.

After the upstream provider (its resources aws_scheduler_schedule_group and aws_scheduler_schedule)
a group's name, and a schedule's name and group, replace. Ids are those that `pulumi import` takes:
``group``, and ``group/schedule``.
"""

from __future__ import annotations

from typing import Any

from localaws.provider.clients import Aws
from localaws.provider.sameness import same_with_defaults
from localaws.provider.table import Property, ResourceType
from localaws.provider.tagging import Tagging, tag_map, tag_pairs
from localaws.provider.values import Properties, from_aws, lower_names, to_aws, upper_names

_TAGGING = Tagging(service="scheduler")
_SCHEDULE = {
    "name": "Name",
    "groupName": "GroupName",
    "description": "Description",
    "scheduleExpression": "ScheduleExpression",
    "scheduleExpressionTimezone": "ScheduleExpressionTimezone",
    "state": "State",
    "kmsKeyArn": "KmsKeyArn",
}
_RETRY = {"maximumEventAgeInSeconds": 86400, "maximumRetryAttempts": 185}
"""What Scheduler does where nothing is said (API reference, RetryPolicy)."""
_ECS = {"taskCount": 1, "enableEcsManagedTags": False, "enableExecuteCommand": False}
_OWN = {"enableEcsManagedTags": "EnableECSManagedTags"}
"""Names that are more than a capital away."""


def _target_for_aws(target: Properties) -> dict[str, Any]:
    ecs = target.get("ecsParameters")
    blocks: dict[str, Any] = upper_names(target, except_for=_OWN)
    if ecs is None:
        return blocks
    parameters = blocks["EcsParameters"]
    network = ecs.get("networkConfiguration")
    if network is not None:
        public = "ENABLED" if network.get("assignPublicIp") else "DISABLED"
        parameters["NetworkConfiguration"] = {
            "awsvpcConfiguration": {**upper_names(network), "AssignPublicIp": public}
        }
    if "tags" in ecs:
        parameters["Tags"] = tag_pairs(ecs["tags"])
    return blocks


def _target_from_aws(target: dict[str, Any]) -> Properties:
    described: Properties = lower_names(target, except_for=_OWN)
    ecs = target.get("EcsParameters")
    if ecs is None:
        return described
    if ecs.get("NetworkConfiguration"):
        network = lower_names(ecs["NetworkConfiguration"]["awsvpcConfiguration"])
        network["assignPublicIp"] = network.get("assignPublicIp") == "ENABLED"
        described["ecsParameters"]["networkConfiguration"] = network
    if ecs.get("Tags"):
        described["ecsParameters"]["tags"] = tag_map(ecs["Tags"])
    return described


def _same_target(one: Any, other: Any) -> bool:
    """What is left out of a target is what Scheduler assumes."""
    blocks = [each for each in (one, other) if isinstance(each, dict)]
    ecs = {"ecsParameters": _ECS | {"networkConfiguration": {"assignPublicIp": False}}}
    network = any((each.get("ecsParameters") or {}).get("networkConfiguration") for each in blocks)
    plain = {"ecsParameters": _ECS} if any(each.get("ecsParameters") for each in blocks) else {}
    return same_with_defaults(retryPolicy=_RETRY, **(ecs if network else plain))(one, other)


def _create_group(aws: Aws, inputs: Properties) -> str:
    aws.scheduler.create_schedule_group(
        Name=inputs["name"], **_TAGGING.argument(inputs.get("tags"))
    )
    return str(inputs["name"])


def _read_group(aws: Aws, name: str) -> Properties:
    group = aws.scheduler.get_schedule_group(Name=name)
    return {
        "name": group["Name"],
        "arn": group["Arn"],
        "state": group["State"],
        "creationDate": group["CreationDate"].isoformat(),
        "lastModificationDate": group["LastModificationDate"].isoformat(),
    }


SCHEDULE_GROUP = ResourceType(
    kind="aws:scheduler/scheduleGroup:ScheduleGroup",
    acts=False,
    inputs={"name": Property(required=True, replaces=True)},
    outputs=("arn", "state", "creationDate", "lastModificationDate"),
    create=_create_group,
    read=_read_group,
    delete=lambda aws, name, _properties: aws.scheduler.delete_schedule_group(Name=name),
    named_by="name",
    tagging=_TAGGING,
)


def _put(aws: Aws, inputs: Properties, *, new: bool) -> str:
    put = aws.scheduler.create_schedule if new else aws.scheduler.update_schedule
    put(
        **to_aws(_SCHEDULE, inputs),
        FlexibleTimeWindow=upper_names(inputs["flexibleTimeWindow"]),
        Target=_target_for_aws(inputs["target"]),
    )
    return f"{inputs['groupName']}/{inputs['name']}"


def _read_schedule(aws: Aws, identifier: str) -> Properties:
    group, _, name = identifier.partition("/")
    schedule = aws.scheduler.get_schedule(GroupName=group, Name=name)
    return {
        **from_aws(_SCHEDULE, schedule),
        "arn": schedule["Arn"],
        "flexibleTimeWindow": lower_names(schedule["FlexibleTimeWindow"]),
        "target": _target_from_aws(schedule["Target"]),
    }


def _delete_schedule(aws: Aws, identifier: str, _properties: Properties) -> None:
    group, _, name = identifier.partition("/")
    aws.scheduler.delete_schedule(GroupName=group, Name=name)


SCHEDULE = ResourceType(
    kind="aws:scheduler/schedule:Schedule",
    acts=False,
    inputs={
        "name": Property(required=True, replaces=True),
        "groupName": Property(default="default", replaces=True),
        "description": Property(),
        "scheduleExpression": Property(required=True),
        "scheduleExpressionTimezone": Property(default="UTC"),
        "flexibleTimeWindow": Property(required=True),
        "state": Property(default="ENABLED"),
        "kmsKeyArn": Property(),
        "target": Property(required=True, same=_same_target),
    },
    outputs=("arn",),
    create=lambda aws, inputs: _put(aws, inputs, new=True),
    read=_read_schedule,
    update=lambda aws, _id, _old, new: _put(aws, new, new=False),
    delete=_delete_schedule,
    named_by="name",
)
