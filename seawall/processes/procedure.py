"""An operator's procedure behind HTTP handles: what is lost by one is restored by another.

    GET  /           200 {"state": ..., "failure": ..., "steps": [{"at": ..., "said": ...}]}
    POST /lose       204; 409 if it is lost already
    POST /restore    204 once it is whole; 503 until then: the first call begins the procedure

So a restoration is an undo that a lease can keep: whoever repeats the call until it is answered
with 204 has it done, whether or not somebody else began it. One that failed is begun again by a
later call, ``AGAIN_S`` after its end. States are ``whole``, ``losing``, ``lost`` and
``restoring``.

    python -m seawall.processes.procedure --lose COMMAND --restore COMMAND [--port N]

serves such handles on loopback for two commands of one's own; `database.control` of the deployment
file names them. Each line that a command prints is a step; one that fails ends with another status
than 0. ``--restore`` runs again after a failure, so it must be able to begin anew.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from seawall.errors import SeawallError, ServiceError, UsageError

AGAIN_S = 2.0
"""After a restoration that failed; nobody waits for less."""
State = Literal["whole", "losing", "lost", "restoring"]
Say = Callable[[str], None]
"""Records that a step has ended, in words."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of a procedure: when it ended (Unix seconds), and what it said."""

    at: float
    said: str


@dataclass(kw_only=True)
class Procedure:
    """Loses something at most once, and restores it in a thread; safe to call from several.

    Args:
        lose: Loses it for good.
        restore: Restores it; is given what records a step.

    Both raise the error tree.
    """

    lose: Callable[[], None]
    restore: Callable[[Say], None]
    wall: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic
    steps: list[Step] = field(default_factory=list)
    failure: str | None = None
    _state: State = "whole"
    _failed_at: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Condition = field(init=False)

    def __post_init__(self) -> None:
        self._ended = threading.Condition(self._lock)

    @property
    def state(self) -> State:
        """What has become of it."""
        return self._state

    def break_it(self) -> None:
        """Lose it. Raises :class:`UsageError` if it is not whole, and what ``lose`` raises."""
        with self._lock:
            if self._state != "whole":
                raise UsageError(f"it is {self._state} already")
            self._state, self.failure, self._failed_at = "losing", None, None
            self.steps.clear()
        try:
            self.lose()
            self._say("lost")
        finally:  # what is lost in part must be restored as well
            with self._lock:
                self._state = "lost"

    def mend(self) -> bool:
        """True if it is whole; else its restoration is begun, unless it is under way."""
        with self._lock:
            rested = self._failed_at is None or self.clock() - self._failed_at >= AGAIN_S
            if self._state == "lost" and rested:
                self._state = "restoring"
                threading.Thread(target=self._restore, name="restoration", daemon=True).start()
            return self._state == "whole"

    def finish(self, *, within_s: float) -> bool:
        """Restore it if it is lost, and wait for that. False if it is not whole in time."""
        give_up = self.clock() + within_s
        while not self.mend():
            left_s = give_up - self.clock()
            if left_s <= 0:
                return False
            with self._ended:
                self._ended.wait(min(left_s, AGAIN_S))
        return True

    def _restore(self) -> None:
        failure: str | None = "the procedure broke"
        try:
            self._say("the restoration begins")
            self.restore(self._say)
            failure = None
        except SeawallError as error:
            failure = str(error)
        finally:
            self._say("restored" if failure is None else f"failed: {failure}")
            with self._ended:
                self.failure = failure
                self._state = "whole" if failure is None else "lost"
                self._failed_at = None if failure is None else self.clock()
                self._ended.notify_all()

    def _say(self, what: str) -> None:
        self.steps.append(Step(at=self.wall(), said=what))

    def routes(self, prefix: str = "") -> list[Route]:
        """The handles, below ``prefix``."""

        def told(_request: Request) -> Response:
            steps = [{"at": step.at, "said": step.said} for step in self.steps]
            return JSONResponse({"state": self.state, "failure": self.failure, "steps": steps})

        def lose(_request: Request) -> Response:
            try:
                self.break_it()
            except UsageError as error:
                return JSONResponse({"error": str(error)}, status_code=409)
            except SeawallError as error:
                return JSONResponse({"error": str(error)}, status_code=500)
            return Response(status_code=204)

        def restore(_request: Request) -> Response:
            if self.mend():
                return Response(status_code=204)
            said = self.failure or (self.steps[-1].said if self.steps else "it begins")
            return JSONResponse({"error": said}, status_code=503)

        return [
            Route(f"{prefix}/", told),
            Route(f"{prefix}/lose", lose, methods=["POST"]),
            Route(f"{prefix}/restore", restore, methods=["POST"]),
        ]


def of_command(command: str) -> Callable[[Say], None]:
    """A step that runs ``command`` without a shell, and records each line that it prints.

    Raises :class:`ServiceError` if it cannot be run, or ends with another status than 0.
    """
    words = shlex.split(command)

    def run(say: Say) -> None:
        try:
            with subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process:
                for line in process.stdout or ():
                    say(line.strip())
        except OSError as error:
            raise ServiceError(f"{words[0]} cannot be run: {error.strerror}") from error
        if process.returncode != 0:
            raise ServiceError(f"{words[0]} ended with {process.returncode}")

    return run


def main() -> None:
    """Serve the handles of two commands until a signal ends it."""
    parser = argparse.ArgumentParser(description="An operator's procedure behind HTTP handles.")
    parser.add_argument("--lose", required=True, help="command that loses it for good")
    parser.add_argument("--restore", required=True, help="command that restores it")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    losing = of_command(options.lose)
    procedure = Procedure(lose=lambda: losing(_shown), restore=of_command(options.restore))
    uvicorn.run(
        Starlette(routes=procedure.routes()), host="127.0.0.1", port=options.port, log_level="info"
    )


def _shown(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
