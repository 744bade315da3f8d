"""Amazon Managed Prometheus: a workspace per region, with the rules and routing of the policy.

Both regions get one: the venue writes its metrics to both (``python -m monitors.remote_write``),
and each evaluates the rules and pages through its own topics, so that the loss of one region does
not silence the alerts. Rules and routing are read from the committed ``generated/<policy>/``
(``infra.generated_files``), because this folder may not import ``monitors``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.alarms import Topics
from infra.generated_files import MonitoringFiles
from seawall.conventions import aws as aws_names
from seawall.conventions import generated


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """The inputs of :class:`Monitoring`.

    Args:
        files: the rules and the routing that were rendered from the policy.
    """

    venue: str
    regions: Sequence[str]
    files: MonitoringFiles
    topics: Topics
    tags: Mapping[str, str]


class Monitoring(pulumi.ComponentResource):
    """The workspaces.

    Attributes:
        outputs: by region, the workspace's id and ARN, and the URLs for writing and querying.
    """

    outputs: dict[str, Any]

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("seawall:infra:Monitoring", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.outputs = {"workspaces": {}}
        for region in args.regions:
            workspace = aws.amp.Workspace(
                region,
                region=region,
                alias=aws_names.prometheus_workspace(args.venue),
                tags=args.tags,
                opts=child,
            )
            aws.amp.RuleGroupNamespace(
                region,
                region=region,
                name=generated.RULE_NAMESPACE,
                workspace_id=workspace.id,
                data=args.files.rules,
                tags=args.tags,
                opts=child,
            )
            aws.amp.AlertManagerDefinition(
                region,
                region=region,
                workspace_id=workspace.id,
                definition=_definition(args, region),
                opts=child,
            )
            self.outputs["workspaces"][region] = {
                "id": workspace.id,
                "arn": workspace.arn,
                # AMP user guide, Set up metrics ingestion from Prometheus: a path below the
                # address of the API.
                "remote_write": workspace.prometheus_endpoint.apply(
                    lambda url: f"{url}api/v1/remote_write"
                ),
                "query": workspace.prometheus_endpoint,
            }
        self.register_outputs(self.outputs)


def _definition(args: MonitoringArgs, region: str) -> pulumi.Output[str]:
    topics: dict[str, pulumi.Input[str]] = {
        str(severity): arn for severity, arn in args.topics[region].items()
    }
    return pulumi.Output.all(**topics).apply(
        lambda arns: addressed(args.files.routing, region=region, topics=arns)
    )


def addressed(routing: str, *, region: str, topics: Mapping[str, str]) -> str:
    """``routing`` with its placeholders replaced by a region and its topics.

    Raises KeyError for an unknown placeholder.
    """
    known = {generated.topic_place(severity): arn for severity, arn in topics.items()}
    return Template(routing).substitute(known, **{generated.REGION_PLACE: region})
