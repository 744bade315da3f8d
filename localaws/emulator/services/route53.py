"""Route 53: health checks keep their settings; record changes happen as a batch or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.route53.exceptions import (
    DnsNameInvalidForZone,
    InvalidActionValue,
    NoSuchHealthCheck,
    Route53ClientError,
)
from moto.route53.models import HealthCheck, RecordSet, Route53Backend
from moto.route53.responses import Route53


def install() -> None:
    """Install every correction of this module."""
    _install_health_checks()
    _install_record_sets()


# ------------------------------------------------------------------------------------------------
# Health checks
#
# AWS, `CreateHealthCheck` and `UpdateHealthCheck`
# (https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html,
# API_UpdateHealthCheck.html): a CLOUDWATCH_METRIC check carries the region and name of an alarm,
# has neither port nor interval, and "if you don't specify a value, Route 53 doesn't change" it,
# but for ``ResetElements``; each change makes another version. moto drops the alarm, ignores
# resets, forgets the regions at each update and gives every check a port, an interval and a
# threshold. Still canned: `GetHealthCheckStatus` says success, whatever the endpoint or the alarm
# does.
# ------------------------------------------------------------------------------------------------

_KEPT = ("AlarmIdentifier", "InsufficientDataHealthStatus", "RoutingControlArn")
"""What moto drops."""
_OF_ENDPOINTS = frozenset(
    {"IPAddress", "Port", "RequestInterval", "FailureThreshold", "MeasureLatency"}
)
_NO_ENDPOINT = frozenset({"CLOUDWATCH_METRIC", "RECOVERY_CONTROL", "CALCULATED"})
_RESETS = {
    "FullyQualifiedDomainName": "fqdn",
    "ResourcePath": "resource_path",
    "Regions": "regions",
    "ChildHealthChecks": "children",
}
_HTTPS_PORT = 443


def _install_health_checks() -> None:
    """Replace how checks are made, changed and described."""
    response: Any = Route53
    check: Any = HealthCheck
    response.create_health_check = _creating(response.create_health_check)
    response.update_health_check = _updating(response.update_health_check)
    check.health_check_config = _described(check.health_check_config.fget)


def _creating(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def create(self: Any) -> Any:
        given = self._get_param("HealthCheckConfig")
        answer = original(self)
        made = answer.result["HealthCheck"]
        made.kept = {name: given[name] for name in _KEPT if name in given}
        if given["Type"].startswith("HTTPS"):
            made.port = given.get("Port", _HTTPS_PORT)
            made.enable_sni = given.get("EnableSNI", True)
        return answer

    return create


def _updating(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def update(self: Any) -> Any:
        check = self.backend.get_health_check(self._get_param("HealthCheckId"))
        before = {"regions": check.regions, "children": check.children}
        answer = original(self)
        for name, value in before.items():
            if getattr(check, name) is None:  # moto takes what is not given for nothing
                setattr(check, name, value)
        for name in self._get_param("ResetElements") or []:
            setattr(check, _RESETS[name], None)
        given = {name: self._get_param(name) for name in _KEPT}
        check.kept = {
            **getattr(check, "kept", {}),
            **{name: value for name, value in given.items() if value is not None},
        }
        check.health_check_version += 1
        return answer

    return update


def _described(original: Callable[[Any], dict[str, Any]]) -> property:
    def config(self: Any) -> dict[str, Any]:
        described = {**original(self), **getattr(self, "kept", {})}
        if self.type_ in _NO_ENDPOINT:
            return {name: value for name, value in described.items() if name not in _OF_ENDPOINTS}
        return described

    return property(config)


# ------------------------------------------------------------------------------------------------
# Record sets
#
# A batch of record changes happens whole or not at all, each change to the one record that it
# names.
#
# AWS, `ChangeResourceRecordSets`
# (https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html): a
# batch is a transaction; CREATE fails if the record is there, DELETE unless every value is that of
# the record; a health check must exist. Of failover records of one name and type one is PRIMARY
# and one SECONDARY, and none stands beside a simple record (API_ResourceRecordSet.html, Failover,
# SetIdentifier). moto deletes every record of a set identifier, whatever its name, compares no
# values, takes a record of a later name for the same, and keeps half of a batch that fails.
# ------------------------------------------------------------------------------------------------

_Records = dict[tuple[str, str, str | None], Any]


def _install_record_sets() -> None:
    """Replace how batches are applied."""
    backend: Any = Route53Backend
    backend.change_resource_record_sets = _change


def _change(self: Any, zoneid: str, change_list: list[dict[str, Any]]) -> None:
    zone = self.get_hosted_zone(zoneid)
    make: Any = RecordSet  # its base class demands what moto itself does not give it
    records: _Records = {
        (record.name, record.type, record.set_identifier): record for record in zone.rrsets
    }
    for change in change_list:
        asked = dict(change["ResourceRecordSet"])
        asked["Name"] = asked["Name"].lower().rstrip(".") + "."
        if asked["Name"] != zone.name and not asked["Name"].endswith(f".{zone.name}"):
            raise DnsNameInvalidForZone(name=asked["Name"], zone_name=zone.name)
        if asked.get("HealthCheckId") and asked["HealthCheckId"] not in self.health_checks:
            raise NoSuchHealthCheck(asked["HealthCheckId"])
        asked["ResourceRecords"] = [
            record["Value"] for record in asked.get("ResourceRecords") or []
        ]
        _apply(records, change["Action"], make(asked))
    zone.rrsets = list(records.values())


def _apply(records: _Records, action: str, wanted: Any) -> None:
    place = (wanted.name, wanted.type, wanted.set_identifier)
    label = f"[name='{wanted.name}', type='{wanted.type}'"
    label += f", set identifier='{wanted.set_identifier}']" if wanted.set_identifier else "]"
    if action not in ("CREATE", "UPSERT", "DELETE"):
        raise InvalidActionValue(action)
    if action == "DELETE":
        if place not in records:
            _refuse(f"Tried to delete resource record set {label} but it was not found")
        if _values(records[place]) != _values(wanted):
            _refuse(
                f"Tried to delete resource record set {label} but the values provided do "
                "not match the current values"
            )
        del records[place]
        return
    if action == "CREATE" and place in records:
        _refuse(f"Tried to create resource record set {label} but it already exists")
    beside = [
        record for other, record in records.items() if other[:2] == place[:2] and other != place
    ]
    if any((record.set_identifier is None) != (wanted.set_identifier is None) for record in beside):
        _refuse(
            f"RRSet {label} cannot be created because a record with another routing policy "
            "exists with this name and type"
        )
    if wanted.failover and any(record.failover == wanted.failover for record in beside):
        _refuse(
            f"RRSet {label} cannot be created: there is a {wanted.failover} record of this "
            "name and type"
        )
    records[place] = wanted


def _values(record: Any) -> tuple[Any, ...]:
    return (
        record.ttl,
        sorted(record.records),
        record.alias_target,
        record.failover,
        record.health_check_id,
    )


def _refuse(message: str) -> None:
    raise Route53ClientError("InvalidChangeBatch", message)
