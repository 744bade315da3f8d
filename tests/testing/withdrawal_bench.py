"""The real api over a real database, and a settler that commits what it is told the chain said."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from seawall.ethereum.values import Receipt
from seawall.formats.drill_contract import Credentials, VenueClient, WithdrawalRequest
from seawall.policy import Policy
from tests.testing.exchange import exchange
from tests.testing.venue_harness import (
    Founded,
    Heartbeat,
    connected,
    found,
    heartbeat,
    venue_process,
)
from venue.contracts.calls import NATIVE
from venue.database import Connection, Pool, open_pool
from venue.settler.claims import Claims
from venue.settler.held import Cancellation, Resolver
from venue.settler.lanes import Lane, Lanes, Slot, SlotProgress
from venue.settler.posting import Poster, Settlement
from venue.settler.settle import lanes_of
from venue.signer.protocol import Signed

_CUSTOMERS = 400
"""A check of all books takes a few milliseconds with so many, and each holds about 52,000 USDX."""
_OF_SLOT = """
    select w.id, t.seq from attempts t join withdrawals w on w.id = t.withdrawal_id
    where t.slot_id = $1 order by t.seq"""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A venue without chains: what a settler would read of them is given to it."""

    founded: Founded
    owner: Connection
    settler: Pool
    alive: Heartbeat
    client: VenueClient
    lanes: Mapping[str, Lane]
    customers: Iterator[int] = field(default_factory=lambda: iter(range(4, _CUSTOMERS + 1)))

    @property
    def policy(self) -> Policy:
        """The policy of the venue."""
        return self.founded.policy

    async def claim(self, network: str, *, held: bool) -> Slot | None:
        """Claim what waits on ``network``, or the numbers of what is held there.

        Each claim is that of a settler with no memory of earlier ones, which the caps of its signer
        would else stop for a while.
        """
        lane = self.lanes[network]
        lane.items_max, lane.rest_until_s = 200, 0.0
        claims = Claims(
            pool=self.settler,
            policy=self.policy,
            network=network,
            holder="test",
            tokens=self.founded.config.networks[network].tokens,
            contracts={lane.wallet: lane.contract},
        )
        await self.alive.resume()
        claim = claims.claim_held if held else claims.claim_payouts
        return await claim(lane, base_fee_wei=1)

    async def items(self, slot: Slot) -> dict[uuid.UUID, int]:
        """The withdrawals that ``slot`` is about, with their numbers."""
        return {row["id"]: row["seq"] for row in await self.owner.fetch(_OF_SLOT, slot.id)}

    async def advance(self, slot: Slot) -> None:
        """Sign, broadcast or include ``slot``, whichever is next."""
        progress = SlotProgress(pool=self.settler)
        match slot.state:
            case "open":
                raw = hashlib.sha256(str(slot.id).encode()).digest()
                await progress.signed(
                    slot,
                    Signed.model_construct(
                        raw=raw, tx_hash=f"0x{raw.hex()}", region="test", digest=slot.intent.digest
                    ),
                )
            case "signed":
                await progress.broadcast(slot)
            case "broadcast":
                slot.mined_hash = slot.tx_hash
                receipt = Receipt(block_number=1, block_hash="0x1", succeeded=True, logs=[])
                await progress.included([(slot, receipt)])
            case _:
                raise AssertionError(f"a slot that is {slot.state} is settled")

    async def settle(self, slot: Slot, said: Mapping[str, Sequence[int]]) -> None:
        """Commit what the chain is to have said of the numbers of ``slot``, by kind."""
        site = self.founded.config.networks[slot.lane.network]
        if slot.purpose == "cancel":
            native = self.policy.networks[slot.lane.network].native
            resolver = Resolver(pool=self.settler, tokens={native: NATIVE, **site.tokens})
            held = await resolver.held(slot)
            found_out = Cancellation(
                **{
                    kind: tuple(said.get(kind, ()))
                    for kind in ("cancelled", "paid", "untried", "disputed")
                }
            )
            assert await resolver.post(slot, held, found_out)
            return
        poster = Poster(
            pool=self.settler,
            native=self.policy.networks[slot.lane.network].native,
            tokens=site.tokens,
            contracts={slot.lane.wallet: slot.lane.contract},
            buckets={name: wallet.bucket for name, wallet in self.policy.wallets.items()},
        )
        settlement = Settlement(
            **{kind: tuple(said.get(kind, ())) for kind in ("paid", "failed", "unclear", "untried")}
        )
        assert await poster.post(slot, settlement)

    async def send_and_hang_up(self, who: Credentials, request: WithdrawalRequest) -> None:
        """Send a request, and be gone before there can be an answer."""
        port = self.founded.config.api_listen_port
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        body = request.model_dump_json(exclude_none=True).encode()
        writer.write(
            b"POST /v1/withdrawals HTTP/1.1\r\nhost: venue\r\nauthorization: Bearer %s\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (who.credential.encode(), len(body), body)
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def bench(database_url: str, folder: Path) -> AsyncIterator[Bench]:
    """A venue that is served, in the empty database at ``database_url``."""
    founded = await found(database_url, folder / "venue.json", customers=_CUSTOMERS)
    policy, database = founded.policy, founded.database
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(exchange(policy))
        sides = founded.config.exchange.model_copy(update={"primary": url, "standby": url})
        config = founded.config.model_copy(update={"exchange": sides})
        founded.config_path.write_text(config.model_dump_json(), encoding="utf-8")
        owner = await stack.enter_async_context(connected(database.owner))
        alive = await stack.enter_async_context(heartbeat(database.owner))
        await stack.enter_async_context(venue_process("api", founded.config_path, database))
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=config.api_url, timeout=10)
        )
        settler = await open_pool(database.settler, name="settler", size=2)
        stack.callback(settler.terminate)
        lanes = [
            lane
            for network in policy.networks
            for lane in lanes_of(config, policy, network)
            if lane.purpose == "payout"
        ]
        await Lanes(pool=settler, holder="test", lanes=lanes).take()
        yield Bench(
            founded=founded,
            owner=owner,
            settler=settler,
            alive=alive,
            client=VenueClient(http),
            lanes={lane.network: lane for lane in lanes},
        )


@dataclass(kw_only=True)
class Benches:
    """Benches one after another: each serves as many runs as it has customers for.

    ``new_database`` makes an empty database; its result is a superuser's URL.
    """

    new_database: Callable[[], str]
    folder: Path
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _bench: Bench | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def with_customers(self, count: int) -> tuple[Bench, list[int]]:
        """A bench, and so many of its customers whom nobody has used before."""
        customers = (
            [] if self._bench is None else list(itertools.islice(self._bench.customers, count))
        )
        if self._bench is None or len(customers) < count:
            await self.close()
            folder = self.folder / str(next(self._numbers))
            folder.mkdir()
            self._bench = await self._stack.enter_async_context(bench(self.new_database(), folder))
            customers = list(itertools.islice(self._bench.customers, count))
        return self._bench, customers

    async def close(self) -> None:
        """End the one that is served."""
        self._bench = None
        await self._stack.aclose()
        self._stack = AsyncExitStack()


def who(number: int) -> Credentials:
    """The customer with that number, and its key."""
    return Credentials(customer_id=str(number), credential=f"key-{number}")


def said_of(items: Mapping[uuid.UUID, int], kinds: Mapping[uuid.UUID, str]) -> dict[str, list[int]]:
    """Numbers by what the chain is to have said of each, which is in ``kinds``."""
    said: dict[str, Any] = {}
    for withdrawal, seq in items.items():
        said.setdefault(kinds[withdrawal], []).append(seq)
    return said
