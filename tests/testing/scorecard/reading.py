"""A run that notes which fields of its files a check reads, and one that holds given rows.

A field is called by its path in the file: ``amount`` of a table, ``clocks.before.offset_ms`` of a
document. Of files whose lines are of several kinds (:data:`KINDS`), the kind stands before it:
``status: detail.tier``. :data:`ROWS` stands for the lines themselves.

A reading is noted, whatever becomes of it: whether it matters is what a spoil shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel

from seawall.scorecard.run import FILES, Run

ROWS = "(rows)"
"""In the place of a field: that there are lines, how many, and in which order."""
KINDS = {"probes": "probe", "timeline": "event"}
"""By file whose lines are of several kinds: the field that says of which."""
OF_ALL_KINDS = ("event", "source")
"""Fields of such lines by which those of one kind are found: reading them is no reading of all."""
WHOLE = frozenset({("manifest", "files"), ("journal", "experiment")})
"""Objects whose members are data and no fields: read in one."""
YARDSTICK = ("policy",)
"""What a run is held against: no evidence of what happened, and bound by its digest."""

Read = tuple[str, str]
"""(name of the file in FILES, field)."""


@dataclass(frozen=True)
class Given(Run):
    """A run whose files hold ``raw``, by name: rows as they are read, before they are sorted."""

    raw: Mapping[str, Any] = field(default_factory=dict)

    def _document(self, name: str, model: Any) -> Any:
        return self.raw[name]

    def _json(self, name: str) -> Any:
        return self.raw[name]

    def _lines(self, name: str, row_type: Any) -> Any:
        return self.raw[name]

    def _table(self, name: str, row_type: Any) -> Any:
        return self.raw[name]


def raw_of(run: Run) -> dict[str, Any]:
    """The rows and documents of ``run`` by name, without the policy."""
    found = {name: getattr(run, name) for name in FILES if name not in YARDSTICK}
    for name in KINDS:
        if isinstance(found[name], Mapping):
            found[name] = tuple(row for rows_ in found[name].values() for row in rows_)
    return found


def given(run: Run, raw: Mapping[str, Any], *changed: str) -> Given:
    """``run`` with ``raw``; only the files called ``changed`` are taken from it anew."""
    found = Given(run.directory, raw)
    keep = {*FILES, "drill"} - {*changed} if changed else {*YARDSTICK, "drill"}
    found.__dict__.update({name: run.__dict__[name] for name in keep if name in run.__dict__})
    for name in changed:
        if name == "manifest":
            found.__dict__[name] = raw[name]
    found.__dict__.setdefault("manifest", raw["manifest"])
    return found


class Notes:
    """What was read while it was ``on``."""

    def __init__(self) -> None:
        self.on = False
        self.read: set[Read] = set()
        self.wrapped: dict[int, tuple[Any, Any]] = {}
        """By identity of a row: the row, and the same one that tells of its readings."""

    def note(self, name: str, path: str) -> None:
        """Note that a field was read."""
        if self.on:
            self.read.add((name, path))


def noting(run: Run, notes: Notes) -> Run:
    """``run`` with rows and documents that tell ``notes`` which of their fields are read."""
    wrapped = {name: _wrapped(value, notes, name, "") for name, value in raw_of(run).items()}
    found = _Noting(run.directory, wrapped)
    found.__dict__.update({name: run.__dict__[name] for name in (*YARDSTICK, "drill")})
    found.__dict__["manifest"] = wrapped["manifest"]
    for name in FILES:  # sorting them is no check's reading
        getattr(found, name)
    found.__dict__["probes"] = _Samples(found.probes, notes)
    found.__dict__["notes"] = notes
    return found


class _Document:
    """A document of which each field is noted when it is read."""


class _Noting(Given):
    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name in FILES and name not in YARDSTICK and name != "probes":
            notes = super().__getattribute__("__dict__").get("notes")
            if notes is not None and isinstance(found, tuple):
                notes.note(name, ROWS)
        return found


class _Samples(dict[str, Any]):
    """Samples by probe."""

    def __init__(self, samples: Mapping[str, Any], notes: Notes) -> None:
        super().__init__(samples)
        self._notes = notes

    def get(self, key: str, default: Any = None) -> Any:
        self._notes.note("probes", f"{key}: {ROWS}")
        return super().get(key, default)


class _Object(dict[str, Any]):
    """A JSON object that tells which of its members are read."""

    def __init__(self, members: Mapping[str, Any], note: Callable[[str], None]) -> None:
        super().__init__(members)
        self._note = note

    def __getitem__(self, key: str) -> Any:
        self._note(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._note(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self._note(str(key))
        return super().__contains__(key)

    def items(self) -> Any:
        for key in self:
            self._note(key)
        return super().items()

    def values(self) -> Any:
        for key in self:
            self._note(key)
        return super().values()


def _wrapped(value: Any, notes: Notes, name: str, path: str) -> Any:
    if (name, path) in WHOLE:
        return value
    if isinstance(value, list | tuple):
        found = (_wrapped(each, notes, name, path) for each in value)
        return type(value)(found)
    if id(value) in notes.wrapped:
        return notes.wrapped[id(value)][1]
    if is_dataclass(value) or isinstance(value, BaseModel):
        kind = f"{getattr(value, KINDS[name])}: " if name in KINDS and not path else ""
        of: Any = type(value)
        members = {
            each: _wrapped(getattr(value, each), notes, name, f"{kind}{_below(path, each)}")
            for each in _fields_of(of)
        }
        made = _noting_type(of)._made(members, notes, name, kind, path)
        notes.wrapped[id(value)] = (value, made)
        return made
    if isinstance(value, dict):
        return _Object(
            {key: _wrapped(each, notes, name, _below(path, key)) for key, each in value.items()},
            lambda key: notes.note(name, _below(path, key)),
        )
    return value


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


@cache
def _fields_of(kind: Any) -> tuple[str, ...]:
    if issubclass(kind, BaseModel):
        return tuple(kind.model_fields)
    return tuple(each.name for each in fields(kind))


@cache
def _noting_type(kind: Any) -> Any:
    """A subclass of a row or document that tells which of its fields are read."""
    names = frozenset(_fields_of(kind))

    def read(self: Any, name: str) -> Any:
        found = object.__getattribute__(self, "__dict__")
        if name in names:
            found["_note"](name)
            return found[name]
        return object.__getattribute__(self, name)

    def made(members: Mapping[str, Any], notes: Notes, name: str, before: str, path: str) -> Any:
        row: Any = object.__new__(telling)

        def note(each: str) -> None:
            kind = "" if each in OF_ALL_KINDS else before
            notes.note(name, f"{kind}{_below(path, each)}")

        object.__getattribute__(row, "__dict__").update({**members, "_note": note})
        return row

    telling: type = type(
        kind.__name__,
        (_Document if issubclass(kind, BaseModel) else kind,),
        {
            "__getattribute__": read,
            "_made": staticmethod(made),
            "__hash__": object.__hash__,
            "__eq__": object.__eq__,
        },
    )
    return telling
