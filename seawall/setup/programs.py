"""The external programs: which releases may be used, how the pinned one is built, and where it is.

A program on PATH may be used when it is not older than the pin and of the same major release: those
are what the drills have been run with. Otherwise the cache's is used. Sources: the release names
are those of the projects; module versions are in ``tools/`` (Prometheus numbers its Go module
0.311.0 for release 3.11.0).
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seawall.cache import cache_root, digest_of, machine_tag, repository_root
from seawall.errors import MissingProgramError

Version = tuple[int, int, int]

VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
TOOLS_GO = "tools/go"
TOOLS_NODE = "tools/node"
VERSION_TIMEOUT_S = 10.0
"""A program that takes longer to print its version is too slow to drill with."""
PROMETHEUS_VERSION_SYMBOL = "github.com/prometheus/common/version.Version"


@dataclass(frozen=True, kw_only=True)
class GoBuild:
    """One ``go build`` of a package of a ``tools/go`` module.

    ``renamed`` has pairs of the name that go gives to an executable and the name that it gets here.
    A package that begins with ``./`` is this repository's own source within that module.
    """

    module: str
    package: str
    ldflags: str = "-s -w"
    tags: str = ""
    renamed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class NpmInstall:
    """An ``npm ci`` of ``tools/node``.

    ``executable`` is the native binary inside ``node_modules``.
    """

    executable: str


@dataclass(frozen=True, kw_only=True)
class CopyFromModule:
    """A copy of scripts from a Go module, in the version that the build resolved."""

    module: str
    source_module: str
    files: tuple[str, ...]


BuildStep = GoBuild | NpmInstall | CopyFromModule


@dataclass(frozen=True, kw_only=True)
class Program:
    """An external program: its executables, its pinned release, and the steps that build it."""

    name: str
    executables: tuple[str, ...]
    pinned: Version
    version_arguments: tuple[str, ...]
    steps: tuple[BuildStep, ...]
    duration: str
    remedy: str

    def accepts(self, version: Version) -> bool:
        """Return whether a release found on PATH may be used instead of the pinned one."""
        return version >= self.pinned and version[0] == self.pinned[0]

    def key(self) -> str:
        """Return the digest of all that decides what is built: pins, flags, platform."""
        parts = [repr(self.steps).encode(), machine_tag().encode()]
        for folder, names in self.pin_files():
            parts += [(repository_root() / folder / name).read_bytes() for name in names]
        return digest_of(*parts)

    def folder(self) -> Path:
        """Return the folder in the cache where the build of these pins is, or will be."""
        return cache_root() / "programs" / f"{self.name}-{format_version(self.pinned)}-{self.key()}"

    def pin_files(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return the files that decide what is built, as (folder of the repository, file names)."""
        modules = sorted({step.module for step in self.steps if not isinstance(step, NpmInstall)})
        files: list[tuple[str, tuple[str, ...]]] = [
            (f"{TOOLS_GO}/{name}", ("go.mod", "go.sum")) for name in modules
        ]
        for step in self.steps:
            if isinstance(step, GoBuild) and step.package.startswith("./"):
                folder = f"{TOOLS_GO}/{step.module}/{step.package.removeprefix('./')}"
                files.append(
                    (
                        folder,
                        tuple(
                            sorted(each.name for each in (repository_root() / folder).glob("*.go"))
                        ),
                    )
                )
        if any(isinstance(step, NpmInstall) for step in self.steps):
            files.append((TOOLS_NODE, ("package.json", "package-lock.json")))
        return files


def format_version(version: Version) -> str:
    """Write a release the way its project does: ``3.258.0``."""
    return ".".join(str(number) for number in version)


