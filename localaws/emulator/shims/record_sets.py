"""A batch of record changes happens whole or not at all, each change to the one record that it
names.

AWS, `ChangeResourceRecordSets`
(https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html): a batch
is a transaction; CREATE fails if the record is there, DELETE unless every value is that of the
record; a health check must exist. Of failover records of one name and type one is PRIMARY and one
SECONDARY, and none stands beside a simple record (API_ResourceRecordSet.html, Failover,
SetIdentifier). moto deletes every record of a set identifier, whatever its name, compares no
values, takes a record of a later name for the same, and keeps half of a batch that fails.
"""

from __future__ import annotations

from typing import Any

from moto.route53.exceptions import (
    DnsNameInvalidForZone,
    InvalidActionValue,
    NoSuchHealthCheck,
    Route53ClientError,
)
from moto.route53.models import RecordSet, Route53Backend

_Records = dict[tuple[str, str, str | None], Any]


def install() -> None:
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
    said = f"[name='{wanted.name}', type='{wanted.type}'"
    said += f", set identifier='{wanted.set_identifier}']" if wanted.set_identifier else "]"
    if action not in ("CREATE", "UPSERT", "DELETE"):
        raise InvalidActionValue(action)
    if action == "DELETE":
        if place not in records:
            _refuse(f"Tried to delete resource record set {said} but it was not found")
        if _values(records[place]) != _values(wanted):
            _refuse(
                f"Tried to delete resource record set {said} but the values provided do not match the current values"
            )
        del records[place]
        return
    if action == "CREATE" and place in records:
        _refuse(f"Tried to create resource record set {said} but it already exists")
    beside = [
        record for other, record in records.items() if other[:2] == place[:2] and other != place
    ]
    if any((record.set_identifier is None) != (wanted.set_identifier is None) for record in beside):
        _refuse(
            f"RRSet {said} cannot be created because a record with another routing policy exists with this name and type"
        )
    if wanted.failover and any(record.failover == wanted.failover for record in beside):
        _refuse(
            f"RRSet {said} cannot be created: there is a {wanted.failover} record of this name and type"
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
