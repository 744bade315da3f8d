"""Readers of evidence files, which make typed rows of them.

Whatever is wrong is one :class:`EvidenceError` that names file, line and fault. CSV cells that are
empty are absent values. Times are Unix seconds in the files and :data:`Instant` (whole
microseconds) here. ``length`` is how many bytes of a file count, all of them if None: what came
after the run's digests were made is no evidence.
"""

from __future__ import annotations

import csv
import io
import json
import math
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, NewType, TypeVar

from pydantic import BaseModel, ValidationError

from seawall.errors import EvidenceError

Instant = NewType("Instant", int)
"""A moment: microseconds since the Unix epoch."""

SECOND = 1_000_000
"""Microseconds in a second."""

CLOCK_TOLERANCE_US = 50_000
"""Beyond the sampling gap, two observers of one moment may differ by this much (design section 7).
"""

UNIX_SECONDS_MAX = 4_102_444_800
"""The year 2100. Later moments are broken evidence, and sums with them would fail later on."""

Row = TypeVar("Row")
Document = TypeVar("Document", bound=BaseModel)


def instant(seconds: float | str) -> Instant:
    """Whole microseconds of Unix seconds.

    Raises ValueError for anything but a number from 1970 to 2100.
    """
    try:
        number = float(seconds)
    except OverflowError as error:
        raise ValueError(f"{seconds!r} is no moment") from error
    if not 0 <= number < UNIX_SECONDS_MAX:
        raise ValueError(f"{seconds!r} is no moment")
    return Instant(round(number * SECOND))


def finite(text: str) -> float:
    """The number in ``text``. Raises ValueError for infinities and for what is no number."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is not finite")
    return number


def read_text(path: Path, *, length: int | None = None) -> str:
    """The file, or its first ``length`` bytes.

    Raises :class:`EvidenceError` if it is missing or not UTF-8.
    """
    try:
        return path.read_bytes()[:length].decode("utf-8")
    except FileNotFoundError as error:
        raise EvidenceError(f"{_name(path)} is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise EvidenceError(f"{_name(path)} cannot be read: {error}") from error


def read_table(path: Path, row_type: type[Row], *, length: int | None = None) -> tuple[Row, ...]:
    """Rows of a CSV file with a header, as ``row_type`` (a dataclass).

    Columns that it does not name are ignored, and one whose field has a default may be missing.
    """
    text = read_text(path, length=length)
    if not text.endswith("\n"):
        raise EvidenceError(f"{_name(path)} is truncated: its last line has no end")
    return tuple(_rows(path, io.StringIO(text, newline=""), row_type))


def stream_table(path: Path, row_type: type[Row]) -> Iterator[Row]:
    """As :func:`read_table`, one row after another, for files that may not fit in memory."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, io.SEEK_END) - 1))
            if file.read() != b"\n":
                raise EvidenceError(f"{_name(path)} is truncated: its last line has no end")
        with path.open(encoding="utf-8", newline="") as lines:
            yield from _rows(path, lines, row_type)
    except FileNotFoundError as error:
        raise EvidenceError(f"{_name(path)} is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise EvidenceError(f"{_name(path)} cannot be read: {error}") from error


def _rows(path: Path, lines: Iterable[str], row_type: type[Row]) -> Iterator[Row]:
    converters = _converters(row_type, _from_cell)
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader)
        missing = [name for name in converters if name not in header]
        if required := [name for name in missing if name not in _defaults(row_type)]:
            raise EvidenceError(f"{_name(path)} line 1: no column {', '.join(required)}")
        columns = [
            (name, header.index(name), convert)
            for name, convert in converters.items()
            if name not in missing
        ]
        for cells in reader:
            if len(cells) != len(header):
                raise EvidenceError(
                    f"{_name(path)} line {reader.line_num}: {len(cells)} cells where the "
                    f"header has {len(header)}"
                )
            values = {}
            for name, index, convert in columns:
                try:
                    values[name] = convert(cells[index])
                except ValueError as error:
                    raise EvidenceError(
                        f"{_name(path)} line {reader.line_num}: {name} is {cells[index]!r}"
                    ) from error
            yield row_type(**values)
    except csv.Error as error:
        raise EvidenceError(f"{_name(path)} line {reader.line_num}: {error}") from error


