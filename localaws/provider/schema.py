"""The Pulumi package schema of the table's types, typed as in the installed SDK.

`pulumi import` checks the code that it writes against it
(https://www.pulumi.com/docs/iac/guides/building-extending/packages/schema/). Types come from the
annotations of ``pulumi_aws``: they are those of the official plugin, and a property that it does
not have is an error.
"""

from __future__ import annotations

import collections.abc
import importlib
import inspect
import json
import typing
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi import _types as reflection

from localaws.provider.table import ResourceType

_PRIMITIVES = {str: "string", int: "integer", float: "number", bool: "boolean"}
_ANY = {"$ref": "pulumi.json#/Any"}
_MODULE_FORMAT = "(.*)(?:/[^/]*)"
"""``kms/key`` -> ``kms``: the part of a token's module that is a package of the SDK."""


@dataclass(frozen=True, kw_only=True)
class Described:
    """A resource of the installed SDK.

    Its inputs and its properties by Pulumi's name, with their types, and which inputs it needs.
    """

    inputs: Mapping[str, Any]
    required: frozenset[str]
    properties: Mapping[str, Any]


def describe(kind: str) -> Described:
    """Return a resource type of the SDK. Raises :class:`LookupError` if it has none."""
    name = kind.rpartition(":")[2]
    try:
        with warnings.catch_warnings():
            # the SDK warns of its own old classes as it loads them
            warnings.simplefilter("ignore", DeprecationWarning)
            resource = getattr(importlib.import_module(f"pulumi_aws.{_package(kind)}"), name)
    except (ImportError, AttributeError) as error:
        raise LookupError(f"the installed pulumi_aws has no {kind}") from error
    # Where the name with Args is taken (BucketVersioningArgs is a part of the old bucket), the SDK
    # says InitArgs.
    beside = importlib.import_module(resource.__module__)
    arguments = getattr(beside, f"{name}InitArgs", None) or getattr(beside, f"{name}Args")
    return Described(
        inputs=reflection.input_type_types(arguments),
        required=_required(arguments),
        properties=reflection.resource_types(resource),
    )


def schema_text(resources: Mapping[str, ResourceType], *, version: str) -> str:
    """Return the schema of ``resources`` as JSON.

    Raises :class:`LookupError` for a property that the SDK does not have.
    """
    parts: dict[str, Any] = {}
    schema = {
        "name": "aws",
        "version": version,
        "meta": {"moduleFormat": _MODULE_FORMAT},
        "language": {"python": {"packageName": "pulumi_aws"}},
        "resources": {kind: _resource(resource, parts) for kind, resource in resources.items()},
        "types": parts,
    }
    return json.dumps(schema)


def _resource(resource: ResourceType, parts: dict[str, Any]) -> dict[str, Any]:
    sdk, kinds = describe(resource.kind), _Kinds(package=_package(resource.kind), parts=parts)
    unknown = [name for name in resource.all_inputs if name != "tagsAll" and name not in sdk.inputs]
    unknown += [name for name in resource.all_outputs if name not in sdk.properties]
    if unknown:
        raise LookupError(
            f"{resource.kind} of the installed pulumi_aws has no {', '.join(unknown)}"
        )
    inputs = {
        name: {**kinds.spec(sdk.inputs[name]), **({"secret": True} if prop.secret else {})}
        for name, prop in resource.all_inputs.items()
        if name != "tagsAll"
    }
    outputs = {name: kinds.spec(sdk.properties[name]) for name in resource.all_outputs}
    required = sorted(sdk.required & set(inputs))
    return {
        "inputProperties": inputs,
        "requiredInputs": required,
        "properties": {**inputs, **outputs},
        "required": sorted({*required, *outputs}),
    }


@dataclass(frozen=True, kw_only=True)
class _Kinds:
    """The types of one package; the object types met so far are in ``parts``, by token."""

    package: str
    parts: dict[str, Any] = field(default_factory=dict)

    def spec(self, kind: Any) -> dict[str, Any]:
        """A property of type ``kind``, as the schema writes it."""
        kind = _single(kind)
        if kind in _PRIMITIVES:
            return {"type": _PRIMITIVES[kind]}
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if origin in (list, collections.abc.Sequence):
            return {"type": "array", "items": self.spec(arguments[0])}
        if origin in (dict, collections.abc.Mapping):
            return {"type": "object", "additionalProperties": self.spec(arguments[1])}
        if isinstance(kind, type) and (
            reflection.is_input_type(kind) or reflection.is_output_type(kind)
        ):
            return {"$ref": f"#/types/{self._token(kind)}"}
        return _ANY

    def _token(self, kind: type) -> str:
        name = kind.__name__.removesuffix("Args")
        token = f"aws:{self.package}/{name}:{name}"
        if token not in self.parts:
            self.parts[token] = {}  # a type may contain itself
            takes = reflection.is_input_type(kind)
            fields = (
                reflection.input_type_types(kind) if takes else reflection.output_type_types(kind)
            )
            self.parts[token] = {
                "type": "object",
                "properties": {name: self.spec(each) for name, each in fields.items()},
                "required": sorted(_required(kind) if takes else ()),
            }
        return token


def _package(kind: str) -> str:
    return kind.partition(":")[2].partition("/")[0]


def _required(arguments: type) -> frozenset[str]:
    """The arguments that have no default, by Pulumi's name."""
    names = reflection.input_type_py_to_pulumi_names(arguments)
    parameters = inspect.signature(arguments).parameters.values()
    return frozenset(
        names[each.name] for each in parameters if each.name in names and each.default is each.empty
    )


def _single(kind: Any) -> Any:
    """Return ``kind`` without None, without an enum beside its text, without Input and Output."""
    if typing.get_origin(kind) is not typing.Union:
        return kind
    members = [each for each in typing.get_args(kind) if each is not type(None)]
    plain = [each for each in members if each in _PRIMITIVES]
    described = [
        each for each in members if isinstance(each, type) and reflection.is_input_type(each)
    ]
    return (plain or described or [members[0] if members else Any])[0]
