"""A restored ledger opens its generation at both providers of a rail before anything is paid there.

What a lost ledger had sent may still be on its way, and whoever has it may still be alive. The way
out is what ends any instruction that is in doubt: an id that a provider has cancelled without
knowing it is used up. The steps, and why they are enough, are in ``venue/schema.sql``.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from venue.crash_points import committed, crash_point
from venue.database import Pool
from venue.rails.provider import Provider

AT_ONCE = 16
"""Ids that are asked for side by side."""
ROUND = 160
"""Ids between two readings of the statement that says they are used up."""
_STANDING = """
    select g.mark, p.generation = g.generation as open,
           exists (select 1 from rail_lines l
                   where (l.rail, l.side, l.client_id) = (p.rail, p.side, g.mark)) as marked,
           not exists (select 1 from rail_providers o
                       where o.rail = p.rail and not exists (
                           select 1 from rail_lines l
                           where (l.rail, l.side, l.client_id) = (o.rail, o.side, g.mark)))
               as all_marked,
           exists (select 1 from rail_lines l
                   where (l.rail, l.side, l.client_id) = (p.rail, 'primary', g.mark)) as readable
    from rail_providers p cross join generation_in_force g where (p.rail, p.side) = ($1, $2)"""
_USE_UP = "select ids_to_use_up($1, $2) as client_id limit $3"
_OPEN = """
    update rail_providers p set generation = g.generation from generation_in_force g
    where (p.rail, p.side) = ($1, $2) and p.generation < g.generation
      and not exists (select 1 from ids_to_use_up(p.rail, p.side))
    returning p.generation"""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """The opening of the generation in force at the providers of ``rail``."""

    pool: Pool
    rail: str

    async def ask(self, provider: Provider) -> bool:
        """Have ``provider`` use up what it still must; whether its statement may be read now.

        The primary's is read to this ledger's mark first. What the standby has accepted was given
        up by the primary before, so it has its explanation then, and not the other way round.

        Raises :class:`ServiceError` if it does not answer.
        """
        row = await self.pool.fetchrow(_STANDING, self.rail, provider.side)
        assert row is not None  # there are two of each rail, since genesis
        if row["open"]:
            return True
        if not row["marked"]:
            await _cancel(provider, row["mark"])
        elif row["all_marked"]:
            await self._use_up(provider)
        return provider.side == "primary" or bool(row["readable"])

    async def end(self, provider: Provider) -> bool:
        """Put on record that it is open at ``provider``, if nothing is left to be used up.

        Whether this has been done just now.
        """
        row = await self.pool.fetchrow(_STANDING, self.rail, provider.side)
        assert row is not None
        if row["open"] or not row["all_marked"]:
            return False
        return (
            await committed(self.pool, "open a rail", _OPEN, self.rail, provider.side) is not None
        )

    async def _use_up(self, provider: Provider) -> None:
        rows = await self.pool.fetch(_USE_UP, self.rail, provider.side, ROUND)
        room = asyncio.Semaphore(AT_ONCE)

        async def one(client_id: str) -> None:
            async with room:
                await _cancel(provider, client_id)

        answers = await asyncio.gather(
            *(one(row["client_id"]) for row in rows), return_exceptions=True
        )
        for answer in answers:
            if answer is not None:
                raise answer


async def _cancel(provider: Provider, client_id: str) -> None:
    """Ask for it; an answer that it is too late is one, too: the statement says what it is."""
    crash_point("cancel at a provider", "before")
    await provider.cancel(client_id)
    crash_point("cancel at a provider", "after")
