"""Route 53: health checks, records, of which failover records, and hosted zones.

Declared: no name is answered and no endpoint is checked.

Ids, and what is imported: the health check's id, ``ZONE_name_TYPE`` or ``ZONE_name_TYPE_set`` of a
record. What forces a replacement follows upstream (hashicorp/terraform-provider-aws,
internal/service/route53/health_check.go, record.go, ForceNew); the type and set identifier of a
record, which are part of its id, upstream changes by a deletion and a creation in one batch: here
that is a replacement.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import Any

from localaws.provider.clients import Aws
from localaws.provider.sameness import equal, same_set
from localaws.provider.table import Function, Property, ResourceType, unfinished
from localaws.provider.tagging import Tagging, tag_map
from localaws.provider.values import Properties, from_aws, lower_names, to_aws, upper_names

_REGION = "us-east-1"
"""The Region of this global service's API (AWS general reference, "Amazon Route 53 endpoints")."""


def route53(aws: Aws) -> Any:
    """The client, in the Region of the global service."""
    return aws.elsewhere(_REGION).route53


@dataclass(frozen=True, kw_only=True)
class GlobalTagging(Tagging):
    """Tags of Route 53: one call adds and removes; a resource is named by the end of its ARN."""

    service: str = "route53"
    resource: str = "ResourceId"
    add: str = "change_tags_for_resource"
    remove: str = "change_tags_for_resource"
    tags: str = "AddTags"
    keys: str = "RemoveTagKeys"

    def of(self, aws: Aws, name: str) -> dict[str, str]:
        """The tags that AWS has; they lie one level deeper than elsewhere."""
        return tag_map(self._call(aws, self.list, name)["ResourceTagSet"]["Tags"])

    def _call(self, aws: Aws, operation: str, name: str, **arguments: Any) -> Any:
        return super()._call(
            aws.elsewhere(_REGION), operation, name.rpartition("/")[2], **arguments
        )


def arn_of(kind: str, identifier: str) -> str:
    """The ARN of a global resource, which has no Region and no account."""
    return f"arn:aws:route53:::{kind}/{identifier}"


_CHECK_TAGGING = GlobalTagging(also={"ResourceType": "healthcheck"})
_CHECK_FIXED = {
    "measureLatency": "MeasureLatency",
    "requestInterval": "RequestInterval",
    "type": "Type",
}
_CHECK_FREE = {
    "childHealthThreshold": "HealthThreshold",
    "childHealthchecks": "ChildHealthChecks",
    "disabled": "Disabled",
    "enableSni": "EnableSNI",
    "failureThreshold": "FailureThreshold",
    "fqdn": "FullyQualifiedDomainName",
    "insufficientDataHealthStatus": "InsufficientDataHealthStatus",
    "invertHealthcheck": "Inverted",
    "ipAddress": "IPAddress",
    "port": "Port",
    "regions": "Regions",
    "resourcePath": "ResourcePath",
    "searchString": "SearchString",
}
"""What UpdateHealthCheck takes as well as CreateHealthCheck."""
_CHECK_COMPUTED = frozenset({"enableSni", "failureThreshold", "port"})
"""What Route 53 fills in by default."""
_RESETS = ("ChildHealthChecks", "FullyQualifiedDomainName", "Regions", "ResourcePath")
"""What UpdateHealthCheck can reset (API reference, ResetElements); the rest keeps a value for
ever.
"""
_NO_ENDPOINT = frozenset({"CALCULATED", "CLOUDWATCH_METRIC"})


def _alarm(inputs: Properties) -> dict[str, Any]:
    if "cloudwatchAlarmName" not in inputs:
        return {}
    return {
        "AlarmIdentifier": {
            "Name": inputs["cloudwatchAlarmName"],
            "Region": inputs.get("cloudwatchAlarmRegion"),
        }
    }


