"""What an entry of the provider's table says: a resource type is its properties and four calls to AWS."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from seawall.sandbox.provider.clients import Aws
from seawall.sandbox.provider.values import Properties


def equal(one: Any, other: Any) -> bool:
    """The usual sameness; nothing and an empty collection are the same to AWS."""
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


@dataclass(frozen=True, kw_only=True)
class Property:
    """An input. ``replaces``: AWS cannot change it in place. ``local``: AWS does not keep it; it steers the provider only.

    ``default`` is filled in by Check, so that a refresh sees when AWS says otherwise.
    """

    required: bool = False
    default: bool | None = None
    replaces: bool = False
    local: bool = False
    same: Callable[[Any, Any], bool] = equal


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """One entry. ``acts``: the sandbox behaves as AWS does, else it only stores what was declared.

    ``create`` returns the id and makes all or nothing; ``read`` returns properties from AWS alone, or None if the resource is gone;
    ``delete`` forgives one that is gone. A type without ``update`` has only replacing or local inputs.
    """

    kind: str
    acts: bool
    inputs: Mapping[str, Property]
    outputs: tuple[str, ...]
    create: Callable[[Aws, Properties], str]
    read: Callable[[Aws, str], Properties | None]
    delete: Callable[[Aws, str, Properties], None]
    update: Callable[[Aws, str, Properties, Properties], None] | None = None
    named_by: str | None = None
    regional: bool = True
    all_inputs: Mapping[str, Property] = field(init=False)

    def __post_init__(self) -> None:
        region = {"region": Property(replaces=True)} if self.regional else {}
        object.__setattr__(self, "all_inputs", {**self.inputs, **region})


@dataclass(frozen=True, kw_only=True)
class Function:
    """A data source: what it takes and how AWS answers it."""

    kind: str
    inputs: Mapping[str, Property]
    call: Callable[[Aws, Properties], Properties]
    regional: bool = True

    @property
    def all_inputs(self) -> Mapping[str, Property]:
        """Declared inputs, and ``region`` for a regional one."""
        return {**self.inputs, "region": Property()} if self.regional else self.inputs


def tag_pairs(tags: Mapping[str, str] | None, *, key: str = "Key", value: str = "Value") -> list[Any]:
    """``{"a": "b"}`` -> ``[{"Key": "a", "Value": "b"}]``, as most AWS calls want it."""
    return [{key: name, value: text} for name, text in sorted((tags or {}).items())]


def tag_map(pairs: Any, *, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """The inverse of :func:`tag_pairs`."""
    return {pair[key]: pair[value] for pair in pairs}


def given(**arguments: Any) -> dict[str, Any]:
    """``arguments`` without those that are None: what was not declared is not sent."""
    return {name: value for name, value in arguments.items() if value is not None}
