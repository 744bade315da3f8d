"""A venue that can pay.

Both chains with their contracts, a founded database, two signers, and settlers to start and kill.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from seawall.conventions.components import TREASURY_PROCESS
from seawall.conventions.environment import DATABASE_VARIABLE, SIGNER_CREDENTIAL_VARIABLE
from seawall.errors import ServiceError
from seawall.ethereum.keys import address_of_private_key, keccak256, sign_locally, to_bytes
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.formats.venue_config import VenueConfig, load_config
from seawall.policy import Policy
from seawall.policy_file import load_policy
from tests.testing.venue_harness import (
    CREDENTIAL,
    HANGS_AFTER_S,
    POLICY,
    DatabaseUrls,
    Heartbeat,
    connected,
    free_port,
    heartbeat,
    opening_balances,
    urls_of,
    write_config,
)
from venue.chain.deploy import Plan, PlannedNetwork, deploy
from venue.contracts.calls import transfer
from venue.database import Connection, open_pool
from venue.genesis.found import found_venue, next_nonces
from venue.process import serve_http
from venue.signer.app import application
from venue.signer.bulkhead import Bulkhead
from venue.signer.callers import Callers
from venue.signer.logs import ProofLog, SignLog
from venue.signer.service import SignerMetrics, SigningService
from venue.signer.velocity import caps_of

DEPLOYER = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"

STRANGER = address_of_private_key(to_bytes(DEPLOYER))
"""An address that is no wallet of the venue, with coins on every network."""

_RESERVE = """
    with wanted as (
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::numeric[], $5::bigint[],
        $6::text[], $7::text[])
            as w (id, network, asset, amount, value_micro, size, destination)
    ), accepted as (
        insert into withdrawals (id, customer_id, bucket, source_network, network, asset, amount,
        value_micro, size, destination, state)
        select id, 1, 'customer', network, network, asset, amount, value_micro, size, destination,
        'reserved' from wanted
        returning id, network, asset, amount
    ), posted as (
        insert into postings (kind, withdrawal_id) select 'reserve', id
        from accepted returning id, withdrawal_id
    )
    insert into entries (posting_id, account_id, amount)
    select p.id, a.id, case a.kind when 'customer' then r.amount else -r.amount end
    from posted p join accepted r on r.id = p.withdrawal_id
    join accounts a on (a.bucket, a.network, a.asset) = ('customer', r.network, r.asset)
        and (a.kind = 'reserved' or a.customer_id = 1)"""
_SUM_OF_ENTRIES = (
    "select coalesce(sum(abs(s)), 0) from (select sum(e.amount) as s from entries e "
    "join accounts a on a.id = e.account_id group by a.network, a.asset) x"
)


@dataclass(kw_only=True)
class LocalKeys:
    """A provider port with the keys at hand.

    ``dark`` makes it hang as long as KMS's time-out and then refuse.
    """

    secrets: dict[str, bytes]
    dark: bool = False
    asked: int = 0

    async def sign(self, wallet: str, digest: bytes) -> bytes:
        """DER, as KMS answers."""
        self.asked += 1
        if self.dark:
            await asyncio.sleep(0.25)
            message = "dark"
            raise ServiceError(message)
        signature = sign_locally(digest, secret=self.secrets[wallet])
        return encode_dss_signature(signature.r, signature.s)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A withdrawal to be reserved; ``amount`` in base units."""

    network: str
    asset: str
    amount: int
    size: str = "small"
    destination: str = ""


