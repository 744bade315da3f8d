"""Shows the progress of a drill: a live panel on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from seawall.formats.venue_records import VenueState

_TIER_STYLES = {"normal": "green", "stressed": "yellow", "protected": "bold red"}
_PLAIN_EVERY_S = 5.0


class Display:
    """Lines of progress, and the state of the venue below them when there is a terminal.

    Everything goes to standard error, so that standard output carries only the result (``--json``).
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, console: Console | None = None
    ) -> None:
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._clock = clock
        self._started = clock()
        self._state: VenueState | None = None
        self._offered_per_s = 0.0
        self._phase = ""
        self._live: Live | None = None
        self._last_plain = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                console=self._console,
                get_renderable=self._panel,
                refresh_per_second=4,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def line(self, text: str) -> None:
        """One thing that happened."""
        # With a live panel the line scrolls by above it and stays: what went wrong must be there
        # afterwards.
        self._console.print(
            f"{self._clock() - self._started:6.1f} s  {text}", markup=False, soft_wrap=True
        )

    def phase(self, text: str) -> None:
        """What the drill is doing from now on."""
        self._phase = text
        self.line(text)

    def state(self, state: VenueState, *, offered_per_s: float) -> None:
        """The venue as it is now; without a terminal it is printed every fifth second."""
        self._state, self._offered_per_s = state, offered_per_s
        if self._live is None and self._clock() - self._last_plain >= _PLAIN_EVERY_S:
            self._last_plain = self._clock()
            self.line(", ".join([*_told(state), f"{offered_per_s:.0f} requests/s offered"]))

    def _panel(self) -> Group:
        body: list[Text | Table] = []
        if self._state is not None:
            table = Table.grid(padding=(0, 3))
            state = self._state
            tier, *more = _told(state)
            table.add_row(
                Text(tier, style=_TIER_STYLES.get(state.tier, "")),
                *more,
                f"{self._offered_per_s:.0f} requests/s",
            )
            body.append(table)
        body.append(
            Text(f"{self._clock() - self._started:6.1f} s  {self._phase} ...", style="bold")
        )
        return Group(*body)


def _told(state: VenueState) -> list[str]:
    """What the venue says of itself, the tier first."""
    said = [f"tier {state.tier}"]
    if state.open_withdrawals is not None:
        oldest = "" if state.oldest_s is None else f" (oldest {state.oldest_s:.1f} s)"
        said.append(f"{state.open_withdrawals} withdrawals open{oldest}")
    if state.posted is not None:
        said.append(f"{state.posted} posted")
    if state.signing_region is not None:
        said.append(f"signing in {state.signing_region}")
    return said
