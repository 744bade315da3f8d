"""The mode controller's lease: one row that says who decides, and its heartbeat.

Several mode controllers may run. One holds the lease, decides and renews it; the others take it
once the holder has been silent for :data:`TAKEN_AFTER_MS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seawall.controls.heartbeat import TAKEN_AFTER_MS
from seawall.errors import ServiceError

if TYPE_CHECKING:
    from venue.database import Connection

# The server's clock decides, so no clock of a mode controller matters. A time in the future is
# from before a step of that clock, and says nothing of the holder. Taking the lease renews nothing:
# who takes it again and again, and never decides, must not look alive. The first one takes it with
# a heartbeat of long ago.
_TAKE = """
    insert into mode_controller_lease as lease (holder, renewed_at) values ($1, 'epoch')
    on conflict (only_row) do update
    set holder = excluded.holder,
        taken_at = case lease.holder when $1 then lease.taken_at else clock_timestamp() end
    where lease.holder = $1
       or not clock_timestamp() - greatest(lease.renewed_at, lease.taken_at)
              between interval '0' and $2 * interval '1 ms'
    returning true"""
_RENEW = """
    update mode_controller_lease set renewed_at = clock_timestamp() where holder = $1
    returning true"""
_HOLD = "select true from mode_controller_lease where holder = $1 for no key update"


class LeaseLostError(ServiceError):
    """Another mode controller holds the lease by now."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The lease as ``holder`` sees it; every process has a name that no other ever had."""

    holder: str

    async def take(self, connection: Connection) -> bool:
        """Take it, if it is ours already or its holder is silent; whether we hold it."""
        return bool(await connection.fetchval(_TAKE, self.holder, TAKEN_AFTER_MS))

    async def renew(self, connection: Connection) -> None:
        """Say that we are alive. Raises :class:`LeaseLostError`."""
        self._require(await connection.fetchval(_RENEW, self.holder))

    async def hold(self, connection: Connection) -> None:
        """Keep it until the end of the transaction. Raises :class:`LeaseLostError`."""
        self._require(await connection.fetchval(_HOLD, self.holder))

    def _require(self, found: object) -> None:
        if not found:
            raise LeaseLostError(f"{self.holder} does not hold the lease any more")