def _create_check(aws: Aws, inputs: Properties) -> str:
    config = {**to_aws({**_CHECK_FIXED, **_CHECK_FREE}, inputs), **_alarm(inputs)}
    if inputs["type"] in _NO_ENDPOINT:
        config.pop("MeasureLatency", None)
    reference = "-".join(filter(None, (inputs.get("referenceName"), uuid.uuid4().hex)))
    made = route53(aws).create_health_check(CallerReference=reference, HealthCheckConfig=config)
    identifier = str(made["HealthCheck"]["Id"])
    with unfinished(identifier):
        _CHECK_TAGGING.sync(aws, arn_of("healthcheck", identifier), {}, inputs.get("tags"))
    return identifier


def _read_check(aws: Aws, identifier: str) -> Properties:
    config = route53(aws).get_health_check(HealthCheckId=identifier)["HealthCheck"][
        "HealthCheckConfig"
    ]
    alarm = from_aws(
        {"cloudwatchAlarmName": "Name", "cloudwatchAlarmRegion": "Region"},
        config.get("AlarmIdentifier", {}),
    )
    described = from_aws({**_CHECK_FIXED, **_CHECK_FREE}, config)
    flags = {
        name: described.get(name, False)
        for name in ("measureLatency", "disabled", "invertHealthcheck")
    }
    return {**described, **flags, **alarm, "arn": arn_of("healthcheck", identifier)}


def _update_check(aws: Aws, identifier: str, old: Properties, new: Properties) -> None:
    changed = {
        name
        for name in _CHECK_FREE
        if not HEALTH_CHECK.inputs[name].same(old.get(name), new.get(name))
    }
    resets = [
        _CHECK_FREE[name]
        for name in sorted(changed)
        if name not in new and _CHECK_FREE[name] in _RESETS
    ]
    config = to_aws({name: _CHECK_FREE[name] for name in changed}, new)
    if _alarm(old) != _alarm(new):
        config.update(_alarm(new))
    if config or resets:
        reset = {"ResetElements": resets} if resets else {}
        route53(aws).update_health_check(HealthCheckId=identifier, **config, **reset)


HEALTH_CHECK = ResourceType(
    kind="aws:route53/healthCheck:HealthCheck",
    acts=False,
    inputs={
        **{name: Property(computed=name in _CHECK_COMPUTED) for name in _CHECK_FREE},
        "type": Property(required=True, replaces=True),
        "requestInterval": Property(replaces=True, computed=True),
        "measureLatency": Property(default=False, replaces=True),
        "referenceName": Property(local=True, replaces=True),
        "cloudwatchAlarmName": Property(),
        "cloudwatchAlarmRegion": Property(),
        "disabled": Property(default=False),
        "invertHealthcheck": Property(default=False),
        "childHealthchecks": Property(same=same_set),
        "regions": Property(same=same_set),
    },
    outputs=("arn",),
    create=_create_check,
    read=_read_check,
    update=_update_check,
    delete=lambda aws, identifier, _properties: route53(aws).delete_health_check(
        HealthCheckId=identifier
    ),
    regional=False,
    tagging=_CHECK_TAGGING,
    gone=frozenset({"NoSuchHealthCheck"}),
)

_TYPES = "A|AAAA|CAA|CNAME|DS|HTTPS|MX|NAPTR|NS|PTR|SOA|SPF|SRV|SSHFP|SVCB|TLSA|TXT"
_RECORD_ID = re.compile(rf"(?P<zone>[A-Z0-9]+)_(?P<name>.+?)_(?P<type>{_TYPES})(?:_(?P<set>.+))?")
_ALIAS = {"zoneId": "HostedZoneId", "name": "DNSName"}


def plain_name(name: str) -> str:
    """Return a name as upstream writes it.

    In lower case, without its last dot, with the star that Route 53 escapes.
    """
    return name.lower().rstrip(".").replace("\\052", "*")


def same_name(one: Any, other: Any) -> bool:
    """Whether two DNS names are one."""
    return (
        plain_name(one) == plain_name(other)
        if isinstance(one, str) and isinstance(other, str)
        else equal(one, other)
    )


