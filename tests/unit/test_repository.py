"""Rules for every tracked file: its length, locks without addresses, no paths of a machine."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from seawall.cache import KEY_CHARACTERS
from seawall.setup.bootstrap import PINS, environment_key
from seawall.setup.build import GO_VERSION_MIN
from seawall.setup.programs import PROGRAMS, GoBuild, format_version

ROOT = Path(__file__).resolve().parents[2]
LINES_MAX = 600
CODE = (
    "adapters",
    "benchmarks",
    "chaos",
    "infra",
    "loadtests",
    "localaws",
    "monitors",
    "sandbox",
    "seawall",
    "tests",
    "venue",
)
# A URL with a path to packages or an index, on any host; and folders of a user's machine.
REGISTRY = re.compile(
    r"https?://[\w.-]*(?:pypi|pythonhosted|npmjs|registry|goproxy|artifactory|nexus)[\w.-]*",
    re.IGNORECASE,
)
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(?:root|home/\w+|Users/\w+|work)/[\w.]")
# An expression that ends with `$` and has no flags: `$` also stands before a last line break.
LOOSE_END = re.compile(r're\.compile\(\s*[rf]*"(?:[^"\\\n]|\\.)*\$",?\s*\)')
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def tracked_texts() -> list[tuple[Path, str]]:
    texts = []
    for path in tracked_files():
        try:
            texts.append((path.relative_to(ROOT), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:  # an image
            continue
    assert texts
    return texts


def test_no_source_file_is_longer_than_a_reader_can_hold() -> None:
    found = [
        f"{path}: {text.count(chr(10))} lines"
        for path, text in tracked_texts()
        if path.suffix == ".py" and path.parts[0] in CODE and text.count("\n") > LINES_MAX
    ]
    assert not found


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        (REGISTRY, "the address of a package registry"),
        (MACHINE_PATH, "a path of somebody's machine"),
    ],
)
def test_no_tracked_file_names_where_it_was_made(pattern: re.Pattern[str], what: str) -> None:
    found = [
        f"{path}: {what}: {match.group()}"
        for path, text in tracked_texts()
        for match in pattern.finditer(text)
        if path.name != "test_repository.py"
    ]
    assert not found


def test_the_patterns_catch_what_they_are_for() -> None:
    assert REGISTRY.search("--index-url https://pypi.org/simple")
    assert MACHINE_PATH.search(f"see /{'home'}/ann/x")
    assert not MACHINE_PATH.search("${HOME}/work/x and venue/home/x")


def test_no_source_file_leaves_work_for_later() -> None:
    found = [
        f"{path}: {match.group()}"
        for path, text in tracked_texts()
        for match in UNFINISHED.finditer(text)
        if path.suffix in {".py", ".sql", ".vy", ".md", ".yaml"}
    ]
    assert not found


def test_no_expression_lets_a_last_line_break_pass() -> None:
    """What is checked against one is stored, sent or compared as it was given: use fullmatch."""
    assert LOOSE_END.search('re.compile(r"[a-z]+' + "$" + '")')
    found = [
        f"{path}: {match.group()}"
        for path, text in tracked_texts()
        for match in LOOSE_END.finditer(text)
        if path.suffix == ".py"
    ]
    assert not found


@pytest.mark.parametrize("name", ["requirements", "bootstrap", "go", "node"])
def test_every_python_pin_has_a_hash(name: str) -> None:
    text = (ROOT / "tools" / "python" / f"{name}.lock").read_text(encoding="utf-8")
    pins = re.split(r"^(?=[A-Za-z0-9._-]+==)", text, flags=re.MULTILINE)[1:]
    assert pins
    assert all("--hash=sha256:" in pin for pin in pins)


def test_every_npm_pin_has_a_hash_and_no_address() -> None:
    packages = json.loads(
        (ROOT / "tools" / "node" / "package-lock.json").read_text(encoding="utf-8")
    )["packages"]
    pins = [package for path, package in packages.items() if path]
    assert pins
    assert all("integrity" in pin and "resolved" not in pin for pin in pins)


def test_every_go_module_has_checksums_and_asks_for_the_compiler_that_set_up_looks_for() -> None:
    modules = {
        step.module for program in PROGRAMS for step in program.steps if isinstance(step, GoBuild)
    }
    assert modules == {path.name for path in (ROOT / "tools" / "go").iterdir()}
    for module in modules:
        text = (ROOT / "tools" / "go" / module / "go.mod").read_text(encoding="utf-8")
        assert f"\ngo {format_version(GO_VERSION_MIN)}\n" in text
        assert (ROOT / "tools" / "go" / module / "go.sum").stat().st_size > 0


def test_the_entry_script_and_set_up_agree_on_the_key_of_the_environment() -> None:
    """A difference would cost every command a set-up."""
    script = (ROOT / "bin" / "seawall").read_text(encoding="utf-8")
    files = re.search(r'key="\$\(cat (.*?) \| sha256sum\)"', script)
    assert files is not None
    named = [name.strip('"').removeprefix("$root/tools/python/") for name in files[1].split()]
    assert named == list(PINS)
    assert f"key:0:{KEY_CHARACTERS}" in script
    joined = b"".join((ROOT / "tools" / "python" / name).read_bytes() for name in PINS)
    assert (
        subprocess.run(["sha256sum"], input=joined, capture_output=True, check=True)
        .stdout.decode()
        .startswith(environment_key())
    )
