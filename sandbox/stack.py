"""The stack of a sandbox, brought up by the real `pulumi` command."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox import unprivileged
from sandbox.identities import Identity
from sandbox.stack_environment import STACK, environment
from seawall.errors import MissingProgramError, ServiceError, UsageError
from seawall.formats.documents import read_yaml
from seawall.processes.environment import inherited

_SILENCE_S_MAX = 180
"""How long the engine may print nothing.

It reports every resource and has a heartbeat besides, so beyond this it hangs.
"""
_POLL_EVERY_S = 1.0
_STOP_S_MAX = 1.0
_REPORT_EVERY = 20
_STACK_FILE = Path("infra") / "stacks" / f"Pulumi.{STACK}.yaml"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where the stack's program, state and provider are, and who deploys.

    ``principals``: ARNs of who takes on the stack's roles, as under seawall:principals; it must be
    what the stack's file trusts. ``path``: PATH with the engine and its Python language host.
    ``extra``: further variables for the engine's processes, such as the run's id.
    """

    root: Path
    data_dir: Path
    policy_path: Path
    aws_endpoint: str
    provider_port: int
    deployer: Identity
    principals: Mapping[str, Any]
    region: str
    path: str
    extra: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """The variables under which `pulumi` finds this stack.

        The engine writes its state once, at its end, also if that is a failure or a Ctrl-C: a file
        per step is most of the time of a large stack. Killed, it leaves no state; but then the
        sandbox goes with it. A shell, which keeps its sandbox, writes every step.
        """
        return {
            **self.extra,
            "PULUMI_SKIP_CHECKPOINTS": "true",
            **environment(
                root=self.root,
                data_dir=self.data_dir,
                policy_path=self.policy_path,
                aws_endpoint=self.aws_endpoint,
                provider_port=self.provider_port,
                region=self.region,
                deployer=self.deployer.environment(),
                path=self.path,
            ),
        }


def up(settings: Settings, *, report: Callable[[str], None]) -> None:
    """Create the stack if need be and run `pulumi up`; ``report`` gets a line now and then.

    Raises :class:`ServiceError` with Pulumi's diagnostics, :class:`UsageError` if the stack's file
    trusts other principals.
    """
    _refuse_other_principals(settings)
    (settings.data_dir / "pulumi").mkdir(parents=True, exist_ok=True)
    _pulumi(settings, ["stack", "select", STACK, "--create"])
    done = 0

    def count(line: str) -> None:
        nonlocal done
        if " created" in line or " updated" in line or " replaced" in line:
            done += 1
            if done % _REPORT_EVERY == 0:
                report(f"{done} resources provisioned")

    _pulumi(settings, ["up", "--yes", "--skip-preview", "--suppress-outputs"], on_line=count)
    report(f"stack is up, {done} resources made or changed")


def outputs(settings: Settings) -> Mapping[str, Any]:
    """What `pulumi stack output --json` says. Raises :class:`ServiceError`."""
    text = _pulumi(settings, ["stack", "output", "--json"])
    try:
        found: Mapping[str, Any] = json.loads(text)
    except ValueError as error:
        message = f"pulumi stack output --json is no JSON: {text[:200]}"
        raise ServiceError(message) from error
    return found


def _refuse_other_principals(settings: Settings) -> None:
    path = settings.root / _STACK_FILE
    trusted = read_yaml(path)["config"]["seawall:principals"]
    known, ours = dict(_leaves(trusted)), dict(_leaves(settings.principals))
    wrong = [f"{name}: {arn}" for name, arn in ours.items() if known.get(name) != arn]
    wrong += [f"no {name}" for name in known if name not in ours]
    if wrong:
        message = f"{_STACK_FILE} does not trust the principals of this sandbox"
        raise UsageError(message, remedy=f"write under seawall:principals: {', '.join(wrong)}")


def _leaves(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """``{"a": {"b": 1}}`` -> ``("a.b", 1)``."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def _pulumi(
    settings: Settings, arguments: Sequence[str], *, on_line: Callable[[str], None] | None = None
) -> str:
    """Run `pulumi`; its standard output.

    Raises :class:`ServiceError` with what it says went wrong.
    """
    try:
        command = [*_program(settings.path), "--non-interactive", "--color", "never", *arguments]
        process = subprocess.Popen(
            command,
            cwd=settings.root,
            env={**inherited(), **settings.environment()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if on_line else subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except FileNotFoundError as error:
        message = "pulumi is not on PATH"
        raise MissingProgramError(message, remedy="run bin/seawall doctor") from error
    with process, _watched(process) as watch:
        try:
            text, complaint = _follow(process, watch, on_line)
        except BaseException:
            _stop(process)
            raise
    if watch.timed_out:
        message = (
            f"pulumi {' '.join(arguments[:2])} said nothing for {_SILENCE_S_MAX} s and was ended"
        )
        raise ServiceError(
            message, remedy="see whether the sandbox's AWS and provider run, and run it again"
        )
    if process.returncode != 0:
        raise ServiceError(
            f"pulumi {' '.join(arguments[:2])} ended with {process.returncode}:\n"
            f"{diagnostics(text + complaint)}"
        )
    return text


def _program(path: str) -> list[str]:
    """How to start Pulumi, which looks its user up as PostgreSQL does: it refuses a nameless id."""
    if not unprivileged.is_nameless():
        return ["pulumi"]
    pulumi = shutil.which("pulumi", path=path)
    if pulumi is None:
        raise FileNotFoundError("pulumi")
    return [sys.executable, "-I", "-S", unprivileged.__file__, pulumi]


def _stop(process: subprocess.Popen[str]) -> None:
    """End the engine at once; it would wait for resources in progress, which vanish anyway."""
    process.terminate()
    try:
        process.wait(_STOP_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()


@dataclass(kw_only=True)
class _Watch:
    """When the engine last printed something (monotonic clock), and whether it was ended."""

    heard: float
    timed_out: bool = False


@contextmanager
def _watched(process: subprocess.Popen[str]) -> Iterator[_Watch]:
    """End ``process`` if it is not heard for too long."""
    watch, over = _Watch(heard=time.monotonic()), threading.Event()

    def look() -> None:
        while not over.wait(_POLL_EVERY_S):
            if time.monotonic() - watch.heard > _SILENCE_S_MAX:
                watch.timed_out = True
                _stop(process)
                return

    thread = threading.Thread(target=look, name="watchdog", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def _follow(
    process: subprocess.Popen[str], watch: _Watch, on_line: Callable[[str], None] | None
) -> tuple[str, str]:
    if on_line is None:
        return process.communicate()
    lines = []
    for line in process.stdout or ():
        watch.heard = time.monotonic()
        lines.append(line)
        on_line(line)
    process.wait()
    return "".join(lines), ""


def diagnostics(text: str) -> str:
    """The part of Pulumi's output that says what went wrong, or else its end."""
    _, found, rest = text.partition("Diagnostics:\n")
    if found:
        return rest.partition("\nResources:")[0].rstrip()
    return "\n".join(text.splitlines()[-15:])
