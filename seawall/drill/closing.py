"""What is left of a drill once its evidence is gathered: AWS's late log, the manifest, the verdict.

It takes ten seconds in a sandbox and minutes on AWS, and needs nothing of the venue. So a thread of
its own does it while the next drill begins. At most one is under way: it is over before evidence of
the next drill is gathered.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from seawall.drill.collect import LateLog, finish
from seawall.formats.run_directory import Manifest
from seawall.processes.components import NICENESS
from seawall.processes.niceness import set_process
from seawall.scorecard import Verdict, write

_ABANDONED_S_MAX = 2.0
"""How long the end of one that nobody waits for may take; it is left behind then."""


@dataclass(kw_only=True)
class Closing:
    """The end of one drill, under way from the moment that this is made.

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
    _verdict: Future[Verdict] = field(default_factory=Future)
    _abandoned: bool = False

    def __post_init__(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name=f"end of {self.drill}", daemon=True)
        self._thread.start()

    def verdict(self) -> Verdict:
        """What was judged, once it is. Raises what prevented it."""
        return self._verdict.result()

    def abandon(self) -> None:
        """Judge nothing any more, if it is not judged yet; idempotent."""
        self._abandoned = True
        self.log.abandon()
        self._thread.join(_ABANDONED_S_MAX)

    def _run(self) -> None:
        # The next drill is measured meanwhile. Linux knows a niceness of each thread.
        set_process(threading.get_native_id(), 2 * NICENESS)
        try:
            if self.log.awaited:
                # After all else was gathered, because it is late.
                self.report(f"waiting for AWS's own log of signatures of {self.drill}")
            self.log.finish(wait=self.manifest.broke is None)
            if self._abandoned:
                self._verdict.cancel()
                return
            finish(self.manifest, self.log.run_dir)
            self.report(f"judging the evidence of {self.drill}")
            verdict = write(self.log.run_dir)
            self.report(f"{verdict.outcome} {self.drill}")
            self._verdict.set_result(verdict)
        # Whoever waits for it must hear of everything: a thread has nobody to tell.
        except BaseException as error:  # noqa: BLE001
            self._verdict.set_exception(error)
