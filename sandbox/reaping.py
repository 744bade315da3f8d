"""The runner's side of the reaper: a pipe that closes when the runner ends, however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sandbox import reaper
from seawall.processes.failures import os_failure

END_TIMEOUT_S = 10.0


class Watch:
    """A reaper at work for ``run_id``.

    Its process carries nothing of the run and outlives the runner by seconds.
    """

    def __init__(self, run_id: str, data_dir: Path) -> None:
        """Start it. Raises :class:`WorldError`."""
        read_end, self._write_end = (
            os.pipe()
        )  # not inheritable (PEP 446): only this process holds the write end
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(reaper.__file__),
                    run_id,
                    str(data_dir),
                    str(os.getpid()),
                ],
                stdin=read_end,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            os.close(self._write_end)
            raise os_failure("the reaper cannot be started", error) from error
        finally:
            os.close(read_end)

    def end(self) -> None:
        """Let it reap what is left and wait until it has ended."""
        os.close(self._write_end)
        self._process.wait(END_TIMEOUT_S)
