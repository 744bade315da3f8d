"""Whether two settings mean the same to AWS although they are written differently.

The functions are for ``Property(same=...)``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any


def equal(one: Any, other: Any) -> bool:
    """Whether two values are the same; to AWS None and an empty collection are."""
    return bool(one == other) or (one in (None, "", [], {}) and other in (None, "", [], {}))


def same_document(one: Any, other: Any) -> bool:
    """Whether two policy documents say the same, however they are written."""
    if isinstance(one, str) and isinstance(other, str):
        try:
            return bool(json.loads(one) == json.loads(other))
        except ValueError:
            return one == other
    return equal(one, other)


def same_key(one: Any, other: Any) -> bool:
    """Whether two ids mean the same key: an ARN ends in the key's id."""
    return str(one).rpartition("/")[2] == str(other).rpartition("/")[2]


def same_with_defaults(**defaults: Any) -> Callable[[Any, Any], bool]:
    """Whether two blocks, or lists of them, are the same once AWS's defaults are filled in.

    A default may itself be a map of defaults for the block of that name.
    """

    def same(one: Any, other: Any) -> bool:
        return equal(_filled(one, defaults), _filled(other, defaults))

    return same


def _filled(block: Any, defaults: Mapping[str, Any]) -> Any:
    if isinstance(block, list):
        return [_filled(item, defaults) for item in block]
    if not isinstance(block, Mapping):
        return block
    merged = dict(block)
    for name, default in defaults.items():
        if isinstance(default, Mapping):
            merged[name] = _filled(block.get(name) or {}, default)
        else:
            merged.setdefault(name, default)
    return {name: value for name, value in merged.items() if value not in (None, "", [], {})}


def same_set(one: Any, other: Any) -> bool:
    """Whether two lists hold the same values, in whatever order."""
    if isinstance(one, list) and isinstance(other, list):
        return sorted(map(_text, one)) == sorted(map(_text, other))
    return equal(one, other)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
