"""What providers of rails say and nothing on record explains, for the people who must decide.

Nobody can prove from here what a provider has done, so a decision takes effect when a second
operator makes the same one. It is carried out at once, by a function of the database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import asyncpg

from seawall.conventions.database import FLOW_CHANNEL, WITHDRAWAL_CHANNEL
from seawall.errors import UsageError

if TYPE_CHECKING:
    from venue.database import Connection

DisputeDecision = Literal["noted", "paid", "void", "pay"]
"""It is explained, and nothing moves; the provider has paid the withdrawal; it has not and never
will, so that it is given back; or so that it is paid anew."""
_DISPUTES = """
    select d.*, w.state as withdrawal_state,
           (select json_agg(json_build_object('decision', r.decision, 'operator', r.operator,
                                              'justification', r.justification) order by r.id)
            from rail_decisions r
            where (r.rail, r.side, r.client_id) = (d.rail, d.side, d.client_id)) as decisions
    from (select rail, side, n, client_id, withdrawal_id, state, asset, amount, destination, reason,
                 read_at as at
          from rail_unexplained
          union all
          select rail, side, null, client_id, withdrawal_id, state, asset, amount, destination,
                 refusal, recorded_at
          from rail_instructions where state = 'disputed') d
    left join withdrawals w on w.id = d.withdrawal_id
    order by d.at"""
_DECIDE = "select number, done from decide_over_rail($1, $2, $3, $4, $5, $6)"


@dataclass(frozen=True, kw_only=True)
class Dispute:
    """A line of a provider's statement, or an instruction of ours (``n`` is None).

    ``amount`` is in base units. ``decisions`` are a JSON list of what operators said of it so far.
    """

    rail: str
    side: str
    n: int | None
    client_id: str
    withdrawal_id: UUID | None
    state: str
    asset: str | None
    amount: int | None
    destination: str | None
    reason: str | None
    at: object
    withdrawal_state: str | None
    decisions: str | None


@dataclass(frozen=True, kw_only=True)
class About:
    """The id at the provider of a rail that is decided about."""

    rail: str
    side: str
    client_id: str


async def disputes(connection: Connection) -> list[Dispute]:
    """All of them, oldest first."""
    return [Dispute(**dict(row)) for row in await connection.fetch(_DISPUTES)]


async def decide_dispute(
    connection: Connection,
    about: About,
    decision: DisputeDecision,
    *,
    token: str,
    justification: str,
) -> tuple[int, bool]:
    """Decide, or confirm what another operator has decided, and carry it out.

    Args:
        connection: As the operator api, in a transaction.
        about: Which id.
        decision: What became of it.
        token: What the operator who says so has shown; the database asks whose it is.
        justification: Why; what the provider's word is, and where it is kept.

    Returns:
        The number of the record, and whether it has taken effect.

    Raises :class:`UsageError`.
    """
    if not justification.strip():
        raise UsageError("a decision needs a reason")
    try:
        row = await connection.fetchrow(
            _DECIDE,
            *(about.rail, about.side, about.client_id, decision),
            *(token, justification.strip()),
        )
    except asyncpg.RaiseError as error:
        raise UsageError(str(error)) from error
    assert row is not None  # a function answers one row
    for channel in (WITHDRAWAL_CHANNEL, FLOW_CHANNEL):
        await connection.execute("select pg_notify($1, '')", channel)
    return int(row["number"]), bool(row["done"])
