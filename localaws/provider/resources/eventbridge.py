"""EventBridge: rules and their targets.

They act: see ``localaws.emulator.services.eventbridge``; schedules of rules are declared only.

What replaces: `event_bus_name`, `name`, `rule` and `target_id` force a new resource in the upstream
provider (its resources aws_cloudwatch_event_rule and aws_cloudwatch_event_target). Ids are those
that `pulumi import` takes: ``[bus/]rule[/target]``.
"""

from __future__ import annotations

from typing import Any

from localaws.provider.clients import Aws
from localaws.provider.sameness import same_document
from localaws.provider.table import Property, ResourceType
from localaws.provider.tagging import Tagging
from localaws.provider.values import Properties, from_aws, given, lower_names, to_aws, upper_names

_DEFAULT_BUS = "default"
_TAGGING = Tagging(service="events", resource="ResourceARN")
_RULE = {
    "name": "Name",
    "eventBusName": "EventBusName",
    "eventPattern": "EventPattern",
    "scheduleExpression": "ScheduleExpression",
    "state": "State",
    "description": "Description",
    "roleArn": "RoleArn",
}
_TARGET = {
    "targetId": "Id",
    "arn": "Arn",
    "input": "Input",
    "inputPath": "InputPath",
    "roleArn": "RoleArn",
}
_TARGET_BLOCKS = {
    "deadLetterConfig": "DeadLetterConfig",
    "retryPolicy": "RetryPolicy",
    "sqsTarget": "SqsParameters",
}


def _id(bus: str, *names: str) -> str:
    return "/".join(names if bus == _DEFAULT_BUS else (bus, *names))


def _bus_and_rule(identifier: str) -> tuple[str, str]:
    bus, _, rule = identifier.rpartition("/")  # the name of a partner's bus has slashes of its own
    return bus or _DEFAULT_BUS, rule


def _create_rule(aws: Aws, inputs: Properties) -> str:
    aws.events.put_rule(**to_aws(_RULE, inputs), **_TAGGING.argument(inputs.get("tags")))
    return _id(str(inputs["eventBusName"]), str(inputs["name"]))


def _read_rule(aws: Aws, identifier: str) -> Properties:
    bus, name = _bus_and_rule(identifier)
    rule = aws.events.describe_rule(Name=name, EventBusName=bus)
    return {**from_aws(_RULE, rule), "arn": rule["Arn"]}


def _delete_rule(aws: Aws, identifier: str, _properties: Properties) -> None:
    bus, name = _bus_and_rule(identifier)
    aws.events.delete_rule(Name=name, EventBusName=bus)


EVENT_RULE = ResourceType(
    kind="aws:cloudwatch/eventRule:EventRule",
    acts=True,
    inputs={
        "name": Property(required=True, replaces=True),
        "eventBusName": Property(replaces=True, default=_DEFAULT_BUS),
        "eventPattern": Property(same=same_document),
        "scheduleExpression": Property(),
        "state": Property(default="ENABLED"),
        "description": Property(),
        "roleArn": Property(),
    },
    outputs=("arn",),
    create=_create_rule,
    read=_read_rule,
    update=lambda aws, _id, _old, new: aws.events.put_rule(**to_aws(_RULE, new)),
    delete=_delete_rule,
    named_by="name",
    tagging=_TAGGING,
)


def _put_target(aws: Aws, inputs: Properties) -> str:
    bus, rule = str(inputs["eventBusName"]), str(inputs["rule"])
    transformer = inputs.get("inputTransformer")
    paths = transformer and given(
        InputPathsMap=transformer.get("inputPaths"), InputTemplate=transformer["inputTemplate"]
    )
    target = {
        **to_aws(_TARGET, inputs),
        **upper_names(to_aws(_TARGET_BLOCKS, inputs)),
        **given(InputTransformer=paths),
    }
    failed = aws.events.put_targets(Rule=rule, EventBusName=bus, Targets=[target])["FailedEntries"]
    if failed:  # PutTargets answers 200 for a target that it refuses
        raise LookupError(f"{failed[0].get('ErrorCode')}: {failed[0].get('ErrorMessage')}")
    return _id(bus, rule, str(inputs["targetId"]))


def _read_target(aws: Aws, identifier: str) -> Properties | None:
    where, _, name = identifier.rpartition("/")
    bus, rule = _bus_and_rule(where)
    pages = aws.events.get_paginator("list_targets_by_rule").paginate(Rule=rule, EventBusName=bus)
    target = next((each for page in pages for each in page["Targets"] if each["Id"] == name), None)
    if target is None:
        return None
    transformer: Any = target.get("InputTransformer")
    described = {ours: lower_names(target.get(theirs)) for ours, theirs in _TARGET_BLOCKS.items()}
    return {
        **from_aws(_TARGET, target),
        **described,
        "rule": rule,
        "eventBusName": bus,
        "inputTransformer": transformer
        and given(
            inputPaths=transformer.get("InputPathsMap"), inputTemplate=transformer["InputTemplate"]
        ),
    }


def _delete_target(aws: Aws, identifier: str, _properties: Properties) -> None:
    where, _, name = identifier.rpartition("/")
    bus, rule = _bus_and_rule(where)
    aws.events.remove_targets(Rule=rule, EventBusName=bus, Ids=[name])


EVENT_TARGET = ResourceType(
    kind="aws:cloudwatch/eventTarget:EventTarget",
    acts=True,
    inputs={
        "rule": Property(required=True, replaces=True),
        "eventBusName": Property(replaces=True, default=_DEFAULT_BUS),
        "targetId": Property(required=True, replaces=True),
        "arn": Property(required=True),
        "input": Property(),
        "inputPath": Property(),
        "inputTransformer": Property(),
        "deadLetterConfig": Property(),
        "retryPolicy": Property(),
        "roleArn": Property(),
        "sqsTarget": Property(),
    },
    outputs=(),
    create=_put_target,
    read=_read_target,
    update=lambda aws, _id, _old, new: _put_target(aws, new),
    delete=_delete_target,
    named_by="targetId",
)
