"""The provider's own settings: which are accepted, and the configuration of one connection."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from localaws.provider.values import UNKNOWN, Properties

_MEANT = frozenset({"region", "defaultTags", "version"})
_SWITCHES = frozenset(
    {
        "skipCredentialsValidation",
        "skipRegionValidation",
        "skipMetadataApiCheck",
        "skipRequestingAccountId",
    }
)
"""The SDK always sends some of these; they switch off checks, and ours stay on."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The configuration of a connection: its Region, and the tags that all its resources get."""

    region: str
    default_tags: Mapping[str, str] = field(default_factory=dict)


def plain(settings: Properties) -> Properties:
    """``settings`` as values.

    The SDK sends everything but texts as JSON (pulumi_aws, provider.py).
    """
    return {
        name: _parsed(value) if name not in ("region", "version") else value
        for name, value in settings.items()
    }


def _parsed(value: Any) -> Any:
    if not isinstance(value, str) or value == UNKNOWN:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def refused(settings: Properties, *, regions: Collection[str]) -> list[tuple[str, str]]:
    """Every (setting, reason) for which ``settings`` are refused."""
    found = [
        (name, f"the sandbox's provider has no setting {name}")
        for name in sorted(set(settings) - _MEANT - _SWITCHES)
    ]
    region = settings.get("region")
    if region is None:
        found.append(("region", "say which region this provider is for"))
    elif region != UNKNOWN and region not in regions:
        found.append(("region", f"AWS has no region {region}; write one of the policy's regions"))
    tags = plain(settings).get("defaultTags")
    if tags not in (None, UNKNOWN) and (not isinstance(tags, dict) or set(tags) - {"tags"}):
        found.append(
            (
                "defaultTags",
                "write defaultTags: {tags: {name: value}}; nothing else of it is supported",
            )
        )
    return found


def configured(settings: Properties) -> Configuration:
    """The configuration in ``settings``, which passed :func:`refused`."""
    tags = (plain(settings).get("defaultTags") or {}).get("tags") or {}
    return Configuration(region=str(settings["region"]), default_tags=tags)
