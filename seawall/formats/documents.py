"""Strict readers of the YAML and JSON files that people hand to the kit.

Every program of the kit reads such a file with this module, so that all refuse the same mistakes:

- a key that stands twice (PyYAML and ``json`` silently keep the last one),
- text that YAML 1.1 turns into another value than its author meant (``1:30`` is the number 90,
  ``010`` is 8, ``no`` is false),
- numbers that are not finite, and encodings other than UTF-8,
- documents so large or so deeply nested that the parser itself would fail.

    read_yaml(path), read_json(path)    plain values, or DocumentError with every problem
    read_json_model(path, Model)        the same, validated by a pydantic model
    examine_yaml(text)                  the values together with the problems, for a reader that
                                        has more problems of its own to report

Answers over HTTP and lines that a program of the kit wrote are read where they arrive.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from seawall.errors import DocumentError, Problem, UsageError

YAML_BYTES_MAX = 256 << 10
"""The production policy has 28 KB.

PyYAML's own parser, which reads what libyaml refuses, does 12 to 40 KB a second on a busy two-core
machine.
"""
JSON_BYTES_MAX = 64 << 20
"""A preview of a stack of some hundred resources has 2 MB."""
DEPTH_MAX = 64
"""Levels of nesting; the parsers are recursive and fail near 1,000."""
NODES_MAX = 200_000
"""Values of a YAML document, each alias counted as often as it is used.

Nine anchors of nine aliases each ("billion laughs") are a short text and 10^9 values.
"""
DIGITS_MAX = 100
"""Digits of one number; a 256-bit integer has 78, and Python refuses to read more than 4,300."""

Model = TypeVar("Model", bound=BaseModel)

_PLAIN_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_PLAIN_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]*([eE][-+]?[0-9]+)?")
_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = {f"{_TAG}{name}" for name in ("str", "timestamp", "value")}
_PLAIN_VALUES = {"true": True, "True": True, "TRUE": True}
_PLAIN_VALUES |= {"false": False, "False": False, "FALSE": False}
_NUMBER_REMEDY = (
    "write a number in plain decimal digits, a duration as a whole number with its unit such as "
    "90s, and text in quotes"
)
_UTF8_REMEDY = "save the file as UTF-8"
_BYTE_ORDER_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_WHOLE = "(file)"
_LONGEST_SHOWN = 80


def read_text(path: Path, *, bytes_max: int = YAML_BYTES_MAX, remedy: str = "") -> str:
    """The text of a UTF-8 file; a byte order mark is dropped.

    ``remedy`` says where such a file comes from, for one that cannot be read.

    Raises:
        UsageError: the file cannot be read.
        DocumentError: it is larger than ``bytes_max``, or not UTF-8 text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"cannot read {path}: {reason}", remedy=remedy) from error
    return decode(data, source=str(path), bytes_max=bytes_max)


def decode(data: bytes, *, source: str, bytes_max: int = YAML_BYTES_MAX) -> str:
    """``data`` as UTF-8 text without its byte order mark.

    Raises:
        DocumentError: it is larger than ``bytes_max``, or not UTF-8 text.
    """
    if len(data) > bytes_max:
        _refuse(source, _WHOLE, f"more than {bytes_max} bytes", "name a smaller file")
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            _refuse(source, _WHOLE, f"text in {encoding}", _UTF8_REMEDY)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x} on line {line}, which is not UTF-8"
        _refuse(source, _WHOLE, found, f"{_UTF8_REMEDY}; it may be Latin-1 or Windows-1252")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        _refuse(source, _WHOLE, f"a NUL character on line {line}", f"remove it, or {_UTF8_REMEDY}")
    return text


def read_yaml(path: Path, *, remedy: str = "") -> Any:
    """The plain values of a YAML file.

    Raises:
        UsageError: the file cannot be read.
        DocumentError: it is refused, with every problem at once.
    """
    return parse_yaml(read_text(path, remedy=remedy), source=str(path))


