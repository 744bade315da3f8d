"""Property maps as the engine sends them, and as Python values.

Secrets travel wrapped, under two fixed texts (the same page, SigKey and SecretSig). Numbers travel
as doubles, so whole ones become ``int`` again; a value that is not known yet travels as a fixed
text (https://pkg.go.dev/github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin#pkg-constants,
UnknownStringValue).
"""

from __future__ import annotations

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