def parse_version(text: str) -> Version | None:
    """Read the first release number in ``text``; None if there is none."""
    match = VERSION.search(text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def _prometheus_build(module: str, package: str, release: str, *, tags: str) -> GoBuild:
    return GoBuild(
        module=module,
        package=package,
        tags=tags,
        # Without it the binaries report an empty version, and doctor could not tell releases apart.
        ldflags=f"-s -w -X {PROMETHEUS_VERSION_SYMBOL}={release}",
    )


PULUMI = Program(
    name="pulumi",
    # The engine is of no use without the host that runs our program; both must come from one place.
    executables=(
        "pulumi",
        "pulumi-language-python",
        "pulumi-language-python-exec",
        "pulumi-resource-pulumi-python",
    ),
    pinned=(3, 258, 0),
    version_arguments=("version",),
    steps=(
        GoBuild(
            module="pulumi",
            package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
            ldflags="-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v3.258.0",
        ),
        GoBuild(
            module="pulumi-language-python",
            package="github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python",
            renamed=(("pulumi-language-python", "pulumi-language-python-host"),),
        ),
        # In front of that host, which is older than the engine: it writes the programs that `pulumi
        # import` asks for.
        GoBuild(
            module="pulumi", package="./language", renamed=(("language", "pulumi-language-python"),)
        ),
        CopyFromModule(
            module="pulumi",
            source_module="github.com/pulumi/pulumi/sdk/v3",
            files=(
                "python/cmd/pulumi-language-python-exec",
                "python/dist/pulumi-resource-pulumi-python",
            ),
        ),
    ),
    duration="about 4 minutes on two cores",
    remedy="install Pulumi with its Python language host",
)

PROMETHEUS = Program(
    name="prometheus",
    executables=("prometheus", "promtool"),
    pinned=(3, 11, 0),
    version_arguments=("--version",),
    steps=tuple(
        _prometheus_build(
            "prometheus",
            f"github.com/prometheus/prometheus/cmd/{name}",
            "3.11.0",
            # without the cloud discoveries: half the size and time
            tags="netgo,remove_all_sd,enable_file_sd",
        )
        for name in ("prometheus", "promtool")
    ),
    duration="about 4 minutes on two cores",
    remedy="install Prometheus with promtool",
)

ALERTMANAGER = Program(
    name="alertmanager",
    executables=("alertmanager", "amtool"),
    pinned=(0, 31, 0),
    version_arguments=("--version",),
    steps=tuple(
        _prometheus_build(
            "alertmanager", f"github.com/prometheus/alertmanager/cmd/{name}", "0.31.0", tags="netgo"
        )
        for name in ("alertmanager", "amtool")
    ),
    duration="about half a minute on two cores",
    remedy="install Alertmanager with amtool",
)

TOXIPROXY = Program(
    name="toxiproxy",
    executables=("toxiproxy-server",),
    pinned=(2, 12, 0),
    version_arguments=("-version",),
    steps=(
        GoBuild(
            module="toxiproxy",
            package="github.com/Shopify/toxiproxy/v2/cmd/server",
            ldflags="-s -w -X github.com/Shopify/toxiproxy/v2.Version=2.12.0",
            renamed=(("server", "toxiproxy-server"),),
        ),
    ),
    duration="a few seconds",
    remedy="install toxiproxy-server",
)

ANVIL = Program(
    name="anvil",
    executables=("anvil",),
    pinned=(1, 7, 1),
    version_arguments=("--version",),
    # The platform's own package: the umbrella package adds only a Node launcher between us and the
    # process.
    steps=(NpmInstall(executable="@foundry-rs/anvil-linux-amd64/bin/anvil"),),
    duration="a few seconds",
    remedy="install Foundry's anvil",
)

PROGRAMS = (PULUMI, PROMETHEUS, ALERTMANAGER, TOXIPROXY, ANVIL)
"""Longest build first, so that the short ones fill the second place beside the long ones."""


def program_of(executable: str) -> Program:
    """Return the program that ``executable`` belongs to; raise `KeyError` for an unknown name."""
    for program in PROGRAMS:
        if executable in program.executables or executable == program.name:
            return program
    raise KeyError(executable)


@dataclass(frozen=True, kw_only=True)
class Located:
    """An executable that may be used: where it is, and its release."""

    path: Path
    version: Version
    source: Literal["path", "cache"]


def locate(executable: str) -> Located:
    """Return where ``executable`` is.

    Raises `MissingProgramError` if neither PATH nor the cache has a release that may be used.
    """
    program = program_of(executable)
    found = find(program)
    if found is None:
        release = format_version(program.pinned)
        raise MissingProgramError(
            f"{executable} {release} or newer is neither on PATH nor in {cache_root()}",
            remedy=f"{program.remedy}, or let `make test` or a game day build it",
        )
    return Located(path=found.path / executable, version=found.version, source=found.source)


def find(program: Program) -> Located | None:
    """Return the folder that holds all executables of ``program``, or None."""
    folder = _on_path(program)
    if folder is not None:
        return folder
    binaries = program.folder() / "bin"
    if all(os.access(binaries / name, os.X_OK) for name in program.executables):
        return Located(path=binaries, version=program.pinned, source="cache")
    return None


def version_of(binary: Path, arguments: tuple[str, ...]) -> Version | None:
    """Ask ``binary`` for its release; None if it does not start, hangs, fails or prints none."""
    # No update check: asking for a version must not use the network.
    env = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        answer = subprocess.run(
            [str(binary), *arguments],
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_S,
            check=True,
            env=env,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_version(answer.stdout) or parse_version(answer.stderr)


def _on_path(program: Program) -> Located | None:
    for entry in os.get_exec_path():
        folder = Path(entry)
        # `environment` puts the cache on PATH. What is found there counts as the cache's: it may be
        # of older pins.
        if not entry or folder.is_relative_to(cache_root()):
            continue
        if not all(os.access(folder / name, os.X_OK) for name in program.executables):
            continue
        version = version_of(folder / program.executables[0], program.version_arguments)
        if version is not None and program.accepts(version):
            return Located(path=folder, version=version, source="path")
    return None
