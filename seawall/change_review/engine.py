"""The Pulumi engine as a command of the kit runs it.

The real `pulumi`, once, without a question and without a change.

With a stack of the caller's own, the caller's environment holds. Where nothing in it says otherwise
and a sandbox is kept, the engine gets what ``eval "$(bin/seawall env)"`` would give.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seawall import setup
from seawall.errors import MissingProgramError, ServiceError, UsageError
from seawall.processes.environment import clean_own_process
from seawall.sandbox_program import kept_deployment, kept_environment

_RUN_S_MAX = 900
"""A large stack on a slow day; beyond it something hangs."""
_CHOSEN = ("PULUMI_BACKEND_URL", "PULUMI_STACK", "PULUMI_DEBUG_PROVIDERS")
"""A caller whose environment has one of these has said where the stack is."""
_NO_STACK = "no stack named"


@dataclass(frozen=True, kw_only=True)
class EngineRun:
    """How a run of the engine ended."""

    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, kw_only=True)
class Engine:
    """``stack`` and ``config_file``: as the engine's options of these names.

    None leaves the choice to the engine.
    """

    root: Path
    environment: Mapping[str, str]
    stack: str | None = None
    config_file: Path | None = None

    def run(self, *arguments: str) -> EngineRun:
        """Run `pulumi` with ``arguments``; how it ended, whatever that is.

        Raises :class:`UsageError` for a stack that does not exist, :class:`MissingProgramError` and
        :class:`ServiceError`.
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
            message = "pulumi is not on PATH"
            raise MissingProgramError(message, remedy="run bin/seawall doctor") from error
        except subprocess.TimeoutExpired as error:
            message = f"pulumi {arguments[0]} did not end within {_RUN_S_MAX} s"
            raise ServiceError(
                message, remedy="is the state locked, or does the provider not answer?"
            ) from error
        if done.returncode != 0 and _NO_STACK in done.stderr:
            message = done.stderr.strip().removeprefix("error: ")
            raise UsageError(message, remedy="`pulumi stack ls` lists the stacks of this backend")
        return EngineRun(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)


def engine_here(root: Path, *, stack: str | None, config_file: Path | None = None) -> Engine:
    """The engine for the stack that a command is about.

    The caller's own, or that of the kept sandbox.
    """
    environment = _environment(stack)
    environment.pop(
        "PULUMI_ENABLE_STREAMING_JSON_PREVIEW", None
    )  # one document, not a line per event
    return Engine(root=root, environment=environment, stack=stack, config_file=config_file)


def _environment(stack: str | None) -> dict[str, str]:
    found = {**os.environ, **setup.environment()}
    if any(name in os.environ for name in _CHOSEN):
        return found
    kept = kept_deployment()
    if kept is None or stack not in (None, kept.stack):
        return found
    found = kept_environment().applied_to(found)
    clean_own_process()  # whatever asks AWS beside the engine must not see the user's, either
    return found