@dataclass(kw_only=True)
class Venue:
    """A venue of which everything but the settlers runs."""

    policy: Policy
    config: VenueConfig
    config_path: Path
    database: DatabaseUrls
    owner: Connection
    heartbeat: Heartbeat
    providers: dict[str, LocalKeys]
    settlers: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def reserve(self, wanted: Sequence[Wanted]) -> list[uuid.UUID]:
        """Accept withdrawals as intake would, in one transaction, and wake the settlers.

        Their ids, once that is acknowledged.
        """
        rows = [
            (
                uuid.uuid4(),
                each.network,
                each.asset,
                each.amount,
                self.policy.value_micro(each.asset, each.amount),
                each.size,
                each.destination or "0x" + os.urandom(20).hex(),
            )
            for each in wanted
        ]
        async with self.owner.transaction():
            await self.owner.execute(_RESERVE, *map(list, zip(*rows, strict=True)))
            await self.owner.execute("select pg_notify('seawall_withdrawal', '')")
        return [row[0] for row in rows]

    async def set_mode(self, tier: str) -> None:
        """Flip as the mode controller does."""
        async with self.owner.transaction():
            await self.owner.execute(
                "update mode set epoch = epoch + 1, tier = $1, reason = 'test'", tier
            )

    async def settler(
        self, network: str, *, ready: bool = True, **environment: str
    ) -> asyncio.subprocess.Process:
        """Start a settler and, if it is to be ``ready``, wait until it is."""
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "venue.settler",
                "--config",
                str(self.config_path),
                "--network",
                network,
            ),
            env={
                **os.environ,
                DATABASE_VARIABLE: self.database.settler,
                SIGNER_CREDENTIAL_VARIABLE: CREDENTIAL,
                **environment,
            },
            stdout=asyncio.subprocess.PIPE,
        )
        self.settlers.append(process)
        assert process.stdout is not None
        if ready:
            async with asyncio.timeout(HANGS_AFTER_S):
                assert await process.stdout.readline() == b"ready\n"
        return process

    async def stop(self, process: asyncio.subprocess.Process) -> int:
        """SIGTERM; the exit code."""
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(HANGS_AFTER_S):
            return await process.wait()

    async def until(self, query: str, *arguments: Any, within_s: float = HANGS_AFTER_S) -> None:
        """Wait until ``query`` answers true."""
        async with asyncio.timeout(within_s):
            # a database is polled
            while not await self.owner.fetchval(query, *arguments):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def all_posted(self, within_s: float = HANGS_AFTER_S) -> None:
        """Wait until no withdrawal is open."""
        await self.until(
            "select not exists (select 1 from withdrawals where state in ('reserved', 'slotted'))",
            within_s=within_s,
        )

    async def send(
        self, network: str, asset: str, amount: int, *, to: str, sender: str = STRANGER
    ) -> None:
        """Send base units from an address outside to the wallet ``to``, and wait for finality."""
        site = self.config.networks[network]
        holder = self.config.holder_of(self.policy, to)
        if asset == self.policy.networks[network].native:
            call = {"to": holder, "value": hex(amount)}
        else:
            call = {"to": site.tokens[asset], "data": "0x" + transfer(holder, amount).hex()}
        async with AsyncRpcClient(network, (site.rpc.primary,)) as rpc:
            await rpc.call("anvil_impersonateAccount", sender)
            await rpc.call("eth_sendTransaction", {"from": sender, **call})
        await until_final(site.rpc.primary)

    async def served(
        self, metric: str, *, by: str = TREASURY_PROCESS, **labels: str
    ) -> float | None:
        """The metric of a process with exactly these labels; None while it serves no such one."""
        port = self.config.metrics_ports[by]
        async with httpx.AsyncClient() as http:
            try:
                text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
            except httpx.ConnectError:  # it is starting
                return None
        own = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
        wanted = f"{metric}{{{own}}} "
        found = (line for line in text.splitlines() if line.startswith(wanted))
        return next((float(line.removeprefix(wanted)) for line in found), None)

    async def until_served(
        self, value: float, metric: str, *, by: str = TREASURY_PROCESS, **labels: str
    ) -> None:
        """Wait until the process ``by`` serves ``value``."""
        async with asyncio.timeout(HANGS_AFTER_S):
            # a process is polled
            while await self.served(metric, by=by, **labels) != value:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def ledger_sum(self) -> int:
        """Zero, or the ledger has lost or made money."""
        return int(await self.owner.fetchval(_SUM_OF_ENTRIES))


