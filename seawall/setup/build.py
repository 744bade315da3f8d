"""Builds one external program from its pins into the cache, all of it or nothing."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from seawall.cache import (
    cache_root,
    exclusive,
    machine_tag,
    make_folder,
    published,
    repository_root,
    require_space,
)
from seawall.errors import MissingProgramError
from seawall.setup.commands import run_logged
from seawall.setup.compilers import ensure_go, ensure_npm
from seawall.setup.location import find
from seawall.setup.programs import (
    ANVIL,
    TOOLS_GO,
    TOOLS_NODE,
    CopyFromModule,
    GoBuild,
    NpmInstall,
    Program,
    format_version,
)
from seawall.setup.progress import Step

if TYPE_CHECKING:
    from collections.abc import Callable

FREE_BYTES_MIN = 2 * 2**30
"""Least space to begin with.

With cold caches of Go the largest program takes about as much (modules and objects).
"""
NODE_PLATFORMS = ("linux-x86_64",)
"""Where the pinned anvil package runs; elsewhere an anvil on PATH is asked for."""
GO_PACKAGE_LINE = re.compile(r"^[a-z0-9][\w.~-]*(/[\w.~-]+)*$")
"""A line of ``go build -v`` that names a compiled package (others begin with ``go:`` or ``#``)."""


def build(program: Program, *, report: Callable[[Step], None]) -> None:
    """Build ``program`` into the cache unless it is there.

    Two clones that start together build it once.

    Raises `WorldError` or one of its kin: no space, a registry that does not answer, a compiler
    that fails (with the end of its log), a platform that the pins do not cover.
    """

    def say(line: str) -> None:
        report(Step(program=program.name, activity=line))

    if program is ANVIL and machine_tag() not in NODE_PLATFORMS:
        message = f"no {program.name} is pinned for {machine_tag()}"
        raise MissingProgramError(
            message,
            remedy=f"{program.remedy} {format_version(program.pinned)} or newer yourself, on PATH",
        )
    folder = program.folder()
    with exclusive(folder.name, waiting=lambda: say("another set-up is building it; waiting")):
        if find(program) is None:
            require_space(free_bytes_min=FREE_BYTES_MIN, purpose=f"building {program.name}")
            shutil.rmtree(folder, ignore_errors=True)
            with published(folder) as draft:
                binaries = make_folder(draft / "bin")
                for step in program.steps:
                    if isinstance(step, GoBuild):
                        _build_go(step, binaries, program=program.name, report=report)
                    elif isinstance(step, CopyFromModule):
                        _copy_from_module(step, binaries, program=program.name, say=say)
                    else:
                        _install_npm(step, binaries, program=program.name, say=say)
    report(
        Step(
            program=program.name, activity=f"{format_version(program.pinned)} built", finished=True
        )
    )


def go_environment(go: Path) -> dict[str, str]:
    """Return the variables for ``go``.

    The caller's proxy and caches, never another toolchain than the one found.
    """
    # GOFLAGS of the caller could change what is built; a workspace file above us would, too.
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""}
    if go.is_relative_to(cache_root()):
        # Who has no Go of their own gets no ~/go from us either, and can delete the cache as any
        # other folder.
        env |= {"GOMODCACHE": str(cache_root() / "go-modules"), "GOFLAGS": "-modcacherw"}
    return env


def go_step(line: str, *, program: str, compiled: int, total: int) -> tuple[Step | None, int]:
    """Read one line of ``go build -v``.

    What to show, and how many packages have been compiled by now.
    """
    if line.startswith("go: downloading "):
        return Step(program=program, activity="downloading modules"), compiled
    if GO_PACKAGE_LINE.match(line):
        compiled += 1
        return Step(
            program=program, activity="compiling packages", done=compiled, total=total
        ), compiled
    return None, compiled


def _build_go(
    step: GoBuild, binaries: Path, *, program: str, report: Callable[[Step], None]
) -> None:
    def say(line: str) -> None:
        report(Step(program=program, activity=line))

    go = ensure_go(say=say)
    module = repository_root() / TOOLS_GO / step.module
    name = step.package.rsplit("/", 1)[-1]
    flags = ["-mod=readonly", "-tags", step.tags]
    # Inside the draft, so that a compiler that is killed leaves nothing in /tmp.
    work = make_folder(binaries.parent / "work")
    env = {**go_environment(go), "GOTMPDIR": str(work)}
    say("resolving modules")
    downloads = 0

    def count(line: str) -> None:
        nonlocal downloads
        if line.startswith("go: downloading "):
            downloads += 1
            report(Step(program=program, activity="downloading modules", done=downloads))

    # How many packages are not in Go's own cache yet: the total that the bar counts to.
    stale = run_logged(
        [
            str(go),
            "list",
            *flags,
            "-deps",
            "-f",
            "{{if .Stale}}{{.ImportPath}}{{end}}",
            step.package,
        ],
        purpose=f"downloading the modules of {name}",
        log_name=f"{program}-{name}-modules",
        env=env,
        cwd=module,
        hear=count,
    )
    total = sum(1 for line in stale.splitlines() if GO_PACKAGE_LINE.match(line))
    report(Step(program=program, activity="compiling packages", done=0, total=total))
    compiled = 0

    def hear(line: str) -> None:
        nonlocal compiled
        shown, compiled = go_step(line, program=program, compiled=compiled, total=total)
        if shown is not None:
            report(shown)

    run_logged(
        [
            str(go),
            "build",
            "-v",
            "-buildvcs=false",
            *flags,
            "-ldflags",
            step.ldflags,
            "-o",
            f"{binaries}{os.sep}",
            step.package,
        ],
        purpose=f"compiling {name}",
        log_name=f"{program}-{name}-build",
        env=env,
        cwd=module,
        hear=hear,
    )
    for made, wanted in step.renamed:
        (binaries / made).rename(binaries / wanted)
    shutil.rmtree(work)


def _copy_from_module(
    step: CopyFromModule, binaries: Path, *, program: str, say: Callable[[str], None]
) -> None:
    go = ensure_go(say=say)
    found = run_logged(
        [str(go), "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", step.source_module],
        purpose=f"finding the scripts of {program}",
        log_name=f"{program}-scripts",
        env=go_environment(go),
        cwd=repository_root() / TOOLS_GO / step.module,
    )
    source = Path(found.strip().splitlines()[-1])
    for name in step.files:
        target = binaries / Path(name).name
        shutil.copyfile(source / name, target)
        target.chmod(0o755)


def _install_npm(
    step: NpmInstall, binaries: Path, *, program: str, say: Callable[[str], None]
) -> None:
    npm = ensure_npm(say=say)
    say("downloading its package")
    source = repository_root() / TOOLS_NODE
    work = make_folder(binaries.parent / "work")
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(source / name, work / name)
    run_logged(
        # Install scripts are not run: the native binary is all we take.
        [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"],
        purpose=f"downloading {program}",
        log_name=program,
        env=os.environ,
        cwd=work,
    )
    target = binaries / Path(step.executable).name
    shutil.move(work / "node_modules" / step.executable, target)
    target.chmod(0o755)
    shutil.rmtree(work)
