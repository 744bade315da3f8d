"""Route 53's hosted zones: a public zone as a resource, and the look-up of one that exists.

The id is the zone's.
"""

from __future__ import annotations

import uuid
from typing import Any

from localaws.provider.clients import Aws
from localaws.provider.route53 import GlobalTagging, arn_of, plain_name, route53
from localaws.provider.table import Function, Property, ResourceType, unfinished
from localaws.provider.values import Properties

_TAGGING = GlobalTagging(also={"ResourceType": "hostedzone"})
_COMMENT = "Managed by Pulumi"
"""What upstream writes when nothing is said."""
_ITS_OWN = frozenset({"NS", "SOA"})
"""Records that come and go with a zone."""


def _plain_id(identifier: str) -> str:
    return identifier.rpartition("/")[2]


def _create_zone(aws: Aws, inputs: Properties) -> str:
    made = route53(aws).create_hosted_zone(
        Name=inputs["name"],
        CallerReference=uuid.uuid4().hex,
        HostedZoneConfig={"Comment": inputs["comment"]},
    )
    identifier = _plain_id(made["HostedZone"]["Id"])
    with unfinished(identifier):
        _TAGGING.sync(aws, arn_of("hostedzone", identifier), {}, inputs.get("tags"))
    return identifier


def _told(answer: dict[str, Any]) -> Properties:
    zone, servers = answer["HostedZone"], answer.get("DelegationSet", {}).get("NameServers", [])
    identifier = _plain_id(zone["Id"])
    return {
        "name": plain_name(zone["Name"]),
        "comment": zone["Config"].get("Comment", ""),
        "zoneId": identifier,
        "arn": arn_of("hostedzone", identifier),
        "nameServers": sorted(servers),
        "primaryNameServer": servers[0] if servers else None,
    }


def _delete_zone(aws: Aws, identifier: str, properties: Properties) -> None:
    if properties.get(
        "forceDestroy"
    ):  # else Route 53 refuses a zone that has records: HostedZoneNotEmpty
        pages = (
            route53(aws)
            .get_paginator("list_resource_record_sets")
            .paginate(HostedZoneId=identifier)
        )
        records = [
            record
            for page in pages
            for record in page["ResourceRecordSets"]
            if record["Type"] not in _ITS_OWN
        ]
        for record in records:
            change = {"Action": "DELETE", "ResourceRecordSet": record}
            route53(aws).change_resource_record_sets(
                HostedZoneId=identifier, ChangeBatch={"Changes": [change]}
            )
    route53(aws).delete_hosted_zone(Id=identifier)


ZONE = ResourceType(
    kind="aws:route53/zone:Zone",
    acts=False,
    inputs={
        "name": Property(required=True, replaces=True),
        "comment": Property(default=_COMMENT),
        "forceDestroy": Property(local=True),
    },
    outputs=("arn", "zoneId", "nameServers", "primaryNameServer"),
    create=_create_zone,
    read=lambda aws, identifier: _told(route53(aws).get_hosted_zone(Id=identifier)),
    update=lambda aws, identifier, _old, new: route53(aws).update_hosted_zone_comment(
        Id=identifier, Comment=new["comment"]
    ),
    delete=_delete_zone,
    regional=False,
    tagging=_TAGGING,
    gone=frozenset({"NoSuchHostedZone"}),
)


def _get_zone(aws: Aws, inputs: Properties) -> Properties:
    """Raises :class:`LookupError` unless there is exactly one."""
    if "zoneId" in inputs:
        found = [inputs["zoneId"]]
    else:
        wanted, private = plain_name(inputs.get("name", "")), bool(inputs.get("privateZone"))
        listed = route53(aws).list_hosted_zones_by_name(DNSName=wanted)["HostedZones"]
        found = [
            zone["Id"]
            for zone in listed
            if plain_name(zone["Name"]) == wanted and zone["Config"]["PrivateZone"] is private
        ]
        if len(found) != 1:
            message = f"there are {len(found)} {'private' if private else 'public'} zones {wanted}, not one"
            raise LookupError(message)
    answer = route53(aws).get_hosted_zone(Id=found[0])
    zone = answer["HostedZone"]
    return {
        **_told(answer),
        "id": _plain_id(zone["Id"]),
        "callerReference": zone["CallerReference"],
        "privateZone": zone["Config"]["PrivateZone"],
        "resourceRecordSetCount": zone["ResourceRecordSetCount"],
        "tags": _TAGGING.of(aws, zone["Id"]),
    }


GET_ZONE = Function(
    kind="aws:route53/getZone:getZone",
    inputs={name: Property() for name in ("name", "zoneId", "privateZone")},
    call=_get_zone,
    regional=False,
)
