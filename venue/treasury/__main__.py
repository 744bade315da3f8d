"""``python -m venue.treasury --config FILE``: refill, reconcile and measure until SIGTERM."""

import asyncio
from contextlib import AsyncExitStack

import httpx

from seawall.controls.rebalancing import routes
from seawall.conventions.components import TREASURY_PROCESS
from seawall.errors import UsageError
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.formats.venue_config import (
    carrier_credential,
    config_from_arguments,
    custody_credential,
    database_url,
)
from venue.database import open_pool
from venue.process import run, say_ready, serve_metrics
from venue.treasury import metrics
from venue.treasury.custodian import Carrier, Custodian
from venue.treasury.loop import Treasury
from venue.treasury.prices import Prices
from venue.treasury.watch import Watch


async def _main(stop: asyncio.Event) -> None:
    policy = config.load_policy()
    metrics.initialise(policy)
    serve_metrics(config.metrics_ports[TREASURY_PROCESS])
    pool = await open_pool(database_url(), name="treasury", size=5)
    async with AsyncExitStack() as stack:
        rpcs = {
            network: await stack.enter_async_context(
                AsyncRpcClient(network, (declared.rpc.primary, declared.rpc.standby))
            )
            for network, declared in config.networks.items()
        }
        custodian = None
        if config.custodian is not None:
            if policy.custody is None:
                raise UsageError("there is a custodian, and the policy says nothing of its terms")
            client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
            custodian = Custodian(
                url=config.custodian, credential=custody_credential(), client=client
            )
        watch = None
        if config.carrier is not None:
            rebalanced = {route.to_network for route in routes(policy)}
            if not rebalanced or any(
                config.networks[network].carrier is None for network in rebalanced
            ):
                raise UsageError("there is a carrier, and not its terms or contracts")
            client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
            watch = Watch(
                policy=policy,
                pool=pool,
                rpcs=rpcs,
                carrier=Carrier(url=config.carrier, credential=carrier_credential(), client=client),
                prices=Prices(exchange=config.exchange, client=client),
            )
        say_ready()
        treasury = Treasury(config, policy, pool=pool, rpcs=rpcs, custodian=custodian, watch=watch)
        await treasury.work(stop)
    pool.terminate()


if __name__ == "__main__":
    config, _ = config_from_arguments(
        "Keep the venue's hot wallets filled and compare its ledger with the chains."
    )
    run(_main)
