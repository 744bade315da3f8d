"""Which management events a trail logs.

AWS: a trail logs management events unless its selectors say otherwise; one of several Regions logs
them everywhere, else in its home Region; event selectors and advanced ones exclude each other, the
last call counts (CloudTrail API reference, PutEventSelectors, EventSelector,
AdvancedFieldSelector). moto keeps advanced selectors when basic ones replace them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.cloudtrail.models import Trail, cloudtrail_backends

_TESTS: dict[str, Callable[[str, str], bool]] = {
    "Equals": lambda found, wanted: found == wanted,
    "StartsWith": str.startswith,
    "EndsWith": str.endswith,
    "NotEquals": lambda found, wanted: found != wanted,
    "NotStartsWith": lambda found, wanted: not found.startswith(wanted),
    "NotEndsWith": lambda found, wanted: not found.endswith(wanted),
}


def install() -> None:
    """Let basic and advanced selectors replace each other."""
    trail: Any = Trail
    trail.put_event_selectors = _put_event_selectors


def logged(*, account: str, region: str, event: dict[str, Any]) -> bool:
    """Whether any trail of ``account`` that is logging covers ``region`` and this management
    ``event``.
    """
    return any(
        trail.status.is_logging
        and (trail.is_multi_region or trail.region_name == region)
        and _selected(trail, event)
        for backend in cloudtrail_backends[account].values()
        for trail in list(backend.trails.values())
    )


def _put_event_selectors(self: Any, event_selectors: Any, advanced_event_selectors: Any) -> None:
    self.event_selectors = event_selectors or []
    self.advanced_event_selectors = advanced_event_selectors or []


def _selected(trail: Trail, event: dict[str, Any]) -> bool:
    if trail.advanced_event_selectors:
        return any(
            _passes(each["FieldSelectors"], event) for each in trail.advanced_event_selectors
        )
    if not trail.event_selectors:
        return True
    kinds = ("All", "ReadOnly" if event["readOnly"] else "WriteOnly")
    return any(
        each.get("IncludeManagementEvents", True)
        and each.get("ReadWriteType", "All") in kinds
        and event["eventSource"] not in each.get("ExcludeManagementEventSources", [])
        for each in trail.event_selectors
    )


def _passes(fields: list[dict[str, Any]], event: dict[str, Any]) -> bool:
    return all(_field_passes(field, event) for field in fields)


def _field_passes(field: dict[str, Any], event: dict[str, Any]) -> bool:
    """One field of an advanced selector: any of the positive values, none of the negated ones."""
    known = {
        **event,
        "readOnly": str(event["readOnly"]).lower(),
        "userIdentity.arn": event["userIdentity"].get("arn"),
    }
    found = str(known.get(field["Field"]))
    return all(
        (all if test.startswith("Not") else any)(holds(found, wanted) for wanted in field[test])
        for test, holds in _TESTS.items()
        if field.get(test)
    )