async def until_final(url: str) -> None:
    """Wait until the finalized block is later than the newest one of now and than its successor.

    What was changed on the chain just before is then in it, and a comparison finds it.
    """
    async with AsyncRpcClient("anvil", (url,)) as rpc, asyncio.timeout(HANGS_AFTER_S):
        head = (await rpc.head()).number
        while (await rpc.head("finalized")).number <= head + 1:  # noqa: ASYNC110  (a node is polled)
            await asyncio.sleep(0.1)


@asynccontextmanager
async def venue_bench(
    database_url: str, directory: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[Venue]:
    """Deploy, found and serve; everything ends with the block."""
    policy = load_policy(POLICY)
    secrets = {wallet: keccak256(wallet.encode()) for wallet in policy.signing_wallets()}
    addresses = {wallet: address_of_private_key(secret) for wallet, secret in secrets.items()}
    nodes = {
        name: start_anvil(chain_id=network.chain_id, block_time=1)
        for name, network in policy.networks.items()
    }
    plan = Plan(
        policy=POLICY,
        networks={
            name: PlannedNetwork(chain_id=policy.networks[name].chain_id, rpc=url)
            for name, url in nodes.items()
        },
        wallets=addresses,
    )
    deployed = await deploy(plan, secret=to_bytes(DEPLOYER))
    path = directory / "venue.json"
    write_config(path, database_url, policy)
    payload = json.loads(path.read_text(encoding="utf-8"))
    for name, url in nodes.items():
        payload["networks"][name].update(
            rpc={"primary": url, "standby": url}, **vars(deployed[name])
        )
        payload["metrics_ports"][f"settler-{name}"] = free_port()
    for site in payload["signers"].values():
        port = free_port()
        site.update(listen_port=port, url=f"http://127.0.0.1:{port}")
        for wallet, key in site["keys"].items():
            key["address"] = addresses[wallet]
    path.write_text(json.dumps(payload), encoding="utf-8")
    config = load_config(path)
    stop = asyncio.Event()
    async with connected(database_url) as owner:
        nonces = await next_nonces(config, policy)
        customers = opening_balances(policy, 3)
        database = urls_of(database_url)
        await found_venue(
            owner,
            config=config,
            policy=policy,
            customers=customers,
            nonces=nonces,
            roles=database.roles,
        )
        beating = AsyncExitStack()
        alive = await beating.enter_async_context(heartbeat(database_url))
        providers = {region: LocalKeys(secrets=secrets) for region in config.signers}
        serving = []
        pools = []
        for region, provider in providers.items():
            pool = await open_pool(database.signer, name=f"signer-{region}", size=4)
            pools.append(pool)
            service = SigningService(
                region=region,
                log=SignLog(
                    pool=pool,
                    region=region,
                    caps=caps_of(config, policy, config.contracts(policy, secrets)),
                ),
                proofs=ProofLog(pool=pool, region=region),
                provider=provider,
                bulkhead=Bulkhead.of_policy(
                    policy, addresses, operations_per_s=policy.signing.operations_per_s
                ),
                chains={
                    wallet: policy.networks[policy.wallets[wallet].network].chain_id
                    for wallet in secrets
                },
                addresses=addresses,
                contracts=config.contracts(policy, secrets),
                recipients=config.recipients(policy, secrets),
                metrics=SignerMetrics(region=region),
            )
            port = config.signers[region].listen_port
            app = application(service, Callers(known=config.signer_callers))
            serving.append(asyncio.create_task(serve_http(app, port=port, stop=stop)))
        venue = Venue(
            policy=policy,
            config=config,
            config_path=path,
            database=database,
            owner=owner,
            heartbeat=alive,
            providers=providers,
        )
        try:
            yield venue
        finally:
            for process in venue.settlers:
                if process.returncode is None:
                    process.kill()
                await process.wait()
            stop.set()
            await asyncio.gather(*serving)
            for pool in pools:
                pool.terminate()
            await beating.aclose()
