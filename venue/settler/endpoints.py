"""The way back to a network's primary endpoint, once it has served well for a while.

:class:`seawall.ethereum.rpc.AsyncRpcClient` leaves an endpoint that does not serve, and never comes
back by itself: it would stay with the standby until that fails, too, which may be smaller, dearer
or in another region. A settler therefore looks at its primary while it is away from it:

    at home --left--> away --well for ``wait_s``, at every look--> at home

One look in vain begins the wait anew. A primary that is left again soon after it was returned to
has to be well for twice as long the next time, up to a bound: going to and fro costs payouts time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from seawall.ethereum import values
from seawall.ethereum.rpc import AsyncRpcClient, RpcError
from venue.process import now_s, pause

LOOK_EVERY_S = 2.0
WAIT_S = 15.0
"""Longer than an endpoint that stands still is kept in use, so it has made a block meanwhile."""
WAIT_S_MAX = 600.0
KEPT_S_MIN = 300.0
"""An endpoint that is left sooner than that after the return to it was not well."""
BEHIND_MAX = 2
"""Blocks by which a node may be behind another one, for what it passes on takes a while."""
FINAL_BEHIND_MAX = 32
"""Blocks by which its finalized block may be: Ethereum's moves by so many at once."""
_HOME = "endpoint 1"
_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Return:
    """When to return to the primary endpoint; all times are of one monotonic clock, in seconds."""

    wait_s: float = WAIT_S
    well_since_s: float | None = None
    returned_at_s: float | None = None

    def left(self, *, at_s: float) -> None:
        """The primary was left: after a short stay, it must be well for longer next time."""
        if self.returned_at_s is None or at_s - self.returned_at_s >= KEPT_S_MIN:
            self.wait_s = WAIT_S
        else:
            self.wait_s = min(2 * self.wait_s, WAIT_S_MAX)
        self.well_since_s = self.returned_at_s = None

    def looked(self, *, well: bool, at_s: float) -> bool:
        """Whether to return now, after a look at the primary while it is not in use."""
        if not well:
            self.well_since_s = None
            return False
        if self.well_since_s is None:
            self.well_since_s = at_s
        if at_s - self.well_since_s < self.wait_s:
            return False
        self.returned_at_s = at_s
        return True


class HomingRpcClient(AsyncRpcClient):
    """A client whose first endpoint is its home, to which it can be sent back."""

    async def keep_home(self, stop: asyncio.Event) -> None:
        """Return to the first endpoint whenever it has been well for long enough, until ``stop``.

        What was read through a view of the other one stays that one's.
        """
        home = next(each for each in self._endpoints if each.name == _HOME)
        back, at_home = Return(), True

        async def is_well() -> bool:
            """Whether its chain is about as long as that of the one in use, if that answers."""
            try:
                newest, final = [await home.ask(*_block(tag)) for tag in ("latest", "finalized")]
            except RpcError:
                return False
            in_use = self._endpoints[0]
            try:
                other, other_final = [
                    await in_use.ask(*_block(tag)) for tag in ("latest", "finalized")
                ]
            except RpcError:
                return True
            return (
                newest.number + BEHIND_MAX >= other.number
                and final.number + FINAL_BEHIND_MAX >= other_final.number
            )

        while not stop.is_set():
            await pause(stop, LOOK_EVERY_S)
            if self._endpoints[0] is home:
                at_home = True
                continue
            if at_home:
                back.left(at_s=now_s())
                at_home = False
            well = await is_well()
            # It may have been put first meanwhile, because the other one failed.
            if back.looked(well=well, at_s=now_s()) and self._endpoints[0] is not home:
                self._endpoints.remove(home)
                self._endpoints.insert(0, home)
                at_home = True
                _log.warning(
                    "%s: its first endpoint has served well for %.0f s and is in use again",
                    self.network,
                    back.wait_s,
                )


def _block(tag: str) -> tuple[Callable[[object], values.BlockId], str, tuple[str, bool]]:
    return values.block_id, "eth_getBlockByNumber", (tag, False)
