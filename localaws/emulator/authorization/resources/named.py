"""Services whose resources have no policies of their own: which ARN a parameter means.

From the pages of https://docs.aws.amazon.com/service-authorization/latest/reference/. Where that
reference was in doubt, the action is judged at ``*``, which allows less. A parameter that is an ARN
already is taken as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.backends import get_backend
from moto.core.exceptions import ServiceException

from localaws.emulator.authorization.call import ApiCall
from localaws.emulator.authorization.resources.requested import (
    UNKNOWN,
    UNSCOPED,
    RequestedResource,
    Tags,
)

_READING = ("List", "Describe", "Get", "Lookup", "BatchGet")


@dataclass(frozen=True, kw_only=True)
class Service:
    """How the requests of one service name its resources.

    ``parameters``: the ARN that each parameter stands for. ``operations``: other parameters, by
    operation. ``unscoped``: actions without a resource type. ``backend``: moto's name of the
    service whose tagger has the tags, by ARN; None if the tags are not known.
    """

    parameters: Mapping[str, str]
    operations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    unscoped: frozenset[str] = frozenset()
    backend: str | None = None
    tagger: str = "tagger"
    everywhere: bool = False


_RULE = "events:{region}:{account}:rule/{value}"
_BUSES = "Entries.EventBusName"
_ALARM = "cloudwatch:{region}:{account}:alarm:{value}"
_SCHEDULE_GROUP = "scheduler:{region}:{account}:schedule-group/{value}"
_LOG_GROUP = "logs:{region}:{account}:log-group:{value}:log-stream:"
_PARAMETER = "ssm:{region}:{account}:parameter/{value}"
_WORKSPACE = "aps:{region}:{account}:workspace/{value}"
_RULE_GROUPS = "aps:{region}:{account}:rulegroupsnamespace/{value}"
_ECS = "ecs:{region}:{account}:"
_EC2 = "ec2:{region}:{account}:"

SERVICES: Mapping[str, Service] = {
    "events": Service(
        parameters={
            "Rule": _RULE,
            "ArchiveName": "events:{region}:{account}:archive/{value}",
            "ReplayName": "events:{region}:{account}:replay/{value}",
            "ResourceARN": "{value}",
            _BUSES: "events:{region}:{account}:event-bus/{value}",
            "Name": _RULE,
        },
        operations={
            operation: {
                "Name": "events:{region}:{account}:event-bus/{value}",
                "EventBusName": "events:{region}:{account}:event-bus/{value}",
            }
            for operation in (
                "CreateEventBus",
                "DeleteEventBus",
                "DescribeEventBus",
                "UpdateEventBus",
                "PutPermission",
                "RemovePermission",
            )
        },
        backend="events",
    ),
    "scheduler": Service(
        parameters={
            "ResourceArn": "{value}",
            "Name": "scheduler:{region}:{account}:schedule/{value}",
        },
        operations={
            f"{verb}ScheduleGroup": {"Name": _SCHEDULE_GROUP}
            for verb in ("Create", "Get", "Delete")
        },
        backend="scheduler",
    ),
    "ssm": Service(
        parameters={
            "Name": _PARAMETER,
            "Names": _PARAMETER,
            "Path": _PARAMETER,
            "ResourceId": _PARAMETER,
        },
        operations={
            **{
                operation: {"Name": "ssm:{region}:{account}:document/{value}"}
                for operation in (
                    "CreateDocument",
                    "UpdateDocument",
                    "DeleteDocument",
                    "GetDocument",
                    "DescribeDocument",
                    "ModifyDocumentPermission",
                )
            },
            "StartAutomationExecution": {
                "DocumentName": "ssm:{region}:{account}:automation-definition/{value}:$DEFAULT"
            },
            "SendCommand": {
                "DocumentName": "ssm:{region}:{account}:document/{value}",
                "InstanceIds": "ec2:{region}:{account}:instance/{value}",
            },
            "DescribeParameters": {},
        },
        backend="ssm",
        tagger="",
    ),
    "cloudwatch": Service(
        parameters={
            "AlarmName": _ALARM,
            "AlarmNames": _ALARM,
            "ResourceARN": "{value}",
            "DashboardName": "cloudwatch::{account}:dashboard/{value}",
            "DashboardNames": "cloudwatch::{account}:dashboard/{value}",
        },
        operations={"DescribeAlarms": {}},
        unscoped=frozenset({"PutMetricData"}),
        backend="cloudwatch",
    ),
    "logs": Service(
        parameters={
            "logGroupName": _LOG_GROUP,
            "logGroupNamePrefix": _LOG_GROUP,
            "logGroupIdentifier": _LOG_GROUP,
            "resourceArn": "{value}",
        },
        operations={"DescribeLogGroups": {"": _LOG_GROUP}},
        unscoped=frozenset({"PutResourcePolicy", "DeleteResourcePolicy"}),
        backend="logs",
    ),
    "backup": Service(
        parameters={
            "BackupVaultName": "backup:{region}:{account}:backup-vault:{value}",
            "BackupPlanId": "backup:{region}:{account}:backup-plan:{value}",
            "ResourceArn": "{value}",
            "RecoveryPointArn": "{value}",
        },
        operations={"CreateBackupPlan": {"": "backup:{region}:{account}:backup-plan:*"}},
        backend="backup",
    ),
    "aps": Service(
        parameters={"workspaceId": _WORKSPACE, "resourceArn": "{value}"},
        operations={
            f"{verb}RuleGroupsNamespace": {"name": _RULE_GROUPS}
            for verb in ("Create", "Put", "Describe", "Delete")
        },
        unscoped=frozenset({"CreateWorkspace"}),
        backend="amp",
    ),
    "cloudtrail": Service(
        parameters={
            "Name": "cloudtrail:{region}:{account}:trail/{value}",
            "TrailName": "cloudtrail:{region}:{account}:trail/{value}",
            "ResourceId": "{value}",
            "ResourceIdList": "{value}",
        },
        operations={"DescribeTrails": {}},
        backend="cloudtrail",
        tagger="tagging_service",
    ),
    "route53": Service(
        parameters={
            "HostedZoneId": "route53:::hostedzone/{value}",
            "HealthCheckId": "route53:::healthcheck/{value}",
            "Id": "route53:::hostedzone/{value}",
        },
        operations={"GetChange": {"Id": "route53:::change/{value}"}},
        unscoped=frozenset({"CreateHostedZone", "CreateHealthCheck"}),
        everywhere=True,
    ),
    "ecs": Service(
        parameters={
            "resourceArn": "{value}",
            "service": _ECS + "service/{value}",
            "serviceName": _ECS + "service/{value}",
            "services": _ECS + "service/{value}",
            "task": _ECS + "task/{value}",
            "tasks": _ECS + "task/{value}",
            "clusterName": _ECS + "cluster/{value}",
            "cluster": _ECS + "cluster/{value}",
            "clusters": _ECS + "cluster/{value}",
        },
        operations={
            "RunTask": {"taskDefinition": _ECS + "task-definition/{value}"},
            "DeleteTaskDefinitions": {"taskDefinitions": _ECS + "task-definition/{value}"},
            "DescribeTaskDefinition": {},
        },
        unscoped=frozenset({"RegisterTaskDefinition", "DeregisterTaskDefinition"}),
        backend="ecs",
        tagger="",
    ),
    "ec2": Service(
        parameters={
            "InstanceIds": _EC2 + "instance/{value}",
            "InstanceId": _EC2 + "instance/{value}",
            "GroupId": _EC2 + "security-group/{value}",
            "SubnetId": _EC2 + "subnet/{value}",
            "NetworkAclId": _EC2 + "network-acl/{value}",
            "RouteTableId": _EC2 + "route-table/{value}",
            "VpcId": _EC2 + "vpc/{value}",
        },
        backend="ec2",
        tagger="",
    ),
    "fis": Service(
        parameters={
            "experimentTemplateId": "fis:{region}:{account}:experiment-template/{value}",
            "resourceArn": "{value}",
            "id": "fis:{region}:{account}:experiment/{value}",
        },
        operations={
            f"{verb}ExperimentTemplate": {
                "id": "fis:{region}:{account}:experiment-template/{value}"
            }
            for verb in ("Get", "Update", "Delete")
        }
        | {"CreateExperimentTemplate": {"": "fis:{region}:{account}:experiment-template/*"}},
        backend="fis",
    ),
}


def requested_named(call: ApiCall) -> Iterator[RequestedResource]:
    """Yield the resources that the parameters of ``call`` name, by :data:`SERVICES`."""
    service = SERVICES.get(call.service)
    if service is None:
        yield UNKNOWN
        return
    templates = service.operations.get(call.operation, service.parameters)
    if call.service == "ec2" and call.operation.startswith("Describe"):
        templates = {}
    found = {
        arn: None
        for parameter, template in templates.items()
        for arn in _arns(call, parameter, template)
    }
    if call.service == "ecs" and call.operation not in service.operations:
        # a service or task names its cluster too, which is not what is asked for
        found = dict(list(found.items())[:1])
    for arn in found:
        yield RequestedResource(arn=arn, tags=_tags(call, service, arn))
    if not found:
        unscoped = call.operation in service.unscoped or call.operation.startswith(_READING)
        yield UNSCOPED if unscoped else UNKNOWN


def _arns(call: ApiCall, parameter: str, template: str) -> Iterator[str]:
    values = [""] if not parameter else call.values(parameter)
    if parameter == _BUSES and call.operation == "PutEvents":
        values = [
            entry.get("EventBusName") or "default" for entry in call.parameters.get("Entries") or ()
        ]
    for value in values:
        if value.startswith("arn:"):
            yield value
        else:
            yield call.arn(template, _within(call, parameter, template, value))


def _within(call: ApiCall, parameter: str, template: str, value: str) -> str:
    """Return ``value`` behind the name of its parent resource, where its ARN has it."""
    if template == _RULE:
        bus = (call.value("EventBusName") or "default").rpartition("/")[2]
        return value if bus == "default" else f"{bus}/{value}"
    if template.endswith(":schedule/{value}"):
        return f"{call.value('GroupName') or 'default'}/{value}"
    if template == _PARAMETER:
        return value.lstrip("/")
    if template == _RULE_GROUPS:
        return f"{call.value('workspaceId')}/{value}"
    if parameter in ("service", "serviceName", "task", "services", "tasks"):
        return f"{(call.value('cluster') or 'default').rpartition('/')[2]}/{value}"
    return value.rpartition("/")[2] if call.service == "route53" else value


def _tags(call: ApiCall, service: Service, arn: str) -> Tags | None:
    if service.backend is None:
        return None
    find: Any = get_backend  # its overloads want a literal
    backend: Any = find(service.backend)[call.account][
        call.partition if service.everywhere else call.region
    ]
    readers: Mapping[str, Callable[[], Mapping[str, str]]] = {
        "ssm": lambda: _parameter_tags(backend, arn.partition(":parameter/")[2]),
        "ecs": lambda: _ecs_tags(backend, arn),
        "ec2": lambda: dict(backend.tags.get(arn.rpartition("/")[2], {})),
    }
    if service.backend in readers:
        return readers[service.backend]
    tagger = getattr(backend, service.tagger)
    return lambda: dict(tagger.get_tag_dict_for_resource(arn.partition(":log-stream:")[0]))


def _parameter_tags(backend: Any, name: str) -> Mapping[str, str]:
    """Return the tags of a parameter.

    moto keeps them under the name as it was given, with its first slash or without.
    """
    known = backend._resource_tags.get("Parameter", {})  # noqa: SLF001 - moto's own
    return dict(known.get(f"/{name}") or known.get(name) or {})


def _ecs_tags(backend: Any, arn: str) -> Mapping[str, str]:
    """Return the tags of a service, task definition, cluster or task; none if it does not exist."""
    kind, _, name = arn.split(":", 5)[5].partition("/")
    if kind == "cluster":
        found = getattr(backend.clusters.get(name), "tags", None)
    elif kind == "task":
        found = next(
            (
                task.tags
                for tasks in backend.tasks.values()
                for task in tasks.values()
                if task.task_arn == arn
            ),
            None,
        )
    else:
        try:
            found = backend.list_tags_for_resource(arn)
        except ServiceException:
            found = None
    return {tag["key"]: tag["value"] for tag in found or []}
