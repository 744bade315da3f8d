"""``python -m venue.signer --config FILE --region NAME --bucket NAME``: sign until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from seawall.errors import UsageError
from seawall.formats.venue_config import (
    SignerConfig,
    config_from_arguments,
    database_url,
    sign_log_url,
)
from seawall.policy import Policy
from venue.process import pause, run, serve_http
from venue.signer.app import application
from venue.signer.bulkhead import Bulkhead
from venue.signer.callers import Callers
from venue.signer.logs import ProofLog, SignLog, open_log_pool
from venue.signer.provider import KmsProvider
from venue.signer.service import SignerMetrics, SigningService
from venue.signer.velocity import caps_of

_DATABASE_CONNECTIONS = 12
"""Twice what a bucket may have in flight; of each database."""
_REFRESH_EVERY_S = 60.0
_LOOK_EVERY_S = 1.0


async def _refresh(provider: KmsProvider, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await pause(stop, _REFRESH_EVERY_S)
        await provider.refresh(datetime.now(UTC))


async def _look(service: SigningService, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await service.look_at_log()
        await pause(stop, _LOOK_EVERY_S)


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
    name, size = f"signer-{region}-{bucket}", _DATABASE_CONNECTIONS
    provider, records, log = await asyncio.gather(
        KmsProvider.open(region, site, threads=bulkhead.in_flight_max),
        open_log_pool(database_url(), name=name, size=size),
        open_log_pool(sign_log_url(), name=name, size=size),
    )
    contracts = config.contracts(policy, site.keys)
    service = SigningService(
        region=region,
        log=SignLog(
            records=records, log=log, region=region, caps=caps_of(config, policy, contracts)
        ),
        proofs=ProofLog(pool=records, region=region),
        provider=provider,
        bulkhead=bulkhead,
        chains={
            wallet: policy.networks[policy.wallets[wallet].network].chain_id for wallet in site.keys
        },
        addresses={wallet: key.address.lower() for wallet, key in site.keys.items()},
        contracts=contracts,
        recipients=config.recipients(policy, site.keys),
        tanks=config.tanks(policy, site.keys),
        metrics=SignerMetrics(region=region),
    )
    callers = Callers(known=config.signer_callers)
    aside = [
        asyncio.create_task(_refresh(provider, stop)),
        asyncio.create_task(_look(service, stop)),
    ]
    try:
        port = site.buckets[bucket].listen_port
        await serve_http(application(service, callers), port=port, stop=stop)
    finally:
        for task in aside:
            task.cancel()
        provider.close()
        for pool in (records, log):
            pool.terminate()


if __name__ == "__main__":
    run(_main)
