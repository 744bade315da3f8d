"""Cold transfers: a reserve below its minimum is filled from its cold wallet, by its custodian.

The treasury asks, approvers sign, the custodian moves, and the chain says what has moved. The venue
has no key of a cold wallet. What is sent to the custodian is on record as sent before, under an id
that is good for once, so a process that dies in between asks for the same thing again. It is posted
when a final block shows what was asked for, and held with an alarm when that shows anything else
(decision 0053).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from uuid import UUID, uuid4

from asyncpg import UniqueViolationError

from seawall.controls.sizing import from_cold
from seawall.controls.timing import CUSTODIAN_CLOCK_MS
from seawall.errors import InternalError, ServiceError
from seawall.ethereum import values
from seawall.formats.custody import ENDED, Refusal, RoleSignature, Transfer, TransferRequest
from venue.crash_points import committing, crash_point
from venue.ledger.chart import ColdRoute, cold_routes
from venue.ledger.journal import append
from venue.treasury import metrics
from venue.treasury.arrivals import Moved
from venue.treasury.custodian import EXPIRED, ID_REUSED, NEVER, Custodian
from venue.treasury.movements import Movements
from venue.treasury.topups import LEASE_AGE_MS, WRITER, Health

if TYPE_CHECKING:
    from seawall.ethereum.rpc import AsyncRpcClient, ChainView
    from seawall.formats.venue_config import VenueConfig
    from seawall.policy import Policy
    from venue.crash_points import ColdStep
    from venue.database import Connection, Pool
    from venue.treasury.reconcile import BookKey, Holding

Why: TypeAlias = Literal["window", "incident", "paused", "silent", "venue"]
"""What keeps a transfer from going on; the last is a health check of the venue's own."""
_OPEN = """
    select *, expires_at <= clock_timestamp() as expired
    from cold_transfers
    where network = $1 and state in ('requested', 'approved', 'sent', 'held')"""
_EXPIRES_IN_MS = """
    select ceil(extract(epoch from expires_at - clock_timestamp()) * 1000)::bigint
    from cold_transfers where id = $1"""
_NOT_ENDED = """
    select * from cold_transfers
    where network = $1 and state in ('requested', 'approved', 'sent')"""
_HOLD_SUMS = """
    select coalesce(sum(e.amount) filter (where a.kind = 'reserve'), 0)
           - (select coalesce(sum(t.amount), 0) from topups t
              where (t.from_wallet, t.asset) = ($4, $3) and t.state in ('requested', 'slotted'))
           as reserve,
           coalesce(sum(e.amount) filter (where a.kind = 'cold'), 0) as cold,
           exists (select 1 from cold_transfers c
                   where (c.network, c.asset, c.to_wallet) = ($2, $3, $4)
                     and c.state in ('refused', 'expired')
                     and c.ended_at > clock_timestamp() - $5 * interval '1 ms') as rests
    from accounts a join entries e on e.account_id = a.id
    where (a.bucket, a.network, a.asset) = ($1, $2, $3) and a.kind in ('reserve', 'cold')"""
_REQUEST = """
    insert into cold_transfers (id, network, asset, from_wallet, to_wallet, destination, amount,
                                needed, since_block, justification, expires_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
            date_trunc('second', clock_timestamp() + $11 * interval '1 ms'))"""
_RECORD_SENT = """
    update cold_transfers set state = 'sent' where id = $1 and state = 'approved'
    returning true"""
_END = """
    update cold_transfers
    set state = $2, reason = $3, tx_hash = $4, block_number = $5, ended_at = clock_timestamp()
    where id = $1 and state in ('requested', 'approved', 'sent') returning true"""
_SIGNATURES = """
    select role, signature from cold_signatures where transfer_id = $1 order by at, address"""
_ARRIVE = """
    with arrived as (
        update cold_transfers
        set state = 'arrived', tx_hash = $2, block_number = $3, ended_at = clock_timestamp()
        where id = $1 and state = 'sent' returning id, network, asset, amount
    ), posted as (
        insert into postings (kind, cold_id, approval_id) select 'cold', id, id from arrived
        returning id
    ), entered as (
        insert into entries (posting_id, account_id, amount)
        select p.id, a.id, case a.kind when 'cold' then -r.amount else r.amount end
        from posted p cross join arrived r
        join accounts a on (a.bucket, a.network, a.asset) = ($4, r.network, r.asset)
                       and a.kind in ('cold', 'reserve')
        returning 1
    )
    select (select count(*) from arrived) as arrived, (select count(*) from entered) as entries"""
