"""Names of properties, ours and AWS's.

``evaluationPeriods`` in a program is ``EvaluationPeriods`` in most of AWS's APIs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localaws.provider.values import Properties


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
    """``value`` with every key in it written as AWS does, ``daysToKeep`` -> ``DaysToKeep``.

    ``except_for`` names the others.

    Only for values whose keys are names of fields, not data of the user.
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

    What is None is left out.
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
