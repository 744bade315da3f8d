"""DNS names that the venue serves itself: health checks, and records that fail over.

A name that a provider serves is not ours to move; its clients fail over by themselves
(``infra.rails``). Route 53 answers from its own data plane in every edge location, so no control
plane is called during a failover.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.alarms import BREACHING, AlarmSpec, Topics, alarm
from seawall.conventions import aws as aws_names
from seawall.conventions import components
from seawall.policy.model import ServedName

METRICS_REGION = "us-east-1"
"""Where Route 53 puts the metrics of health checks, whatever they check (Route 53 developer guide,
Monitoring with CloudWatch).
"""
_PERIOD_S = 60
_FAILOVER_TYPES = {"primary": "PRIMARY", "standby": "SECONDARY"}


@dataclass(frozen=True, kw_only=True)
class ServedArgs:
    """The inputs of :class:`Served`.

    Args:
        declared: the policy's served names; their zones exist and belong to the account.
        topics: of every region, that of the metrics included.
    """

    venue: str
    declared: Mapping[str, ServedName]
    topics: Topics
    tags: Mapping[str, str]


class Served(pulumi.ComponentResource):
    """Health checks, records and alarms.

    Attributes:
        outputs: by name, the DNS name, and the health check and alarm of each side.
    """

    outputs: dict[str, Any]

    def __init__(self, args: ServedArgs, *, opts: pulumi.ResourceOptions) -> None:
        super().__init__("seawall:infra:Served", "served", None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        zones = {
            zone: self._zone(zone)
            for zone in sorted({served.zone for served in args.declared.values()})
        }
        self.outputs = {
            name: {
                "name": served.name,
                "sides": {
                    side: self._side(name, served, side, zones[served.zone])
                    for side in components.SIDES
                },
            }
            for name, served in args.declared.items()
        }
        self.register_outputs({"served": self.outputs})

    def _zone(self, zone: str) -> pulumi.Output[str]:
        found = aws.route53.get_zone_output(name=zone, opts=pulumi.InvokeOutputOptions(parent=self))
        return found.zone_id

    def _side(
        self, name: str, served: ServedName, side: str, zone: pulumi.Output[str]
    ) -> dict[str, Any]:
        target = getattr(served, side)
        check = aws.route53.HealthCheck(
            f"{name}-{side}",
            type="HTTPS",
            fqdn=target,
            port=served.port,
            resource_path=served.path,
            request_interval=int(served.check_every.removesuffix("s")),
            failure_threshold=served.failures,
            enable_sni=True,
            tags={
                **self._args.tags,
                "Name": f"{aws_names.PREFIX}-{self._args.venue}-{name}-{side}",
            },
            opts=self._child,
        )
        aws.route53.Record(
            f"{name}-{side}",
            zone_id=zone,
            name=served.name,
            type="CNAME",
            ttl=-(-served.ttl // 1_000),
            records=[target],
            set_identifier=side,
            failover_routing_policies=[
                aws.route53.RecordFailoverRoutingPolicyArgs(type=_FAILOVER_TYPES[side])
            ],
            health_check_id=check.id,
            opts=self._child,
        )
        spec = AlarmSpec(
            name=aws_names.served_alarm(self._args.venue, name, side),
            region=METRICS_REGION,
            severity="critical",
            description=(
                f"{target}, the {side} of {served.name}, does not answer: its customers are "
                "moved, or have nowhere to go."
            ),
            namespace="AWS/Route53",
            metric="HealthCheckStatus",
            dimensions={"HealthCheckId": check.id},
            threshold=1,  # 1 is healthy, 0 is not
            comparison="LessThanThreshold",
            statistic="Minimum",
            period_s=_PERIOD_S,
            missing=BREACHING,
        )
        alarm(
            f"{name}-{side}-health",
            spec,
            topics=self._args.topics,
            tags=self._args.tags,
            opts=self._child,
        )
        return {"target": target, "health_check": check.id, "alarm": spec.name}
