"""One stack brought up, updated without a change, refreshed and destroyed by the real engine.

Each phase is timed and its processes are metered.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import ENGINE, Harness, running_harness
from benchmarks.meter import Meter, Speed, Usage, speed
from benchmarks.sizes import ROOT, Size
from sandbox import stack
from sandbox.stack_environment import STACK
from seawall.errors import ServiceError
from seawall.policy_file import load_policy

_HURRY = ("--yes", "--skip-preview", "--suppress-outputs")
PHASES = {
    "up": ("up", *_HURRY),
    "unchanged": ("up", *_HURRY, "--expect-no-changes"),
    "refresh": ("refresh", *_HURRY, "--expect-no-changes"),
    "destroy": ("destroy", *_HURRY),
}
"""What is done to a stack, in this order.

The engine itself says whether something changed that must not.
"""
_S_MAX = 900


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One phase; ``complaint`` is the engine's message if it failed, else empty.

    The time of a phase that failed is not worth comparing.
    """

    name: str
    seconds: float
    total: Usage
    parts: dict[str, Usage]
    complaint: str = ""


@dataclass(frozen=True, kw_only=True)
class StackRun:
    """What a stack of ``wallets`` signing wallets took.

    Args:
        resources: AWS resources once it is up, without components and providers.
        speeds: of the machine, before the first phase and after each.
    """

    name: str
    wallets: int
    resources: int
    phases: tuple[Phase, ...]
    speeds: tuple[Speed, ...]

    def seconds(self, phase: str) -> float | None:
        """Wall time of ``phase``; None if it failed."""
        return next(
            (each.seconds for each in self.phases if each.name == phase and not each.complaint),
            None,
        )

    @property
    def crowding(self) -> float:
        """How many programs wanted each core, on average.

        Seconds divided by it are what an idle machine of this speed would need at best.
        """
        return sum(speed.crowding for speed in self.speeds) / len(self.speeds)


def run_stack(name: str, size: Size, *, folder: Path, report: Callable[[str], None]) -> StackRun:
    """Run all phases on a new harness whose data is in ``folder``.

    Raises :class:`ServiceError` if the stack does not come up.
    """
    phases, resources = [], 0
    with running_harness(size, folder=folder) as harness:
        _engine(harness, ("stack", "init", STACK))
        speeds = [speed()]
        for phase, arguments in PHASES.items():
            done = _phase(harness, phase, arguments)
            speeds.append(speed())
            phases.append(done)
            report(f"{name}: {phase} {done.seconds:.1f} s{', FAILED' if done.complaint else ''}")
            if phase == "up":
                if done.complaint:
                    raise ServiceError(
                        f"the stack of {name} did not come up:"
                        f"\n{done.complaint}\n{harness.complaints}"
                    )
                resources = _resources(harness)
    wallets = len(load_policy(size.policy_path).signing_wallets())
    return StackRun(
        name=name, wallets=wallets, resources=resources, phases=tuple(phases), speeds=tuple(speeds)
    )


def _phase(harness: Harness, name: str, arguments: tuple[str, ...]) -> Phase:
    began = time.perf_counter()
    process = _started(harness, arguments)
    with Meter(roots={**harness.pids, ENGINE: process.pid}) as meter:
        said = _ended(process)
    seconds = time.perf_counter() - began
    complaint = "" if process.returncode == 0 else stack.diagnostics(said)
    return Phase(
        name=name, seconds=seconds, total=meter.total, parts=meter.parts, complaint=complaint
    )


def _engine(harness: Harness, arguments: tuple[str, ...]) -> None:
    process = _started(harness, arguments)
    said = _ended(process)
    if process.returncode != 0:
        raise ServiceError(
            f"pulumi {' '.join(arguments)} ended with {process.returncode}:"
            f"\n{stack.diagnostics(said)}"
        )


def _started(harness: Harness, arguments: tuple[str, ...]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["pulumi", "--non-interactive", "--color", "never", *arguments],
        cwd=ROOT,
        env=dict(harness.variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _ended(process: subprocess.Popen[str]) -> str:
    try:
        said, _ = process.communicate(timeout=_S_MAX)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise ServiceError(f"pulumi did not end within {_S_MAX} s") from error
    return said


def _resources(harness: Harness) -> int:
    recorded = json.loads(harness.state_path.read_text(encoding="utf-8"))["checkpoint"][
        "latest"
    ].get("resources", [])
    return sum(
        1 for each in recorded if each.get("custom") and not each["type"].startswith("pulumi:")
    )
