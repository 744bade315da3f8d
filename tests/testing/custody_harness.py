"""A venue with cold wallets on real chains, and the sandbox's custodian of them behind HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from sandbox.counterparties.custodian import Config
from sandbox.counterparties.custodian import Custodian as Counterparty
from sandbox.counterparties.vault import Vault
from sandbox.custody import CONFIG, Custody
from sandbox.http1 import read_message, response
from seawall.errors import ServiceError
from seawall.ethereum.keys import (
    address_of_private_key,
    keccak256,
    personal_message_hash,
    sign_locally,
)
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.formats.custody import EXPIRES_AT_MAX, Condition
from seawall.formats.deployment import Network, RpcEndpoints
from seawall.formats.venue_config import VenueConfig
from tests.testing.approvers import approver_keys
from tests.testing.settler_harness import Venue, venue_bench
from tests.testing.venue_harness import POLICY, connected, free_port
from venue.database import Pool, open_pool
from venue.ledger.chart import books
from venue.operator.access import enroll, identify
from venue.operator.cold import ColdApprovals
from venue.treasury.cold import ColdTransfers
from venue.treasury.custodian import Custodian
from venue.treasury.reconcile import Comparison, reconcile

COLD, RESERVE, HOT = "customer-aster-cold", "customer-aster-reserve", "customer-aster-hot"
AST = 10**18
LACKING = 960 * AST
"""What is taken from the reserve of aster, which is to hold 1,260 AST and at least 420."""
NOON_S, MIDNIGHT_S = 43_200.0, 0.0
"""In the window of the policy, and outside of it."""
_SECRET = keccak256(b"a custodian of cold wallets")
_LOWER = """
    with posted as (
        insert into postings (kind) values ('fund') returning id
    )
    insert into entries (posting_id, account_id, amount)
    select p.id, a.id, case a.kind when 'reserve' then -$1::numeric else $1::numeric end
    from posted p join accounts a on (a.bucket, a.network, a.asset) = ('customer', 'aster', 'AST')
                                 and a.kind in ('reserve', 'unidentified')"""
_ROWS = """
    select id, state, amount, reason, tx_hash, block_number from cold_transfers
    order by requested_at"""

_SOON = """
    update cold_transfers
    set expires_at = date_trunc('second', clock_timestamp()) + $1::float8 * interval '1 s'"""
_LASTS_MS = """
    select (extract(epoch from min(expires_at) - clock_timestamp()) * 1000)::bigint
    from cold_transfers"""
_EXPIRED = "select bool_and(expires_at <= clock_timestamp()) from cold_transfers"


@dataclass(kw_only=True)
class CustodyVenue:
    """A venue, its custodian, and the treasury's part that asks it.

    ``dark``: the custodian answers nothing. ``heard`` are the requests that it answered,
    ``on_record`` the states of all transfers when it was asked for one, and ``before`` is called
    with each that arrives, ``answered`` with each before its answer leaves.
    """

    venue: Venue
    config: VenueConfig
    config_path: Path
    custody: Custody
    counterparty: Counterparty
    treasury: Pool
    client: httpx.AsyncClient
    rpc: AsyncRpcClient
    port: int
    now_s: float = NOON_S
    dark: bool = False
    heard: list[str] = field(default_factory=list)
    on_record: list[list[str]] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None
    answered: Callable[[str], Awaitable[None]] | None = None
    cold: ColdTransfers = field(init=False)
    tokens: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Start the treasury's part anew: it knows what is on record alone."""
        self.cold = ColdTransfers(
            config=self.config,
            policy=self.venue.policy,
            pool=self.treasury,
            rpcs={"aster": self.rpc},
            custodian=Custodian(
                url=f"http://127.0.0.1:{self.port}",
                credential=self.custody.client,
                client=self.client,
            ),
            journal=asyncio.Lock(),
            clock=lambda: self.now_s,
        )

    async def turn(self, *, lacking: Mapping[tuple[str, str], int] | None = None) -> None:
        """A turn of the treasury, after a comparison that found ``lacking``."""
        even = {(wallet, asset): 0 for wallet in (COLD, RESERVE) for asset in ("AST", "USDX")}
        await self.cold.turn("aster", {("aster", "customer"): even | dict(lacking or {})})

    async def custodian_turn(self) -> None:
        """A turn of the custodian; what it sent is final after it."""
        await self.counterparty.turn("aster")
        await self.finalize()

    async def finalize(self) -> None:
        """Let everything that was sent become final."""
        await self.rpc.call("anvil_mine", hex(8))

    async def outwait(self) -> None:
        """Let all blocks become final in which something that is on its way would come."""
        custody, network = self.venue.policy.custody, self.venue.policy.networks["aster"]
        assert custody is not None
        await self.rpc.call("anvil_mine", hex(custody.pending_blocks(network.block_time)))
        await self.finalize()

    def expire(self) -> None:
        """By the clock of the custodian, every approval has ended."""
        object.__setattr__(self.counterparty, "clock", lambda: float(EXPIRES_AT_MAX))

    async def expired(self) -> None:
        """Wait until every approval has ended by the venue's own clock."""
        # a database is polled
        while not await self.venue.owner.fetchval(_EXPIRED):  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def lasts_ms(self) -> int:
        """For how long every approval lasts, by the venue's own clock."""
        return int(await self.venue.owner.fetchval(_LASTS_MS))

    def become(self, state: str, reason: str = "") -> None:
        """The custodian's own people say how it is."""
        self.counterparty.vault.become(Condition.model_validate({"state": state, "reason": reason}))

    async def lower(self, amount: int = LACKING) -> None:
        """The reserve has so much less, on the chain and in the ledger."""
        holder = self.config.holder_of(self.venue.policy, RESERVE)
        held = await self.rpc.balance(holder)
        await self.rpc.call("anvil_setBalance", holder, hex(held - amount))
        await self.finalize()
        await self.venue.owner.execute(_LOWER, amount)

    async def rows(self) -> list[dict[str, Any]]:
        """Every cold transfer, oldest first."""
        return [dict(row) for row in await self.venue.owner.fetch(_ROWS)]

    async def states(self) -> list[str]:
        """Their states."""
        return [row["state"] for row in await self.rows()]

    async def sign(self, *roles: str) -> list[bool]:
        """Have approvers sign the newest one; whether each made it approved."""
        approvals = ColdApprovals(config=self.config, policy=self.venue.policy)
        keys = approver_keys(self.venue.policy)
        found = []
        async with connected(self.venue.database.operator) as connection:
            [asked, *_] = await approvals.listed(connection, limit=1)
            for role in roles or ("treasury-lead", "wallet-ops-lead"):
                if role not in self.tokens:
                    self.tokens[role] = await enroll(
                        self.venue.owner,
                        role,
                        may=frozenset({"see", "approve"}),
                        key=address_of_private_key(keys[role]),
                    )
                pool: Any = connection
                operator = await identify(pool, f"Bearer {self.tokens[role]}")
                assert operator is not None
                digest = personal_message_hash(asked["text"])
                assert asked["digest"] == "0x" + digest.hex()
                found.append(
                    await approvals.sign(
                        connection,
                        asked["id"],
                        signature=sign_locally(digest, secret=keys[role]).recoverable,
                        said="the reserve is low",
                        operator=operator,
                    )
                )
        return found

    async def asked(self, *, lasts_s: float | None = None) -> UUID:
        """Lower the reserve, ask, and have it signed; its id.

        Its approval lasts ``lasts_s``, or as long as the policy says.
        """
        await self.lower()
        await self.turn()
        if lasts_s is not None:
            await self.venue.owner.execute(_SOON, lasts_s)
        await self.sign()
        [row] = await self.rows()
        assert row["state"] == "approved"
        return UUID(str(row["id"]))

    async def compared(self) -> Comparison:
        """The book of customers against the chain, as the treasury compares them."""
        book = next(each for each in books(self.venue.policy) if each.key == ("aster", "customer"))
        view = await self.rpc.view()
        await self.cold.settle("aster", view)
        async with connected(self.venue.database.treasury) as connection:
            found = await reconcile(
                connection, self.config, self.venue.policy, book, self.rpc, view=view
            )
        assert found is not None
        return found

    async def balances(self) -> dict[str, int]:
        """AST of the ledger's accounts on aster by kind."""
        rows = await self.venue.owner.fetch(
            """select a.kind, sum(e.amount) as held
               from entries e join accounts a on a.id = e.account_id
               where (a.bucket, a.network, a.asset) = ('customer', 'aster', 'AST')
               group by a.kind"""
        )
        return {row["kind"]: int(row["held"]) for row in rows}

    async def journal(self) -> list[str]:
        """The kinds of the treasury's entries, oldest first."""
        rows = await self.venue.owner.fetch(
            "select kind from journal where writer = 'treasury' order by n"
        )
        return [row["kind"] for row in rows]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection as the custodian does."""
        try:
            while (request := await read_message(reader)) is not None:
                what = " ".join(request.start[:2])
                self.before(what)
                if self.dark:
                    return
                self.heard.append(what)
                if "POST" in what:
                    rows = await self.treasury.fetch("select state from cold_transfers")
                    self.on_record.append([row["state"] for row in rows])
                status, text = self.counterparty.answer(request)
                if self.answered is not None:
                    await self.answered(what)
                writer.write(response(status, text.encode()))
                await writer.drain()
        except (ServiceError, OSError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def custody_bench(
    database_url: str, directory: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[CustodyVenue]:
    """A venue with a custodian that has no delay and is open all day; no treasury runs."""
    custody = Custody(key=_SECRET, client="the venue", control="its people")
    async with (
        venue_bench(
            database_url, directory, start_anvil, custodian=address_of_private_key(_SECRET)
        ) as venue,
        AsyncExitStack() as stack,
    ):
        port = free_port()
        path = directory / "venue-with-custodian.json"
        config = venue.config.model_copy(
            update={"custodian": f"http://127.0.0.1:{port}", "policy": _always_open(directory)}
        )
        config.write(path)
        networks = {
            name: Network(
                chain_id=site.chain_id,
                rpc=RpcEndpoints(**site.rpc.model_dump()),
                node=site.rpc.primary,
            )
            for name, site in config.networks.items()
        }
        custody.write(directory, venue.policy, config, networks)
        agreed = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
        own = Config.model_validate(agreed | {"delay_s": 0, "opens_s": 0, "closes_s": 0})
        rpc = await stack.enter_async_context(
            AsyncRpcClient("aster", (config.networks["aster"].rpc.primary,))
        )
        vault = Vault(directory / "vault.sqlite", own.terms())
        stack.callback(vault.close)
        pool = await open_pool(venue.database.treasury, name="treasury", size=3)
        stack.callback(pool.terminate)
        bench = CustodyVenue(
            venue=venue,
            config=config,
            config_path=path,
            custody=custody,
            counterparty=Counterparty(config=own, vault=vault, rpcs={"aster": rpc}, secret=_SECRET),
            treasury=pool,
            client=await stack.enter_async_context(httpx.AsyncClient(trust_env=False)),
            rpc=rpc,
            port=port,
        )
        server = await asyncio.start_server(bench.answer, "127.0.0.1", port)
        stack.callback(server.close)
        bench.start()
        yield bench


def _always_open(directory: Path) -> Path:
    """The policy of the sandbox with a window that never ends: processes go by the real clock."""
    for name in ("production.yaml", "sandbox.yaml"):
        text = (POLICY.parent / name).read_text(encoding="utf-8")
        for time_of_day in ("06:00", "22:00"):
            text = text.replace(f'"{time_of_day}"', '"00:00"')
        (directory / name).write_text(text, encoding="utf-8")
    return directory / POLICY.name
