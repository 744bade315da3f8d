"""Run the settler of one network: take its lanes, resume their slots, run the loops."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg
import httpx

from seawall.conventions import database, signing
from seawall.conventions.components import SIDES
from seawall.errors import UsageError
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.formats.venue_config import VenueConfig, database_url, signer_credential
from seawall.policy import Policy
from venue.contracts.calls import NATIVE
from venue.database import Pool, connect, open_pool, while_open
from venue.process import pause
from venue.settler.agreement import compare, given_out
from venue.settler.approvals import ApprovalPoster
from venue.settler.claims import Claims
from venue.settler.driver import Driver
from venue.settler.endpoints import HomingRpcClient
from venue.settler.follower import Follower
from venue.settler.held import Resolver
from venue.settler.lanes import Lane, Lanes, Purpose, Slot, SlotProgress
from venue.settler.lease import SettlerLease
from venue.settler.metrics import SettlerMetrics
from venue.settler.posting import Poster
from venue.settler.refills import Refills
from venue.settler.signing_routes import SigningRoutes

_DATABASE_CONNECTIONS = 6
_GRACE_S = 1.2
_LOOK_AGAIN_S = 5.0
_RECORD_EVERY_S = 0.5
_log = logging.getLogger(__name__)
Listener: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


def lanes_of(config: VenueConfig, policy: Policy, network: str) -> list[Lane]:
    """The lanes of ``network``: its payout wallets, and the reserve wallets that refill them.

    Raises :class:`UsageError`.
    """
    site = config.networks[network]
    keys = config.signers[policy.regions.primary].keys
    paying = [name for name, wallet in policy.payout_wallets().items() if wallet.network == network]
    purposes: dict[str, Purpose] = dict.fromkeys(paying, "payout")
    purposes |= {policy.reserve_of(name): "topup" for name in paying}
    lanes = []
    for wallet, purpose in purposes.items():
        contract = site.contract_of(wallet)
        if contract is None:
            raise UsageError(
                f"the configuration names no contract of {wallet}",
                remedy="deploy the venue's contracts and write their addresses to venue.json",
            )
        lanes.append(
            Lane(
                chain_id=site.chain_id,
                address=keys[wallet].address.lower(),
                network=network,
                wallet=wallet,
                contract=contract.lower(),
                purpose=purpose,
            )
        )
    return lanes


@dataclass(frozen=True, kw_only=True)
class Ports:
    """All that a settler reaches outside its own process.

    The simulation (tests/simulation) runs the same settler on others. The clock of waits is the
    running loop's.

    Attributes:
        pool: The venue's database.
        listen: Opens the connection that hears notifications; raises :class:`ServiceError`.
        signers: Posts to the signers of the regions.
        nodes: Posts to the endpoints of the network; None: a client of its own.
        now_us: The time of day, Unix microseconds.
    """

    pool: Pool
    listen: Callable[[], Awaitable[Listener]]
    signers: httpx.AsyncClient
    nodes: httpx.AsyncClient | None = None
    now_us: Callable[[], int] = lambda: time.time_ns() // 1_000


async def settle(
    config: VenueConfig,
    network: str,
    *,
    holder: str,
    metrics: SettlerMetrics,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Settle ``network`` until ``stop``; ``ready`` is called once the lanes are taken.

    The error of the first loop that fails is raised; a new call continues from what is committed.
    """
    async with AsyncExitStack() as stack:
        pool = await open_pool(
            database_url(), name=f"settler-{network}", size=_DATABASE_CONNECTIONS
        )
        stack.callback(pool.terminate)
        ports = Ports(
            pool=pool,
            listen=lambda: connect(database_url(), name=f"settler-{network}-wake"),
            signers=await stack.enter_async_context(
                httpx.AsyncClient(timeout=2, headers=signing.authorization(signer_credential()))
            ),
        )
        await settle_through(
            ports,
            config,
            config.load_policy(),
            network,
            holder=holder,
            metrics=metrics,
            stop=stop,
            ready=ready,
        )


