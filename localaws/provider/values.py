"""Property maps: as the engine sends them, as Python values, and under the names of AWS.

The engine sends secrets wrapped, under two fixed texts, numbers as doubles, so that whole ones
become ``int`` again, and a value that is not known yet as a fixed text
(https://pkg.go.dev/github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin#pkg-constants, SigKey,
SecretSig, UnknownStringValue). ``evaluationPeriods`` in a program is ``EvaluationPeriods`` in most
of AWS's APIs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

Properties = dict[str, Any]

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the mark of a secret, not one


def from_struct(struct: Struct) -> Properties:
    """The properties in ``struct``.

    Absent and null are the same, hence nulls are left out at the top level.
    """
    return {
        name: _whole(value) for name, value in MessageToDict(struct).items() if value is not None
    }


def to_struct(properties: Properties) -> Struct:
    """``properties`` for the engine."""
    return ParseDict(
        {name: value for name, value in properties.items() if value is not None}, Struct()
    )


def secret(value: Any) -> Any:
    """``value``, marked so that the engine keeps it encrypted; None stays None."""
    return None if value is None else {_SIGNATURE: _SECRET, "value": value}


def has_unknown(value: Any) -> bool:
    """Whether ``value`` contains something that is not known yet."""
    if isinstance(value, dict):
        return any(map(has_unknown, value.values()))
    if isinstance(value, list):
        return any(map(has_unknown, value))
    return bool(value == UNKNOWN)


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def given(**arguments: Any) -> dict[str, Any]:
    """``arguments`` without those that are None: what was not declared is not sent."""
    return {name: value for name, value in arguments.items() if value is not None}


def to_aws(fields: Mapping[str, str], inputs: Properties) -> dict[str, Any]:
    """Those of ``inputs`` that ``fields`` (ours: AWS's) names, under the names of AWS."""
    return {theirs: inputs[ours] for ours, theirs in fields.items() if inputs.get(ours) is not None}


def from_aws(fields: Mapping[str, str], answer: Mapping[str, Any]) -> Properties:
    """What ``answer`` has of ``fields`` (ours: AWS's), under our names."""
    return {
        ours: answer[theirs] for ours, theirs in fields.items() if answer.get(theirs) is not None
    }


def upper_names(value: Any, *, except_for: Mapping[str, str] | None = None) -> Any:
    """Return ``value`` with every key in it written as AWS does, ``daysToKeep`` -> ``DaysToKeep``.

    ``except_for`` has the names that differ by more than a capital. Only for values whose keys are
    names of fields, not data of the user.
    """
    if isinstance(value, dict):
        return {
            (except_for or {}).get(name) or name[:1].upper() + name[1:]: upper_names(
                item, except_for=except_for
            )
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [upper_names(item, except_for=except_for) for item in value]
    return value


def lower_names(value: Any, *, except_for: Mapping[str, str] | None = None) -> Any:
    """The inverse of :func:`upper_names`, with the same ``except_for`` (ours: AWS's).

    A value that is None is left out.
    """
    ours = {theirs: name for name, theirs in (except_for or {}).items()}
    if isinstance(value, dict):
        return {
            ours.get(name) or name[:1].lower() + name[1:]: lower_names(item, except_for=except_for)
            for name, item in value.items()
            if item is not None
        }
    if isinstance(value, list):
        return [lower_names(item, except_for=except_for) for item in value]
    return value


def whole(number: float) -> float:
    """``number``, an int if it is a whole one: what AWS answers as 2.0 was declared as 2."""
    return int(number) if float(number).is_integer() else number
