"""Rebalancing: what one network's reserve has too much goes to another's, through a carrier.

The treasury asks, approvers sign, the reserve's lane pays the carrier, the carrier pays the other
reserve, and the chains say what has moved. The carrier agrees under an id that is good for once
before anything leaves. It leaves while every health check is green: the treasury says so anew every
few seconds, and what it does not say has lapsed. What left is in transit in the ledger until a
final block of the other network shows it; anything else is held with an alarm (decision 0058).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID, uuid4

from asyncpg import UniqueViolationError

from seawall.controls.rebalancing import Finding, Route, amount_to_move, blocking, health, routes
from seawall.errors import InternalError, ServiceError
from seawall.ethereum import values
from seawall.formats.carrier import Carriage, CarriageRequest
from seawall.formats.custody import ENDED, Refusal
from venue.contracts import approvals
from venue.contracts.approvals import Home, State, recorded
from venue.contracts.calls import NATIVE, moved_in
from venue.crash_points import committing, crash_point
from venue.ledger.journal import append
from venue.treasury import metrics
from venue.treasury.arrivals import Moved, moved_under
from venue.treasury.custodian import ID_REUSED, NEVER
from venue.treasury.topups import WRITER

if TYPE_CHECKING:
    from seawall.ethereum.rpc import AsyncRpcClient, ChainView
    from seawall.formats.venue_config import VenueConfig
    from seawall.policy import Policy
    from seawall.policy.rebalancing import Rebalancing as Terms
    from venue.crash_points import RebalanceStep
    from venue.database import Connection, Pool
    from venue.treasury.watch import Watch

GO_MS = 6_000
"""For so long a reserve may pay the carrier after the treasury has last found everything green."""
_LAPSED_S = 60
"""So long after its approval has expired one is over: no block can carry it out any more."""
_ROWS = """
    select b.*, r.to_address, r.expires, s.approved, s.proposed, s.vetoed, s.in_flight, s.ready_at,
           has_left(b.id) as left,
           s.ready_at <= extract(epoch from clock_timestamp()) as ready,
           r.expires + $2 <= extract(epoch from clock_timestamp()) as expired
    from rebalances b
    join approval_requests r on r.id = b.id
    join approval_standing s on s.request_id = b.id"""
_OPEN = f"{_ROWS} where b.asset = $1 and b.state in ('requested', 'released', 'held')"
_COMING = f"{_ROWS} where b.to_network = $1 and b.state in ('requested', 'released')"
_HELD = """
    select coalesce(sum(e.amount) filter (where (a.bucket, a.network) = ($1, $3)), 0)
           - (select coalesce(sum(t.amount), 0) from topups t
              where (t.from_wallet, t.asset) = ($5, $2) and t.state in ('requested', 'slotted'))
           as source,
           coalesce(sum(e.amount) filter (where (a.bucket, a.network) = ($1, $4)), 0)
           - (select coalesce(sum(t.amount), 0) from topups t
              where (t.from_wallet, t.asset) = ($6, $2) and t.state in ('requested', 'slotted'))
           + (select coalesce(sum(c.amount), 0) from cold_transfers c
              where (c.to_wallet, c.asset) = ($6, $2)
                and c.state in ('requested', 'approved', 'sent', 'held'))
           as target,
           exists (select 1 from rebalances b
                   where b.asset = $2 and b.state in ('refused', 'expired')
                     and b.ended_at > clock_timestamp() - $7 * interval '1 ms') as rests
    from accounts a join entries e on e.account_id = a.id
    where a.asset = $2 and a.kind = 'reserve'"""
_ASK = """
    insert into approval_requests (id, kind, network, from_wallet, to_wallet, from_bucket,
                                   to_bucket, to_class, to_address, asset, token, amount, use,
                                   not_before, expires, requester, needed, needed_for_review,
                                   digest)
    values ($1, 'transfer', $2, $3, $4, $5, $5, 'in_transit', $6, $7, $8, $9, $10, $11, $12, $13,
            $14, $14, $15)"""
_REQUEST = """
    insert into rebalances (id, bucket, asset, from_network, from_wallet, to_network, to_wallet,
                            destination, amount, since_block, justification)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"""
_RELEASE = """
    update rebalances
    set state = 'released',
        go_until = case when has_left(id) then null
                        else clock_timestamp() + $2 * interval '1 ms' end
    where id = $1 and state = 'requested' returning true"""
_GO_ON = """
    update rebalances set go_until = clock_timestamp() + $2 * interval '1 ms'
    where id = $1 and state = 'released'"""
_STOP = """
    update rebalances set go_until = clock_timestamp()
    where id = $1 and state = 'released' and go_until > clock_timestamp()"""
_END = """
    update rebalances
    set state = $2, reason = $3, tx_hash = $4, block_number = $5, go_until = null,
        ended_at = clock_timestamp()
    where id = $1 and state in ('requested', 'released') returning true"""
_ARRIVE = """
    with arrived as (
        update rebalances
        set state = 'arrived', tx_hash = $2, block_number = $3, go_until = null,
            ended_at = clock_timestamp()
        where id = $1 and state = 'released' returning id, bucket, to_network, asset, amount
    ), posted as (
        insert into postings (kind, rebalance_id) select 'rebalance', id from arrived returning id
    ), entered as (
        insert into entries (posting_id, account_id, amount)
        select p.id, a.id, case a.kind when 'in_transit' then -r.amount else r.amount end
        from posted p cross join arrived r
        join accounts a on (a.bucket, a.network, a.asset) = (r.bucket, r.to_network, r.asset)
                       and a.kind in ('in_transit', 'reserve')
        returning 1
    )
    select (select count(*) from arrived) as arrived, (select count(*) from entered) as entries"""
_ENTRIES = 2
"""Of a posting: what is in transit, and the reserve's account."""
_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Rebalancing:
    """Rebalancing of one venue; ``rpcs`` are by network, ``journal`` is held to write to it.

    ``clock`` gives Unix seconds.
    """

    config: VenueConfig
    policy: Policy
    pool: Pool
    rpcs: Mapping[str, AsyncRpcClient]
    watch: Watch
    journal: asyncio.Lock
    clock: Callable[[], float] = time.time
    _blocked: dict[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    _seen: dict[UUID, int] = field(default_factory=dict)
    _agreed: set[UUID] = field(default_factory=set)

    @property
    def terms(self) -> Terms:
        """What the policy says."""
        assert self.policy.rebalancing is not None  # else there is no carrier
        return self.policy.rebalancing

    async def turn(self, asset: str, lacking: Mapping[str, int | None]) -> None:
        """Take the movement of ``asset`` one step on, or ask for one that is due.

        Args:
            asset: Which.
            lacking: By reserve, what the last comparison with the chain found lacking; None unless
                that was lately.

        Raises :class:`ServiceError`, and the errors of the database; the next turn goes on from
        what is on record.
        """
        ways = [route for route in routes(self.policy) if route.asset == asset]
        row = await self.pool.fetchrow(_OPEN, asset, _LAPSED_S)
        if row is None:
            await self._consider(ways, lacking)
            return
        if row["state"] == "held":
            await self._clear(asset)
            return
        route = next(each for each in ways if each.source == row["from_wallet"])
        if row["left"]:
            await self._follow(dict(row), route)
        else:
            await self._prepare(dict(row), route, lacking)

    # --- what the chain says
    async def settle(self, network: str, view: ChainView) -> None:
        """Post what has arrived up to the final block of ``view``, and hold what differs.

        What has arrived is in no slot there. Raises :class:`ServiceError`: then nothing is known.
        """
        for row in await self.pool.fetch(_COMING, network, _LAPSED_S):
            await self._settle(dict(row), view)

    async def _settle(self, row: Mapping[str, Any], view: ChainView) -> bool:
        """Whether ``row``, which was read after ``view`` was taken, has ended by what that shows.

        It has not while it is not on record that it left: a settler posts that at finality, and a
        ledger that was restored catches up first.

        Raises :class:`ServiceError`.
        """
        first = self._seen.get(row["id"], row["since_block"]) + 1
        contract = self._carrier_on(row["to_network"])
        moved = await moved_under(view, row["id"], contract=contract, first=first)
        if not moved:
            self._seen[row["id"]] = max(view.finalized.number, row["since_block"])
            return False
        if not row["left"]:
            _log.error("rebalance %s has arrived, and is not on record as having left", row["id"])
            return False
        differs = self._differs(row, moved)
        if differs is not None:
            await self._end(row, "held", differs, moved[0])
            return True
        if row["state"] == "requested":
            await self._release(row, "it has left already: that it was released was lost")
        await self._arrive(row, moved[0])
        return True

    def _differs(self, row: Mapping[str, Any], moved: list[Moved]) -> str | None:
        """How ``moved`` differs from what was asked for, by the token's own events; or None."""
        if len(moved) > 1:
            return f"it was paid {len(moved)} times: {', '.join(each.tx_hash for each in moved)}"
        token = self.config.networks[row["to_network"]].tokens[row["asset"]].lower()
        came = moved_in(
            moved[0].receipt.logs,
            token=token,
            sender=self._carrier_on(row["to_network"]),
            to=row["destination"],
        )
        if came == int(row["amount"]):
            return None
        item = moved[0].item
        return (
            f"{came} base units of {row['asset']} came to {row['destination']}, and {row['amount']}"
            f" had left; the carrier's contract names {item.amount} of {item.token} to {item.to}"
        )

    async def _arrive(self, row: Mapping[str, Any], moved: Moved) -> None:
        async with committing(self.pool, "post a rebalance") as connection:
            done = await connection.fetchrow(_ARRIVE, row["id"], moved.tx_hash, moved.block_number)
            assert done is not None
            if done["arrived"] and done["entries"] != _ENTRIES:
                raise InternalError(f"rebalance {row['id']} has no accounts to be posted to")
        await self._clear(row["asset"])
        _log.info("rebalance %s has arrived in %s", row["id"], moved.tx_hash)

    async def _nothing_came(self, row: Mapping[str, Any], view: ChainView) -> bool:
        """Whether no endpoint of its second network shows anything; False if that has ended it.

        Raises :class:`ServiceError` if an endpoint does not say.
        """
        for each in await self._views(row["to_network"], view):
            self._seen.pop(row["id"], None)
            if await self._settle(row, each):
                return False
        return True

    async def _unexecuted(self, row: Mapping[str, Any]) -> bool:
        """Whether every endpoint says that the first reserve has not paid for it.

        Raises :class:`ServiceError` if one does not say.
        """
        network = row["from_network"]
        contract = self.config.holder_of(self.policy, row["from_wallet"])
        view = await self.rpcs[network].view()
        states = [
            await each.read(contract, approvals.state(row["id"]), values.uint256)
            for each in await self._views(network, view)
        ]
        return not {State.EXECUTED, State.REVIEWED} & set(states)

    async def _views(self, network: str, view: ChainView) -> list[ChainView]:
        """``view``, and the same block by every other endpoint.

        Raises :class:`ServiceError` if one does not say, or has another block there.
        """
        others = self.rpcs[network].other_views(view)
        number = hex(view.finalized.number)
        for other in others:
            if await other.ask(values.block_id, "eth_getBlockByNumber", number, False) != (
                view.finalized
            ):
                raise ServiceError(f"an endpoint of {network} has another block {number}")
        return [view, *others]

    # --- asking for it
    async def _consider(self, ways: list[Route], lacking: Mapping[str, int | None]) -> None:
        """Ask approvers for what one reserve lacks and the other has too much, if there is that."""
        for route in ways:
            held = await self.pool.fetchrow(
                _HELD,
                self.policy.wallets[route.source].bucket,
                *(route.asset, route.from_network, route.to_network, route.source, route.target),
                self.terms.lead_time,
            )
            assert held is not None  # an aggregate
            source, target = int(held["source"]), int(held["target"])
            amount = amount_to_move(self.policy, route, source_held=source, target_held=target)
            if amount is None or held["rests"]:
                continue
            if await self._stopped(None, route, lacking):
                return
            await self._request(route, amount, source=source, target=target)
            return
        await self._clear(ways[0].asset)

    async def _request(self, route: Route, amount: int, *, source: int, target: int) -> None:
        number, now_s = uuid4(), int(self.clock())
        why = (
            f"{route.target} holds {target} base units of {route.asset}, less than"
            f" {float(self.terms.to_below):g} of its target, and {route.source} holds {source}"
        )
        own, routine = self.policy.wallets[route.source], self.policy.approvals.routine
        site = self.config.networks[route.from_network]
        destination = self.config.holder_of(self.policy, route.target)
        asked: dict[str, Any] = {
            "id": number,
            "kind": "transfer",
            "from_bucket": own.bucket,
            "to_bucket": own.bucket,
            "to_address": self._carrier_on(route.from_network),
            "token": site.tokens[route.asset].lower(),
            "amount": amount,
            "use": f"rebalancing: {self.terms.carrier} pays them to {route.target} ({destination})"
            f" on {route.to_network}",
            "not_before": now_s,
            "expires": now_s + self.policy.approvals.expires_after // 1_000,
            "requester": NATIVE,
        }
        home = Home(
            chain_id=site.chain_id, contract=self.config.holder_of(self.policy, route.source)
        )
        view = await self.rpcs[route.to_network].view()
        body: dict[str, str | int | None] = {
            "rebalance": str(number),
            "from": route.source,
            "to": route.target,
            "asset": route.asset,
            "amount": str(amount),
        }
        try:
            async with self._on_record("ask for a rebalance") as connection:
                await append(
                    connection, writer=WRITER, kind="rebalance", justification=why, body=body
                )
                await connection.execute(
                    _ASK,
                    *(number, route.from_network, route.source, route.target, own.bucket),
                    *(asked["to_address"], route.asset, asked["token"], amount, asked["use"]),
                    *(asked["not_before"], asked["expires"], NATIVE, routine.needed),
                    recorded(asked).message.digest(home),
                )
                await connection.execute(
                    _REQUEST,
                    *(number, own.bucket, route.asset, route.from_network, route.source),
                    *(route.to_network, route.target, destination, amount),
                    *(view.finalized.number, why),
                )
        except UniqueViolationError:
            return  # another treasury has just asked
        _log.info("rebalance %s of %d %s is asked for: %s", number, amount, route.asset, why)

    async def _prepare(
        self, row: Mapping[str, Any], route: Route, lacking: Mapping[str, int | None]
    ) -> None:
        """What approvers have signed may leave while all is well; what is too old goes nowhere."""
        if row["in_flight"]:
            return  # its contract is being told
        if row["vetoed"]:
            await self._over(row, "refused", "an approver has vetoed it")
            return
        if row["expired"]:
            await self._over(row, "expired", "it had not left when its approval expired")
            return
        if not (row["approved"] and row["proposed"] and row["ready"]):
            await self._clear(row["asset"])  # it waits for approvers, or for the delay
            return
        if await self._stopped(row, route, lacking):
            return
        if row["id"] not in self._agreed and not await self._agree(row):
            return
        if row["state"] == "requested":
            why = (
                f"{self.policy.approvals.routine.needed} approvers have signed it, the carrier has"
            )
            await self._release(row, f"{why} agreed, and every health check is green")
        else:
            await self.pool.execute(_GO_ON, row["id"], GO_MS)

    async def _agree(self, row: Mapping[str, Any]) -> bool:
        """Whether the carrier will carry it, once it is paid: its id is good for one transfer."""
        crash_point("ask the carrier", "before")
        try:
            told = await self.watch.carrier.ask(_wanted(row, self._reserve(row)))
        except ServiceError as error:
            await self._stop(row, [Finding("custody", "unknown", str(error))])
            return False
        crash_point("ask the carrier", "after")
        if isinstance(told, Carriage):
            if told.state == "accepted":
                self._agreed.add(row["id"])
                return True
            why = f"the carrier says {told.state} of what has not left"
        elif told.code in NEVER:
            await self._over(row, "refused", f"{told.code}: {told.reason}")
            return False
        elif told.code == ID_REUSED:
            await self._end(row, "held", f"{told.code}: {told.reason}")
            return False
        else:
            why = f"{told.code}: {told.reason}"
        await self._stop(row, [Finding("custody", "red", why)])
        return False

    async def _release(self, row: Mapping[str, Any], why: str) -> None:
        async with self._on_record("release a rebalance") as connection:
            if not await connection.fetchval(_RELEASE, row["id"], GO_MS):
                return
            await append(
                connection,
                writer=WRITER,
                kind="rebalance released",
                justification=why,
                body={"rebalance": str(row["id"])},
            )

    async def _over(
        self, row: Mapping[str, Any], state: Literal["refused", "expired"], why: str
    ) -> None:
        """End what never left, once its contract says so by every endpoint.

        A ledger that was restored may have forgotten that it left.
        """
        try:
            unexecuted = await self._unexecuted(row)
        except ServiceError as error:
            _log.info("rebalance %s is not confirmed: %s", row["id"], error)
            said = "endpoints do not all say that nothing has left"
            await self._stop(row, [Finding("books", "unknown", said)])
            return
        if unexecuted:
            await self._end(row, state, why)
        else:
            said = "it has left by its contract, and is not on record as having left"
            await self._end(row, "held", f"{why}; {said}")

    async def _follow(self, row: Mapping[str, Any], route: Route) -> None:
        """See through what has left: the chain alone says that it came, the carrier why it did not.

        What it has failed to pay, or says it has paid where the chain has nothing, is held.
        """
        if row["state"] == "requested":
            await self._release(row, "it has left already: that it was released was lost")
        view = await self.rpcs[route.to_network].view()
        if await self._settle({**row, "state": "released"}, view):
            return
        wanted = _wanted(row, self._reserve(row))
        try:
            told = await self.watch.carrier.find(wanted)
            if isinstance(told, Refusal):
                # Lost on its way, or by the carrier: it finds its deposit on the chain.
                told = await self.watch.carrier.ask(wanted)
        except ServiceError as error:
            await self._stop(row, [Finding("custody", "unknown", str(error))])
            return
        if isinstance(told, Refusal):
            why = f"{told.code}: {told.reason}"
            if told.code == ID_REUSED or told.code in NEVER:
                await self._end(row, "held", f"the carrier was paid, and says {why}")
            else:
                await self._stop(row, [Finding("custody", "red", why)])
            return
        await self._heard({**row, "state": "released"}, told, view)

    async def _heard(self, row: Mapping[str, Any], told: Carriage, view: ChainView) -> None:
        number = told.block_number
        if told.state not in ENDED or number is None or number > view.finalized.number:
            await self._stop(row, await self._carrier_fault())
            return
        try:
            if not await self._nothing_came(row, view):
                return
        except ServiceError as error:
            _log.info("rebalance %s is not confirmed: %s", row["id"], error)
            said = "endpoints do not all say that nothing has come"
            await self._stop(row, [Finding("books", "unknown", said)])
            return
        what = "has paid it" if told.state == "moved" else "could not pay it"
        why = f"the carrier says that it {what} in {told.tx_hash}, block {number}"
        await self._end(row, "held", f"{why}, and the chain has no such payment")

    async def _end(
        self,
        row: Mapping[str, Any],
        state: Literal["refused", "expired", "held"],
        why: str,
        moved: Moved | None = None,
    ) -> None:
        """End it with its reason in the journal; of one that is held people say the rest."""
        async with self._on_record("end a rebalance") as connection:
            if not await connection.fetchval(
                _END,
                *(row["id"], state, why),
                *((None, None) if moved is None else (moved.tx_hash, moved.block_number)),
            ):
                return
            await append(
                connection,
                writer=WRITER,
                kind=f"rebalance {state}",
                justification=why,
                body={"rebalance": str(row["id"])},
            )
        await self._clear(row["asset"])
        level = logging.ERROR if state == "held" else logging.WARNING
        _log.log(level, "rebalance %s is %s: %s", row["id"], state, why)

    # --- what speaks against it
    async def _stopped(
        self, row: Mapping[str, Any] | None, route: Route, lacking: Mapping[str, int | None]
    ) -> bool:
        """Whether a health check is not green; what may leave then stops at once."""
        seen = await self.watch.observe(route, lacking)
        against = blocking(health(self.policy, self.terms, route, seen))
        await self._stop({"asset": route.asset} | dict(row or {}), against)
        return bool(against)

    async def _carrier_fault(self) -> list[Finding]:
        """What speaks against the carrier, once it has been paid."""
        said = await self.watch.carrier_says()
        if said is None:
            return [Finding("custody", "unknown", "the carrier does not say how it is")]
        state, why = said
        return [] if state == "normal" else [Finding("custody", "red", f"{state}: {why}")]

    async def _stop(self, row: Mapping[str, Any], against: list[Finding]) -> None:
        """Keep what speaks against it, with the reasons in the journal when they are others.

        What may leave may not any more; what has left nothing stops.
        """
        asset, now = row["asset"], frozenset((each.check, each.verdict) for each in against)
        if against and row.get("go_until") is not None:
            await self.pool.execute(_STOP, row["id"])
        metrics.show_unhealthy(asset, {each.check for each in against})
        if now == self._blocked.get(asset, frozenset()):
            return
        said = "; ".join(f"{each.check} is {each.verdict}: {each.reason}" for each in against)
        body: dict[str, str | int | None] = {"asset": asset}
        if "id" in row:
            body["rebalance"] = str(row["id"])
        async with self._on_record(None) as connection:
            await append(
                connection,
                writer=WRITER,
                kind="rebalance blocked" if against else "rebalance unblocked",
                justification=said or "every health check that is looked at is green",
                body=body,
            )
        self._blocked[asset] = now
        _log.warning("rebalancing of %s: %s", asset, said or "goes on")

    async def _clear(self, asset: str) -> None:
        """Nothing is wanted that anything could speak against."""
        await self._stop({"asset": asset}, [])

    @asynccontextmanager
    async def _on_record(self, step: RebalanceStep | None) -> AsyncIterator[Connection]:
        """One transaction that may write to the journal; what kills may kill it about ``step``.

        A connection first, as for everybody else who writes to the treasury's journal.
        """
        async with self.pool.acquire() as connection, self.journal, connection.transaction():
            yield connection
            if step is not None:
                crash_point(step, "before")
        if step is not None:
            crash_point(step, "after")

    def _carrier_on(self, network: str) -> str:
        address = self.config.networks[network].carrier
        if address is None:
            raise ServiceError(f"the configuration names no contract of the carrier on {network}")
        return address.lower()

    def _reserve(self, row: Mapping[str, Any]) -> str:
        return self.config.holder_of(self.policy, row["from_wallet"])


def _wanted(row: Mapping[str, Any], reserve: str) -> CarriageRequest:
    """What the carrier is asked for."""
    return CarriageRequest(
        client_id=row["id"],
        asset=row["asset"],
        amount=str(row["amount"]),
        from_network=row["from_network"],
        deposit_by=reserve,
        network=row["to_network"],
        destination=row["destination"],
    )