async def settle_through(
    ports: Ports,
    config: VenueConfig,
    policy: Policy,
    network: str,
    *,
    holder: str,
    metrics: SettlerMetrics,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """As :func:`settle`, by way of ``ports``, which stay open."""
    pool, site = ports.pool, config.networks[network]
    tokens = {asset: address.lower() for asset, address in site.tokens.items()}
    native = policy.networks[network].native
    lanes = lanes_of(config, policy, network)
    contracts = {lane.wallet: lane.contract for lane in lanes}
    async with AsyncExitStack() as stack:
        sides = {getattr(site.rpc, side): side for side in SIDES}
        rpc = await stack.enter_async_context(
            HomingRpcClient(
                network,
                tuple(sides),
                client=ports.nodes,
                tell=lambda url, answered: metrics.asked(sides[url], answered=answered),
            )
        )
        held = Lanes(pool=pool, holder=holder, lanes=lanes)
        routes = SigningRoutes(
            urls={region: signer.url for region, signer in config.signers.items()},
            primary=policy.regions.primary,
            standby=policy.regions.standby,
            network=network,
            lanes=held,
            client=ports.signers,
            now_us=ports.now_us,
            metrics=metrics,
        )
        progress = SlotProgress(pool=pool)
        poster = Poster(
            pool=pool,
            native=native,
            tokens=tokens,
            contracts=contracts,
            buckets={name: wallet.bucket for name, wallet in policy.wallets.items()},
        )
        drivers: list[Driver] = []
        follower = Follower(
            rpc=rpc,
            progress=progress,
            poster=poster,
            resolver=Resolver(pool=pool, tokens={native: NATIVE} | tokens),
            approvals=ApprovalPoster(pool=pool),
            metrics=metrics,
            homes={
                lane.wallet: next(other.contract for other in lanes if other is not lane)
                for lane in lanes
            },
            payer=next(lane for lane in lanes if lane.purpose == "payout"),
            assets={NATIVE: native} | {address: asset for asset, address in tokens.items()},
            on_final=lambda slot: _wake(drivers, slot.lane),
            on_stuck=lambda slot: _replace(drivers, slot),
        )
        claims = Claims(
            pool=pool,
            policy=policy,
            network=network,
            holder=holder,
            tokens=tokens,
            contracts=contracts,
        )
        gas_tank = None if site.gas_tank is None else site.gas_tank.lower()
        refills = Refills(claims=claims, gas_tank=gas_tank)
        drivers += [
            Driver(
                lane=lane,
                claims=claims,
                refills=refills,
                routes=routes,
                progress=progress,
                follower=follower,
                rpc=rpc,
            )
            for lane in lanes
        ]
        lease = SettlerLease(pool=pool, network=network, holder=holder)
        if not await lease.take(stop):
            return
        settling = _settle_lanes(
            held,
            routes,
            drivers,
            follower,
            listen=ports.listen,
            rpc=rpc,
            metrics=metrics,
            stop=stop,
            ready=ready,
        )
        await _together(stop, [lease.renew(stop), settling])
        await lease.leave()


async def _settle_lanes(
    held: Lanes,
    routes: SigningRoutes,
    drivers: Sequence[Driver],
    follower: Follower,
    *,
    listen: Callable[[], Awaitable[Listener]],
    rpc: HomingRpcClient,
    metrics: SettlerMetrics,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Take the lanes, agree with the chain, and run their loops until ``stop``."""
    await held.take()
    routes.adopt()
    slots = await _agreed(held, rpc, metrics=metrics, stop=stop)
    if slots is None:
        return
    for driver in drivers:
        await driver.claims.recall(driver.lane)
    _resume(drivers, slots)
    listener = await listen()
    try:
        await listener.add_listener(database.WITHDRAWAL_CHANNEL, lambda *_: _wake(drivers))
        ready()
        loops = [follower.loop(stop), routes.probe_loop(stop), _record_opened(held, stop)]
        loops.append(rpc.keep_home(stop))
        loops += [
            loop for driver in drivers for loop in (driver.claim_loop(stop), driver.send_loop(stop))
        ]
        await while_open(listener, _together(stop, loops))
    finally:
        listener.terminate()


async def _agreed(
    held: Lanes, rpc: AsyncRpcClient, *, metrics: SettlerMetrics, stop: asyncio.Event
) -> list[Slot] | None:
    """The slots in flight, once the chain knows nothing that the database does not; None at stop.

    Each look is at another endpoint, for one that lies must not stop payouts for ever.
    """
    while not stop.is_set():
        slots = await held.in_flight()
        view = await rpc.view()
        agreed = True
        for lane in held.lanes:
            own = [slot for slot in slots if slot.lane is lane]
            given = await given_out(held.pool, lane)
            found = await compare(rpc, view, lane, given, own)
            lane.to_open, lane.generation = found.to_open, given.generation
            metrics.disputed(lane.wallet, disputed=bool(found.disagreements))
            for each in found.disagreements:
                _log.error("nothing is claimed on %s: %s", lane.network, each)
            agreed = agreed and not found.disagreements
        if agreed:
            return slots
        rpc.leave()
        await pause(stop, _LOOK_AGAIN_S)
    return None


async def _record_opened(held: Lanes, stop: asyncio.Event) -> None:
    """Record each lane whose contract pays the ledger's generation, until ``stop``.

    From then on nothing that a lost ledger had signed can pay, and customers may have back at once
    what was never tried. A lane that is moved meanwhile is recorded under its next epoch.
    """
    waiting = {lane.wallet: lane for lane in held.lanes if lane.generation}
    while not stop.is_set():
        for lane in [each for each in waiting.values() if each.to_open is None]:
            if await held.opened(lane):
                del waiting[lane.wallet]
        await pause(stop, _RECORD_EVERY_S)


def _wake(drivers: Sequence[Driver], lane: Lane | None = None) -> None:
    for driver in drivers:
        if lane in (None, driver.lane):
            driver.wake.set()


def _replace(drivers: Sequence[Driver], slot: Slot) -> None:
    for driver in drivers:
        if driver.lane is slot.lane:
            driver.replace(slot)


def _resume(drivers: Sequence[Driver], slots: Sequence[Slot]) -> None:
    for driver in drivers:
        driver.resume(slot for slot in slots if slot.lane is driver.lane)


async def _together(stop: asyncio.Event, loops: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run ``loops`` until one fails or ``stop`` is set.

    After ``stop`` they have ``_GRACE_S`` to finish the step in progress.
    """
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(loop) for loop in loops]
    stopping: asyncio.Task[Any] = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait((*tasks, stopping), return_when=asyncio.FIRST_COMPLETED)
        if stopping in done:
            await asyncio.wait(tasks, timeout=_GRACE_S)
        for task in tasks:
            if task.done() and not task.cancelled():
                task.result()
    finally:
        for task in (*tasks, stopping):
            task.cancel()
        await asyncio.gather(*tasks, stopping, return_exceptions=True)