def parse_yaml(text: str, *, source: str) -> Any:
    """The plain values of a YAML text.

    Raises:
        DocumentError: it is refused, with every problem at once.
    """
    values, problems = examine_yaml(text)
    if problems:
        raise DocumentError(source, problems)
    return values


def examine_yaml(text: str) -> tuple[Any, list[Problem]]:
    """The plain values of a YAML text, and everything that is wrong with it.

    Where a value is refused, its text stands in for it, so that a caller can go on and report what
    else is wrong. A text that cannot be parsed at all gives None and one problem.
    """
    try:
        node = _composed(text)
    except _TooDeepError as error:
        remedy = f"nest at most {DEPTH_MAX} levels deep"
        return None, [Problem(path=_WHOLE, found=str(error), remedy=remedy)]
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        found = f"the control character U+{error.character:04X} on line {line}"
        return None, [Problem(path=_WHOLE, found=found, remedy="remove it")]
    except yaml.MarkedYAMLError as error:
        return None, [_syntax_problem(error)]
    except yaml.YAMLError as error:
        remedy = str(error).replace("\n", " ")
        return None, [Problem(path=_WHOLE, found="text that is not YAML", remedy=remedy)]
    builder = _YamlValues()
    if node is None:
        return None, []
    try:
        return builder.of(node, ""), builder.problems
    except _TooManyValuesError:
        found = f"more than {NODES_MAX} values, each alias counted where it is used"
        problem = Problem(path=_WHOLE, found=found, remedy="write fewer aliases of aliases")
        return None, [*builder.problems, problem]


def read_json(path: Path, *, remedy: str = "") -> Any:
    """The plain values of a JSON file.

    Raises:
        UsageError: the file cannot be read.
        DocumentError: it is refused.
    """
    text = read_text(path, bytes_max=JSON_BYTES_MAX, remedy=remedy)
    return parse_json(text, source=str(path))


def parse_json(text: str, *, source: str) -> Any:
    """The plain values of a JSON text.

    Raises:
        DocumentError: it is no JSON, or has duplicate keys, numbers that are not finite or have
            too many digits, or too many levels.
    """
    problems: list[Problem] = []

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                remedy = "write each key once; which of its values was meant cannot be known"
                problems.append(
                    Problem(path=key, found=f"the key {key!r} twice in one object", remedy=remedy)
                )
            found[key] = value
        return found

    def number(written: str) -> int | float:
        digits = sum(each.isdigit() for each in written)
        value = math.inf if digits > DIGITS_MAX else float(written)
        if not math.isfinite(value):
            problems.append(_too_large(_WHOLE, written))
            return 0
        return value if any(each in written for each in ".eE") else int(written)

    def constant(written: str) -> float:
        problems.append(
            Problem(path=_WHOLE, found=f"the number {written}", remedy="write a finite number")
        )
        return 0.0

    try:
        values = json.loads(
            text.removeprefix("\ufeff"),
            object_pairs_hook=mapping,
            parse_int=number,
            parse_float=number,
            parse_constant=constant,
        )
    except json.JSONDecodeError as error:
        found = f"text that is not JSON, on line {error.lineno}, column {error.colno}"
        _refuse(source, _WHOLE, found, error.msg[:1].lower() + error.msg[1:])
    except RecursionError:
        _refuse(source, _WHOLE, "too many levels", f"nest at most {DEPTH_MAX} levels deep")
    if _depth_exceeds(values, DEPTH_MAX):
        _refuse(
            source, _WHOLE, f"more than {DEPTH_MAX} levels", f"nest at most {DEPTH_MAX} levels deep"
        )
    if problems:
        raise DocumentError(source, problems)
    return values


def read_json_model(path: Path, model: type[Model], *, remedy: str = "") -> Model:
    """A JSON file as ``model``.

    Raises:
        UsageError: the file cannot be read.
        DocumentError: it is no JSON or does not fit the model, with every problem at once.
    """
    text = read_text(path, bytes_max=JSON_BYTES_MAX, remedy=remedy)
    parse_json(text, source=str(path))
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise DocumentError(str(path), model_problems(error)) from error


