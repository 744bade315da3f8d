"""Amazon Managed Prometheus: workspaces, rule groups, the Alertmanager definition.

Declared: no rule is evaluated and no alert is sent.

After the upstream provider (its resources aws_prometheus_*) a workspace's key replaces, and name
and workspace of what is in it. Ids are those that `pulumi import` takes: the workspace's id, also
of its definition, and the ARN of a namespace.
"""

from __future__ import annotations

from typing import Any

from localaws.provider.clients import Aws
from localaws.provider.table import Property, ResourceType, unfinished
from localaws.provider.tagging import Tagging
from localaws.provider.values import Properties, from_aws, to_aws

_TAGGING = Tagging(service="amp", resource="resourceArn", tags="tags", keys="tagKeys", pair=None)
_WORKSPACE = {"alias": "alias", "kmsKeyArn": "kmsKeyArn"}


def _create_workspace(aws: Aws, inputs: Properties) -> str:
    made = aws.amp.create_workspace(
        **to_aws(_WORKSPACE, inputs), **_TAGGING.argument(inputs.get("tags"))
    )
    workspace = str(made["workspaceId"])
    with unfinished(workspace):
        _set_logging(aws, workspace, None, _log_group(inputs))
    return workspace


def _log_group(inputs: Properties) -> str | None:
    """CloudWatch wants the group with ``:*`` at its end, and so the program writes it."""
    group = (inputs.get("loggingConfiguration") or {}).get("logGroupArn")
    return None if group is None else str(group)


def _set_logging(aws: Aws, workspace: str, old: str | None, new: str | None) -> None:
    if old == new:
        return
    if new is None:
        aws.amp.delete_logging_configuration(workspaceId=workspace)
    elif old is None:
        aws.amp.create_logging_configuration(workspaceId=workspace, logGroupArn=new)
    else:
        aws.amp.update_logging_configuration(workspaceId=workspace, logGroupArn=new)


def _read_workspace(aws: Aws, workspace: str) -> Properties:
    found = aws.amp.describe_workspace(workspaceId=workspace)["workspace"]
    group = _logging(aws, workspace)
    described = {**_WORKSPACE, "arn": "arn", "prometheusEndpoint": "prometheusEndpoint"}
    return {
        **from_aws(described, found),
        "loggingConfiguration": {"logGroupArn": group} if group else None,
    }


def _logging(aws: Aws, workspace: str) -> str | None:
    try:
        found: Any = (
            aws.amp.describe_logging_configuration(workspaceId=workspace).get(
                "loggingConfiguration"
            )
            or {}
        )
    except aws.amp.exceptions.ResourceNotFoundException:
        return None
    group = found.get("logGroupArn")
    return None if group is None else str(group)


def _update_workspace(aws: Aws, workspace: str, old: Properties, new: Properties) -> None:
    if old.get("alias") != new.get("alias"):
        aws.amp.update_workspace_alias(workspaceId=workspace, **to_aws({"alias": "alias"}, new))
    _set_logging(aws, workspace, _log_group(old), _log_group(new))


WORKSPACE = ResourceType(
    kind="aws:amp/workspace:Workspace",
    acts=False,
    inputs={
        "alias": Property(),
        "kmsKeyArn": Property(replaces=True),
        "loggingConfiguration": Property(),
    },
    outputs=("arn", "prometheusEndpoint"),
    create=_create_workspace,
    read=_read_workspace,
    update=_update_workspace,
    delete=lambda aws, workspace, _properties: aws.amp.delete_workspace(workspaceId=workspace),
    tagging=_TAGGING,
)


def _create_namespace(aws: Aws, inputs: Properties) -> str:
    made = aws.amp.create_rule_groups_namespace(
        workspaceId=inputs["workspaceId"],
        name=inputs["name"],
        data=inputs["data"].encode(),
        **_TAGGING.argument(inputs.get("tags")),
    )
    return str(made["arn"])


def _place(arn: str) -> dict[str, str]:
    workspace, _, name = arn.partition("rulegroupsnamespace/")[2].partition("/")
    return {"workspaceId": workspace, "name": name}


def _read_namespace(aws: Aws, arn: str) -> Properties:
    found = aws.amp.describe_rule_groups_namespace(**_place(arn))["ruleGroupsNamespace"]
    return {**_place(arn), "arn": found["arn"], "data": found["data"].decode()}


def _update_namespace(aws: Aws, arn: str, old: Properties, new: Properties) -> None:
    if old.get("data") != new["data"]:
        aws.amp.put_rule_groups_namespace(**_place(arn), data=new["data"].encode())


RULE_GROUP_NAMESPACE = ResourceType(
    kind="aws:amp/ruleGroupNamespace:RuleGroupNamespace",
    acts=False,
    inputs={
        "name": Property(required=True, replaces=True),
        "workspaceId": Property(required=True, replaces=True),
        "data": Property(required=True),
    },
    outputs=("arn",),
    create=_create_namespace,
    read=_read_namespace,
    update=_update_namespace,
    delete=lambda aws, arn, _properties: aws.amp.delete_rule_groups_namespace(**_place(arn)),
    named_by="name",
    tagging=_TAGGING,
)


def _create_definition(aws: Aws, inputs: Properties) -> str:
    aws.amp.create_alert_manager_definition(
        workspaceId=inputs["workspaceId"], data=inputs["definition"].encode()
    )
    return str(inputs["workspaceId"])


def _read_definition(aws: Aws, workspace: str) -> Properties:
    found = aws.amp.describe_alert_manager_definition(workspaceId=workspace)[
        "alertManagerDefinition"
    ]
    return {"workspaceId": workspace, "definition": found["data"].decode()}


def _update_definition(aws: Aws, workspace: str, _old: Properties, new: Properties) -> None:
    aws.amp.put_alert_manager_definition(workspaceId=workspace, data=new["definition"].encode())


ALERT_MANAGER_DEFINITION = ResourceType(
    kind="aws:amp/alertManagerDefinition:AlertManagerDefinition",
    acts=False,
    inputs={
        "workspaceId": Property(required=True, replaces=True),
        "definition": Property(required=True),
    },
    outputs=(),
    create=_create_definition,
    read=_read_definition,
    update=_update_definition,
    delete=lambda aws, workspace, _properties: aws.amp.delete_alert_manager_definition(
        workspaceId=workspace
    ),
)
