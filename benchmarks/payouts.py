"""How fast one network's settler confirms payouts, and how fast it is back after it was killed.

A real settler, signers with local keys (no KMS), PostgreSQL and anvil, with a block of 30,000,000
gas each second. The peer of a rate is the chain itself: the payouts that fill its blocks, at the
gas that these payouts used. A token costs more to an address that holds none of it. For the
restart the chain stands still, so that whatever is broadcast stays in flight; a proxy before the
node sees when the new process asks for each transaction again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import httpx
import psutil
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.figures import Figure
from benchmarks.venue import AMOUNT, ASSET, BLOCK_GAS, NETWORK, at_a_venue
from seawall.ethereum.rpc import AsyncRpcClient
from tests.testing.settler_harness import Venue, Wanted
from tests.testing.venue_harness import free_port

GOAL_PER_S, RESTART_S_MAX = 2_000, 5.0
_CHUNK = 5_000
_HOLDERS, _FIRST_HOLDER = 500, 0xABC000
_NODE_S_MAX = 20.0
_POSTED = """
    select extract(epoch from pg_xact_commit_timestamp(xmin))::float8 as at from postings
    where kind = 'post' and id > $1 order by 1"""
_IN_FLIGHT = """
    select count(*) from withdrawals w join slots s on s.id = w.slot_id
    where w.state = 'slotted' and s.state = 'broadcast'"""
_HASHES = "select tx_hash from slots where state = 'broadcast'"
_HUNG_S = 600.0
_STEADY_S = 5.0
"""After so long without another one nothing more becomes in flight."""


def measure(*, payouts: int, in_flight: int) -> list[Figure]:
    """Rates and restart, each at a venue of its own."""
    return [
        *asyncio.run(at_a_venue(partial(_confirmed, payouts=payouts))),
        *asyncio.run(at_a_venue(partial(_driven_again, in_flight=in_flight))),
    ]


async def _reserve(venue: Venue, count: int, *, holders: Sequence[str] = ()) -> None:
    """Withdrawals to ``holders`` by turns, or each to an address that holds nothing yet."""
    wanted = [
        Wanted(
            network=NETWORK,
            asset=ASSET,
            amount=AMOUNT,
            destination=holders[number % len(holders)] if holders else "",
        )
        for number in range(count)
    ]
    for first in range(0, count, _CHUNK):
        await venue.reserve(wanted[first : first + _CHUNK])


async def _confirmed(venue: Venue, *, payouts: int) -> list[Figure]:
    """To addresses that hold the token, as regular customers' do, and to new ones."""
    holders = [f"0x{number:040x}" for number in range(_FIRST_HOLDER, _FIRST_HOLDER + _HOLDERS)]
    settler = await venue.settler(NETWORK)
    await _reserve(venue, _HOLDERS, holders=holders)
    await venue.all_posted(within_s=_HUNG_S)
    figures = []
    for whom, known in (("holders of the token", holders), ("new addresses", [])):
        figures += await _drained(venue, settler.pid, payouts=payouts, whom=whom, holders=known)
    return figures


async def _drained(
    venue: Venue, settler: int, *, payouts: int, whom: str, holders: Sequence[str]
) -> list[Figure]:
    process = psutil.Process(settler)
    before = process.cpu_times()
    first_posting = await venue.owner.fetchval("select max(id) from postings")
    async with AsyncRpcClient(NETWORK, (venue.config.networks[NETWORK].rpc.primary,)) as rpc:
        first_block = (await rpc.head()).number
        began_s = time.monotonic()
        await _reserve(venue, payouts, holders=holders)
        await venue.all_posted(within_s=_HUNG_S)
        took_s = time.monotonic() - began_s
        after = process.cpu_times()
        last_block = (await rpc.head()).number
        gas = [
            int((await rpc.call("eth_getBlockByNumber", hex(number), False))["gasUsed"], 16)
            for number in range(first_block + 1, last_block + 1)
        ]
    posted = [row["at"] for row in await venue.owner.fetch(_POSTED, first_posting)]
    # Without the ends, at which the pipeline fills and empties.
    tenth = len(posted) // 10
    middle = posted[tenth : len(posted) - tenth]
    per_payout = sum(gas) / payouts
    return [
        Figure(
            name=f"payouts confirmed, {payouts:,} to {whom}",
            value=len(middle) / (middle[-1] - middle[0]),
            unit="/s",
            goal=GOAL_PER_S,
            peer=f"what fills the blocks at {per_payout:,.0f} gas a payout, /s",
            peer_value=BLOCK_GAS / per_payout,
            shares={
                "settler of one core": (after.user + after.system - before.user - before.system)
                / took_s,
                "blocks' gas used": sum(gas) / (BLOCK_GAS * took_s),
            },
        ),
        Figure(name="from the first request until all were posted", value=took_s, unit="s"),
    ]


