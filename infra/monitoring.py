"""Prometheus as AWS runs it.

A workspace per region, with the rules and the routing that ``monitors/`` rendered from the same
policy.

Both regions get one: the venue writes its metrics to both (``python -m monitors.remote_write``),
each evaluates the rules and pages through its own topics, so that neither region's loss silences
the alerts. This folder may not import ``monitors``; the interface is the committed
``generated/<policy>/``, and what was rendered from another policy than the one that is deployed is
refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.rails.watched import Topics
from seawall.conventions import aws as aws_names
from seawall.conventions import generated
from seawall.errors import UsageError
from seawall.policy import Policy


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """``rules`` is the text of a Prometheus rules file.

    ``routing`` that of an AMP Alertmanager definition with places for topics (:func:`addressed`).
    """

    venue: str
    regions: Sequence[str]
    rules: str
    routing: str
    topics: Topics
    tags: Mapping[str, str]


class Monitoring(pulumi.ComponentResource):
    """``outputs``: by region, the workspace's id and ARN, where to write metrics to, and where to
    ask.
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
                data=args.rules,
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
                # AMP user guide, Set up metrics ingestion from Prometheus: the API's address and a
                # path of its own.
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
        lambda arns: addressed(args.routing, region=region, topics=arns)
    )


def addressed(routing: str, *, region: str, topics: Mapping[str, str]) -> str:
    """``routing`` with a region and its topics in their places.

    Raises KeyError for a place that nothing is known for.
    """
    known = {generated.topic_place(severity): arn for severity, arn in topics.items()}
    return Template(routing).substitute(known, **{generated.REGION_PLACE: region})


def rendered(policy: Policy, file: str, *, folder: Path) -> str:
    """The text of ``file`` in ``folder``.

    Raises :class:`UsageError` if it is missing or was rendered from another policy.
    """
    path = folder / file
    remedy = "run bin/seawall render with this policy, and look at what changes"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        message = f"the rendered {path.parent.name}/{path.name} cannot be read: {error.strerror}"
        raise UsageError(message, remedy=remedy) from error
    if generated.rendered_from(policy.digest) not in text.splitlines()[:3]:
        message = f"{path.parent.name}/{path.name} was rendered from another policy than {policy.policy} as it is now"
        raise UsageError(message, remedy=remedy)
    return text
