"""The types of Route 53, beyond the contract of all types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2

from localaws.provider.values import Properties, from_struct, to_struct
from tests.testing.aws_harness import STANDBY
from tests.testing.provider_harness import ProviderHarness

pytestmark = pytest.mark.integration

CHECK, RECORD, ZONE = (
    "aws:route53/healthCheck:HealthCheck",
    "aws:route53/record:Record",
    "aws:route53/zone:Zone",
)
ENDPOINT: Properties = {"type": "HTTPS", "fqdn": "api.venue.example", "requestInterval": 30}


@pytest.fixture
def zone(provider_harness: ProviderHarness) -> Iterator[str]:
    identifier, state, _ = provider_harness.made(
        ZONE, {"name": "venue.example", "forceDestroy": True}
    )
    yield identifier
    provider_harness.engine.delete(ZONE, identifier, state)


def failover(zone: str, name: str, role: str, **more: Any) -> Properties:
    return {
        "zoneId": zone,
        "name": f"{name}.venue.example",
        "type": "A",
        "ttl": 30,
        "records": ["192.0.2.1"],
        "setIdentifier": role.lower(),
        "failoverRoutingPolicies": [{"type": role}],
        **more,
    }


def config(provider_harness: ProviderHarness, identifier: str) -> Properties:
    described: Properties = provider_harness.root("route53").get_health_check(
        HealthCheckId=identifier
    )["HealthCheck"]["HealthCheckConfig"]
    return described


def test_a_check_of_an_alarm_names_it_and_has_no_endpoint(
    provider_harness: ProviderHarness,
) -> None:
    about = {
        "type": "CLOUDWATCH_METRIC",
        "cloudwatchAlarmName": "seawall-api",
        "cloudwatchAlarmRegion": "us-east-1",
        "insufficientDataHealthStatus": "Unhealthy",
    }
    identifier, state, inputs = provider_harness.made(CHECK, about)
    described = config(provider_harness, identifier)
    assert described["AlarmIdentifier"] == {"Name": "seawall-api", "Region": "us-east-1"}
    assert not {"Port", "RequestInterval", "FailureThreshold", "MeasureLatency"} & set(described)
    moved = {
        **inputs,
        "cloudwatchAlarmName": "seawall-rpc",
        "insufficientDataHealthStatus": "LastKnownStatus",
    }
    state = provider_harness.engine.update(CHECK, identifier, state, inputs, moved)
    assert provider_harness.engine.read(CHECK, identifier, state, moved) == (
        identifier,
        state,
        moved,
    )
    assert config(provider_harness, identifier)["AlarmIdentifier"]["Name"] == "seawall-rpc"
    provider_harness.root("route53").update_health_check(
        HealthCheckId=identifier, AlarmIdentifier={"Name": "theirs", "Region": STANDBY}
    )
    _, _, described = provider_harness.engine.read(CHECK, identifier, state, moved)
    assert set(provider_harness.engine.diff(CHECK, described, moved).diffs) == {
        "cloudwatchAlarmName",
        "cloudwatchAlarmRegion",
    }


def test_a_calculated_check_counts_its_children(provider_harness: ProviderHarness) -> None:
    children = [provider_harness.made(CHECK, ENDPOINT)[0] for _ in range(2)]
    about = {"type": "CALCULATED", "childHealthchecks": children, "childHealthThreshold": 1}
    identifier, state, inputs = provider_harness.made(CHECK, about)
    assert provider_harness.engine.read(CHECK, identifier, state, inputs) == (
        identifier,
        state,
        inputs,
    )
    fewer = {**inputs, "childHealthchecks": children[:1]}
    provider_harness.engine.update(CHECK, identifier, state, inputs, fewer)
    assert config(provider_harness, identifier)["ChildHealthChecks"] == children[:1]


def test_what_is_no_longer_declared_of_a_check_is_reset(provider_harness: ProviderHarness) -> None:
    regions = ["us-east-1", "us-west-2", "eu-west-1"]
    whole = {**ENDPOINT, "ipAddress": "192.0.2.1", "resourcePath": "/health", "regions": regions}
    identifier, state, inputs = provider_harness.made(CHECK, whole)
    assert config(provider_harness, identifier)["Port"] == 443, "as HTTPS has it"
    fewer = {
        name: value
        for name, value in inputs.items()
        if name not in ("resourcePath", "regions", "fqdn")
    }
    state = provider_harness.engine.update(
        CHECK, identifier, state, inputs, {**fewer, "failureThreshold": 5}
    )
    assert not {"resourcePath", "regions", "fqdn"} & set(state)
    assert (state["failureThreshold"], state["ipAddress"]) == (5, "192.0.2.1")


def test_an_update_leaves_what_it_does_not_name(provider_harness: ProviderHarness) -> None:
    regions = ["us-east-1", "us-west-2", "eu-west-1"]
    identifier, state, inputs = provider_harness.made(CHECK, {**ENDPOINT, "regions": regions})
    provider_harness.root("route53").update_health_check(HealthCheckId=identifier, Disabled=True)
    _, _, described = provider_harness.engine.read(CHECK, identifier, state, inputs)
    assert list(provider_harness.engine.diff(CHECK, described, inputs).diffs) == ["disabled"]


@pytest.mark.parametrize(
    "change", [{"type": "TCP"}, {"requestInterval": 10}, {"measureLatency": True}]
)
def test_what_route_53_cannot_change_of_a_check_means_another_check(
    provider_harness: ProviderHarness, change: Properties
) -> None:
    old = {**ENDPOINT, "measureLatency": False}
    assert list(provider_harness.engine.diff(CHECK, old, {**old, **change}).replaces) == list(
        change
    )


def test_the_order_of_regions_means_nothing(provider_harness: ProviderHarness) -> None:
    old, new = ({**ENDPOINT, "regions": regions} for regions in (["a", "b", "c"], ["c", "a", "b"]))
    assert list(provider_harness.engine.diff(CHECK, old, new).diffs) == []


def test_records_of_two_names_may_share_their_set_identifiers(
    provider_harness: ProviderHarness, zone: str
) -> None:
    check, _, _ = provider_harness.made(CHECK, ENDPOINT)
    api, rpc, other = (
        provider_harness.made(RECORD, inputs)
        for inputs in (
            failover(zone, "api", "PRIMARY", healthCheckId=check),
            failover(zone, "rpc", "PRIMARY", healthCheckId=check),
            failover(zone, "api", "SECONDARY"),
        )
    )
    assert api[0] == f"{zone}_api.venue.example_A_primary"
    provider_harness.engine.delete(RECORD, api[0], api[1])
    for identifier, state, inputs in (rpc, other):
        assert provider_harness.engine.read(RECORD, identifier, state, inputs) == (
            identifier,
            state,
            inputs,
        )
    assert provider_harness.engine.read(RECORD, api[0], api[1], api[2])[0] == ""


def test_a_record_is_imported_by_zone_name_type_and_set(
    provider_harness: ProviderHarness, zone: str
) -> None:
    identifier, _, inputs = provider_harness.made(RECORD, failover(zone, "api_1", "PRIMARY"))
    found, _, described = provider_harness.engine.read(RECORD, identifier, {}, {})
    assert (found, described) == (identifier, inputs)
    with pytest.raises(grpc.RpcError, match="no id of a record"):
        provider_harness.engine.read(RECORD, "api.venue.example", {}, {})


def test_an_alias_record_says_where_it_leads(provider_harness: ProviderHarness, zone: str) -> None:
    alias = {
        "name": "Lb.Elsewhere.example.",
        "zoneId": "Z35SXDOTRQ7X7K",
        "evaluateTargetHealth": True,
    }
    inputs = {"zoneId": zone, "name": "venue.example", "type": "A", "aliases": [alias]}
    identifier, state, inputs = provider_harness.made(RECORD, inputs)
    assert provider_harness.engine.read(RECORD, identifier, state, inputs) == (
        identifier,
        state,
        inputs,
    )
    changed = {**inputs, "aliases": [{**alias, "evaluateTargetHealth": False}]}
    assert list(provider_harness.engine.diff(RECORD, inputs, changed).diffs) == ["aliases"]


def test_an_existing_record_is_taken_over_only_with_allow_overwrite(
    provider_harness: ProviderHarness, zone: str
) -> None:
    inputs = {
        "zoneId": zone,
        "name": "api.venue.example",
        "type": "TXT",
        "ttl": 30,
        "records": ['"ours"'],
    }
    provider_harness.made(RECORD, {**inputs, "records": ['"theirs"']})
    with pytest.raises(grpc.RpcError, match=r"InvalidChangeBatch: .* already exists"):
        provider_harness.made(RECORD, inputs)
    _, state, _ = provider_harness.made(RECORD, {**inputs, "allowOverwrite": True})
    assert state["records"] == ['"ours"']


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"setIdentifier": "second"}, "there is a PRIMARY record"),
        ({"setIdentifier": None, "failoverRoutingPolicies": None}, "another routing policy"),
        (
            {
                "setIdentifier": "b",
                "failoverRoutingPolicies": [{"type": "SECONDARY"}],
                "healthCheckId": "none",
            },
            "NoSuchHealthCheck",
        ),
        ({"name": "api"}, "write the whole name"),
        ({"name": "api.notvenue.example"}, "write the whole name"),
    ],
)
def test_a_record_that_route_53_would_refuse_is_refused(
    provider_harness: ProviderHarness, zone: str, more: Properties, complaint: str
) -> None:
    provider_harness.made(RECORD, failover(zone, "api", "PRIMARY"))
    wanted = {**failover(zone, "api", "PRIMARY"), **more}
    inputs = {name: value for name, value in wanted.items() if value is not None}
    with pytest.raises(grpc.RpcError, match=complaint):
        provider_harness.made(RECORD, inputs)


def test_half_of_a_batch_is_never_applied(provider_harness: ProviderHarness, zone: str) -> None:
    route53 = provider_harness.root("route53")
    good = {
        "Name": "good.venue.example",
        "Type": "A",
        "TTL": 1,
        "ResourceRecords": [{"Value": "192.0.2.1"}],
    }
    bad = {**good, "Name": "bad.venue.example"}
    changes = [
        {"Action": "CREATE", "ResourceRecordSet": good},
        {"Action": "DELETE", "ResourceRecordSet": bad},
    ]
    with pytest.raises(route53.exceptions.InvalidChangeBatch, match="was not found"):
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
    names = {
        record["Name"]
        for record in route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    }
    assert names == {"venue.example."}


def test_a_record_that_was_changed_elsewhere_is_seen_and_still_deleted(
    provider_harness: ProviderHarness, zone: str
) -> None:
    identifier, state, inputs = provider_harness.made(RECORD, failover(zone, "api", "PRIMARY"))
    theirs = {
        "Name": "api.venue.example",
        "Type": "A",
        "SetIdentifier": "primary",
        "Failover": "PRIMARY",
        "TTL": 5,
    }
    theirs["ResourceRecords"] = [{"Value": "203.0.113.9"}]
    provider_harness.root("route53").change_resource_record_sets(
        HostedZoneId=zone,
        ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": theirs}]},
    )
    _, _, described = provider_harness.engine.read(RECORD, identifier, state, inputs)
    assert set(provider_harness.engine.diff(RECORD, described, inputs).diffs) == {"ttl", "records"}
    provider_harness.engine.delete(RECORD, identifier, state)
    assert provider_harness.engine.read(RECORD, identifier, state, inputs)[0] == ""


def test_a_zone_with_records_is_deleted_only_with_force_destroy(
    provider_harness: ProviderHarness,
) -> None:
    identifier, state, _ = provider_harness.made(ZONE, {"name": "full.example"})
    inputs = {
        "zoneId": identifier,
        "name": "a.full.example",
        "type": "A",
        "ttl": 1,
        "records": ["192.0.2.1"],
    }
    provider_harness.made(RECORD, inputs)
    with pytest.raises(grpc.RpcError, match="HostedZoneNotEmpty"):
        provider_harness.engine.delete(ZONE, identifier, state)
    provider_harness.engine.delete(ZONE, identifier, {**state, "forceDestroy": True})
    assert provider_harness.engine.read(ZONE, identifier, state, {})[0] == ""


def asked(provider_harness: ProviderHarness, **arguments: Any) -> Properties:
    request = provider_pb2.InvokeRequest(
        tok="aws:route53/getZone:getZone", args=to_struct(arguments)
    )
    return from_struct(getattr(provider_harness.engine.stub.Invoke(request), "return"))


def test_an_existing_zone_is_found_by_name_or_id(
    provider_harness: ProviderHarness, zone: str
) -> None:
    described = asked(provider_harness, name="venue.example.")
    assert (described["zoneId"], described["arn"]) == (zone, f"arn:aws:route53:::hostedzone/{zone}")
    assert (described["privateZone"], described["name"]) == (False, "venue.example")
    assert asked(provider_harness, zoneId=zone) == described
    with pytest.raises(grpc.RpcError, match=r"there are 0 private zones venue\.example"):
        asked(provider_harness, name="venue.example", privateZone=True)
