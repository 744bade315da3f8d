"""What the table says about inputs: which are refused, and what a change of one means; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from seawall.sandbox.provider.table import Property, ResourceType
from seawall.sandbox.provider.values import UNKNOWN, Properties, has_unknown


@dataclass(frozen=True, kw_only=True)
class Change:
    """One input that differs; ``replaces`` if AWS must make the resource anew for it."""

    name: str
    replaces: bool
    added: bool
    removed: bool


def failures(declared: Mapping[str, Property], inputs: Properties, *, kind: str) -> list[tuple[str, str]]:
    """Every (property, reason) for which ``inputs`` are refused."""
    unknown = [
        (name, f"the sandbox's provider does not support {name} of {kind}")
        for name in sorted(set(inputs) - set(declared))
    ]
    missing = [
        (name, f"{kind} needs {name} in the sandbox")
        for name, prop in declared.items()
        if prop.required and name not in inputs
    ]
    return unknown + missing


def with_defaults(declared: Mapping[str, Property], inputs: Properties) -> Properties:
    """``inputs`` and the defaults of those that are not given."""
    return {**{name: prop.default for name, prop in declared.items() if prop.default is not None}, **inputs}


def changes(resource: ResourceType, old: Properties, new: Properties, *, ignore: Collection[str] = ()) -> list[Change]:
    """What differs between two sets of inputs, in the order of the table."""
    return [
        Change(name=name, replaces=prop.replaces, added=name not in old, removed=name not in new)
        for name, prop in resource.all_inputs.items()
        if name not in ignore and (has_unknown(new.get(name)) or not prop.same(old.get(name), new.get(name)))
    ]


def previewed(resource: ResourceType, inputs: Properties) -> Properties:
    """What a resource that is not made yet will have: its inputs, and outputs that are not known."""
    return {**dict.fromkeys(resource.outputs, UNKNOWN), **inputs}


def settled(resource: ResourceType, read: Properties, local: Properties) -> Properties:
    """What AWS says of a resource, with what it does not keep taken from ``local``."""
    kept = {name: local[name] for name, prop in resource.inputs.items() if prop.local and name in local}
    return {**read, **kept}


def inputs_of(resource: ResourceType, found: Properties, old: Properties) -> Properties:
    """The inputs that would lead to ``found``; wording of ``old`` is kept where it means the same.

    Without ``old`` inputs (an import) it is every input that AWS tells.
    """
    told = {
        name: found[name] for name in resource.all_inputs if name in found and found[name] not in (None, "", {}, [])
    }
    if not old:
        return told
    result = {}
    for name, value in old.items():
        prop = resource.all_inputs.get(name)
        same = prop is None or prop.local or prop.same(value, found.get(name))
        result[name] = value if same else found.get(name)
    return result
