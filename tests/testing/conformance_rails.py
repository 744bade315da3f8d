"""The same steps over a rail on PostgreSQL and on the simulated store, compared after each.

Both have the same two providers, whose statements they read. What a provider says is drawn, and
often contradicts what was asked of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import tests.simulation.sql.deciding
import tests.simulation.sql.paying
import tests.simulation.sql.reserving  # noqa: F401 - the three register what statements do
from sandbox.counterparties.payouts import PayoutBook, terms_of
from seawall.controls.steady import SteadyClock
from seawall.conventions.components import SIDES
from seawall.formats.drill_contract import WithdrawalRequest
from seawall.formats.payout_rail import Instruction, Statement
from tests.simulation.sql.reserving import accounts_of
from tests.simulation.sql.settling import account
from tests.simulation.store import TABLES, Database
from tests.testing.conformance import Pair, empty, in_order
from tests.testing.conformance_steps import NETWORK
from venue.api.directory import Directory
from venue.api.intake import Reservation, reservation_of
from venue.api.reservations import cancel_withdrawal, commit_batch
from venue.rails import metrics, opening, routing, statements, worker
from venue.rails.claims import RailClaims
from venue.rails.statements import Statements

if TYPE_CHECKING:
    from tests.testing.venue_harness import Founded
    from venue.database import Connection, Pool

_COLUMNS = {
    "rail_providers": "side generation",
    "rail_lines": "side n client_id withdrawal_id attempt state asset amount destination reason"
    " unexplained",
    "rail_instructions": "withdrawal_id attempt client_id side asset amount destination mode_epoch"
    " state refusal",
    "rail_funds": "side asset available",
    "rail_log": "side reason",
}
_WITHDRAWALS = "id seq state reason"
_ENTRIES = """
    select p.kind, p.withdrawal_id, a.network, a.kind, a.asset, e.amount
    from postings p join entries e on e.posting_id = p.id join accounts a on a.id = e.account_id
    where p.kind <> 'fund'"""
_BALANCES = """
    select a.customer_id, a.bucket, a.network, a.asset, b.available
    from balances b join accounts a on a.id = b.account_id where a.network = $1"""
_MARK = "select generation, key::text from generations order by generation desc limit 1"
_DESTINATIONS = {
    "fiat": ("GB00HARBOUR00000001", "GB00CLOSED00000001"),
    "exchange": ("0x" + "ab" * 20, "0xc105ed" + "0" * 34),
}
_CUSTOMERS = 3


@dataclass(kw_only=True)
class RailSide:
    """PostgreSQL or the simulated store, as who pays over the rail and as the api."""

    pool: Pool
    api: Pool
    beat: Callable[[], Awaitable[None]]
    rows: Callable[[], Awaitable[dict[str, Any]]]
    reserves: Callable[[Reservation], Reservation]
    open_next: Callable[[str], Awaitable[None]]
    flip: Callable[[str], Awaitable[None]]


@dataclass(kw_only=True)
class RailPair:
    """Both sides, and the two providers that they share."""

    founded: Founded
    rail: str
    directory: Directory
    pair: Pair
    books: dict[str, PayoutBook]
    random: Random
    now: float = 0.0
    ids: list[UUID] = field(default_factory=list)
    customers: dict[UUID, int] = field(default_factory=dict)

    async def random_steps(self, *, count: int) -> None:
        """Some in the first generation, and some in one that has to be opened."""
        steps = [
            *(self._reserve, self._reserve, self._reserve, self._claim, self._take, self._take),
            *(self._read, self._read, self._settle, self._cancel_id, self._wrong, self._refuse),
            *(
                self._dispute,
                self._cancel,
                self._cancel,
                self._look,
                self._log,
                self._forbidden,
                self._flip,
            ),
        ]
        for _ in range(count):
            await self.random.choice(steps)()
        await self.pair.both("generation", _opening_next(str(UUID(int=7))))
        later = [each for each in steps if each != self._reserve]
        for number in range(count):
            await self.random.choice([*later, self._open, self._open])()
            if number == count // 2:
                for book in self.books.values():
                    book.cancel(f"generation-1-{UUID(int=7)}", now=self.now)
        for _ in range(3):
            await self._finish()

    async def _both(self, name: str, do: Callable[[RailSide], Awaitable[Any]]) -> Any:
        """What it gives; None if both refused it."""
        outcome, value = await self.pair.both(name, cast("Any", do))
        return value if outcome == "done" else None

    def _side(self) -> str:
        return self.random.choice(SIDES)

    async def _reserve(self) -> None:
        random, terms = self.random, self.books["primary"]._terms
        each = UUID(int=random.getrandbits(128), version=4)
        asset = random.choice(sorted(set(terms.funding) & {"AST", "USDX"}))
        part = random.choice((5, 50, 2_000))
        request = WithdrawalRequest(
            id=each,
            network=self.rail,
            source_network=NETWORK,
            asset=asset,
            amount=str(terms.funding[asset] // part),
            destination=random.choice(_DESTINATIONS[self.rail]),
        )
        policy, own = self.founded.policy, self.founded.config.own_addresses(self.founded.policy)
        customer = random.randint(1, _CUSTOMERS)
        wanted = await reservation_of(policy, self.directory, own, customer, request)
        if not isinstance(wanted, Reservation):
            return

        async def do(side: RailSide) -> Any:
            async with side.api.acquire() as connection:
                [answer] = await commit_batch(
                    connection, policy, [side.reserves(wanted)], clock=SteadyClock()
                )
            return answer

        answer = await self._both("reserve", do)
        if getattr(answer, "id", None) is not None:
            self.ids.append(each)
            self.customers[each] = customer

    async def _cancel(self) -> None:
        if not self.ids:
            return
        each = self.random.choice(self.ids[-4:])
        customer = self.customers[each] if self.random.random() < 0.8 else 1  # who may be another

        async def do(side: RailSide) -> Any:
            async with side.api.acquire() as connection:
                return await cancel_withdrawal(connection, self.founded.policy, customer, each)

        await self._both("cancel", do)

    async def _claim(self) -> None:
        at, limit = self._side(), self.random.randint(1, 2)

        async def do(side: RailSide) -> int:
            claims = RailClaims(pool=side.pool, policy=self.founded.policy, rail=self.rail)
            return await claims.claim(at, limit=limit)

        await self._both("claim", do)

    async def _recorded(self, at: str) -> list[Any]:
        async def do(side: RailSide) -> Any:
            claims = RailClaims(pool=side.pool, policy=self.founded.policy, rail=self.rail)
            return await claims.recorded(at, limit=16)

        return cast("list[Any]", await self._both("recorded", do))

    async def _take(self) -> None:
        """A provider takes something that was recorded for it."""
        at = self._side()
        recorded = await self._recorded(at)
        if recorded:
            each = self.random.choice(recorded)
            self.books[at].submit(each.instruction, now=self.now)

    async def _cancel_id(self) -> None:
        """It uses an id up, which may be in doubt."""
        at = self._side()
        recorded = [each.instruction.client_id for each in await self._recorded(at)]
        made_up = [f"{each}-{self.random.randint(1, 3)}" for each in self.ids[-3:]]
        if recorded + made_up:
            self.books[at].cancel(self.random.choice(recorded * 3 + made_up), now=self.now)

    async def _wrong(self) -> None:
        """It has something that nobody has asked for: of an id of ours, or of none."""
        if self.random.random() < 0.5 or not self.ids:
            return
        rows = (await self.pair.real.rows())["contents"]
        each = self.random.choice(self.ids)
        asset, amount, destination = rows[each]
        if self.random.random() < 0.4:
            amount += 1
        client_id = self.random.choice((f"{each}-{self.random.randint(1, 2)}", "someone-else"))
        asked = Instruction(
            client_id=client_id, asset=asset, amount=str(amount), destination=destination
        )
        self.books[self._side()].submit(asked, now=self.now)

    async def _settle(self) -> None:
        self.now += 1.0
        for book in self.books.values():
            book.settle(now=self.now)

    async def _read(self) -> None:
        at, page = self._side(), self.random.choice((1, 3, 500))

        async def do(side: RailSide) -> int:
            told = cast("Any", _Shown(rail=self.rail, side=at, book=self.books[at], page=page))
            return await Statements(pool=side.pool).read(told)

        await self._both("read", do)

    async def _refuse(self) -> None:
        recorded = await self._recorded(self._side())
        if recorded and self.random.random() < 0.5:
            client_id = self.random.choice(recorded).instruction.client_id
            await self._row("refuse", worker._REFUSE, client_id, "Nothing can be paid there.")

    async def _dispute(self) -> None:
        recorded = await self._recorded(self._side())
        if recorded and self.random.random() < 0.15:
            client_id = self.random.choice(recorded).instruction.client_id
            await self._row("dispute", worker._HOLD, client_id)

    async def _row(self, name: str, statement: str, *arguments: Any, number: bool = True) -> None:
        """Do a statement; numbers of rows are left out."""

        async def do(side: RailSide) -> Any:
            row = await side.pool.fetchrow(statement, *arguments)
            return row is not None if number or row is None else tuple(row)

        await self._both(name, do)

    async def _look(self) -> None:
        at = self._side()
        for statement in (opening._STANDING, statements._LAST_LINE):
            await self._row("look", statement, self.rail, at, number=False)

        async def do(side: RailSide) -> Any:
            ids = await side.pool.fetch(opening._USE_UP, self.rail, at, 100)
            rows = await side.pool.fetch(metrics._STANDING, self.rail)
            last = await side.pool.fetchval(routing._LAST, self.rail)
            return (
                sorted(row["client_id"] for row in ids),
                sorted((row["side"], row["unexplained"]) for row in rows),
                last,
            )

        await self._both("look", do)

    async def _log(self) -> None:
        await self._row("log", routing._LOG, self.rail, self._side(), "test")

    async def _flip(self) -> None:
        tier = self.random.choice(("normal", "normal", "protected"))
        await self._both("flip", lambda side: side.flip(tier))

    async def _open(self) -> None:
        await self._row("open", opening._OPEN, self.rail, self._side(), number=False)

    async def _forbidden(self) -> None:
        """What no statement bears out, of an instruction or of its withdrawal."""
        rows = (await self.pair.real.rows())["numbers"]
        if not rows:
            return
        client_id = self.random.choice(sorted(rows))
        withdrawal = UUID(client_id.rpartition("-")[0])
        state = self.random.choice(("settled", "returned", "cancelled", "accepted"))
        what = self.random.choice(("move", "post", "release", "give back"))

        async def do(side: RailSide) -> Any:
            if what == "move":
                number = (await side.rows())["numbers"][client_id]
                await side.pool.execute(statements._MOVE, number, state)
                return None
            if what == "post":
                return await side.pool.fetchval(statements._POST, withdrawal)
            if what == "release":
                return await side.pool.fetchval(statements._RELEASE, withdrawal)
            return await side.pool.fetchval(statements._GIVE_BACK, withdrawal, "test")

        await self._both(f"forbidden-{what.replace(' ', '-')}", do)

    async def _finish(self) -> None:
        """Use up what is left, read both statements, and open."""
        for at in SIDES:
            ids = await self.pair.simulated.pool.fetch(opening._USE_UP, self.rail, at, 100)
            for row in ids:
                self.books[at].cancel(row["client_id"], now=self.now)
        for _ in range(4):
            await self._read()
        await self._open()
        await self._claim()


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """A provider as who reads its statement has it."""

    rail: str
    side: str
    book: PayoutBook
    page: int

    async def statement(self, *, after: int) -> Statement:
        whole = self.book.statement(after=after)
        more = len(whole.lines) > self.page
        return Statement(lines=whole.lines[: self.page], more=more)


def _opening_next(key: str) -> Any:
    async def do(side: RailSide) -> None:
        await side.open_next(key)

    return do


async def rail_pair_of(
    founded: Founded, owner: Connection, pool: Pool, api: Pool, *, rail: str, seed: int
) -> RailPair:
    """Both sides of a founded venue that pays over ``rail``; the pools are of its roles."""
    directory = Directory(founded.policy, api)
    await directory.load()
    database = await _copied(owner, rail)
    terms = terms_of(founded.policy, founded.policy.paying_rails()[rail], settles_after_s=1.5)
    sides = (_real(owner, pool, api, rail), _simulated(database))
    return RailPair(
        founded=founded,
        rail=rail,
        directory=directory,
        pair=Pair(real=cast("Any", sides[0]), simulated=cast("Any", sides[1])),
        books={side: PayoutBook(Path(":memory:"), terms) for side in SIDES},
        random=Random(seed),
    )


def _real(owner: Connection, pool: Pool, api: Pool, rail: str) -> RailSide:
    async def rows() -> dict[str, Any]:
        found: dict[str, Any] = {}
        for table, columns in _COLUMNS.items():
            query = f"select {', '.join(columns.split())} from {table} where rail = $1"
            found[table] = in_order(await owner.fetch(query, rail))
        withdrawals = f"select {', '.join(_WITHDRAWALS.split())} from withdrawals"
        found["withdrawals"] = in_order(await owner.fetch(withdrawals))
        found["entries"] = in_order(await owner.fetch(_ENTRIES))
        found["balances"] = in_order(await owner.fetch(_BALANCES, NETWORK))
        contents = await owner.fetch("select id, asset, amount, destination from withdrawals")
        found["contents"] = {row["id"]: tuple(row)[1:] for row in contents}
        numbers = await owner.fetch("select client_id, id from rail_instructions")
        found["numbers"] = {row["client_id"]: row["id"] for row in numbers}
        return found

    async def beat() -> None:
        await owner.execute(
            """insert into mode_controller_lease (holder, renewed_at)
               values ('test', clock_timestamp())
               on conflict (only_row) do update set renewed_at = excluded.renewed_at"""
        )

    async def open_next(key: str) -> None:
        await owner.execute(
            "insert into generations (generation, reason, key) values (1, 'test', $1::uuid)", key
        )

    async def flip(tier: str) -> None:
        await owner.execute("update mode set epoch = epoch + 1, tier = $1", tier)

    return RailSide(
        pool=pool,
        api=api,
        beat=beat,
        rows=rows,
        reserves=lambda wanted: wanted,
        open_next=open_next,
        flip=flip,
    )


def _simulated(database: Database) -> RailSide:
    tables = database.tables

    async def rows() -> dict[str, Any]:
        found: dict[str, Any] = {
            table: in_order(
                [row[name] for name in columns.split()] for row in tables[table].values()
            )
            for table, columns in (_COLUMNS | {"withdrawals": _WITHDRAWALS}).items()
        }
        found["entries"] = in_order(
            (
                posting["kind"],
                posting["withdrawal_id"],
                entry["account"][1],
                entry["account"][3],
                entry["account"][2],
                entry["amount"],
            )
            for entry in tables["entries"].values()
            for posting in [tables["postings"][entry["posting_id"]]]
        )
        found["balances"] = in_order(
            (owner[4], *owner[:3], row["available"]) for owner, row in tables["balances"].items()
        )
        found["contents"] = {
            key: (row["asset"], row["amount"], row["destination"])
            for key, row in tables["withdrawals"].items()
        }
        instructions = tables["rail_instructions"].values()
        found["numbers"] = {row["client_id"]: row["id"] for row in instructions}
        return found

    async def beat() -> None:
        lease = {"holder": "test", "renewed_at": database.clock()}
        tables["mode_controller_lease"]["only"] = lease

    async def open_next(key: str) -> None:
        database.generation, database.key = 1, key

    async def flip(tier: str) -> None:
        tx = database.transaction()
        tx.put("mode", "only", {"epoch": tables["mode"]["only"]["epoch"] + 1, "tier": tier})
        tx.commit()

    def reserves(wanted: Reservation) -> Reservation:
        place = {"bucket": wanted.bucket, "network": wanted.network, "asset": wanted.asset}
        return replace(wanted, **accounts_of(place, wanted.customer_id, source=NETWORK))

    pool = cast("Any", database.pool())
    return RailSide(
        pool=pool, api=pool, beat=beat, rows=rows, reserves=reserves, open_next=open_next, flip=flip
    )


async def _copied(owner: Connection, rail: str) -> Database:
    """A simulated store with the rows that genesis made."""
    database = empty(TABLES)
    tables = database.tables
    for row in await owner.fetch(_BALANCES, NETWORK):
        key = account(dict(row), "customer", row["customer_id"])
        tables["balances"][key] = {"available": row["available"]}
    for row in await owner.fetch("select * from rail_providers where rail = $1", rail):
        tables["rail_providers"][rail, row["side"]] = dict(row)
    for row in await owner.fetch("select * from rail_funds where rail = $1", rail):
        tables["rail_funds"][rail, row["side"], row["asset"]] = dict(row)
    mode, mark = await owner.fetchrow("select epoch, tier from mode"), await owner.fetchrow(_MARK)
    assert mode is not None
    assert mark is not None
    tables["mode"]["only"] = dict(mode)
    database.generation, database.key = mark
    return database
