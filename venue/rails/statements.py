"""What providers' statements say is written to the ledger: nothing else moves an instruction on.

Lines are applied in their order, each together with all that follows from it, in the transaction
that keeps it. Whoever reads a provider's statement holds the provider's row, so that two readers do
not apply a line twice.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg

from seawall.errors import InternalError
from seawall.formats.payout_rail import Instruction, Payout, PayoutState, Statement, StatementLine
from venue.crash_points import committing
from venue.database import Connection, Pool
from venue.rails.claims import CHANGE_FUNDS, record
from venue.rails.provider import Provider, ShortenedError

_REFUSED = (asyncpg.IntegrityConstraintViolationError, asyncpg.RaiseError, InternalError)
"""What the database, or the records, say to a line that does not fit them."""
_log = logging.getLogger(__name__)
LINES_MAX = 50
"""Lines in one transaction, which must be far shorter than its bound."""
MARKS = "generation-"
"""How ids begin that ledgers use up to open a generation (``venue/rails/opening.py``)."""
_CLIENT_ID = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-([1-9][0-9]{0,5})")
Meaning = Literal[
    "accept", "settle", "give back", "release", "adopt", "dispute", "nothing", "unexplained"
]
_STEPS: dict[tuple[str, PayoutState], Meaning] = {
    ("recorded", "accepted"): "accept",
    ("accepted", "settled"): "settle",
    ("accepted", "returned"): "give back",
    ("recorded", "cancelled"): "release",
}

_LAST = "select coalesce(max(n), 0) from rail_lines where (rail, side) = ($1, $2)"
_LAST_LINE = """
    select n, client_id, state, asset, amount, destination from rail_lines
    where (rail, side) = ($1, $2) order by n desc limit 1"""
_HOLD = "select true from rail_providers where (rail, side) = ($1, $2) for no key update"
_LOCK = """
    select 1 from withdrawals where id = any($1::uuid[]) order by id for no key update"""
_MAY_GIVE_BACK = """
    select withdrawal_id from rail_instructions
    where client_id = any($1::text[]) and state in ('recorded', 'accepted')"""
_HOLD_BALANCES = "select hold_for_giving_back($1::uuid[])"
_KEEP = """
    insert into rail_lines (rail, side, n, client_id, withdrawal_id, attempt, state, asset, amount,
                            destination, reason, unexplained, said_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"""
# A ledger that was never restored has opened nothing; marks before its own are history.
_OPENED_BY_ANOTHER = """
    select g.mark <> $3 and (g.generation = 0 or exists (
               select 1 from rail_lines l where (l.rail, l.side, l.client_id) = ($1, $2, g.mark)))
    from generation_in_force g"""
_INSTRUCTION = """
    select i.id, i.withdrawal_id, i.client_id, i.rail, i.side, i.asset, i.amount, i.destination,
           i.state, i.refusal
    from rail_instructions i where i.client_id = $1 for no key update"""
_WITHDRAWAL = """
    select id, asset, amount, destination from withdrawals
    where id = $1 and network = $2 and state = 'reserved' for no key update"""
_EPOCH = "select epoch from mode"
_MOVE = "update rail_instructions set state = $2 where id = $1"
_POST = "select post_over_rail($1)"
_RELEASE = """
    update withdrawals set state = 'reserved', instruction_id = null
    where id = $1 and state = 'instructed' returning true"""
_GIVE_BACK = "select give_back_held(array[$1::uuid], array[$2::text])"
_NO_REASON = "It could not be paid there; the amount is back in the balance."


def named(client_id: str) -> tuple[UUID, int] | tuple[None, None]:
    """The withdrawal and the attempt that ``client_id`` is of; none, if it is not ours."""
    found = _CLIENT_ID.fullmatch(client_id)
    return (None, None) if found is None else (UUID(found[1]), int(found[2]))


def meaning(
    told: Payout,
    *,
    rail: str,
    side: str,
    known: Mapping[str, Any] | None,
    owed: bool,
    other_ledger: bool = False,
) -> Meaning:
    """What a line means for the instruction of its id.

    Args:
        told: What the provider says.
        rail: Whose statement it is.
        side: The same.
        known: The instruction of this id, if there is one.
        owed: Whether a withdrawal waits that is exactly what the line names. Then a lost ledger
            had instructed it.
        other_ledger: Whether it says that another ledger goes on in place of this one.
    """
    if known is None:
        if told.state == "cancelled":
            return "unexplained" if other_ledger else "nothing"
        return "adopt" if owed and told.state == "accepted" else "unexplained"
    here = (known["rail"], known["side"]) == (rail, side)
    if not here and told.state == "cancelled" and told.instruction is None:
        return "nothing"  # used up where it never was: a restored ledger does that on both sides
    step = _STEPS.get((known["state"], told.state))
    if step is not None and here and _same(told, known):
        return step
    return "dispute" if known["state"] in ("recorded", "accepted") else "unexplained"


def _same(told: Payout, known: Mapping[str, Any]) -> bool:
    if told.instruction is None:
        return told.state == "cancelled"
    return told.state != "cancelled" and told.instruction == Instruction(
        client_id=known["client_id"],
        asset=known["asset"],
        amount=str(known["amount"]),
        destination=known["destination"],
    )


def _content(told: Payout) -> tuple[Any, ...]:
    """What a line says, as it is kept."""
    asked = told.instruction
    names = (None,) * 3 if asked is None else (asked.asset, int(asked.amount), asked.destination)
    return (told.client_id, told.state, *names)


@dataclass(frozen=True, kw_only=True)
class Statements:
    """The statements of the providers of one rail."""

    pool: Pool

    async def read(self, provider: Provider) -> int:
        """Apply what is new in the statement of ``provider``; how many lines that were.

        It must go on from the last line that was read: one that got shorter would give the numbers
        of what was lost to other lines, which were then never seen.

        Raises :class:`ServiceError` if it cannot be read; what was applied before stays.
        :class:`ShortenedError` if it does not go on.
        """
        statement = await self.check(provider)
        applied = 0
        while True:
            lines = statement.lines[:LINES_MAX]
            if lines:
                await self._apply_all(provider.rail, provider.side, lines)
            applied += len(lines)
            if not statement.more and len(lines) == len(statement.lines):
                return applied
            after = await self.pool.fetchval(_LAST, provider.rail, provider.side)
            statement = await provider.statement(after=after)

    async def check(self, provider: Provider) -> Statement:
        """What follows the last line that was read in the statement of ``provider``.

        Raises :class:`ServiceError`, and :class:`ShortenedError` if it has that line no longer.
        """
        last = await self.pool.fetchrow(_LAST_LINE, provider.rail, provider.side)
        if last is None:
            return await provider.statement(after=0)
        statement = await provider.statement(after=last["n"] - 1)
        if not statement.lines or _content(statement.lines[0].payout) != tuple(last)[1:]:
            raise ShortenedError(
                f"the statement of the {provider.side} provider of {provider.rail} does not go on"
                f" from line {last['n']}, {last['client_id']} {last['state']}"
            )
        return statement.model_copy(update={"lines": statement.lines[1:]})

    async def _apply_all(self, rail: str, side: str, lines: tuple[StatementLine, ...]) -> None:
        async with committing(self.pool, "read a statement") as connection:
            await connection.fetchval(_HOLD, rail, side)
            last = await connection.fetchval(_LAST, rail, side)
            await self._lock(connection, lines)
            for line in lines:
                if line.n <= last:  # another reader has applied it just now
                    continue
                try:
                    async with connection.transaction():
                        await self._apply(connection, rail, side, line)
                except _REFUSED as error:  # it must not stand in the way of all that follow
                    _log.exception("line %d of the %s of %s: %s", line.n, side, rail, error)
                    await self._apply(connection, rail, side, line, fits=False)

    @staticmethod
    async def _lock(connection: Connection, lines: Sequence[StatementLine]) -> None:
        """Lock what ``lines`` may move, in the order in which everybody locks it.

        Line by line it would be in the order of the lines: two customers to whom something is given
        back, and for whom intake reserves at the same time, would wait for each other.
        """
        ids = [line.payout.client_id for line in lines]
        await connection.execute(_LOCK, [named(each)[0] for each in ids if named(each)[0]])
        back = await connection.fetch(
            _MAY_GIVE_BACK,
            [
                line.payout.client_id
                for line in lines
                if line.payout.state in ("returned", "cancelled")
            ],
        )
        if back:
            await connection.execute(_HOLD_BALANCES, [row["withdrawal_id"] for row in back])

    async def _apply(
        self,
        connection: Connection,
        rail: str,
        side: str,
        line: StatementLine,
        *,
        fits: bool = True,
    ) -> None:
        """Keep a line, and do what follows; nothing, if it was found not to fit the records."""
        told = line.payout
        known = await connection.fetchrow(_INSTRUCTION, told.client_id)
        withdrawal, attempt = named(told.client_id)
        owed = None if known or withdrawal is None else await self._owed(connection, rail, told)
        means = meaning(
            told,
            rail=rail,
            side=side,
            known=None if known is None else dict(known),
            owed=owed is not None,
            other_ledger=await self._opened_by_another(connection, rail, side, told),
        )
        if not fits:
            alive = known is not None and known["state"] in ("recorded", "accepted")
            means = "dispute" if alive else "unexplained"
        await connection.execute(
            _KEEP,
            *(rail, side, line.n, told.client_id, withdrawal, attempt, told.state),
            *_content(told)[2:],
            *(told.reason, means in ("dispute", "unexplained")),
            datetime.fromtimestamp(line.at, UTC),
        )
        if means in ("nothing", "unexplained"):
            return
        if means == "adopt":
            assert owed is not None
            assert attempt is not None
            await record(
                connection,
                rail=rail,
                side=side,
                withdrawal=owed,
                attempt=attempt,
                mode_epoch=await connection.fetchval(_EPOCH),
            )
            known = await connection.fetchrow(_INSTRUCTION, told.client_id)
        assert known is not None
        await connection.execute(
            _MOVE, known["id"], "disputed" if means == "dispute" else told.state
        )
        await self._follow(connection, means, told, known)

    async def _opened_by_another(
        self, connection: Connection, rail: str, side: str, told: Payout
    ) -> bool:
        """Whether a ledger that is not this one has opened its generation there after this one."""
        if not told.client_id.startswith(MARKS):
            return False
        return bool(await connection.fetchval(_OPENED_BY_ANOTHER, rail, side, told.client_id))

    async def _owed(self, connection: Connection, rail: str, told: Payout) -> Any:
        """The withdrawal that waits and is exactly what ``told`` names, or None."""
        withdrawal, _ = named(told.client_id)
        row = await connection.fetchrow(_WITHDRAWAL, withdrawal, rail)
        asked = told.instruction
        if row is None or asked is None:
            return None
        content = (row["asset"], str(row["amount"]), row["destination"])
        return row if content == (asked.asset, asked.amount, asked.destination) else None

    async def _follow(
        self, connection: Connection, means: Meaning, told: Payout, known: Any
    ) -> None:
        """Write what follows for the withdrawal, its money and the funds."""
        place = (known["rail"], known["side"], known["asset"])
        done: Any = True
        if means == "settle":
            done = await connection.fetchval(_POST, known["withdrawal_id"])
        elif means in ("give back", "release"):
            await connection.execute(CHANGE_FUNDS, *place, known["amount"])
            if means == "release" and known["refusal"] is None:
                done = await connection.fetchval(_RELEASE, known["withdrawal_id"])
            else:
                why = known["refusal"] or told.reason or _NO_REASON
                done = await connection.fetchval(_GIVE_BACK, known["withdrawal_id"], why)
        if not done:
            raise InternalError(f"withdrawal {known['withdrawal_id']} is not instructed any more")
