"""What a part of the sandbox is, and what all parts are configured from."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.ports import Ports
from sandbox.providers import ProviderCredentials
from seawall.errors import MissingProgramError, ServiceError
from seawall.policy import Policy
from seawall.processes.failures import explain, os_failure, tail
from seawall.processes.readiness import Ready

ROOT = Path(__file__).resolve().parents[2]
READY_TIMEOUT_S = 30.0
RENDER_TIMEOUT_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Part:
    """How one component is started: prepare its files, run ``argv``, wait until ``ready`` holds."""

    name: str
    argv: tuple[str | Path, ...]
    ready: Ready
    prepare: Callable[[], None] | None = None
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Context:
    """What the parts of one sandbox are configured from.

    The policy, the data directory, a port per name, the external programs, what the venue shows the
    providers of rails.
    """

    policy: Policy
    policy_path: Path
    data_dir: Path
    programs: Mapping[str, Path]
    env: Mapping[str, str]
    providers: Mapping[str, ProviderCredentials] = field(default_factory=dict)
    ports: Ports = field(default_factory=Ports)
    _rules_lock: threading.Lock = field(default_factory=threading.Lock)
    _rules: Path | None = None

    def program(self, name: str) -> Path:
        """Path of an external program. Raises :class:`MissingProgramError`."""
        path = self.programs.get(name)
        if path is None or not os.access(path, os.X_OK):
            message = f"{name} is {'not given' if path is None else f'not at {path}'}"
            raise MissingProgramError(message, remedy="run `seawall doctor`")
        return path

    def module(self, name: str, *arguments: str) -> tuple[str, ...]:
        """Command line of a Python module of the kit."""
        return (sys.executable, "-P", "-m", name, *arguments)

    def folder(self, name: str) -> Path:
        """A folder of its own in the data directory, made if need be.

        Raises :class:`WorldError`.
        """
        path = self.data_dir / name
        try:
            path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise os_failure(f"{path} cannot be made", error) from error
        return path

    def rules(self) -> Path:
        """Folder with the alert rules and routing of this very policy, rendered once.

        Raises :class:`ServiceError`.
        """
        with self._rules_lock:
            if self._rules is None:
                folder = self.folder("monitors")
                run(
                    "the alert rules cannot be rendered",
                    self.module(
                        "monitors.render", "--policy", str(self.policy_path), "--out", str(folder)
                    ),
                    env=self.env,
                    timeout_s=RENDER_TIMEOUT_S,
                )
                self._rules = folder
            return self._rules


def run(
    what_fails: str, argv: tuple[str | Path, ...], *, env: Mapping[str, str], timeout_s: float
) -> None:
    """Run a short program to its end.

    Raises :class:`ServiceError` that begins with ``what_fails``, or a closer error.
    """
    try:
        done = subprocess.run(
            [str(word) for word in argv],
            env=dict(env),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
    except OSError as error:
        raise os_failure(what_fails, error) from error
    except subprocess.TimeoutExpired as error:
        message = f"{what_fails}: no end within {timeout_s:g} s"
        raise ServiceError(message) from error
    if done.returncode != 0:
        raise explain(
            what_fails,
            said=tail(done.stdout + done.stderr),
            remedy=f"exit code {done.returncode} of {argv[0]}",
        )
