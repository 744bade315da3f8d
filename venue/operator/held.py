"""Held withdrawals, for the people who must decide: which there are, and what is to become of them.

Nothing moves here. A decision is a row with who made it and why; the settler cancels the number of
the withdrawal on the chain first, and carries the decision out once that is final.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import asyncpg

from seawall.conventions.database import WITHDRAWAL_CHANNEL
from seawall.errors import UsageError

if TYPE_CHECKING:
    from venue.database import Connection

Decision = Literal["void", "pay"]
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")

_HELD = """
    select w.id, w.network, w.asset, w.amount,
           coalesce(w.paid_to, w.destination) as destination, w.held_because, w.reason,
           extract(epoch from clock_timestamp() - w.requested_at)::float8 as age_s,
           coalesce(s.mined_hash, s.tx_hash) as tx_hash, r.state as resolution, r.decision,
           r.actor, r.found
    from withdrawals w
    join slots s on s.id = w.slot_id
    left join lateral (select * from resolutions r where r.withdrawal_id = w.id
                       order by r.id desc limit 1) r on true
    where w.state = 'unknown' order by w.requested_at"""
_FIND = "select seq, state from withdrawals where id = $1"
_OWN = """
    select $1 = '0x' || repeat('0', 40)
        or exists (select 1 from lanes where address = $1)
        or exists (select 1 from slots where to_address = $1)"""
_OPEN = """
    select decision, actor from resolutions
    where withdrawal_id = $1 and state in ('requested', 'slotted')"""
_DECIDE = """
    insert into resolutions (withdrawal_id, seq, decision, destination, actor, justification)
    values ($1, $2, $3, $4, $5, $6) on conflict do nothing returning id"""


@dataclass(frozen=True, kw_only=True)
class Held:
    """A withdrawal that waits for a person; ``amount`` in base units.

    ``tx_hash`` is of the transaction that was to pay it. ``resolution`` is the state of the last
    decision about it, None if nobody has decided yet; ``found`` is what kept it from being done.
    """

    id: UUID
    network: str
    asset: str
    amount: int
    destination: str
    held_because: str
    reason: str
    age_s: float
    tx_hash: str
    resolution: str | None
    decision: str | None
    actor: str | None
    found: str | None


async def held(connection: Connection) -> list[Held]:
    """All that are held, oldest first."""
    return [Held(**dict(row)) for row in await connection.fetch(_HELD)]


async def decide(
    connection: Connection,
    withdrawal: UUID,
    decision: Decision,
    *,
    actor: str,
    justification: str,
    destination: str | None = None,
) -> int:
    """Record what is to become of ``withdrawal``; the number of the decision.

    Args:
        connection: As the operator.
        withdrawal: Which one; it must be held.
        decision: ``void`` gives the amount back to its customer, ``pay`` pays it anew.
        actor: Who decides.
        justification: Why.
        destination: Another address to be paid, with ``pay`` alone.

    Raises :class:`UsageError`.
    """
    if destination is not None and (decision != "pay" or not _ADDRESS.fullmatch(destination)):
        raise UsageError(
            f"{destination} cannot be paid instead",
            remedy="give --pay and an address of 0x and 40 hexadecimal digits",
        )
    if destination is not None and await connection.fetchval(_OWN, destination.lower()):
        raise UsageError(
            f"{destination} is nobody's, or the venue's own",
            remedy="name an address of the customer",
        )
    if not (actor.strip() and justification.strip()):
        raise UsageError("a decision needs who made it and why")
    async with connection.transaction():
        row = await connection.fetchrow(_FIND, withdrawal)
        if row is None:
            raise UsageError(f"there is no withdrawal {withdrawal}")
        if row["state"] != "unknown":
            raise UsageError(f"withdrawal {withdrawal} is not held, it is {row['state']}")
        try:
            number = await connection.fetchval(
                _DECIDE,
                withdrawal,
                row["seq"],
                decision,
                None if destination is None else destination.lower(),
                actor.strip(),
                justification.strip(),
            )
        except asyncpg.RaiseError as error:
            raise UsageError(f"withdrawal {withdrawal} has just been resolved") from error
        if number is None:
            standing = await connection.fetchrow(_OPEN, withdrawal)
            if standing is None:
                raise UsageError(f"withdrawal {withdrawal} has just been decided")
            done, who = _DONE[standing["decision"]], standing["actor"]
            raise UsageError(f"withdrawal {withdrawal} is to be {done} already, says {who}")
        await connection.execute("select pg_notify($1, '')", WITHDRAWAL_CHANNEL)
    return int(number)


_DONE = {"void": "given back", "pay": "paid anew"}
