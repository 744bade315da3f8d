"""``python -m venue.treasury --config FILE``: refill, reconcile and measure until SIGTERM."""

import asyncio
from contextlib import AsyncExitStack

import httpx

from seawall.conventions.components import TREASURY_PROCESS
from seawall.errors import UsageError
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.formats.venue_config import config_from_arguments, custody_credential, database_url
from venue.database import open_pool
from venue.process import run, say_ready, serve_metrics
from venue.treasury import metrics
from venue.treasury.custodian import Custodian
from venue.treasury.loop import Treasury


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
        say_ready()
        await Treasury(config, policy, pool=pool, rpcs=rpcs, custodian=custodian).work(stop)
    pool.terminate()


if __name__ == "__main__":
    config, _ = config_from_arguments(
        "Keep the venue's hot wallets filled and compare its ledger with the chains."
    )
    run(_main)