async def _driven_again(venue: Venue, *, in_flight: int) -> list[Figure]:
    await _reserve(venue, in_flight)
    site = venue.config.networks[NETWORK]
    async with AsyncRpcClient(NETWORK, (site.rpc.primary,)) as rpc, _watched(venue) as seen:
        await rpc.call("evm_setIntervalMining", 0)
        settler = await venue.settler(NETWORK)
        await _until_steady(venue)
        settler.kill()
        await settler.wait()
        waiting = await venue.owner.fetchval(_IN_FLIGHT)
        hashes = {row["tx_hash"] for row in await venue.owner.fetch(_HASHES)}
        seen.clear()
        began_s = time.monotonic()
        await venue.settler(NETWORK)
        async with asyncio.timeout(_HUNG_S):
            while not hashes <= seen.keys():  # noqa: ASYNC110  (a proxy's record is polled)
                await asyncio.sleep(0.01)
        took_s = max(seen[each] for each in hashes) - began_s
    return [
        Figure(
            name=f"from a restart until all {waiting:,} payouts in flight were driven again",
            value=took_s,
            unit="s",
            goal=RESTART_S_MAX,
            at_most=True,
        )
    ]


async def _until_steady(venue: Venue) -> None:
    """Wait until nothing more becomes in flight: the settler's own bound is reached, or all are."""
    before, since_s = -1, time.monotonic()
    async with asyncio.timeout(_HUNG_S):
        while time.monotonic() - since_s < _STEADY_S:
            now = await venue.owner.fetchval(_IN_FLIGHT)
            if now != before:
                before, since_s = now, time.monotonic()
            await asyncio.sleep(0.2)


@asynccontextmanager
async def _watched(venue: Venue) -> AsyncIterator[dict[str, float]]:
    """When each transaction was first asked for, by hash, at a proxy that settlers now speak to.

    It counts whoever asks for a receipt, or for the transaction, or sends its bytes again.
    """
    site = venue.config.networks[NETWORK]
    node, port = site.rpc.primary, free_port()
    seen: dict[str, float] = {}
    hashes_of_raw: dict[str, str] = {}

    async def pass_on(request: Request) -> Response:
        body = await request.json()
        for call in body if isinstance(body, list) else [body]:
            if call["method"] in {"eth_getTransactionReceipt", "eth_getTransactionByHash"}:
                seen.setdefault(call["params"][0], time.monotonic())
            elif call["method"] == "eth_sendRawTransaction":
                raw = call["params"][0]
                if raw in hashes_of_raw:
                    seen.setdefault(hashes_of_raw[raw], time.monotonic())
        answer = await http.post(node, json=body)
        said = answer.json()
        if isinstance(body, dict) and body["method"] == "eth_sendRawTransaction":
            hashes_of_raw.setdefault(body["params"][0], said.get("result", ""))
        return Response(answer.content, status_code=answer.status_code)

    app = Starlette(routes=[Route("/", pass_on, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off"))
    async with httpx.AsyncClient(timeout=_NODE_S_MAX, trust_env=False) as http:
        serving = asyncio.create_task(server.serve())
        rpc = site.rpc.model_copy(
            update={"primary": f"http://127.0.0.1:{port}/", "standby": f"http://127.0.0.1:{port}/"}
        )
        networks = {**venue.config.networks, NETWORK: site.model_copy(update={"rpc": rpc})}
        venue.config.model_copy(update={"networks": networks}).write(venue.config_path)
        try:
            yield seen
        finally:
            server.should_exit = True
            await serving
