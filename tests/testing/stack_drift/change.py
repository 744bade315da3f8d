"""Changes of the stack's resources outside the stack, made with AWS's own API.

A module per AWS service exports ``CHANGES``; a new module is found by being here.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.testing.aws_harness import PRIMARY, ROOT_KEY, client

_MAPS = ("tags", "dimensions", "inputPaths")
"""Properties whose keys the program chooses: one is as good as another."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One that the stack recorded."""

    urn: str
    kind: str
    name: str
    id: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]

    @property
    def region(self) -> str:
        """Where it is; what is of no region is asked for in the primary one."""
        return str(self.outputs.get("region", PRIMARY))

    @property
    def leaves(self) -> frozenset[str]:
        """Paths of the properties that the program set, down to what has no properties of its own.

        ``[]`` for any place in a list.
        """
        return frozenset(leaf for leaf in _leaves(self.inputs, "") if not leaf.startswith("__"))


@dataclass(frozen=True, kw_only=True)
class Account:
    """The account as its owner sees it."""

    endpoint: str
    resources: tuple[Resource, ...]

    def of(self, resource: Resource, service: str) -> Any:
        """A client for the region that the resource is in."""
        return self.client(service, resource.region)

    def client(self, service: str, region: str = PRIMARY) -> Any:
        """A client for ``region``."""
        return client(service, self.endpoint, ROOT_KEY, region=region)


@dataclass(frozen=True, kw_only=True)
class Change:
    """``how`` changes the property ``leaf`` of a resource and returns what AWS has now.

    None: the path alone is looked at.

    ``drags``: what else AWS changes with it, as kind and leaf, on whatever resource. ``able``:
    whether AWS takes it for a resource. ``back``: how it is taken back where no `pulumi up` can.
    """

    kind: str
    leaf: str
    how: Callable[[Account, Resource], Any]
    drags: tuple[tuple[str, str], ...] = ()
    able: Callable[[Resource], bool] = lambda _: True
    back: Callable[[Account, Resource], Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Removal:
    """``how`` removes the resource.

    What cannot change for as long as it exists, changes by another in its place.

    ``drags``: kinds of resources that go with it or are changed by it.
    """

    kind: str
    how: Callable[[Account, Resource], Any]
    drags: tuple[str, ...] = ()


def all_of(name: str) -> tuple[Any, ...]:
    """Everything that the modules of this folder export under ``name``."""
    found: list[Any] = []
    for path in sorted(Path(__file__).parent.glob("*.py")):
        found += getattr(
            importlib.import_module(f"tests.testing.stack_drift.{path.stem}"), name, ()
        )
    return tuple(found)


def plain(path: str) -> str:
    """A property path of the engine as a leaf.

    ``rules[0].days`` is ``rules[].days``, ``tags["a.b"]`` is ``tags``.
    """
    whole = re.sub(rf"\b({'|'.join(_MAPS)})[.\[].*", r"\1", path)
    return re.sub(r"\[\d+\]", "[]", whole)


def names(path: str, leaf: str) -> bool:
    """Whether ``path``, which a drift names, is the property ``leaf`` or lies in it.

    A policy is opened.
    """
    said = plain(path)
    return said == leaf or said.startswith((f"{leaf}.", f"{leaf}["))


def patched(
    read: Callable[[Any, Resource], dict[str, Any]],
    write: Callable[[Any, Resource, dict[str, Any]], Any],
    service: str,
    path: str,
    value: Any,
) -> Callable[[Account, Resource], Any]:
    """For what AWS takes as a whole only: read it, set what is at ``path``, put it back."""

    def how(account: Account, resource: Resource) -> Any:
        caller = account.of(resource, service)
        whole = deepcopy(read(caller, resource))
        place: Any = whole
        *steps, last = re.findall(r"\w+", path)
        for step in steps:
            place = place[int(step) if step.isdigit() else step]
        assert last.isdigit() or place.get(last) != value, f"{path} is {value} already"
        place[last] = value
        write(caller, resource, whole)
        return value

    return how


def stray(document: str) -> str:
    """The policy document with one statement changed."""
    opened = json.loads(document)
    opened["Statement"][0]["Sid"] = "Stray"
    return json.dumps(opened)


def _leaves(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict) and not path.endswith(_MAPS):
        for name, item in value.items():
            yield from _leaves(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for item in value:
            yield from _leaves(item, f"{path}[]")
    else:
        yield path