def read_model(path: Path, model: type[Model], *, remedy: str = "") -> Model:
    """A file as ``model``: YAML if it is called ``.yaml`` or ``.yml``, else JSON.

    Raises as :func:`read_json_model`.
    """
    if path.suffix not in (".yaml", ".yml"):
        return read_json_model(path, model, remedy=remedy)
    values = read_yaml(path, remedy=remedy)
    try:
        return model.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise DocumentError(str(path), model_problems(error)) from error


def model_problems(error: ValidationError) -> list[Problem]:
    """Each error of pydantic as path, value found and remedy."""
    return [_model_problem(detail) for detail in error.errors()]


def shown(value: object) -> str:
    """``value`` as a message shows it: text in quotes, and at most 80 characters."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


class _TooDeepError(Exception):
    """A document has more than ``DEPTH_MAX`` levels."""


class _TooManyValuesError(Exception):
    """A document has more than ``NODES_MAX`` values."""


class _BoundedComposer(Composer):
    """PyYAML's way from events to the tree of nodes, which is where it is recursive."""

    _depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            line = self.peek_event().start_mark.line + 1  # type: ignore[attr-defined]
            raise _TooDeepError(f"more than {DEPTH_MAX} levels on line {line}")
        node: Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Loader(_BoundedComposer, yaml.SafeLoader):
    """Events as PyYAML's own parser finds them, and the sentences in which it refuses a text."""


class _FastLoader(_BoundedComposer, yaml.CSafeLoader):
    """Events of libyaml's parser, which is not recursive and ten times faster."""

    def __init__(self, text: str) -> None:
        yaml.CSafeLoader.__init__(self, text)
        Composer.__init__(self)  # which libyaml's loader replaces by one without bounds


@lru_cache(maxsize=4)
def _composed(text: str) -> Node | None:
    """The tree of nodes of a YAML text, which nobody changes.

    The last texts are remembered: one command may read a policy and its parent several times. What
    libyaml refuses is parsed again, for a reason in one parser's words.
    """
    try:
        return _single_node(_FastLoader(text))
    except (yaml.YAMLError, _TooDeepError):
        return _single_node(_Loader(text))


def _single_node(loader: _Loader | _FastLoader) -> Node | None:
    try:
        node: Node | None = loader.get_single_node()
    finally:
        loader.dispose()
    return node


