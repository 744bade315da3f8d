"""When two settings mean the same to AWS although they are written otherwise.

For ``Property(same=...)``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from localaws.provider.table import equal


def same_with_defaults(**defaults: Any) -> Callable[[Any, Any], bool]:
    """Whether two blocks, or lists of them, are the same when what a block leaves out counts as
    AWS's default.

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
