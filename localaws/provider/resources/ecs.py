"""ECS: task definitions. Declared: no task ever runs in the sandbox.

After the upstream provider (its resource aws_ecs_task_definition) every property but the tags
replaces, for a revision never changes; the old one is deregistered. The id is the ARN, which is
what `pulumi import` takes.
"""

from __future__ import annotations

import json
from typing import Any

from localaws.provider.clients import Aws
from localaws.provider.sameness import equal, same_set
from localaws.provider.table import Property, ResourceType
from localaws.provider.tagging import Tagging
from localaws.provider.values import Properties, from_aws, given, to_aws

_TAGGING = Tagging(
    service="ecs", resource="resourceArn", tags="tags", keys="tagKeys", pair=("key", "value")
)
_FIELDS = {
    "family": "family",
    "cpu": "cpu",
    "memory": "memory",
    "networkMode": "networkMode",
    "requiresCompatibilities": "requiresCompatibilities",
    "executionRoleArn": "executionRoleArn",
    "taskRoleArn": "taskRoleArn",
    "runtimePlatform": "runtimePlatform",
}
_ASSUMED = {"essential": True, "cpu": 0}
"""What ECS fills into a container definition, besides empty lists (API reference,
ContainerDefinition).
"""


def _same_containers(one: Any, other: Any) -> bool:
    """Whether two JSON texts define the same containers.

    Neither the values that ECS fills in nor the order of variables count.
    """
    try:
        described, wanted = (
            json.loads(each) if isinstance(each, str) else each for each in (one, other)
        )
    except ValueError:
        return bool(one == other)
    if not isinstance(described, list) or not isinstance(wanted, list):
        return equal(described, wanted)
    return [_plain(each) for each in described] == [_plain(each) for each in wanted]


def _plain(container: dict[str, Any]) -> dict[str, Any]:
    full = {**_ASSUMED, **container}
    for name in ("environment", "secrets"):
        if name in full:
            full[name] = sorted(full[name], key=lambda each: str(each.get("name")))
    for port in full.get("portMappings") or []:
        port.setdefault("protocol", "tcp")
    return {name: value for name, value in full.items() if value not in (None, [], {})}


def _register(aws: Aws, inputs: Properties) -> str:
    storage = inputs.get("ephemeralStorage")
    answer = aws.ecs.register_task_definition(
        **to_aws(_FIELDS, inputs),
        containerDefinitions=json.loads(inputs["containerDefinitions"]),
        **given(ephemeralStorage=storage and {"sizeInGiB": storage["sizeInGib"]}),
        **_TAGGING.argument(inputs.get("tags")),
    )
    return str(answer["taskDefinition"]["taskDefinitionArn"])


def _read(aws: Aws, arn: str) -> Properties | None:
    found = aws.ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    if found["status"] == "INACTIVE":
        return None
    storage = found.get("ephemeralStorage")
    return {
        **from_aws(_FIELDS, found),
        "arn": found["taskDefinitionArn"],
        "arnWithoutRevision": found["taskDefinitionArn"].rpartition(":")[0],
        "revision": found["revision"],
        "containerDefinitions": json.dumps(found["containerDefinitions"]),
        **given(ephemeralStorage=storage and {"sizeInGib": storage["sizeInGiB"]}),
    }


def _deregister(aws: Aws, arn: str, properties: Properties) -> None:
    if not properties.get("skipDestroy"):
        aws.ecs.deregister_task_definition(taskDefinition=arn)


TASK_DEFINITION = ResourceType(
    kind="aws:ecs/taskDefinition:TaskDefinition",
    acts=False,
    inputs={
        **{name: Property(replaces=True, required=name == "family") for name in _FIELDS},
        "networkMode": Property(replaces=True, computed=True),
        "requiresCompatibilities": Property(replaces=True, same=same_set),
        "containerDefinitions": Property(required=True, replaces=True, same=_same_containers),
        "ephemeralStorage": Property(replaces=True),
        "skipDestroy": Property(local=True),
    },
    outputs=("arn", "arnWithoutRevision", "revision"),
    create=_register,
    read=_read,
    delete=_deregister,
    tagging=_TAGGING,
    gone=frozenset({"ClientException"}),  # "Unable to describe task definition."
)
