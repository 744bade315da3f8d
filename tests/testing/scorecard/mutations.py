"""Generic ways to spoil one column of a run's file, whatever it holds.

What they make of a column its reader would let pass: nothing is absent where something must be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass, replace
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from seawall.scorecard.readers import SECOND, Instant
from tests.testing.scorecard.reading import KINDS, ROWS, Read

GONE = object()
"""In the place of a value: the member of an object is not there."""
Column = list[Any]
Mutation = Callable[[Column], Column]


def mutated(raw: Mapping[str, Any], read: Read, mutation: Mutation) -> Any:
    """The rows or the document of ``read``'s file with its field changed by ``mutation``."""
    name, path = read
    kind, _, path = path.rpartition(": ")
    content = raw[name]
    if path == ROWS:
        if not kind:
            return tuple(mutation(list(content)))
        own = [row for row in content if getattr(row, KINDS[name]) == kind]
        others = (row for row in content if getattr(row, KINDS[name]) != kind)
        return (*others, *mutation(own))
    steps = path.split(".")
    if isinstance(content, tuple):
        own = [row for row in content if not kind or getattr(row, KINDS[name]) == kind]
        column = list(_values(own, steps))
        new = iter(mutation(column))
        return tuple(
            _changed(row, steps, new) if not kind or getattr(row, KINDS[name]) == kind else row
            for row in content
        )
    return _changed(content, steps, iter(mutation(list(_values(content, steps)))))


def _values(value: Any, steps: Sequence[str]) -> Iterator[Any]:
    if not steps:
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _values(each, steps)
    elif isinstance(value, Mapping):
        if steps[0] in value:
            yield from _values(value[steps[0]], steps[1:])
        elif len(steps) == 1:
            yield GONE
    elif value is not None:
        yield from _values(getattr(value, steps[0]), steps[1:])


def _changed(value: Any, steps: Sequence[str], new: Iterator[Any]) -> Any:
    """``value`` with the next of ``new`` in every place of ``steps``, in the order of _values."""
    if not steps:
        return next(new)
    if isinstance(value, list | tuple):
        return type(value)(_changed(each, steps, new) for each in value)
    if isinstance(value, Mapping):
        if steps[0] not in value and len(steps) > 1:
            return value
        found = _changed(value.get(steps[0], GONE), steps[1:], new)
        rest = {key: each for key, each in value.items() if key != steps[0]}
        return rest if found is GONE else rest | {steps[0]: found}
    if value is None:
        return None
    found = _changed(getattr(value, steps[0]), steps[1:], new)
    if isinstance(value, BaseModel):
        return value.model_copy(update={steps[0]: found})
    return replace(value, **{steps[0]: found})


def mutations_of(raw: Mapping[str, Any], read: Read) -> dict[str, Mutation]:
    """By what it does: every way that is tried to spoil the field."""
    name, path = read
    kind, _, path = path.rpartition(": ")
    if path == ROWS:
        return _OF_ROWS
    content = raw[name]
    own = (
        [row for row in content if not kind or getattr(row, KINDS[name]) == kind]
        if isinstance(content, tuple)
        else content
    )
    column = list(_values(own, path.split(".")))
    some = next((value for value in column if value is not None and value is not GONE), None)
    found = dict(_of_value(some, moment=_is_moment(own, path)))
    if _may_be_absent(own, path):
        found["absent"] = _all(None)
    if some is None:
        found |= _in_place_of_nothing(_hint(own, path))
    if ("." in path and isinstance(content, tuple)) or isinstance(content, dict):
        found["gone"] = _all(GONE)
    if len(column) > 1:
        found |= _OF_MANY
    return found


def _is_moment(own: Any, path: str) -> bool:
    hint = _hint(own, path)
    return hint is Instant or Instant in get_args(hint)


def _may_be_absent(own: Any, path: str) -> bool:
    return type(None) in get_args(_hint(own, path))


def _hint(own: Any, path: str) -> Any:
    found = own[0] if isinstance(own, list) and own else own
    hint: Any = type(found)
    for step in path.split("."):
        while isinstance(found, list | tuple) and found:
            found = found[0]
        if not (is_dataclass(found) or isinstance(found, BaseModel)):
            return None
        hint = get_type_hints(type(found)).get(step)
        found = getattr(found, step)
    return hint


def _each(change: Callable[[Any], Any]) -> Mutation:
    return lambda values: [
        value if value is None or value is GONE else change(value) for value in values
    ]


def _shifted(seconds: float) -> Mutation:
    return _each(lambda value: Instant(max(0, value + round(seconds * SECOND))))


def _all(value: Any) -> Mutation:
    return lambda values: [value] * len(values)


def _of_value(some: Any, *, moment: bool) -> dict[str, Mutation]:
    if moment:
        return {
            "20 s later": _shifted(20),
            "20 s earlier": _shifted(-20),
            "an hour later": _shifted(3600),
        }
    if isinstance(some, bool):
        return {
            "inverted": _each(lambda value: not value),
            "true": _all(True),
            "false": _all(False),
        }
    if isinstance(some, int | float):
        return {
            "doubled": _each(lambda value: value * 2),
            "zero": _each(lambda value: type(value)(0)),
            "one more": _each(lambda value: value + 1),
            "a thousand more": _each(lambda value: value + 1_000),
        }
    if isinstance(some, str):
        return {"another word": _all("another"), "empty": _all("")}
    if isinstance(some, list | tuple):
        half = _each(lambda value: value[: len(value) // 2])
        return {"nothing": _all(type(some)()), "half of it": half}
    if isinstance(some, dict):
        return {"nothing": _all({}), "something else": _all({"another": "1"})}
    return {}


def _in_place_of_nothing(hint: Any) -> dict[str, Mutation]:
    """Of a field that is absent everywhere: values that its reader lets pass."""
    kinds = {get_origin(each) or each for each in get_args(hint)}
    found: dict[str, Any] = {"a word": "another"} if not kinds or str in kinds else {}
    if not kinds:  # a member of a JSON object
        found |= {"true": True, "a list": [{}]}
    elif tuple in kinds:
        found |= {"no words": ()}
    elif kinds & {int, float, Instant}:
        found |= {"a number": 7}
    return {label: _all(value) for label, value in found.items()}


_OF_MANY: dict[str, Mutation] = {
    "that of the next": lambda values: [*values[1:], values[0]],
    "that of the first": lambda values: [values[0]] * len(values),
    "that of the farthest": lambda values: values[::-1],
}
_OF_ROWS: dict[str, Mutation] = {
    "none": lambda _: [],
    "the first half": lambda rows: rows[: len(rows) // 2],
    "all but the first": lambda rows: rows[1:],
    "every second": lambda rows: rows[::2],
    "twice": lambda rows: [*rows, *rows],
}
