"""The strict readers of YAML and JSON accept plain documents and name whatever else they meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from yaml.nodes import Node

from seawall.cache import repository_root
from seawall.errors import DocumentError, ExitCode, UsageError
from seawall.formats import documents
from seawall.formats.documents import (
    DEPTH_MAX,
    YAML_BYTES_MAX,
    decode,
    examine_yaml,
    parse_json,
    parse_yaml,
    read_json,
    read_json_model,
    read_text,
    read_yaml,
)

ROOT = repository_root()
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{this}: &{this} [{', '.join([f'*{last}'] * 9)}]\n"
    for last, this in zip("abcdefgh", "bcdefghi", strict=True)
)


def one_problem(text: str) -> str:
    _, problems = examine_yaml(text)
    assert len(problems) == 1
    return str(problems[0])


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", None),
        ("# only a comment\n", None),
        ("a: 1\nb: -2\nc: 1.5\nd: 1.0e-3\n", {"a": 1, "b": -2, "c": 1.5, "d": 0.001}),
        (
            "a: true\nb: False\nc: null\nd: ~\ne:\n",
            {"a": True, "b": False, "c": None, "d": None, "e": None},
        ),
        (
            "a: 30s\nb: 'yes'\nc: \"010\"\nd: '1:30'\n",
            {"a": "30s", "b": "yes", "c": "010", "d": "1:30"},
        ),
        (
            "a: 2030-01-31T18:00:00Z\nb: 2030-01-31\n",
            {"a": "2030-01-31T18:00:00Z", "b": "2030-01-31"},
        ),
        ("a: &one [1]\nb: *one\n", {"a": [1], "b": [1]}),
        ("base: &base {x: 1}\na: {<<: *base, y: 2}\n", {"base": {"x": 1}, "a": {"x": 1, "y": 2}}),
        ("a: {b: 1}\r\nc: [d]\r\n", {"a": {"b": 1}, "c": ["d"]}),
        ("- Zürich\n- 東京\n", ["Zürich", "東京"]),
    ],
)
def test_a_plain_document_means_what_it_says(text: str, values: Any) -> None:
    """Dates stay text: no reader of the kit wants YAML's own."""
    assert parse_yaml(text, source="it") == values


def test_both_parsers_make_the_same_of_a_document() -> None:
    """A text that one of them refuses is read by the other, so both must mean the same."""
    folders = (ROOT / "policies", ROOT / "loadtests" / "profiles")
    texts = [path.read_text() for folder in folders for path in sorted(folder.glob("*.yaml"))]
    assert len(texts) >= 5
    texts.append(
        "a: &x [1, 'two', \"\\u00e9\", {b: c}]\nd: *x\ne: |\n  f\n   g\nh: >-\n  i\n  j\n? k\n: ~\n"
    )
    for text in texts:
        fast, slow = (documents._single_node(load(text)) for load in _LOADERS)
        assert _flat(fast) == _flat(slow)


_LOADERS = (documents._FastLoader, documents._Loader)


def _flat(node: Any) -> Any:
    """Tags, lines and values of a tree of nodes."""
    held = [_flat(each) for each in node] if isinstance(node, list | tuple) else node
    if not isinstance(node, Node):
        return held
    return node.tag, node.start_mark.line, node.start_mark.column, _flat(node.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "a: 1\nb: 2\na: 3\n",
            "a: found the key 'a' a second time on line 3; the first is on line 1",
        ),
        ("x:\n  y:\n  - {z: 1, z: 1}\n", "x.y.0.z: found the key 'z' a second time on line 3"),
        ("'a': 1\n\"a\": 2\n", "a: found the key 'a' a second time on line 2"),
        ("b: &b {x: 1}\na:\n  <<: *b\n  x: 2\n", "a.x: found the key 'x' a second time"),
        ("b: &b {x: 1}\na: {<<: *b, <<: *b}\n", "a: found a second merge key (<<) on line 2"),
        ("a: {<<: 1}\n", "a: found a merge of no mapping on line 1"),
        ("1: a\n", "found the key 1 on line 1; write keys as text"),
        ("on: a\n", "found the key on on line 1; write keys as text"),
        ("~: a\n", "found the key ~ on line 1; write keys as text"),
        ("? [a, b]\n: c\n", "found the key a list or mapping on line 1"),
        ("a: yes\n", "a: found yes on line 1; write true or false"),
        ("a: [x, off]\n", "a.1: found off on line 1; write true or false"),
        ("a: 1:30\n", "a: found 1:30 on line 1; write a number in plain decimal digits"),
        ("a: 1:30.5\n", "with its unit"),
        ("a: 45_000\n", "a: found 45_000 on line 1"),
        ("a: 010\n", "a: found 010 on line 1"),
        ("a: 0x1F\n", "a: found 0x1F on line 1"),
        ("a: 0b11\n", "a: found 0b11 on line 1"),
        ("a: .inf\n", "a: found .inf on line 1"),
        ("a: -.INF\n", "a: found -.INF on line 1"),
        ("a: .nan\n", "a: found .nan on line 1"),
        ("a: 1.0e+999\n", "a: found 1.0e+999 on line 1"),
        (f"a: {'9' * 4_500}\n", "a: found a number of 4500 digits"),
        (
            "a: !!python/object/apply:os.system [id]\n",
            "a: found the tag !!python/object/apply:os.system",
        ),
        ("a: !!python/name:os.system x\n", "a: found the tag !!python/name:os.system"),
        ("a: !secret x\n", "a: found the tag !secret"),
        ("a: !!binary aGk=\n", "a: found the tag !!binary"),
        ("a: !!set {x}\n", "a: found the tag !!set"),
        ("a: &a [*a]\n", "a.0: found an alias of what contains it"),
        ("a: *b\n", "text that is not YAML on line 1, column 4: found undefined alias"),
        ("a: 1\n--- \nb: 2\n", "a second document on line 2"),
        ("a:\n\tb: 1\n", "indent with spaces, not tabs"),
        ("a: [1, 2\n", "text that is not YAML on line 2"),
        ("a: \x07\n", "the control character U+0007 on line 1; remove it"),
        ("a: " + "[" * 2_000 + "]" * 2_000, f"more than {DEPTH_MAX} levels on line 1"),
        (LAUGHS, "each alias counted where it is used"),
    ],
)
def test_what_a_document_might_not_mean_is_refused_at_its_place(text: str, problem: str) -> None:
    """Each row is one problem with its path or line."""
    assert problem in one_problem(text)


