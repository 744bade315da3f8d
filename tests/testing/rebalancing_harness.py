"""A venue on two chains, and the carrier between them: the sandbox's, as a process."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from sandbox.counterparties.carrier import KEY_VARIABLE
from seawall.controls.rebalancing import Quote
from seawall.ethereum.keys import (
    address_of_private_key,
    event_topic,
    keccak256,
    sign_locally,
    to_bytes,
)
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.formats.venue_config import Endpoint, VenueConfig
from seawall.invariants import Books, Crossing, violations
from tests.testing.anvil import mined
from tests.testing.approvers import approver_keys
from tests.testing.exchange import exchange
from tests.testing.settler_harness import STRANGER, Venue, until_final, venue_bench
from tests.testing.venue_harness import HANGS_AFTER_S, connected, free_port
from venue.contracts.calls import Item, mint, pay, transfer
from venue.database import Pool, open_pool
from venue.ledger.chart import books
from venue.operator import access
from venue.operator.approvals import Act, Approvals
from venue.treasury.custodian import Carrier
from venue.treasury.rebalancing import Rebalancing
from venue.treasury.reconcile import Comparison, reconcile
from venue.treasury.watch import Watch

RICH, POOR = "customer-aster-reserve", "customer-birch-reserve"
UNIT = 10**6
MOVED = 300_000 * UNIT
"""What aster has too much; birch lacks three times that."""
_LACKING = 3 * MOVED
_CLAIMED = "select exists (select 1 from approval_calls where call = 'execute')"
_EXECUTED = event_topic("Executed(bytes16,uint256,address,address,uint256)")
_PAID = event_topic("Paid(uint256,bytes16,address,address,uint256)")
_SECRET = keccak256(b"a carrier between networks")
_FUND = """
    with posted as (
        insert into postings (kind) values ('fund') returning id
    )
    insert into entries (posting_id, account_id, amount)
    select p.id, a.id, case a.kind when 'reserve' then $1::numeric else -$1::numeric end
    from posted p join accounts a on (a.bucket, a.network, a.asset) = ('customer', $2, 'USDX')
                                 and a.kind in ('reserve', 'unidentified')"""
_ROWS = """
    select b.*, has_left(b.id) as left from rebalances b order by b.requested_at"""


@dataclass(kw_only=True)
class Quoted:
    """Prices as an exchange quotes them, without one; ``price`` is of AST."""

    price: Fraction = Fraction(2_000)
    dark: bool = False

    async def quotes(self, coins: Any, *, buy: str) -> list[Quote]:
        """Both coins."""
        prices = {"AST": self.price, "BIR": Fraction(500)}
        return [] if self.dark else [Quote("a test", each, buy, prices[each], 0) for each in coins]


@dataclass(kw_only=True)
class RebalancingVenue:
    """A venue, the carrier's process, and the treasury's part that asks it; no settler runs yet."""

    venue: Venue
    config: VenueConfig
    config_path: Path
    directory: Path
    treasury: Pool
    client: httpx.AsyncClient
    rpcs: Mapping[str, AsyncRpcClient]
    port: int
    prices: Quoted = field(default_factory=Quoted)
    part: Rebalancing = field(init=False)
    tokens: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Start the treasury's part anew: it knows what is on record alone."""
        watch = Watch(
            policy=self.venue.policy,
            pool=self.treasury,
            rpcs=self.rpcs,
            carrier=Carrier(
                url=f"http://127.0.0.1:{self.port}", credential="the venue", client=self.client
            ),
            prices=self.prices,  # type: ignore[arg-type]
        )
        self.part = Rebalancing(
            config=self.config,
            policy=self.venue.policy,
            pool=self.treasury,
            rpcs=self.rpcs,
            watch=watch,
            journal=asyncio.Lock(),
        )

    async def turn(self, *, lacking: Mapping[str, int | None] | None = None) -> None:
        """A turn of the treasury, after a comparison that found ``lacking``."""
        await self.part.turn("USDX", {RICH: 0, POOR: 0} | dict(lacking or {}))

    async def turns_until(
        self,
        *states: str,
        left: bool | None = None,
        turn: Callable[[], Awaitable[None]] | None = None,
    ) -> dict[str, Any]:
        """Take turns until the newest movement is in one of ``states``; it."""
        async with asyncio.timeout(HANGS_AFTER_S):
            while True:
                await (turn or self.turn)()
                rows = await self.rows()
                if rows and rows[-1]["state"] in states and left in (None, rows[-1]["left"]):
                    return rows[-1]
                await asyncio.sleep(0.2)

    async def rows(self) -> list[dict[str, Any]]:
        """Every movement, oldest first."""
        return [dict(row) for row in await self.venue.owner.fetch(_ROWS)]

    async def left(self) -> bool:
        """Whether the newest one has left, by the ledger."""
        return bool((await self.rows())[-1]["left"])

    async def approved(self, turn: Callable[[], Awaitable[None]] | None = None) -> None:
        """Have it asked for and signed; its delay has passed, and a settler of aster runs."""
        await self.unbalance()
        while not await self.rows():
            await (turn or self.turn)()
        assert await self.sign() == [False, True]
        await self.venue.settler("aster")
        await self.cooled()

    async def leaving(self) -> None:
        """Take turns until a settler has claimed what pays the carrier: nothing stops it now."""
        async with asyncio.timeout(HANGS_AFTER_S):
            while not await self.venue.owner.fetchval(_CLAIMED):
                await self.turn()
                await asyncio.sleep(0.1)

    async def settlers_stop(self) -> None:
        """No settler runs any more."""
        for process in self.venue.settlers:
            if process.returncode is None:
                await self.venue.stop(process)

    async def pay_instead(self, row: Mapping[str, Any], amount: int) -> None:
        """The carrier's key pays ``amount`` under the id of ``row``, whatever it was paid."""
        site = self.config.networks["birch"]
        assert site.carrier is not None
        item = Item(
            seq=77, id=row["id"], to=row["destination"], token=site.tokens["USDX"], amount=amount
        )
        key = address_of_private_key(_SECRET)
        rpc = self.rpcs["birch"]
        await rpc.call("anvil_impersonateAccount", key)
        await mined(rpc, {"from": key, "to": site.carrier, "data": "0x" + pay([item]).hex()})
        await until_final(site.rpc.primary)

    async def unbalance(self) -> None:
        """Aster's reserve has too much and birch's too little, on the chains and in the ledger."""
        rich, poor = (self.config.holder_of(self.venue.policy, name) for name in (RICH, POOR))
        await self._send("aster", STRANGER, mint(rich, MOVED))
        # Out of a contract, which then has paid gas that the ledger knows nothing of.
        rpc = self.rpcs["birch"]
        held = await rpc.balance(poor)
        await rpc.call("anvil_setBalance", poor, hex(held + 10**18))
        await self._send("birch", poor, transfer("0x" + "0d" * 20, _LACKING))
        await rpc.call("anvil_setBalance", poor, hex(held))
        for network, amount in (("aster", MOVED), ("birch", -_LACKING)):
            await self.venue.owner.execute(_FUND, amount, network)
            await until_final(self.config.networks[network].rpc.primary)

    async def _send(self, network: str, sender: str, data: bytes) -> None:
        """Have ``sender`` call the token of ``network``."""
        rpc, token = self.rpcs[network], self.config.networks[network].tokens["USDX"]
        await rpc.call("anvil_impersonateAccount", sender)
        await mined(rpc, {"from": sender, "to": token, "data": "0x" + data.hex()})

    async def sign(self, *roles: str, act: Act = "approve") -> list[bool]:
        """Have approvers sign the newest one; whether each made it approved."""
        approvals = Approvals(config=self.config, policy=self.venue.policy)
        keys = approver_keys(self.venue.policy)
        number = UUID(str((await self.rows())[-1]["id"]))
        found = []
        async with connected(self.venue.database.operator) as connection:
            for role in roles or ("treasury-lead", "wallet-ops-lead"):
                if role not in self.tokens:
                    self.tokens[role] = await access.enroll(
                        self.venue.owner,
                        role,
                        may=frozenset({"see", "approve"}),
                        key=address_of_private_key(keys[role]),
                    )
                pool: Any = connection
                operator = await access.identify(pool, f"Bearer {self.tokens[role]}")
                assert operator is not None
                shown = await approvals.message(connection, number, act, "it is in order")
                made = sign_locally(to_bytes(shown["digest"]), secret=keys[role])
                found.append(
                    await approvals.sign(
                        connection,
                        number,
                        act,
                        signature=made.recoverable,
                        said="it is in order",
                        operator=operator,
                    )
                )
        return found

    async def cooled(self) -> None:
        """The delay of the routine lane passes on aster, once the proposal is final there."""
        await self.venue.until("select exists (select 1 from approval_standing where proposed)")
        delay_s = self.venue.policy.approvals.routine.cooling // 1_000
        await self.rpcs["aster"].call("evm_increaseTime", delay_s)
        await self.venue.owner.execute(
            "update approval_calls set ready_at = ready_at - $1 where call = 'propose'", delay_s
        )

    async def become(self, state: str, reason: str = "") -> None:
        """The carrier's own people say how it is."""
        answer = await self.client.post(
            f"http://127.0.0.1:{self.port}/v1/condition",
            json={"state": state, "reason": reason},
            headers={"Authorization": "Bearer its people"},
        )
        assert answer.status_code == 200, answer.text

    async def compared(self, network: str) -> Comparison:
        """The book of customers on ``network`` against its chain, as the treasury compares them."""
        await until_final(self.config.networks[network].rpc.primary)
        book = next(each for each in books(self.venue.policy) if each.key == (network, "customer"))
        rpc = self.rpcs[network]
        view = await rpc.view()
        await self.part.settle(network, view)
        async with connected(self.venue.database.treasury) as connection:
            found = await reconcile(
                connection, self.config, self.venue.policy, book, rpc, view=view
            )
        assert found is not None
        return found

    async def in_transit(self) -> dict[str, int]:
        """USDX in transit by network, as the ledger has them."""
        rows = await self.venue.owner.fetch(
            """select a.network, coalesce(sum(e.amount), 0) as held
               from accounts a left join entries e on e.account_id = a.id
               where a.kind = 'in_transit' group by a.network"""
        )
        return {row["network"]: int(row["held"]) for row in rows}

    async def broken(self, *, settled: bool = False) -> list[str]:
        """Which invariants do not hold, by both chains and the ledger."""
        crossings = {}
        for row in await self.rows():
            crossings[row["id"]] = Crossing(
                asset="USDX",
                left=sum(await self._seen(row["from_network"], row, _EXECUTED)),
                came=tuple(await self._seen(row["to_network"], row, _PAID)),
                posted_left=int(row["amount"]) if row["left"] else 0,
                posted_came=int(row["amount"]) if row["state"] == "arrived" else 0,
            )
        books = Books(
            withdrawals={},
            crossings=crossings,
            in_transit={"USDX": sum((await self.in_transit()).values())},
            settled=settled,
        )
        return [str(each) for each in violations(books)]

    async def paid(self, row: Mapping[str, Any]) -> list[int]:
        """What the carrier has paid under the id of ``row`` on its second network, final or not."""
        return await self._seen(row["to_network"], row, _PAID)

    async def _seen(self, network: str, row: Mapping[str, Any], topic: str) -> list[int]:
        """Amounts of the events of any contract on ``network`` that name the id of ``row``."""
        identity = f"0x{row['id'].hex:0<64}"
        topics = [topic, identity] if topic == _EXECUTED else [topic, None, identity]
        logs = await self.rpcs[network].call(
            "eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest", "topics": topics}
        )
        return [int(log["data"][-64:], 16) for log in logs]

    async def journal(self) -> list[tuple[str, str]]:
        """Kinds and reasons of the treasury's entries, oldest first."""
        rows = await self.venue.owner.fetch(
            "select kind, justification from journal where writer = 'treasury' order by n"
        )
        return [(row["kind"], row["justification"]) for row in rows]

    @asynccontextmanager
    async def carrier(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """The carrier's process, on the same records each time; killed with the block."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sandbox.counterparties.carrier"),
            *("--config", str(self.directory / "carrier.json")),
            *("--state", str(self.directory / "carrier.sqlite"), "--port", str(self.port)),
            env={**os.environ, KEY_VARIABLE: "0x" + _SECRET.hex()},
        )
        try:
            async with asyncio.timeout(HANGS_AFTER_S):
                while True:
                    try:
                        await self.client.get(f"http://127.0.0.1:{self.port}/v1/condition")
                        break
                    except httpx.ConnectError:
                        await asyncio.sleep(0.1)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@asynccontextmanager
async def rebalancing_bench(
    database_url: str, directory: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[RebalancingVenue]:
    """A venue whose carrier has no delay, and an exchange that quotes its reference prices.

    Neither the carrier, nor a settler, nor a treasury runs yet.
    """
    async with (
        venue_bench(
            database_url, directory, start_anvil, carrier=address_of_private_key(_SECRET)
        ) as venue,
        AsyncExitStack() as stack,
    ):
        port = free_port()
        path = directory / "venue-with-carrier.json"
        quoting = await stack.enter_async_context(exchange(venue.policy))
        config = venue.config.model_copy(
            update={
                "carrier": f"http://127.0.0.1:{port}",
                "exchange": Endpoint(primary=quoting, standby=quoting),
            }
        )
        config.write(path)
        agreed = {
            "networks": {
                name: {"chain_id": site.chain_id, "rpc": site.rpc.primary, "tokens": site.tokens}
                for name, site in config.networks.items()
            },
            "contracts": {name: site.carrier for name, site in config.networks.items()},
            "customers": {
                name: [config.holder_of(venue.policy, f"customer-{name}-reserve")]
                for name in config.networks
            },
            "delay_s": 0,
            "client_sha256": hashlib.sha256(b"the venue").hexdigest(),
            "control_sha256": hashlib.sha256(b"its people").hexdigest(),
        }
        (directory / "carrier.json").write_text(json.dumps(agreed), encoding="utf-8")
        rpcs = {
            name: await stack.enter_async_context(AsyncRpcClient(name, (site.rpc.primary,)))
            for name, site in config.networks.items()
        }
        pool = await open_pool(venue.database.treasury, name="treasury", size=3)
        stack.callback(pool.terminate)
        bench = RebalancingVenue(
            venue=venue,
            config=config,
            config_path=path,
            directory=directory,
            treasury=pool,
            client=await stack.enter_async_context(httpx.AsyncClient(trust_env=False)),
            rpcs=rpcs,
            port=port,
        )
        bench.start()
        yield bench
