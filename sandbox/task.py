"""A module of another folder, run to its end.

Founding the venue, deploying its contracts, planning the flood.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.supervisor import Sandbox
from seawall.errors import ExitCode, ServiceError, UsageError
from seawall.processes.environment import inherited
from seawall.processes.failures import tail

TIMEOUT_S = 120.0


class Task:
    """``python -m <module ...>`` within the sandbox's environment, its output in
    ``logs/<name>.log``.

    As a context it is ended when the block is left, so that an interrupt never waits for it.
    """

    def __init__(
        self, sandbox: Sandbox, *, root: Path, name: str, module: Sequence[str], **env: str
    ) -> None:
        self._name = name
        self._log = sandbox.data_dir / "logs" / f"{name}.log"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", *module],
                cwd=root,
                env={**inherited(), **sandbox.environment, **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def finish(self) -> None:
        """Wait for its end. Raises :class:`UsageError` if it refused its input and
        :class:`ServiceError` if it failed otherwise.
        """
        try:
            code = self._process.wait(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            message = f"{self._name} did not end within {TIMEOUT_S:g} s"
            raise ServiceError(message) from error
        if code != 0:
            blame = UsageError if code == ExitCode.USAGE else ServiceError
            raise blame(
                f"{self._name} ended with {code}: {tail(self._log.read_text(encoding='utf-8', errors='replace'))}"
            )
