"""The lease of a network's settler: one settles, others wait until it is silent.

Fencing alone keeps two settlers from doing harm, but each would take the lanes from the other again
as soon as it is started again, and little would be paid.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from venue.crash_points import crash_point
from venue.database import Pool
from venue.process import pause
from venue.settler.lanes import LaneLostError

BEAT_EVERY_S = 0.3
"""How often the holder renews its lease."""
SILENT_AFTER_MS = 1_500
"""A holder that has not renewed its lease for so long may be replaced."""

# The server's clock decides. A time in the future is from before a step of that clock.
_TAKE = """
    insert into settler_leases as lease (network, holder) values ($1, $2)
    on conflict (network) do update
    set holder = excluded.holder, renewed_at = clock_timestamp()
    where lease.holder = $2
       or not clock_timestamp() - lease.renewed_at between interval '0' and $3 * interval '1 ms'
    returning true"""
_RENEW = """
    update settler_leases set renewed_at = clock_timestamp() where (network, holder) = ($1, $2)
    returning true"""
_LEAVE = "delete from settler_leases where (network, holder) = ($1, $2)"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SettlerLease:
    """The lease of ``network`` as ``holder`` sees it, a name that no other process has."""

    pool: Pool
    network: str
    holder: str

    async def take(self, stop: asyncio.Event) -> bool:
        """Wait until it is ours; False if ``stop`` was set before."""
        said = False
        while not stop.is_set():
            crash_point("take the lease", "before")
            if await self.pool.fetchval(_TAKE, self.network, self.holder, SILENT_AFTER_MS):
                crash_point("take the lease", "after")
                return True
            if not said:
                _log.info("another settler of %s is alive; waiting", self.network)
                said = True
            await pause(stop, BEAT_EVERY_S)
        return False

    async def renew(self, stop: asyncio.Event) -> None:
        """Renew it until ``stop``. Raises :class:`LaneLostError` if another has taken it."""
        while not stop.is_set():
            crash_point("renew the lease", "before")
            if not await self.pool.fetchval(_RENEW, self.network, self.holder):
                raise LaneLostError(f"another settler of {self.network} has taken over")
            crash_point("renew the lease", "after")
            await pause(stop, BEAT_EVERY_S)

    async def leave(self) -> None:
        """Let the next one take it at once."""
        crash_point("leave the lease", "before")
        await self.pool.execute(_LEAVE, self.network, self.holder)
        crash_point("leave the lease", "after")
