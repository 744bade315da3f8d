"""How each AWS service lists, sets and removes the tags of a resource.

A description per service takes the place of code per type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from localaws.provider.clients import Aws


def tag_pairs(
    tags: Mapping[str, str] | None, *, key: str = "Key", value: str = "Value"
) -> list[Any]:
    """``{"a": "b"}`` -> ``[{"Key": "a", "Value": "b"}]``, as most AWS calls want it."""
    return [{key: name, value: text} for name, text in sorted((tags or {}).items())]


def tag_map(pairs: Any, *, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """The inverse of :func:`tag_pairs`."""
    return {pair[key]: pair[value] for pair in pairs}


@dataclass(frozen=True, kw_only=True)
class Tagging:
    """The tag calls of one service, as its API reference names them; defaults are the most common.

    ``service``: attribute of :class:`Aws`. ``by``: the property of our resource that names it in
    these calls, sent as ``resource`` (with ``also``, where a service needs more arguments).
    ``list``, ``add``, ``remove``: the calls. ``tags``, ``keys``: their arguments; ``tags`` is also
    where the listing has them. ``pair``: the names in a pair, or None where tags are a plain map.
    """

    service: str
    by: str = "arn"
    resource: str = "ResourceArn"
    list: str = "list_tags_for_resource"
    add: str = "tag_resource"
    remove: str = "untag_resource"
    tags: str = "Tags"
    keys: str = "TagKeys"
    pair: tuple[str, str] | None = ("Key", "Value")
    also: Mapping[str, str] = field(default_factory=dict)

    def argument(self, tags: Mapping[str, str] | None) -> dict[str, Any]:
        """``tags`` as a creating call takes them; nothing if there are none.

        Some calls refuse an empty list.
        """
        return {self.tags: self._theirs(tags)} if tags else {}

    def of(self, aws: Aws, name: str) -> dict[str, str]:
        """The tags that AWS has for the resource."""
        answer = self._call(aws, self.list, name)
        found = answer.get(self.tags) or {}
        return (
            dict(found)
            if self.pair is None
            else tag_map(found, key=self.pair[0], value=self.pair[1])
        )

    def sync(
        self, aws: Aws, name: str, old: Mapping[str, str] | None, new: Mapping[str, str] | None
    ) -> None:
        """Change the tags of a resource from ``old`` to ``new``, with as few calls as possible."""
        old, new = old or {}, new or {}
        gone = sorted(set(old) - set(new))
        if gone:
            self._call(aws, self.remove, name, **{self.keys: gone})
        changed = {key: value for key, value in new.items() if old.get(key) != value}
        if changed:
            self._call(aws, self.add, name, **{self.tags: self._theirs(changed)})

    def _theirs(self, tags: Mapping[str, str] | None) -> Any:
        return (
            dict(tags or {})
            if self.pair is None
            else tag_pairs(tags, key=self.pair[0], value=self.pair[1])
        )

    def _call(self, aws: Aws, operation: str, name: str, **arguments: Any) -> Any:
        return getattr(getattr(aws, self.service), operation)(
            **{self.resource: name}, **self.also, **arguments
        )
