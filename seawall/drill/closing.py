"""What is left of a drill once its evidence is gathered: AWS's late log, and the verdict.

The log comes after ten seconds in a sandbox and after minutes from AWS, and nothing is asked of the
venue for it. So a thread waits for it while the next drill begins; the verdict is made afterwards,
by whoever asks for it. The manifest is written before, so that a drill whose runner is interrupted
meanwhile can still be judged from its files.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from seawall.drill.collect import LateLog, finish
from seawall.formats.run_directory import Manifest
from seawall.scorecard import Verdict, write

_ABANDONED_S_MAX = 1.0
"""How long the end of one that nobody waits for may take; it is left behind then."""


@dataclass(kw_only=True)
class Closing:
    """The end of one drill.

    Attributes:
        drill: Its name.
        log: AWS's own log, begun with the drill.
        manifest: Of the run, complete but for its end and its files.
        report: Gets lines for people.
    """

    drill: str
    log: LateLog
    manifest: Manifest
    report: Callable[[str], None]
    _error: BaseException | None = None
    _abandoned: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def begin(self) -> None:
        """Write the manifest, and wait for the log beside whatever comes next."""
        finish(self.manifest, self.log.run_dir)
        if self.log.awaited:
            # After all else was gathered, because it is late.
            self.report(f"waiting for AWS's own log of signatures of {self.drill}")
            self._thread = threading.Thread(
                target=self._await_log, name=f"end of {self.drill}", daemon=True
            )
            self._thread.start()

    def wait(self) -> None:
        """Return once the log is there, or will not come."""
        if self._thread is not None:
            self._thread.join()

    def verdict(self) -> Verdict:
        """Judge it, once the log is there. Raises what prevented it."""
        self.wait()
        if self._error is not None:
            raise self._error
        self.report(f"judging the evidence of {self.drill}")
        verdict = write(self.log.run_dir)
        self.report(f"{verdict.outcome} {self.drill}")
        return verdict

    def abandon(self) -> None:
        """Wait for the log no more. What is there can be judged later; idempotent."""
        self._abandoned.set()
        self.log.abandon()
        if self._thread is not None:
            with suppress(RuntimeError):  # an interruption may come before it is started
                self._thread.join(_ABANDONED_S_MAX)

    def _await_log(self) -> None:
        try:
            self.log.finish(wait=self.manifest.broke is None)
            if not self._abandoned.is_set():
                finish(self.manifest, self.log.run_dir)  # now with the log
        # Whoever asks for the verdict must hear of everything: a thread has nobody to tell.
        except BaseException as error:  # noqa: BLE001
            self._error = error
