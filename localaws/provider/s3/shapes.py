"""Nested settings as Pulumi spells them and as AWS does: ``{"newerNoncurrentVersions".

3}`` and ``{"NewerNoncurrentVersions": 3}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from localaws.provider.table import tag_map, tag_pairs


def instant(when: datetime) -> str:
    """RFC 3339 in UTC to the second, as the upstream provider writes times."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def same_instant(one: Any, other: Any) -> bool:
    """Whether two RFC 3339 texts name one moment."""
    if not isinstance(one, str) or not isinstance(other, str):
        return bool(one == other)
    try:
        return datetime.fromisoformat(one) == datetime.fromisoformat(other)
    except ValueError:
        return one == other


def to_aws(value: Any, special: Mapping[str, str]) -> Any:
    """``value`` with every name as AWS has it.

    ``special``: those that are more than a capital away. Maps of tags become pairs.
    """
    if isinstance(value, dict):
        return {
            special.get(name, name[:1].upper() + name[1:]): tag_pairs(item)
            if name == "tags"
            else to_aws(item, special)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [to_aws(item, special) for item in value]
    return value


def from_aws(value: Any, special: Mapping[str, str]) -> Any:
    """The inverse of :func:`to_aws` with the same ``special``; times become texts."""
    ours = {theirs: name for name, theirs in special.items()}
    if isinstance(value, dict):
        return {
            ours.get(name, name[:1].lower() + name[1:]): tag_map(item)
            if name == "Tags"
            else from_aws(item, special)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [from_aws(item, special) for item in value]
    return instant(value) if isinstance(value, datetime) else value
