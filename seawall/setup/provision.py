"""Makes every external program available.

What PATH or the cache has is used, the rest is built side by side.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from typing import TYPE_CHECKING

from seawall.errors import InternalError
from seawall.setup.build import build
from seawall.setup.commands import end_running_commands
from seawall.setup.location import Located, find
from seawall.setup.programs import PROGRAMS, Program, format_version
from seawall.setup.progress import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BUILDS_AT_ONCE_MAX = 2
"""One compiles while the other downloads or links.

More only fight for the cores and the memory of the linkers.
"""
STOP_INTERVAL_S = 0.1
"""How often a build that is being stopped is told again.

It may just have been between two commands.
"""


def ensure(
    programs: Sequence[Program] = PROGRAMS, report: Callable[[Step], None] = lambda _step: None
) -> dict[str, Located]:
    """Return where each executable of ``programs`` is, having built those that were missing.

    ``report`` is called from several threads. Raises the first `WorldError` that a build meets;
    the other builds are stopped (Go keeps what it
    has compiled, so the next set-up goes on from there).
    """
    missing = [program for program in programs if find(program) is None]
    for program in missing:
        report(Step(program=program.name, activity=f"will be built ({program.duration})"))
    with ThreadPoolExecutor(max_workers=BUILDS_AT_ONCE_MAX) as pool:
        builds = [pool.submit(build, program, report=report) for program in missing]
        try:
            for future in as_completed(builds):
                future.result()
        except BaseException:
            # Also on Ctrl-C: nobody waits four minutes for a compiler whose work is not wanted any
            # more.
            pool.shutdown(wait=False, cancel_futures=True)
            begun = [future for future in builds if not future.cancelled()]
            while wait(begun, timeout=STOP_INTERVAL_S).not_done:
                end_running_commands()
            raise
    found: dict[str, Located] = {}
    for program in programs:
        folder = find(program)
        if folder is None:
            message = f"{program.name} {format_version(program.pinned)} was built, but is not where it belongs"
            raise InternalError(message)
        for name in program.executables:
            found[name] = Located(
                path=folder.path / name, version=folder.version, source=folder.source
            )
    return found
