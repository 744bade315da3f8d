"""Run the real `pulumi` once, without questions and without changes, for review and drift.

The caller's environment says which stack is meant. If it does not and a sandbox is kept, the engine
gets the environment that ``eval "$(bin/seawall env)"`` would give.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seawall import setup
from seawall.errors import MissingProgramError, ServiceError, UsageError
from seawall.sandbox_program import kept_deployment, kept_environment

_RUN_S_MAX = 900
"""A large stack on a slow day; a run that takes longer hangs."""
_CHOSEN = ("PULUMI_BACKEND_URL", "PULUMI_STACK", "PULUMI_DEBUG_PROVIDERS")
"""Variables that say where the stack is; with one of them set, the kept sandbox is not meant."""
_NO_STACK = "no stack named"


@dataclass(frozen=True, kw_only=True)
class EngineRun:
    """How a run of `pulumi` ended."""

    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, kw_only=True)
class Engine:
    """`pulumi` in the repository ``root`` with ``environment``.

    ``stack`` and ``config_file`` are its options of these names; None leaves the choice to it.
    """

    root: Path
    environment: Mapping[str, str]
    stack: str | None = None
    config_file: Path | None = None

    def run(self, *arguments: str) -> EngineRun:
        """Run `pulumi` with ``arguments`` and return how it ended, also when it failed.

        Raises:
            UsageError: the stack does not exist.
            MissingProgramError: `pulumi` is not on PATH.
            ServiceError: it did not end in time.
        """
        command = ["pulumi", "--non-interactive", "--color", "never", *arguments]
        command += ["--stack", self.stack] if self.stack is not None else []
        command += ["--config-file", str(self.config_file)] if self.config_file is not None else []
        try:
            done = subprocess.run(
                command,
                cwd=self.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=_RUN_S_MAX,
                check=False,
            )
        except FileNotFoundError as error:
            raise MissingProgramError(
                "pulumi is not on PATH", remedy="run bin/seawall doctor"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise ServiceError(
                f"pulumi {arguments[0]} did not end within {_RUN_S_MAX} s",
                remedy="is the state locked, or does the provider not answer?",
            ) from error
        if done.returncode != 0 and _NO_STACK in done.stderr:
            raise UsageError(
                done.stderr.strip().removeprefix("error: "),
                remedy="`pulumi stack ls` lists the stacks of this backend",
            )
        return EngineRun(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)


def engine_here(root: Path, *, stack: str | None, config_file: Path | None = None) -> Engine:
    """Return the engine for the stack of a command: the caller's own, or the kept sandbox's."""
    environment = _environment(stack)
    # With this variable `preview --json` prints a line per event instead of one document.
    environment.pop("PULUMI_ENABLE_STREAMING_JSON_PREVIEW", None)
    return Engine(root=root, environment=environment, stack=stack, config_file=config_file)


def has_chosen_a_stack() -> bool:
    """Whether the caller's environment says where the stack is, so that no sandbox is meant."""
    return any(name in os.environ for name in _CHOSEN)


def _environment(stack: str | None) -> dict[str, str]:
    found = {**os.environ, **setup.environment()}
    if has_chosen_a_stack():
        return found
    kept = kept_deployment()
    if kept is None or stack not in (None, kept.stack):
        return found
    return kept_environment().applied_to(found)