def test_every_problem_of_a_document_is_reported_at_once() -> None:
    """A refused value does not hide the next one."""
    text = "a: 010\nb: {c: 1, c: 2}\nd: !x y\ne: no\n"

    with pytest.raises(DocumentError) as caught:
        parse_yaml(text, source="it.yaml")

    assert [problem.path for problem in caught.value.problems] == ["a", "b.c", "d", "e"]
    assert str(caught.value).startswith("it.yaml has 4 problems:\n  a: found 010 on line 1; ")
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (
            "Zürich\n".encode("latin-1"),
            "byte 0xfc on line 1, which is not UTF-8; save the file as UTF-8",
        ),
        ("a\nb: 1\n".encode("utf-16"), "text in UTF-16; save the file as UTF-8"),
        ("a\nb: 1\n".encode("utf-32"), "text in UTF-32; save the file as UTF-8"),
        (b"a: 1\nb\0: 2\n", "a NUL character on line 2"),
        ("a: 1\n".encode("utf-16-le"), "a NUL character on line 1"),
        (b"#" * (YAML_BYTES_MAX + 1), f"more than {YAML_BYTES_MAX} bytes"),
    ],
)
def test_other_encodings_are_named(data: bytes, problem: str) -> None:
    with pytest.raises(DocumentError) as caught:
        decode(data, source="it")
    assert problem in str(caught.value)


def test_a_byte_order_mark_of_utf_8_is_dropped() -> None:
    assert decode("\ufeffa: ü\r\n".encode(), source="it") == "a: ü\r\n"


def test_what_is_no_readable_file_is_the_callers_mistake(tmp_path: Path) -> None:
    """A folder, a file that is not there, a path that no system has, a device without an end."""
    with pytest.raises(UsageError, match=r"Is a directory"):
        read_yaml(tmp_path)
    with pytest.raises(UsageError, match=r"No such file or directory.*\(make one\)"):
        read_json(tmp_path / "none.json", remedy="make one")
    with pytest.raises(UsageError, match=r"embedded null byte"):
        read_text(Path("a\0b"))
    with pytest.raises(DocumentError, match=r"more than \d+ bytes"):
        read_yaml(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' twice in one object"),
        ("NaN", "the number NaN; write a finite number"),
        ('{"a": -Infinity}', "the number -Infinity"),
        ("1e999", "not finite"),
        ("9" * 4_500, "a number of 4500 digits"),
        ("[" * 65 + "]" * 65, f"more than {DEPTH_MAX} levels"),
        ("[" * 2_000 + "]" * 2_000, "levels"),
        ("[" * 200_000, "levels"),
        ("", "text that is not JSON, on line 1, column 1"),
        ('{"a": 1}\n{"a": 2}', "line 2, column 1"),
        ("{'a': 1}", "line 1, column 2"),
    ],
)
def test_a_json_text_that_has_two_meanings_or_none_is_refused(text: str, problem: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_json(text, source="it.json")
    assert problem in str(caught.value)


def test_plain_json_is_read(tmp_path: Path) -> None:
    path = tmp_path / "it.json"
    path.write_bytes('\ufeff{"a": [1, -2.5e3, true, null, "ü"], "b": {}}'.encode())

    assert read_json(path) == {"a": [1, -2500.0, True, None, "ü"], "b": {}}
    assert parse_json(f"[{2**256}]", source="it") == [2**256]


def test_a_model_is_read_whole_or_refused_with_every_problem(tmp_path: Path) -> None:
    class Shape(BaseModel):
        sides: int
        name: str

    path = tmp_path / "shape.json"
    path.write_text('{"sides": 3, "name": "triangle"}')
    assert read_json_model(path, Shape) == Shape(sides=3, name="triangle")

    path.write_text('{"sides": "many"}')
    with pytest.raises(DocumentError) as caught:
        read_json_model(path, Shape)
    assert [(each.path, each.found) for each in caught.value.problems] == [
        ("sides", "'many'"),
        ("name", "nothing"),
    ]
