"""EventBridge Scheduler: a schedule group is made once, and must exist to be deleted or used.

API reference: CreateScheduleGroup answers ConflictException for a name that is taken,
DeleteScheduleGroup and CreateSchedule ResourceNotFoundException for a group that is not there;
DeleteScheduleGroup removes the group's schedules. moto replaces a group with an empty one of the
same name, and fails with an internal error otherwise. No schedule is ever invoked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.scheduler.models import EventBridgeSchedulerBackend


class _ConflictError(JsonRESTError):
    code = 409

    def __init__(self, name: str) -> None:
        super().__init__("ConflictException", f"Schedule group {name} already exists.")


def install() -> None:
    """Check first whether there is such a group."""
    backend: Any = EventBridgeSchedulerBackend
    backend.create_schedule_group = _if_new(backend.create_schedule_group)
    backend.delete_schedule_group = _if_there(backend.delete_schedule_group)
    backend.create_schedule = _in_a_group(backend.create_schedule)


def _if_new(moto_create: Callable[..., Any]) -> Callable[..., Any]:
    def create(self: Any, name: str, tags: Any) -> Any:
        if name in self.schedule_groups:
            raise _ConflictError(name)
        return moto_create(self, name, tags or [])

    return create


def _if_there(moto_delete: Callable[..., Any]) -> Callable[..., Any]:
    def delete(self: Any, name: str | None) -> Any:
        self.get_schedule_group(name)
        return moto_delete(self, name)

    return delete


def _in_a_group(moto_create: Callable[..., Any]) -> Callable[..., Any]:
    def create(self: Any, **given: Any) -> Any:
        self.get_schedule_group(given["group_name"])
        return moto_create(self, **given)

    return create
