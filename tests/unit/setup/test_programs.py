"""A program on PATH is used if new enough, else the cache's; the key covers every pin and flag."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from seawall.errors import MissingProgramError
from seawall.setup import Located, locate
from seawall.setup.doctor import examine
from seawall.setup.programs import (
    PROGRAMS,
    PULUMI,
    TOXIPROXY,
    GoBuild,
    Version,
    parse_version,
    program_of,
)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "bin"), "/usr/bin", "/bin"]))
    return tmp_path / "cache" / "seawall"


def put(folder: Path, name: str, prints: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / name
    script.write_text(f"#!/bin/sh\necho '{prints}'\n")
    script.chmod(0o755)
    return script


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v3.258.0", (3, 258, 0)),
        ("prometheus, version 3.11.0 (branch: HEAD)", (3, 11, 0)),
        ("toxiproxy-server version 2.12.0", (2, 12, 0)),
        ("anvil Version: 1.7.1-v1.7.1", (1, 7, 1)),
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("postgres (PostgreSQL) 18.4", (18, 4, 0)),
        ("prometheus, version  (branch: )", None),
    ],
)
def test_releases_are_read_from_what_programs_print(text: str, version: Version | None) -> None:
    assert parse_version(text) == version


def test_a_program_on_path_is_used_when_it_is_not_older_than_the_pin(
    tmp_path: Path, own_cache: Path
) -> None:
    put(TOXIPROXY.folder() / "bin", "toxiproxy-server", "unused")
    binary = put(tmp_path / "bin", "toxiproxy-server", "toxiproxy-server version 2.13.1")
    assert locate("toxiproxy-server") == Located(path=binary, version=(2, 13, 1), source="path")
    assert own_cache in TOXIPROXY.folder().parents


@pytest.mark.parametrize("prints", ["version 2.11.9", "version 3.0.0", "no release"])
def test_an_older_or_unproven_release_on_path_gives_way_to_the_cache(
    prints: str, tmp_path: Path
) -> None:
    put(tmp_path / "bin", "toxiproxy-server", prints)
    cached = put(TOXIPROXY.folder() / "bin", "toxiproxy-server", "unused")
    assert locate("toxiproxy-server") == Located(path=cached, version=(2, 12, 0), source="cache")


def test_a_pulumi_without_its_python_host_does_not_count(tmp_path: Path) -> None:
    put(tmp_path / "bin", "pulumi", "v3.258.0")
    with pytest.raises(
        MissingProgramError, match=r"^pulumi 3\.258\.0 or newer is neither on PATH nor in"
    ):
        locate("pulumi")
    for name in PULUMI.executables[1:]:
        put(tmp_path / "bin", name, "")
    assert locate("pulumi-language-python").source == "path"


def test_the_cache_stays_the_cache_when_the_environment_puts_it_on_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = TOXIPROXY.folder() / "bin"
    put(folder, "toxiproxy-server", "version 2.12.0")
    monkeypatch.setenv("PATH", str(folder))
    assert locate("toxiproxy-server").source == "cache"


def test_the_key_changes_with_a_flag() -> None:
    (step,) = TOXIPROXY.steps
    assert isinstance(step, GoBuild)
    other = dataclasses.replace(TOXIPROXY, steps=(dataclasses.replace(step, tags="x"),))
    assert other.key() != TOXIPROXY.key()


def test_the_key_covers_source_of_this_repository() -> None:
    """The language host in front of the published one."""
    assert ("tools/go/pulumi/language", ("main.go",)) in PULUMI.pin_files()


def test_every_executable_belongs_to_one_program() -> None:
    names = [name for program in PROGRAMS for name in program.executables]
    assert len(names) == len(set(names))
    assert all(name in program_of(name).executables for name in names)


def test_the_doctor_has_a_remedy_for_each_missing_program(tmp_path: Path) -> None:
    put(tmp_path / "bin", "promtool", "promtool, version 2.53.0")
    put(tmp_path / "bin", "prometheus", "prometheus, version 2.53.0")
    parts = {part.name: part for part in examine()}
    prometheus, anvil = parts["prometheus"], parts["anvil"]
    assert not prometheus.ok
    assert "is 2.53.0, but 3.11.0 is needed" in prometheus.remedy
    assert not anvil.ok
    assert "install Foundry's anvil" in anvil.remedy
    assert parts["python"].ok