_ENTRIES = 2
"""Of a posting: the cold wallet's account and the reserve's."""
_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class ColdTransfers:
    """Cold transfers of one venue; ``rpcs`` are by network, ``journal`` is held to write to it.

    ``clock`` gives Unix seconds: a window is of a day.
    """

    config: VenueConfig
    policy: Policy
    pool: Pool
    rpcs: Mapping[str, AsyncRpcClient]
    custodian: Custodian
    journal: asyncio.Lock
    clock: Callable[[], float] = time.time
    _blocked: dict[tuple[str, str], tuple[Why, str]] = field(default_factory=dict)
    _shown_by: dict[UUID, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.movements = Movements(config=self.config, policy=self.policy)

    async def turn(
        self, network: str, deficits: Mapping[BookKey, Mapping[Holding, int] | None]
    ) -> None:
        """Take every transfer of ``network`` one step on, and ask for those that are due.

        Args:
            network: Where.
            deficits: By book, what the last comparison with the chain found lacking; None unless
                that was lately.

        Raises :class:`ServiceError`, and the errors of the database; the next turn goes on from
        what is on record.
        """
        view = await self.rpcs[network].view()
        await self.settle(network, view)
        # Read after the view: one that is not on record as sent cannot have moved in it.
        found = {row["asset"]: dict(row) for row in await self.pool.fetch(_OPEN, network)}
        lease_age_ms = await self.pool.fetchval(LEASE_AGE_MS)
        for route in cold_routes(self.policy):
            if route.network != network:
                continue
            health = Health(lease_age_ms=lease_age_ms, deficits=deficits[route.book_key])
            for asset in route.assets:
                row = found.get(asset)
                obstacle = self._obstacle(route, asset, health)
                if row is None:
                    await self._consider(route, asset, obstacle, view)
                elif row["state"] == "sent":
                    await self._follow(row, obstacle, view)
                else:
                    await self._prepare(row, obstacle, view)

    # --- what the chain says
    async def settle(self, network: str, view: ChainView) -> None:
        """Post what has arrived up to the final block of ``view``, and hold what differs.

        Held is also what has moved and is not on record as sent: a ledger that was restored has
        forgotten that, and what else it has forgotten people must say.

        Raises :class:`ServiceError`: then nothing is known of that block.
        """
        for row in await self.pool.fetch(_NOT_ENDED, network):
            await self._settle(dict(row), view)

    async def _settle(self, row: Mapping[str, Any], view: ChainView) -> bool:
        """Whether ``row``, which was read after ``view`` was taken, has ended by what that shows.

        Raises :class:`ServiceError`.
        """
        moved = await self.movements.under(row, view)
        if not moved:
            return False
        differs = self.movements.differs(row, moved)
        if differs is None and row["state"] != "sent":
            differs = f"it has moved, and is on record as {row['state']}: its sending was lost"
        if differs is None:
            await self._arrive(row, moved[0])
        else:
            await self._end(row, "held", differs, moved[0])
        return True

    async def _unmoved(self, row: Mapping[str, Any], view: ChainView) -> list[ChainView]:
        """The views that show nothing under the id of ``row``; none if that has ended it.

        What it ends by without having moved is final, so it is not left to one endpoint that lacks
        an event, nor to what was seen before: all blocks are looked at again, and every other
        endpoint must have the same final block, and nothing either. If there is none, one must do.

        Raises :class:`ServiceError` if an endpoint does not say.
        """
        views = [view, *self.rpcs[row["network"]].other_views(view)]
        number = hex(view.finalized.number)
        for each in views:
            if await each.ask(values.block_id, "eth_getBlockByNumber", number, False) != (
                view.finalized
            ):
                raise ServiceError(f"an endpoint of {row['network']} has another block {number}")
            self.movements.forget(row["id"])
            if await self._settle(row, each):
                return []
        return views

    async def _unconfirmed(self, row: Mapping[str, Any], error: ServiceError) -> None:
        """It waits until endpoints agree that it has not moved."""
        _log.info("cold transfer %s is not confirmed: %s", row["id"], error)
        await self._note(row, ("venue", "endpoints do not all say that nothing has moved"))

    async def _arrive(self, row: Mapping[str, Any], moved: Moved) -> None:
        bucket = self.policy.wallets[row["from_wallet"]].bucket
        async with committing(self.pool, "post a cold transfer") as connection:
            done = await connection.fetchrow(
                _ARRIVE, row["id"], moved.tx_hash, moved.block_number, bucket
            )
            assert done is not None
            if done["arrived"] and done["entries"] != _ENTRIES:
                raise InternalError(f"cold transfer {row['id']} has no accounts to be posted to")
        self._unblock(row["network"], row["asset"])
        _log.info("cold transfer %s has arrived in %s", row["id"], moved.tx_hash)

    # --- asking for it
    async def _consider(
        self, route: ColdRoute, asset: str, obstacle: tuple[Why, str] | None, view: ChainView
    ) -> None:
        """Ask approvers for what the reserve lacks, if it lacks any."""
        custody = self.policy.custody
        assert custody is not None  # else there are no routes
        held = await self.pool.fetchrow(
            _HOLD_SUMS, *(route.bucket, route.network, asset, route.reserve), custody.lead_time
        )
        assert held is not None  # an aggregate
        reserve, cold = int(held["reserve"]), int(held["cold"])
        amount = from_cold(self.policy, route.reserve, asset, held=reserve, cold=cold)
        if amount is None or held["rests"]:
            self._unblock(route.network, asset)
            return
        if obstacle is not None:
            self._block(route.network, asset, obstacle)
            return
        minimum = self.policy.wallets[route.reserve].holdings[asset].minimum
        why = (
            f"{route.reserve} holds {reserve} base units of {asset} that are not on their way, less"
            f" than its minimum of {minimum} {asset}; filled from {route.cold}, which holds {cold}"
        )
        number, destination = uuid4(), self.config.holder_of(self.policy, route.reserve)
        body: dict[str, str | int | None] = {
            "transfer": str(number),
            "from": route.cold,
            "to": route.reserve,
            "asset": asset,
            "amount": str(amount),
        }
        try:
            async with self._on_record("ask for a cold transfer") as connection:
                await append(
                    connection, writer=WRITER, kind="cold transfer", justification=why, body=body
                )
                await connection.execute(
                    _REQUEST,
                    *(number, route.network, asset, route.cold, route.reserve, destination),
                    *(amount, self.policy.approvals.routine.needed, view.finalized.number, why),
                    self.policy.approvals.expires_after,
                )
        except UniqueViolationError:
            return  # another treasury has just asked
        self._unblock(route.network, asset)
        _log.info("cold transfer %s of %d %s is asked for: %s", number, amount, asset, why)

    async def _prepare(
        self, row: Mapping[str, Any], obstacle: tuple[Why, str] | None, view: ChainView
    ) -> None:
        """What approvers have signed goes to the custodian; what is too old goes nowhere."""
        place = (row["network"], row["asset"])
        if row["state"] == "held":
            self._unblock(*place)
            return
        if row["expired"]:
            await self._expire(row, view)
            return
        if row["state"] == "requested":
            self._unblock(*place)  # it waits for approvers
            return
        blocked = obstacle or await self._condition()
        if blocked is not None:
            await self._note(row, blocked)
            return
        why = f"{row['needed']} approvers have signed it, and nothing speaks against it"
        async with self._on_record("record a cold transfer as sent") as connection:
            if not await connection.fetchval(_RECORD_SENT, row["id"]):
                return
            await append(
                connection,
                writer=WRITER,
                kind="cold transfer sent",
                justification=why,
                body={"transfer": str(row["id"])},
            )
        await self._ask(row, view)

    async def _expire(self, row: Mapping[str, Any], view: ChainView) -> None:
        """End what was not sent in time, when neither chain nor custodian know it.

        A ledger that was restored may have forgotten that it was sent.
        """
        why = f"it was {row['state']} and not sent before its approval expired"
        if not await self._never_moved(row, view, why):
            return
        try:
            told = await self.custodian.find(_request(row))
        except ServiceError as error:
            await self._note(row, ("silent", str(error)))
            return
        if isinstance(told, Transfer) and told.state != "expired":
            why = f"its approval has expired, it was {row['state']}, and the custodian has it"
            await self._end(row, "held", why)
            return
        await self._end(row, "expired", why)

    async def _follow(
        self, row: Mapping[str, Any], obstacle: tuple[Why, str] | None, view: ChainView
    ) -> None:
        """See through what the custodian may have; ``view`` has been settled.

        Only the chain says that it has moved, and only the custodian that it never will.
        """
        if not await self.pool.fetchval(
            "select true from cold_transfers where id = $1 and state = 'sent'", row["id"]
        ):
            return  # it has just been settled
        try:
            told = await self.custodian.find(_request(row))
        except ServiceError as error:
            await self._note(row, ("silent", str(error)))
            return
        if isinstance(told, Refusal):
            await self._ask_again(row, obstacle, view)
            return
        await self._heard(row, told, view)

    async def _heard(self, row: Mapping[str, Any], told: Transfer, view: ChainView) -> None:
        if told.state == "expired":
            await self._refuse(
                row, Refusal(code=EXPIRED, reason="it had it, and did not sign it in time"), view
            )
            return
        self._shown_by.pop(row["id"], None)
        number = told.block_number
        if told.state not in ENDED or number is None or number > view.finalized.number:
            blocked = await self._condition() if told.state in ("accepted", "signed") else None
            await self._note(row, blocked)
            return
        try:
            views = await self._unmoved(row, view)
            lies = told.state == "moved" or not all(
                [await self.movements.not_paid(row, told.tx_hash, each) for each in views]
            )
        except ServiceError as error:
            await self._unconfirmed(row, error)
            return
        if not views:
            return
        if not lies:
            why = f"the contract did not pay it: {told.tx_hash} in block {number}"
            await self._end(row, "refused", why)
            return
        what = "has moved it" if told.state == "moved" else "has failed to"
        why = (
            f"the custodian says that {told.tx_hash} in block {number} {what}, and the chain has no"
            " such event"
        )
        await self._end(row, "held", why)

    async def _ask_again(
        self, row: Mapping[str, Any], obstacle: tuple[Why, str] | None, view: ChainView
    ) -> None:
        """The custodian has not heard of it: this process, or its request, was lost on the way."""
        if obstacle is not None:
            await self._note(row, obstacle)
            return
        await self._ask(row, view)

    async def _ask(self, row: Mapping[str, Any], view: ChainView) -> None:
        """Ask the custodian for it, once or again: its id is good for one transfer."""
        signatures = tuple(
            RoleSignature(role=each["role"], signature="0x" + bytes(each["signature"]).hex())
            for each in await self.pool.fetch(_SIGNATURES, row["id"])
        )
        wanted = _request(row).model_copy(update={"approvals": signatures})
        crash_point("ask the custodian", "before")
        try:
            told = await self.custodian.ask(wanted)
        except ServiceError as error:
            await self._note(row, ("silent", str(error)))
            return
        crash_point("ask the custodian", "after")
        if isinstance(told, Transfer):
            self._shown_by.pop(row["id"], None)
            await self._note(row, None)
        elif told.code in NEVER:
            await self._refuse(row, told, view)
        elif told.code == ID_REUSED:
            await self._end(row, "held", f"{told.code}: {told.reason}")
        else:
            await self._note(row, ("incident", told.reason))

    async def _refuse(self, row: Mapping[str, Any], told: Refusal, view: ChainView) -> None:
        """End what the custodian says it will never do, unless it has done it before it said so.

        That its approval has expired is its word about a moment which the venue knows as well: one
        that says it too early goes by a wrong clock, or lies, and ends nothing. It is held, for
        what it calls expired it may still sign. Our own clock is read after its answer: that may
        have been waited for.
        """
        why = f"{told.code}: {told.reason}"
        expired = told.code == EXPIRED
        left_ms = await self.pool.fetchval(_EXPIRES_IN_MS, row["id"]) if expired else 0
        if left_ms > 0:
            if left_ms > CUSTODIAN_CLOCK_MS:
                why = f"{why}; by our own clock its approval lasts {left_ms} ms more"
                await self._end(row, "held", why)
            else:
                await self._note(row, ("venue", f"{why}; by our own clock it has not expired yet"))
            return
        if await self._never_moved(row, view, f"it is refused: {why}"):
            await self._end(row, "expired" if expired else "refused", why)

    async def _never_moved(self, row: Mapping[str, Any], view: ChainView, why: str) -> bool:
        """Whether ``row``, which nobody is to move any more, has not been moved before.

        What was signed by now may still be in a pool, and in a block that not every endpoint has:
        so the newest block of any of them is kept, as of the first time, and the blocks in which
        that comes must be final. All endpoints must show nothing of it until then.
        """
        try:
            if row["id"] not in self._shown_by:
                head = await self.rpcs[row["network"]].highest_head()
                self._shown_by[row["id"]] = head + self._pending_blocks(row["network"])
            if view.finalized.number < self._shown_by[row["id"]]:
                until = f"block {self._shown_by[row['id']]}, which would show it, is not final"
                await self._note(row, ("venue", f"{why}; {until}"))
                return False
            return bool(await self._unmoved(row, view))
        except ServiceError as error:
            await self._unconfirmed(row, error)
            return False

    def _pending_blocks(self, network: str) -> int:
        custody = self.policy.custody
        assert custody is not None  # else there are no routes
        return custody.pending_blocks(self.policy.networks[network].block_time)

    async def _end(
        self,
        row: Mapping[str, Any],
        state: Literal["refused", "expired", "held"],
        why: str,
        moved: Moved | None = None,
    ) -> None:
        """End it with its reason in the journal; of one that is held people say the rest."""
        async with self._on_record("end a cold transfer") as connection:
            if not await connection.fetchval(
                _END,
                *(row["id"], state, why),
                *((None, None) if moved is None else (moved.tx_hash, moved.block_number)),
            ):
                return
            await append(
                connection,
                writer=WRITER,
                kind=f"cold transfer {state}",
                justification=why,
                body={"transfer": str(row["id"])},
            )
        self._shown_by.pop(row["id"], None)
        self._unblock(row["network"], row["asset"])
        level = logging.ERROR if state == "held" else logging.WARNING
        _log.log(level, "cold transfer %s is %s: %s", row["id"], state, why)

    # --- what speaks against it
    def _obstacle(self, route: ColdRoute, asset: str, health: Health) -> tuple[Why, str] | None:
        """What speaks against it in the venue, whatever the custodian says."""
        custody = self.policy.custody
        assert custody is not None  # else there are no routes
        if not custody.is_open(self.clock()):
            return "window", f"the window of a day is from {custody.opens} to {custody.closes} UTC"
        found = health.obstacle((route.cold, route.reserve), asset)
        return None if found is None else ("venue", found)

    async def _condition(self) -> tuple[Why, str] | None:
        """What speaks against it at the custodian."""
        try:
            condition = await self.custodian.condition()
        except ServiceError as error:
            return "silent", str(error)
        if condition.state == "normal":
            return None
        return condition.state, condition.reason

    @asynccontextmanager
    async def _on_record(self, step: ColdStep | None) -> AsyncIterator[Connection]:
        """One transaction that may write to the journal; what kills may kill it about ``step``.

        A connection first, as for everybody else who writes to the treasury's journal: comparisons
        hold all connections of the pool at times, and each of them wants the journal at its end.
        """
        async with self.pool.acquire() as connection, self.journal, connection.transaction():
            yield connection
            if step is not None:
                crash_point(step, "before")
        if step is not None:
            crash_point(step, "after")

    async def _note(self, row: Mapping[str, Any], blocked: tuple[Why, str] | None) -> None:
        """Keep what speaks against a transfer, with the reason in the journal when it is new."""
        place = (row["network"], row["asset"])
        if blocked is None:
            self._unblock(*place)
            return
        if blocked == self._blocked.get(place):
            return
        async with self._on_record(None) as connection:
            await append(
                connection,
                writer=WRITER,
                kind="cold transfer blocked",
                justification=blocked[1] or "no reason was given",
                body={"transfer": str(row["id"]), "why": blocked[0]},
            )
        self._block(*place, blocked)

    def _block(self, network: str, asset: str, blocked: tuple[Why, str]) -> None:
        if self._blocked.get((network, asset)) != blocked:
            _log.warning("cold transfers of %s on %s wait: %s: %s", asset, network, *blocked)
        self._blocked[network, asset] = blocked
        metrics.show_blocked(network, asset, blocked[0])

    def _unblock(self, network: str, asset: str) -> None:
        if self._blocked.pop((network, asset), None) is not None:
            _log.info("cold transfers of %s on %s go on", asset, network)
        metrics.show_blocked(network, asset, None)


def _request(row: Mapping[str, Any]) -> TransferRequest:
    """What is asked for, without its signatures."""
    return TransferRequest(
        client_id=row["id"],
        network=row["network"],
        wallet=row["from_wallet"],
        asset=row["asset"],
        amount=str(row["amount"]),
        destination=row["destination"],
        expires_at=int(row["expires_at"].timestamp()),
        approvals=(),
    )