class _YamlValues:
    """Plain values out of YAML nodes.

    PyYAML's own constructor stops at the first problem and accepts what this module refuses.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._nodes = 0
        self._above: list[Node] = []

    def of(self, node: Node, path: str) -> Any:
        """The value of ``node``, which stands at ``path`` of the document."""
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise _TooManyValuesError
        if any(node is each for each in self._above):
            self._problem(path, node, "an alias of what contains it", "write the value out")
            return None
        self._above.append(node)
        try:
            if isinstance(node, MappingNode) and node.tag == f"{_TAG}map":
                return self._mapping(node, path)
            if isinstance(node, SequenceNode) and node.tag == f"{_TAG}seq":
                return [
                    self.of(item, f"{path}.{index}".lstrip("."))
                    for index, item in enumerate(node.value)
                ]
            if isinstance(node, ScalarNode):
                return self._scalar(node, path)
        finally:
            self._above.pop()
        self._problem(path, node, f"the tag {_short(node.tag)}", "remove the tag")
        return None

    def _mapping(self, node: MappingNode, path: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for name, key, value in self._pairs(node, path, merged=0):
            inner = f"{path}.{name}".lstrip(".")
            line = key.start_mark.line + 1
            if name in lines:
                first = f"the first is on line {lines[name]}"
                found = f"the key {name!r} a second time on line {line}; {first}"
                remedy = "keep one of them; which was meant cannot be known"
                self.problems.append(Problem(path=inner, found=found, remedy=remedy))
                continue
            lines[name] = line
            values[name] = self.of(value, inner)
        return values

    def _pairs(
        self, node: MappingNode, path: str, *, merged: int
    ) -> Iterable[tuple[str, Node, Node]]:
        """Name, key and value of each pair, with the pairs that a merge key (``<<``) brings."""
        merges = 0
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                merges += 1
                if merges > 1 or merged == DEPTH_MAX:
                    self._problem(
                        path, key, "a second merge key (<<)", "merge a list: <<: [*a, *b]"
                    )
                    continue
                for each in value.value if isinstance(value, SequenceNode) else [value]:
                    if isinstance(each, MappingNode):
                        yield from self._pairs(each, path, merged=merged + 1)
                    else:
                        self._problem(path, key, "a merge of no mapping", "merge mappings only")
            elif not isinstance(key, ScalarNode) or key.tag != f"{_TAG}str":
                written = key.value if isinstance(key, ScalarNode) else "a list or mapping"
                self._problem(path, key, f"the key {written}", "write keys as text, in quotes")
            else:
                yield key.value, key, value

    def _scalar(self, node: ScalarNode, path: str) -> Any:
        text: str = node.value
        if node.tag in _TEXT_TAGS:
            return text
        if node.tag == f"{_TAG}null":
            return None
        if node.tag == f"{_TAG}bool":
            if text not in _PLAIN_VALUES:
                self._problem(path, node, text, "write true or false, or text in quotes")
                return text
            return _PLAIN_VALUES[text]
        if node.tag in (f"{_TAG}int", f"{_TAG}float"):
            return self._number(node, path)
        self._problem(path, node, f"the tag {_short(node.tag)}", "remove the tag")
        return text

    def _number(self, node: ScalarNode, path: str) -> Any:
        text: str = node.value
        if len(text) > DIGITS_MAX:
            self.problems.append(_too_large(path, text))
            return text
        if _PLAIN_INTEGER.fullmatch(text):
            return int(text)
        if _PLAIN_FLOAT.fullmatch(text):
            value = float(text)
            if math.isfinite(value):
                return value
        self._problem(path, node, text, _NUMBER_REMEDY)
        return text

    def _problem(self, path: str, node: Node, found: str, remedy: str) -> None:
        line = node.start_mark.line + 1
        self.problems.append(
            Problem(path=path or _WHOLE, found=f"{found} on line {line}", remedy=remedy)
        )


def _too_large(path: str, written: str) -> Problem:
    digits = sum(each.isdigit() for each in written)
    found = (
        f"a number of {digits} digits" if digits > DIGITS_MAX else f"{shown(written)}, not finite"
    )
    remedy = f"write a finite number of at most {DIGITS_MAX} digits"
    return Problem(path=path or _WHOLE, found=found, remedy=remedy)


def _short(tag: str) -> str:
    return tag.replace(_TAG, "!!")


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    """What PyYAML could not parse, with the line; the usual causes have a remedy of their own."""
    mark = error.problem_mark or error.context_mark
    where = f" on line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    what = " ".join(str(part) for part in (error.context, error.problem) if part)
    if error.context == "expected a single document in the stream":
        return Problem(
            path=_WHOLE,
            found=f"a second document{where}",
            remedy="write one document per file, without a line of three dashes between",
        )
    remedy = "indent with spaces, not tabs" if r"'\t'" in what else "correct the syntax there"
    return Problem(path=_WHOLE, found=f"text that is not YAML{where}: {what}", remedy=remedy)


def _model_problem(detail: Any) -> Problem:
    path = ".".join(str(part) for part in detail["loc"]) or _WHOLE
    kind = detail["type"]
    if kind == "missing":
        return Problem(path=path, found="nothing", remedy="add it")
    if kind == "extra_forbidden":
        return Problem(
            path=path,
            found=shown(detail["input"]),
            remedy="remove it, or check its spelling; no such key is known here",
        )
    message = str(detail["msg"]).removeprefix("Value error, ")
    return Problem(
        path=path, found=shown(detail["input"]), remedy=message[:1].lower() + message[1:]
    )


def _depth_exceeds(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return any(isinstance(each, dict | list) for each in level)


def _refuse(source: str, path: str, found: str, remedy: str) -> NoReturn:
    raise DocumentError(source, [Problem(path=path, found=found, remedy=remedy)])