def same_aliases(one: Any, other: Any) -> bool:
    """Whether two lists of alias targets lead to the same places."""
    if not isinstance(one, list) or not isinstance(other, list):
        return equal(one, other)
    here, there = (
        [{**alias, "name": plain_name(alias["name"])} for alias in aliases]
        for aliases in (one, other)
    )
    return here == there


def _record_set(inputs: Properties) -> dict[str, Any]:
    record: dict[str, Any] = {"Name": inputs["name"], "Type": inputs["type"]}
    record.update(
        to_aws(
            {"ttl": "TTL", "setIdentifier": "SetIdentifier", "healthCheckId": "HealthCheckId"},
            inputs,
        )
    )
    if inputs.get("records"):
        record["ResourceRecords"] = [{"Value": value} for value in inputs["records"]]
    if inputs.get("aliases"):
        record["AliasTarget"] = upper_names(inputs["aliases"][0], except_for=_ALIAS)
    if inputs.get("failoverRoutingPolicies"):
        record["Failover"] = inputs["failoverRoutingPolicies"][0]["type"]
    return record


def _change(aws: Aws, zone: str, action: str, record: dict[str, Any]) -> None:
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    route53(aws).change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)


def _create_record(aws: Aws, inputs: Properties) -> str:
    zone = route53(aws).get_hosted_zone(Id=inputs["zoneId"])["HostedZone"]["Name"]
    if not f".{plain_name(inputs['name'])}".endswith(f".{plain_name(zone)}"):
        raise LookupError(
            f"{inputs['name']} is not within {zone} (write the whole name; the sandbox "
            "does not add the zone's)"
        )
    _change(
        aws,
        inputs["zoneId"],
        "UPSERT" if inputs.get("allowOverwrite") else "CREATE",
        _record_set(inputs),
    )
    return "_".join(
        filter(
            None,
            (
                inputs["zoneId"],
                plain_name(inputs["name"]),
                inputs["type"],
                inputs.get("setIdentifier"),
            ),
        )
    )


def _found_record(aws: Aws, identifier: str) -> tuple[str, dict[str, Any] | None]:
    """The zone, and the record as Route 53 has it.

    Raises :class:`LookupError` for what is no id of a record.
    """
    named = _RECORD_ID.fullmatch(identifier)
    if named is None:
        raise LookupError(
            f"{identifier} is no id of a record (ZONE_name_TYPE or ZONE_name_TYPE_set)"
        )
    pages = (
        route53(aws)
        .get_paginator("list_resource_record_sets")
        .paginate(
            HostedZoneId=named["zone"], StartRecordName=named["name"], StartRecordType=named["type"]
        )
    )
    wanted = (plain_name(named["name"]), named["type"], named["set"])
    for page in pages:
        for record in page["ResourceRecordSets"]:
            if (plain_name(record["Name"]), record["Type"], record.get("SetIdentifier")) == wanted:
                return named["zone"], record
            if plain_name(record["Name"]) != wanted[0]:
                return named["zone"], None
    return named["zone"], None


def _read_record(aws: Aws, identifier: str) -> Properties | None:
    zone, record = _found_record(aws, identifier)
    if record is None:
        return None
    aliases = (
        [lower_names(record["AliasTarget"], except_for=_ALIAS)] if "AliasTarget" in record else []
    )
    return {
        "zoneId": zone,
        "name": plain_name(record["Name"]),
        "type": record["Type"],
        "fqdn": plain_name(record["Name"]),
        "ttl": record.get("TTL"),
        "setIdentifier": record.get("SetIdentifier"),
        "healthCheckId": record.get("HealthCheckId"),
        "records": [item["Value"] for item in record.get("ResourceRecords", [])],
        "aliases": [{**alias, "name": plain_name(alias["name"])} for alias in aliases],
        "failoverRoutingPolicies": [{"type": record["Failover"]}] if "Failover" in record else [],
    }