def read_lines(path: Path, row_type: type[Row], *, length: int | None = None) -> tuple[Row, ...]:
    """Rows of a file with one JSON object a line, as ``row_type`` (a dataclass).

    Keys that it does not name are ignored.
    """
    text = read_text(path, length=length)
    if text and not text.endswith("\n"):
        raise EvidenceError(f"{_name(path)} is truncated: its last line has no end")
    lines = text.splitlines()
    converters = _converters(row_type, _from_json)
    rows = []
    for number, mapping in enumerate(_parse_lines(path, lines), start=1):
        if not isinstance(mapping, dict):
            raise EvidenceError(f"{_name(path)} line {number}: not an object")
        rows.append(row_type(**_convert_mapping(path, number, mapping, converters)))
    return tuple(rows)


def read_document(path: Path, model: type[Document], *, length: int | None = None) -> Document:
    """One JSON document as ``model``."""
    try:
        return model.model_validate(read_json(path, length=length))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'document'}: {fault['msg']}"
            for fault in error.errors()[:3]
        )
        raise EvidenceError(f"{_name(path)}: {faults}") from error


def read_json(path: Path, *, length: int | None = None) -> Any:
    """One JSON document as plain values; numbers are finite."""
    text = read_text(path, length=length)
    try:
        return json.loads(text, parse_constant=finite, parse_float=finite)
    except (ValueError, RecursionError) as error:
        raise EvidenceError(f"{_name(path)} is truncated or not JSON: {error}") from error


def _parse_lines(path: Path, lines: list[str]) -> list[Any]:
    try:
        # Several times faster than line by line.
        parsed = json.loads(f"[{','.join(lines)}]", parse_constant=finite)
        if isinstance(parsed, list) and len(parsed) == len(lines):
            return parsed
    except (ValueError, RecursionError):
        pass  # some line is broken: the loop below finds which
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(json.loads(line, parse_constant=finite))
        except (ValueError, RecursionError) as error:
            raise EvidenceError(f"{_name(path)} line {number}: not JSON: {error}") from error
    return rows


def _convert_mapping(
    path: Path,
    number: int,
    mapping: Mapping[str, Any],
    converters: Mapping[str, Callable[[Any], Any]],
) -> dict[str, Any]:
    values = {}
    for name, convert in converters.items():
        try:
            values[name] = convert(mapping.get(name))
        except (ValueError, TypeError) as error:
            found = f"is {mapping[name]!r}" if name in mapping else "is missing"
            raise EvidenceError(f"{_name(path)} line {number}: {name} {found}") from error
    return values


def _name(path: Path) -> str:
    """The path of an evidence file below its run directory, as in ``records/slots.csv``."""
    return (
        f"{path.parent.name}/{path.name}"
        if path.parent.name in {"records", "chain", "aws", "rails"}
        else path.name
    )


def _converters(
    row_type: type, convert: Callable[[Any, bool], Callable[[Any], Any]]
) -> dict[str, Callable[[Any], Any]]:
    hints = typing.get_type_hints(row_type)
    found = {}
    for field in fields(row_type):
        hint = hints[field.name]
        optional = typing.get_origin(hint) in (types.UnionType, typing.Union)
        if optional:
            (hint,) = (option for option in typing.get_args(hint) if option is not type(None))
        found[field.name] = convert(hint, optional)
    return found


def _defaults(row_type: type) -> set[str]:
    """Fields that rows written before they existed lack."""
    return {field.name for field in fields(row_type) if field.default is not MISSING}


# only ever called by _converters
def _from_cell(hint: Any, optional: bool) -> Callable[[str], Any]:  # noqa: FBT001
    kinds: dict[Any, Callable[[str], Any]] = {Instant: instant, int: int, float: finite, str: str}
    basic = kinds[hint]
    if optional:
        return lambda cell: None if cell == "" else basic(cell)
    return basic


# only ever called by _converters
def _from_json(hint: Any, optional: bool) -> Callable[[Any], Any]:  # noqa: FBT001
    origin = typing.get_origin(hint) or hint

    def basic(value: Any) -> Any:
        if hint is Instant:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError("not a number")
            return instant(value)
        if not isinstance(value, origin):
            raise TypeError(f"not a {origin}")
        return value

    if optional:
        return lambda value: None if value is None else basic(value)
    return basic
