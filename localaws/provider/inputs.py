"""Judges the inputs of a resource by its entry in the table; pure.

It says which inputs are refused, what a change of one means, and what a resource shows of itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from localaws.provider.table import Property, ResourceType
from localaws.provider.values import UNKNOWN, Properties, has_unknown


@dataclass(frozen=True, kw_only=True)
class Change:
    """One input that differs; ``replaces`` if AWS must make the resource anew for it."""

    name: str
    replaces: bool
    added: bool
    removed: bool


def failures(
    declared: Mapping[str, Property],
    inputs: Properties,
    *,
    kind: str,
    regions: Collection[str] = (),
) -> list[tuple[str, str]]:
    """Return every (property, reason) for which ``inputs`` are refused.

    ``regions``: those that exist, if that is to be checked.
    """
    unknown = [
        (name, f"the sandbox's provider does not support {name} of {kind}")
        for name in sorted(set(inputs) - set(declared))
    ]
    missing = [
        (name, f"{kind} needs {name} in the sandbox")
        for name, prop in declared.items()
        if prop.required and name not in inputs
    ]
    region = inputs.get("region")
    if regions and region not in (None, UNKNOWN) and region not in regions:
        missing.append(("region", f"AWS has no region {region}; see the regions of the policy"))
    return unknown + missing


def checked(
    resource: ResourceType, inputs: Properties, *, region: str, default_tags: Mapping[str, str]
) -> Properties:
    """Return ``inputs`` with defaults, and with the ``region`` and ``tagsAll`` of the provider.

    The official plugin does both in Check as well (pulumi-aws, applyRegion and applyTags), so that
    another Region of the provider or other default tags are a change of every resource.
    """
    defaults = {
        name: prop.default for name, prop in resource.inputs.items() if prop.default is not None
    }
    result = {**defaults, **inputs}
    if resource.regional:
        result.setdefault("region", region)
    result.pop("tagsAll", None)
    if "tagsAll" in resource.all_inputs:
        tags = inputs.get("tags") or {}
        merged = {**default_tags, **tags} if isinstance(tags, dict) else tags
        if merged:
            result["tagsAll"] = merged
    return result


def for_aws(resource: ResourceType, inputs: Properties) -> Properties:
    """Return checked inputs as the calls of ``resource`` take them: ``tags`` are all its tags."""
    if "tagsAll" not in resource.all_inputs:
        return inputs
    rest = {name: value for name, value in inputs.items() if name not in ("tags", "tagsAll")}
    return {**rest, "tags": inputs["tagsAll"]} if inputs.get("tagsAll") else rest


def changes(
    resource: ResourceType, old: Properties, new: Properties, *, ignore: Collection[str] = ()
) -> list[Change]:
    """Return what differs between two sets of inputs, in the order of the table.

    ``tagsAll`` counts by itself only where the program's own tags are the same.
    """
    found = [
        Change(name=name, replaces=prop.replaces, added=name not in old, removed=name not in new)
        for name, prop in resource.all_inputs.items()
        if name not in ignore and _differs(prop, old.get(name), new.get(name))
    ]
    names = {change.name for change in found}
    implied = {"tagsAll"} if names & {"tags"} or "tags" in ignore else set()
    return [change for change in found if change.name not in implied]


def _differs(prop: Property, old: Any, new: Any) -> bool:
    if new is None and prop.computed:
        return False
    return has_unknown(new) or not prop.same(old, new)


def previewed(resource: ResourceType, inputs: Properties) -> Properties:
    """Return the inputs of a resource that is not made yet, and its outputs as unknown."""
    return {**dict.fromkeys(resource.all_outputs, UNKNOWN), **inputs}


def preview_of_update(
    resource: ResourceType, state: Properties, old: Properties, new: Properties
) -> Properties:
    """Return what a resource will have after an update.

    Outputs stay as they are unless an input that changes moves them.
    """
    changed = {change.name for change in changes(resource, old, new)}
    moved = {output for name in changed for output in resource.all_inputs[name].moves}
    kept = {name: value for name, value in state.items() if name not in old or name in new}
    return {**kept, **dict.fromkeys(moved, UNKNOWN), **new}


def settled(
    resource: ResourceType, found: Properties, known: Properties, default_tags: Mapping[str, str]
) -> Properties:
    """Return what AWS says of a resource, with the program's tags apart from all tags.

    AWS does not keep the ``local`` properties (how long to wait before a key is destroyed, whether
    a bucket may be emptied first): they are what ``known`` says, as the official plugin keeps them
    in the state on a refresh and has none after an import, unless a digest from AWS contradicts
    it. Nothing else is taken from ``known``; which tags are the program's own is AWS's tags
    without the provider's default ones.
    """
    kept = {
        name: known[name]
        for name, prop in resource.inputs.items()
        if prop.local and name in known and prop.holds(known[name], found)
    }
    if "tagsAll" not in found:
        return {**found, **kept}
    own = known.get("tags") or {}
    tags = {
        key: text
        for key, text in found["tagsAll"].items()
        if key in own or default_tags.get(key) != text
    }
    return {**found, "tags": tags, **kept}


def imported_id(text: str, *, regions: Collection[str]) -> tuple[str, Properties]:
    """Return the id of what is to be imported, and its Region if ``text`` is ``id@region``.

    The official plugin's way to import from another Region than the provider's (upstream guide
    "Enhanced Region Support").
    """
    identifier, _, region = text.rpartition("@")
    return (identifier, {"region": region}) if identifier and region in regions else (text, {})


def inputs_of(resource: ResourceType, found: Properties, old: Properties) -> Properties:
    """Return the inputs that would lead to ``found``, worded as ``old`` where both mean the same.

    An input that AWS has and ``old`` does not name is included, unless AWS fills it in by itself.
    Without ``old`` inputs (an import) every input that AWS returns is included.
    """
    result = {}
    for name, prop in resource.all_inputs.items():
        if prop.local:
            same = prop.holds(old.get(name), found)
        else:
            same = prop.same(old.get(name), found.get(name)) or (
                bool(old) and name not in old and prop.computed
            )
        value = old.get(name) if same and old else found.get(name)
        if name in old or value not in (None, "", {}, []):
            result[name] = value
    return {name: value for name, value in result.items() if value is not None}


def standing(
    resource: ResourceType, found: Properties, old: Properties, new: Properties
) -> Properties:
    """Return the inputs from which an update begins, of those that ``old`` or ``new`` name.

    ``old`` may be what an interrupted update was to do, so what counts is what AWS says.
    """
    names = [name for name in resource.inputs if name in old or name in new]
    local = {name: old[name] for name in names if resource.inputs[name].local and name in old}
    return {**{name: found[name] for name in names if found.get(name) is not None}, **local}
