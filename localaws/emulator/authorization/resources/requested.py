"""A resource that a request names, with what policies can ask about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from seawall.iam.request import ContextValue, ResourcePolicy

Tags = Callable[[], Mapping[str, str]]


def no_tags() -> Mapping[str, str]:
    """The tags of a resource that cannot have any."""
    return {}


@dataclass(frozen=True, kw_only=True)
class RequestedResource:
    """A resource on which a request must be allowed.

    ``arn``: ``*`` where the action has no resource type, None where it is not known which resource
    is meant. ``action``: what must be allowed on it if that is not the operation itself.
    ``region``: its Region if it is not that of the request. ``tags``: None if they are not known,
    so that a condition on them is refused. ``context``: condition keys of the resource.
    """

    arn: str | None
    action: str | None = None
    region: str | None = None
    policy: ResourcePolicy | None = None
    tags: Tags | None = None
    context: Mapping[str, ContextValue] = field(default_factory=dict)


UNSCOPED = RequestedResource(arn="*", tags=no_tags)
"""What an action without resource types is judged against."""
UNKNOWN = RequestedResource(arn=None)
