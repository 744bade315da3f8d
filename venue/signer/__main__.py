"""``python -m venue.signer --config FILE --region NAME --bucket NAME``: sign until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from seawall.errors import UsageError
from seawall.formats.venue_config import SignerConfig, config_from_arguments, database_url
from seawall.policy import Policy
from venue.database import open_pool
from venue.process import pause, run, serve_http
from venue.signer.app import application
from venue.signer.bulkhead import Bulkhead
from venue.signer.callers import Callers
from venue.signer.logs import ProofLog, SignLog
from venue.signer.provider import KmsProvider
from venue.signer.service import SignerMetrics, SigningService
from venue.signer.velocity import caps_of

_DATABASE_CONNECTIONS = 12
"""Twice what a bucket may have in flight."""
_REFRESH_EVERY_S = 60.0


async def _refresh(provider: KmsProvider, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await pause(stop, _REFRESH_EVERY_S)
        await provider.refresh(datetime.now(UTC))


def _share(site: SignerConfig, *, policy: Policy, bucket: str) -> SignerConfig:
    """The signer's settings with the keys of ``bucket`` alone. Raises :class:`UsageError`."""
    buckets = {wallet: policy.wallets[wallet].bucket for wallet in site.keys}
    keys = {wallet: key for wallet, key in site.keys.items() if buckets[wallet] == bucket}
    if not keys or bucket not in site.buckets:
        raise UsageError(
            f"the configuration has no key of bucket {bucket}, or no signer of it",
            remedy=f"name one of {', '.join(sorted(site.buckets))}",
        )
    return site.model_copy(update={"keys": keys})


async def _main(stop: asyncio.Event) -> None:
    # At INFO, botocore logs for each client where its credentials came from.
    logging.getLogger("botocore").setLevel(logging.WARNING)
    config, arguments = config_from_arguments(
        "Sign for one bucket in one region, with the AWS credentials of the environment.",
        region="the region whose keys sign",
        bucket="the bucket whose keys sign",
    )
    region, bucket = arguments.region, arguments.bucket
    if region not in config.signers:
        raise UsageError(f"the configuration knows no signer of {region}")
    policy = config.load_policy()
    site = _share(config.signers[region], policy=policy, bucket=bucket)
    bulkhead = Bulkhead.of_policy(policy, site.keys, operations_per_s=site.operations_per_s)
    provider, pool = await asyncio.gather(
        KmsProvider.open(region, site, threads=bulkhead.in_flight_max),
        open_pool(database_url(), name=f"signer-{region}-{bucket}", size=_DATABASE_CONNECTIONS),
    )
    contracts = config.contracts(policy, site.keys)
    service = SigningService(
        region=region,
        log=SignLog(pool=pool, region=region, caps=caps_of(config, policy, contracts)),
        proofs=ProofLog(pool=pool, region=region),
        provider=provider,
        bulkhead=bulkhead,
        chains={
            wallet: policy.networks[policy.wallets[wallet].network].chain_id for wallet in site.keys
        },
        addresses={wallet: key.address.lower() for wallet, key in site.keys.items()},
        contracts=contracts,
        recipients=config.recipients(policy, site.keys),
        metrics=SignerMetrics(region=region),
    )
    callers = Callers(known=config.signer_callers)
    refreshing = asyncio.create_task(_refresh(provider, stop))
    try:
        port = site.buckets[bucket].listen_port
        await serve_http(application(service, callers), port=port, stop=stop)
    finally:
        refreshing.cancel()
        provider.close()
        pool.terminate()


if __name__ == "__main__":
    run(_main)
