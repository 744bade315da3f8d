"""Claims over a rail: withdrawals are recorded as instructions to one of its providers.

A claim is one transaction that no flip of the mode can overtake, as on networks
(``venue/settler/claims.py``): the lock is a statement of its own, and the mode is read later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seawall.controls.admission import Size
from seawall.controls.heartbeat import STALE_AFTER_MS
from seawall.conventions import database
from seawall.errors import InternalError
from seawall.formats.payout_rail import Instruction
from seawall.policy import Policy, Tier
from venue.crash_points import committing
from venue.database import Connection, Pool

_LOCK = "select pg_advisory_xact_lock_shared($1)"
_MODE = """
    select m.epoch, m.tier,
           exists (select 1 from mode_controller_lease l
                   where clock_timestamp() - l.renewed_at
                         between $1 * interval '-1 ms' and $1 * interval '1 ms') as controlled,
           exists (select 1 from orders_in_force o where o.kind = 'halt'
                   and (o.network is null or o.network = $2)) as halted,
           rail_is_open($2) as open
    from mode m"""
_FUNDS = """
    select asset, available from rail_funds where (rail, side) = ($1, $2)
    order by asset for no key update"""
# What a provider says it has taken, and nothing on record explains, may have paid it.
_CANDIDATES = """
    select w.id, w.amount, w.destination, w.size,
           1 + greatest((select max(attempt) from rail_instructions where withdrawal_id = w.id),
                        (select max(attempt) from rail_lines where withdrawal_id = w.id),
                        0) as attempt
    from withdrawals w
    where w.network = $1 and w.asset = $2 and w.size = any($3::text[]) and w.state = 'reserved'
      and not exists (select 1 from rail_unexplained l where l.withdrawal_id = w.id)
    order by w.size = 'large', w.seq limit $4 for no key update of w skip locked"""
_RECORD = """
    insert into rail_instructions (withdrawal_id, attempt, rail, side, asset, amount, destination,
                                   mode_epoch, state)
    values ($1, $2, $3, $4, $5, $6, $7, $8, 'recorded') returning id"""
_INSTRUCT = """
    update withdrawals set state = 'instructed', instruction_id = $2, reason = null
    where id = $1 and state = 'reserved' returning true"""
CHANGE_FUNDS = """
    update rail_funds set available = available + $4 where (rail, side, asset) = ($1, $2, $3)"""
_WAITING = """
    select exists (select 1 from withdrawals where network = $1 and state = 'reserved')"""
_RECORDED = """
    select client_id, asset, amount, destination, refusal from rail_instructions
    where (rail, side) = ($1, $2) and state = 'recorded' and rail_is_open($1)
    order by id limit $3"""


async def record(
    connection: Connection, *, rail: str, side: str, withdrawal: Any, attempt: int, mode_epoch: int
) -> None:
    """Record an instruction to pay ``withdrawal`` (id, asset, amount, destination)."""
    asset, amount = withdrawal["asset"], withdrawal["amount"]
    instruction = await connection.fetchval(
        _RECORD,
        *(withdrawal["id"], attempt, rail, side, asset, amount),
        *(withdrawal["destination"], mode_epoch),
    )
    if not await connection.fetchval(_INSTRUCT, withdrawal["id"], instruction):
        raise InternalError(f"withdrawal {withdrawal['id']} was chosen and is not reserved")
    await connection.execute(CHANGE_FUNDS, rail, side, asset, -amount)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """An instruction that its provider may have or not; ``refusal``: it will never take it."""

    instruction: Instruction
    refusal: str | None


@dataclass(frozen=True, kw_only=True)
class RailClaims:
    """Claims over one rail, as the role of who pays over rails."""

    pool: Pool
    policy: Policy
    rail: str

    async def waiting(self) -> bool:
        """Whether there is something to claim; no lock."""
        return bool(await self.pool.fetchval(_WAITING, self.rail))

    async def claim(self, side: str, *, limit: int) -> int:
        """Record instructions to the provider of ``side``; how many, at most ``limit``.

        By asset small ones first, the oldest before later ones of its size, within what is left
        there; large ones only while the tier pays them.
        """
        claimed = 0
        async with committing(self.pool, "claim over a rail") as connection:
            await connection.execute(_LOCK, database.MODE_LOCK)
            mode = await connection.fetchrow(_MODE, STALE_AFTER_MS, self.rail)
            if mode is None or not mode["controlled"] or mode["halted"] or not mode["open"]:
                return 0
            sizes = self._sizes(mode["tier"])
            for funds in await connection.fetch(_FUNDS, self.rail, side):
                asset, left, full = funds["asset"], funds["available"], set[str]()
                for row in await connection.fetch(
                    _CANDIDATES, self.rail, asset, sizes, limit - claimed
                ):
                    if row["amount"] > left:  # no later one of its size overtakes it
                        full.add(row["size"])
                    if row["size"] in full:
                        continue
                    await record(
                        connection,
                        rail=self.rail,
                        side=side,
                        withdrawal=dict(row) | {"asset": asset},
                        attempt=row["attempt"],
                        mode_epoch=mode["epoch"],
                    )
                    left -= row["amount"]
                    claimed += 1
        return claimed

    async def recorded(self, side: str, *, limit: int) -> list[Recorded]:
        """The oldest instructions of ``side`` that it may have or not; none of a rail that is shut.

        That is one at whose providers this ledger is not open.
        """
        rows = await self.pool.fetch(_RECORDED, self.rail, side, limit)
        return [
            Recorded(
                instruction=Instruction(
                    client_id=row["client_id"],
                    asset=row["asset"],
                    amount=str(row["amount"]),
                    destination=row["destination"],
                ),
                refusal=row["refusal"],
            )
            for row in rows
        ]

    def _sizes(self, tier: Tier) -> list[Size]:
        defers = self.policy.tiers.promise(tier).defers
        return ["small"] if "withdrawals_large" in defers else ["small", "large"]
