"""The same steps on PostgreSQL and on the simulated store, compared after each.

What a step is asked to do is drawn from the state of both, which are equal. Ids of withdrawals are
given, numbers of rows start at one on both, and times are left out.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import asyncpg

import tests.simulation.sql.approving
import tests.simulation.sql.claiming
import tests.simulation.sql.deciding
import tests.simulation.sql.settling  # noqa: F401 - the four register what statements do
from seawall.errors import SeawallError
from tests.simulation.rules import RULES
from tests.simulation.sql.reserving import accounts_of
from tests.simulation.sql.settling import account
from tests.simulation.store import SIGN_LOG_TABLES, TABLES, Database, Row, Transaction, statement
from tests.simulation.trace import Trace
from tests.simulation.weather import Weather
from tests.testing.conformance_steps import (
    FIRST,
    FORCE,
    NETWORK,
    OVERWRITE,
    PEOPLE,
    Draw,
    Side,
    Step,
    claiming,
    forbidden,
    reserving,
    take,
    topping,
)
from venue.settler.lanes import Lane, Slot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.testing.venue_harness import Founded
    from venue.database import Connection, Pool

_ACCOUNTS = """
    select asset, kind, id from accounts
    where (bucket, network) = ('customer', 'aster') and (customer_id = 1 or customer_id is null)"""
_NAMES = {
    "customer": ("customer_account", "source_account"),
    "reserved": ("reserved_account",),
    "clearing": ("source_clearing", "clearing"),
}
"""What a reservation calls the accounts of each kind."""
_TOPUP = """
    insert into topups (id, network, asset, from_wallet, to_wallet, amount, state, justification)
    values ($1, $2, $3, $4, $5, $6, 'requested', 'test')"""
_PEOPLE = """
    insert into operators (name, token_sha256, may, key)
    select name, sha256(name::bytea), '{see,request,approve}', key
    from unnest($1::text[], $2::text[]) as p (name, key) on conflict do nothing"""
_KEYS = {
    "approval_requests": ("id",),
    "approvals": ("id",),
    "approval_signatures": ("request_id", "act", "address"),
}
"""By table: its primary key."""
_COLUMNS = {
    "lanes": "wallet holder epoch signer_region next_nonce",
    "slots": "id nonce epoch mode_epoch admitted_epoch purpose data digest state tx_hash raw"
    " mined_hash block_number block_hash signer_region gas_limit offered_epoch",
    "slot_events": "slot_id state",
    "withdrawals": "id seq state reason slot_id held_because paid_to",
    "attempts": "slot_id withdrawal_id seq",
    "resolutions": "id withdrawal_id seq decision destination actor state slot_id found",
    "asset_pauses": "asset",
    "topups": "id asset amount state slot_id seq",
    "approval_requests": "id kind asset amount expires",
    "approval_signatures": "request_id act address signature finding",
    "approval_calls": "slot_id request_id call outcome ready_at",
    "replacements": "slot_id n max_fee_wei priority_fee_wei raw tx_hash signer_region",
    "floats": "wallet asset available",
    "mode": "epoch tier",
}
_LOG_COLUMNS = {
    "sign_log": "nonce digest epoch region max_fee_wei priority_fee_wei raw tx_hash signed_by",
    "sign_log_replacements": "max_fee_wei priority_fee_wei region raw tx_hash signed_by",
    "signed_amounts": "token amount",
}
"""What is compared of each table of the venue's database and the signers': everything but times."""
_OF_NETWORK = ("lanes", "floats")
_ENTRIES = """
    select p.kind, coalesce(p.withdrawal_id, p.topup_id, p.request_id), a.kind, a.asset, e.amount
    from postings p join entries e on e.posting_id = p.id join accounts a on a.id = e.account_id
    where p.kind in ('reserve', 'post', 'void', 'topup', 'sweep', 'transfer')"""
_BALANCES = """
    select a.asset, b.available from balances b join accounts a on a.id = b.account_id
    where a.customer_id = 1 and a.network = 'aster'"""


@statement(OVERWRITE)
async def _overwrite(tx: Transaction, slot: int, raw: bytes, tx_hash: str) -> list[Row]:
    await tx.update("slots", slot, raw=raw, tx_hash=tx_hash)
    return []


@statement(FORCE)
async def _force(tx: Transaction, each: UUID, state: str, slot: int) -> list[Row]:
    changes = {"state": state, "slot_id": slot, "held_because": None, "reason": "test"}
    await tx.update("withdrawals", each, **changes)
    return []


@dataclass(kw_only=True)
class Pair:
    """PostgreSQL and the simulated store."""

    real: Side
    simulated: Side
    done: int = 0
    effects: Counter[str] = field(default_factory=Counter)
    """Steps that changed something, by the first word of their names."""
    _rows: dict[str, Any] = field(default_factory=dict)

    async def both(self, name: str, step: Step) -> Any:
        """Do ``step`` on both and compare what it gives and what it leaves; what it gives."""
        found = [await _outcome(step, side) for side in (self.real, self.simulated)]
        assert found[0] == found[1], f"{name}: {found[0]} on PostgreSQL, {found[1]} simulated"
        before, self._rows = self._rows, await self.real.rows()
        rows = [self._rows, await self.simulated.rows()]
        self.effects[name.split(maxsplit=1)[0]] += before != self._rows
        for table, real in rows[0].items():
            assert real == rows[1][table], f"{name}: {table} differ"
        self.done += 1
        return found[0]

    async def random_steps(self, random: Random, *, count: int) -> None:
        """Take the lanes, and then ``count`` steps, whichever may come."""
        await self.both("take", take)
        draw = Draw(random=random)
        while self.done <= count:
            name, step = draw.step(self.real, self._rows)
            await self.both(name, step)

    async def forbidden_steps(self) -> int:
        """Do what must not be done; how often both refused."""
        await self.both("take", take)
        for number in range(4):
            each = UUID(int=FIRST.int + number)
            await self.both("reserve", reserving(each, "USDX", 1_000_000))
        await self.both("top-up", topping(UUID(int=99), "USDX", 5_000_000))
        await self.both("claim", claiming("payout"))
        refused = 0
        for name, step in forbidden():
            outcome = await self.both(name, step)
            assert outcome[0] == "refused", name
            refused += 1
        return refused


async def _outcome(step: Step, side: Side) -> tuple[str, Any]:
    await side.beat()
    try:
        return "done", _plain(await step(side))
    except asyncpg.IntegrityConstraintViolationError:
        return "refused", "constraint"
    except asyncpg.RaiseError:
        return "refused", "trigger"
    except SeawallError as error:
        return "refused", type(error).__name__


def _plain(value: Any) -> Any:
    if isinstance(value, Slot):
        return (value.id, value.nonce, value.purpose, value.data, value.items, value.state)
    return value


async def pair_of(founded: Founded, owner: Connection, pool: Pool, log: Pool) -> Pair:
    """Both sides of one founded venue; the pools are its owner's, of both databases.

    Hot wallets may pay more than their maximum, so that sweeps are claimed, too.
    """
    await owner.execute("update floats set available = 3 * available")
    database = await _copied(owner)
    policy = founded.policy
    hot = next(
        name for name, wallet in policy.payout_wallets().items() if wallet.network == NETWORK
    )
    reserve = policy.reserve_of(hot)
    accounts: dict[str, dict[str, Any]] = {}
    for row in await owner.fetch(_ACCOUNTS):
        for name in _NAMES.get(row["kind"], ()):
            accounts.setdefault(row["asset"], {})[name] = row["id"]
    return Pair(
        real=_real(founded, owner, pool, log, accounts, hot, reserve),
        simulated=_simulated(founded, database, hot, reserve),
    )


def _lanes(founded: Founded, hot: str, reserve: str) -> list[Lane]:
    site = founded.config.networks[NETWORK]
    keys = founded.config.signers[founded.policy.regions.primary].keys
    return [
        Lane(
            chain_id=site.chain_id,
            address=keys[wallet].address,
            network=NETWORK,
            wallet=wallet,
            contract=str(site.contract_of(wallet)),
            purpose="payout" if wallet == hot else "topup",
        )
        for wallet in (hot, reserve)
    ]


def _real(  # noqa: PLR0917 - each is of another kind
    founded: Founded,
    owner: Connection,
    pool: Pool,
    log: Pool,
    accounts: dict[str, dict[str, Any]],
    hot: str,
    reserve_wallet: str,
) -> Side:
    async def topup(each: UUID, asset: str, amount: int, out: bool) -> None:
        wallets = (hot, reserve_wallet) if out else (reserve_wallet, hot)
        await owner.execute(_TOPUP, each, NETWORK, asset, *wallets, amount)

    async def write(table: str, row: Mapping[str, Any]) -> None:
        names = [f"approver {each[-2:]}" for each in PEOPLE]
        await owner.execute(_PEOPLE, [*names, "ann"], [*PEOPLE, f"0x{0xAA:040x}"])
        marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        await owner.execute(
            f"insert into {table} ({', '.join(row)}) values ({marks})", *row.values()
        )

    async def flip(tier: str) -> None:
        await owner.execute("update mode set epoch = epoch + 1, tier = $1", tier)

    async def beat() -> None:
        await owner.execute(
            """insert into mode_controller_lease (holder, renewed_at)
               values ('test', clock_timestamp())
               on conflict (only_row) do update set renewed_at = excluded.renewed_at"""
        )

    async def rows() -> dict[str, Any]:
        found: dict[str, Any] = {}
        for table, columns in _COLUMNS.items():
            where = f" where network = '{NETWORK}'" if table in _OF_NETWORK else ""
            query = f"select {', '.join(columns.split())} from {table}{where}"
            found[table] = in_order(await owner.fetch(query))
        for table, columns in _LOG_COLUMNS.items():
            query = f"select {', '.join(columns.split())} from {table}"
            found[table] = in_order(await log.fetch(query))
        found["entries"] = in_order(await owner.fetch(_ENTRIES))
        found["balances"] = in_order(await owner.fetch(_BALANCES))
        return found

    return Side(
        pool=pool,
        log=log,
        policy=founded.policy,
        lanes=_lanes(founded, hot, reserve_wallet),
        tokens=founded.config.networks[NETWORK].tokens,
        accounts=accounts,
        topup=topup,
        write=write,
        flip=flip,
        beat=beat,
        rows=rows,
        connection=pool.acquire,
    )


def in_order(rows: Any) -> list[tuple[Any, ...]]:
    """Rows, in an order that both sides share."""
    return sorted((tuple(row) for row in rows), key=repr)


def empty(names: Sequence[str]) -> Database:
    """A simulated store without rows."""
    return Database(
        trace=Trace(now=lambda: 0.0),
        weather=Weather(draw=lambda: 1.0),
        clock=time.monotonic,
        rules=RULES,
        committed=lambda _tx, _changes: None,
        names=names,
    )


async def _copied(owner: Connection) -> Database:
    """A simulated store with the rows that genesis made."""
    database = empty(TABLES)
    tables = database.tables
    for row in await owner.fetch("select * from lanes where network = $1", NETWORK):
        tables["lanes"][row["chain_id"], row["address"]] = dict(row)
    for row in await owner.fetch("select * from floats where network = $1", NETWORK):
        tables["floats"][row["wallet"], row["asset"]] = dict(row)
    for row in await owner.fetch(
        """select a.bucket, a.network, a.asset, b.available from balances b
           join accounts a on a.id = b.account_id where a.customer_id = 1 and a.network = $1""",
        NETWORK,
    ):
        tables["balances"][account(dict(row), "customer", 1)] = {"available": row["available"]}
    mode = await owner.fetchrow("select epoch, tier from mode")
    assert mode is not None
    tables["mode"]["only"] = dict(mode)
    tables["mode_controller_lease"]["only"] = {"holder": "test", "renewed_at": 0.0}
    return database


def _simulated(founded: Founded, database: Database, hot: str, reserve_wallet: str) -> Side:
    tables, log = database.tables, empty(SIGN_LOG_TABLES)

    async def topup(each: UUID, asset: str, amount: int, out: bool) -> None:
        wallets = (hot, reserve_wallet) if out else (reserve_wallet, hot)
        tx = database.transaction()
        row = {
            "id": each,
            "n": database.number("topups"),
            "network": NETWORK,
            "asset": asset,
            "from_wallet": wallets[0],
            "to_wallet": wallets[1],
            "amount": amount,
            "state": "requested",
            "slot_id": None,
            "seq": None,
            "requested_at": len(tables["topups"]),
        }
        try:
            await tx.insert("topups", each, row)
            tx.commit()
        finally:
            tx.end()

    async def write(table: str, row: Mapping[str, Any]) -> None:
        tx = database.transaction()
        key = tuple(row[name] for name in _KEYS[table])
        at = len(tables["approval_requests"])
        try:
            await tx.insert(table, key if len(key) > 1 else key[0], {**row, "at": at})
            tx.commit()
        finally:
            tx.end()

    async def flip(tier: str) -> None:
        tx = database.transaction()
        tx.put("mode", "only", {"epoch": tables["mode"]["only"]["epoch"] + 1, "tier": tier})
        tx.commit()

    async def beat() -> None:
        lease = {"holder": "test", "renewed_at": database.clock()}
        tables["mode_controller_lease"]["only"] = lease

    async def rows() -> dict[str, Any]:
        found: dict[str, Any] = {
            table: in_order(
                [row[name] for name in columns.split()] for row in tables[table].values()
            )
            for table, columns in _COLUMNS.items()
        }
        found |= {
            table: in_order(
                [row[name] for name in columns.split()] for row in log.tables[table].values()
            )
            for table, columns in _LOG_COLUMNS.items()
        }
        found["slot_events"] = in_order(
            (row["slot_id"], row["state"]) for row in tables["slot_events"].values()
        )
        found["entries"] = in_order(
            (
                posting["kind"],
                posting["withdrawal_id"] or posting["topup_id"] or posting["request_id"],
                entry["account"][3],
                entry["account"][2],
                entry["amount"],
            )
            for entry in tables["entries"].values()
            for posting in [tables["postings"][entry["posting_id"]]]
        )
        found["balances"] = in_order(
            (owner[2], row["available"]) for owner, row in tables["balances"].items()
        )
        return found

    @asynccontextmanager
    async def connection() -> Any:
        async with database.pool().acquire() as found:
            yield found

    return Side(
        pool=cast("Any", database.pool()),
        log=cast("Any", log.pool()),
        policy=founded.policy,
        lanes=_lanes(founded, hot, reserve_wallet),
        tokens=founded.config.networks[NETWORK].tokens,
        accounts={
            asset: accounts_of({"bucket": "customer", "network": NETWORK, "asset": asset}, 1)
            for asset in founded.policy.networks[NETWORK].assets
        },
        topup=topup,
        write=write,
        flip=flip,
        beat=beat,
        rows=rows,
        connection=cast("Any", connection),
    )
