"""One rail, ready in both regions: settings, credentials, and queues where it answers later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.rails.credentials import secrets_of
from infra.rails.queues import queues_of
from infra.rails.watched import StandbyRailArgs
from seawall.conventions import aws as aws_names

__all__ = ["StandbyRail", "StandbyRailArgs"]


class StandbyRail(pulumi.ComponentResource):
    """Primary and standby of one rail.

    ``outputs``: endpoints, secrets, queues, parameter, and failover data by region; no secret
    value.

    ``failover`` is what a client in a region needs (``infra.rails.failover``); it is completed with
    where the credentials and queues lie, and kept as one document, so that nobody reads a new
    endpoint beside an old time-out.
    """

    outputs: dict[str, Any]

    def __init__(
        self,
        args: StandbyRailArgs,
        *,
        failover: Mapping[str, Mapping[str, Any]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("seawall:infra:StandbyRail", args.rail, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        secrets = secrets_of(args, opts=child)
        queues = queues_of(args, opts=child)
        name = aws_names.rail_parameter(args.venue, args.rail)
        complete = {
            region: {
                **failover[region],
                "credentials": secrets[region],
                "queues": queues.get(region, {}),
            }
            for region in args.regions
        }
        for region in args.regions:
            aws.ssm.Parameter(
                f"{args.rail}-{region}",
                region=region,
                name=name,
                type="String",
                description=f"How a client in {region} reaches {args.rail}, and how it fails over",
                value=pulumi.Output.json_dumps(complete[region], sort_keys=True),
                tags=args.tags,
                opts=child,
            )
        self.outputs = {
            "endpoints": args.declared.endpoints.model_dump(),
            "parameter": name,
            "secrets": secrets,
            "queues": queues,
            "failover": complete,
        }
        self.register_outputs({"rail": self.outputs})