def _delete_record(aws: Aws, identifier: str, _properties: Properties) -> None:
    zone, record = _found_record(aws, identifier)
    if record is not None:  # Route 53 deletes only what is named with all its values
        _change(aws, zone, "DELETE", record)


RECORD = ResourceType(
    kind="aws:route53/record:Record",
    acts=False,
    inputs={
        "zoneId": Property(required=True, replaces=True),
        "name": Property(required=True, replaces=True, same=same_name),
        "type": Property(required=True, replaces=True),
        "setIdentifier": Property(replaces=True),
        "ttl": Property(),
        "records": Property(same=same_set),
        "aliases": Property(same=same_aliases),
        "failoverRoutingPolicies": Property(),
        "healthCheckId": Property(),
        "allowOverwrite": Property(local=True),
    },
    outputs=("fqdn",),
    create=_create_record,
    read=_read_record,
    update=lambda aws, _identifier, _old, new: _change(
        aws, new["zoneId"], "UPSERT", _record_set(new)
    ),
    delete=_delete_record,
    named_by="name",
    regional=False,
    gone=frozenset({"NoSuchHostedZone"}),
)


# ------------------------------------------------------------------------------------------------
# Hosted zones: a public zone as a resource, and the search for one that exists. Ids are the zones'.
# ------------------------------------------------------------------------------------------------

_ZONE_TAGGING = GlobalTagging(also={"ResourceType": "hostedzone"})
_ZONE_COMMENT = "Managed by Pulumi"
"""What upstream writes by default."""
_RECORDS_OF_A_ZONE = frozenset({"NS", "SOA"})
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
        _ZONE_TAGGING.sync(aws, arn_of("hostedzone", identifier), {}, inputs.get("tags"))
    return identifier


def _zone_properties(answer: dict[str, Any]) -> Properties:
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
    # else Route 53 refuses a zone that has records: HostedZoneNotEmpty
    if properties.get("forceDestroy"):
        pages = (
            route53(aws)
            .get_paginator("list_resource_record_sets")
            .paginate(HostedZoneId=identifier)
        )
        records = [
            record
            for page in pages
            for record in page["ResourceRecordSets"]
            if record["Type"] not in _RECORDS_OF_A_ZONE
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
        "comment": Property(default=_ZONE_COMMENT),
        "forceDestroy": Property(local=True),
    },
    outputs=("arn", "zoneId", "nameServers", "primaryNameServer"),
    create=_create_zone,
    read=lambda aws, identifier: _zone_properties(route53(aws).get_hosted_zone(Id=identifier)),
    update=lambda aws, identifier, _old, new: route53(aws).update_hosted_zone_comment(
        Id=identifier, Comment=new["comment"]
    ),
    delete=_delete_zone,
    regional=False,
    tagging=_ZONE_TAGGING,
    gone=frozenset({"NoSuchHostedZone"}),
)


def _get_zone(aws: Aws, inputs: Properties) -> Properties:
    """Find a zone by id or name. Raises :class:`LookupError` unless there is exactly one."""
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
            raise LookupError(
                f"there are {len(found)} {'private' if private else 'public'} zones "
                f"{wanted}, not one"
            )
    answer = route53(aws).get_hosted_zone(Id=found[0])
    zone = answer["HostedZone"]
    return {
        **_zone_properties(answer),
        "id": _plain_id(zone["Id"]),
        "callerReference": zone["CallerReference"],
        "privateZone": zone["Config"]["PrivateZone"],
        "resourceRecordSetCount": zone["ResourceRecordSetCount"],
        "tags": _ZONE_TAGGING.of(aws, zone["Id"]),
    }


GET_ZONE = Function(
    kind="aws:route53/getZone:getZone",
    inputs={name: Property() for name in ("name", "zoneId", "privateZone")},
    call=_get_zone,
    regional=False,
)
