"""Changes outside the stack in Route 53."""

from __future__ import annotations

from typing import Any

from tests.testing.stack_drift.change import Account, Change, Removal, Resource

CHECK, RECORD = "aws:route53/healthCheck:HealthCheck", "aws:route53/record:Record"


def check(name: str, value: Any) -> Any:
    def how(account: Account, each: Resource) -> Any:
        account.client("route53").update_health_check(HealthCheckId=each.id, **{name: value})
        return value

    return how


def tag_check(account: Account, each: Resource) -> str:
    account.client("route53").change_tags_for_resource(
        ResourceType="healthcheck",
        ResourceId=each.id,
        AddTags=[{"Key": "owner", "Value": "mallory"}],
    )
    return "mallory"


def record_of(account: Account, each: Resource) -> dict[str, Any]:
    sets = account.client("route53").list_resource_record_sets(HostedZoneId=each.outputs["zoneId"])
    name = f"{each.inputs['name']}."
    return next(
        one
        for one in sets["ResourceRecordSets"]
        if one["Name"] == name and one.get("SetIdentifier") == each.outputs["setIdentifier"]
    )


def apply(account: Account, zone: str, *changes: tuple[str, dict[str, Any]]) -> None:
    batch = {
        "Changes": [{"Action": action, "ResourceRecordSet": record} for action, record in changes]
    }
    account.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)


def record(said: Any, **change: Any) -> Any:
    def how(account: Account, each: Resource) -> Any:
        apply(account, each.outputs["zoneId"], ("UPSERT", {**record_of(account, each), **change}))
        return said

    return how


def check_by_another(account: Account, each: Resource) -> str:
    checks = (one.id for one in account.resources if one.kind == CHECK)
    other = next(one for one in checks if one != each.outputs["healthCheckId"])
    return str(record(other, HealthCheckId=other)(account, each))


def swap(account: Account, each: Resource) -> str:
    """Primary and standby trade places: Route 53 takes no second primary of a name."""
    zone, name = each.outputs["zoneId"], each.inputs["name"]
    pair = [
        record_of(account, one)
        for one in account.resources
        if one.kind == RECORD and one.inputs["name"] == name
    ]
    swapped = [
        {**one, "Failover": other["Failover"]}
        for one, other in zip(pair, reversed(pair), strict=True)
    ]
    apply(account, zone, *(("DELETE", one) for one in pair), *(("CREATE", one) for one in swapped))
    return str(record_of(account, each)["Failover"])


CHANGES = (
    Change(kind=CHECK, leaf="disabled", how=check("Disabled", True)),
    Change(kind=CHECK, leaf="invertHealthcheck", how=check("Inverted", True)),
    Change(kind=CHECK, leaf="enableSni", how=check("EnableSNI", False)),
    Change(kind=CHECK, leaf="failureThreshold", how=check("FailureThreshold", 9)),
    Change(kind=CHECK, leaf="fqdn", how=check("FullyQualifiedDomainName", "theirs.example")),
    Change(kind=CHECK, leaf="port", how=check("Port", 8080)),
    Change(kind=CHECK, leaf="resourcePath", how=check("ResourcePath", "/theirs")),
    Change(kind=CHECK, leaf="tags", how=tag_check),
    Change(
        kind=RECORD,
        leaf="failoverRoutingPolicies[].type",
        how=swap,
        back=swap,
        drags=((RECORD, "failoverRoutingPolicies[].type"),),
    ),
    Change(kind=RECORD, leaf="healthCheckId", how=check_by_another),
    Change(
        kind=RECORD,
        leaf="records",
        how=record(["theirs.example"], ResourceRecords=[{"Value": "theirs.example"}]),
    ),
    Change(kind=RECORD, leaf="ttl", how=record(86_400, TTL=86_400)),
)
REMOVALS = (
    Removal(
        kind=RECORD,
        how=lambda account, each: apply(
            account, each.outputs["zoneId"], ("DELETE", record_of(account, each))
        ),
    ),
    Removal(
        kind=CHECK,
        how=lambda account, each: account.client("route53").delete_health_check(
            HealthCheckId=each.id
        ),
    ),
)
