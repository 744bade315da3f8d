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

from sandbox.parts.chains import BEHIND_S, hurried
from seawall.conventions.components import TREASURY_PROCESS
from seawall.conventions.environment import DATABASE_VARIABLE, SIGNER_CREDENTIAL_VARIABLE
from seawall.errors import ServiceError
from seawall.ethereum.keys import address_of_private_key, keccak256, sign_locally, to_bytes
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.formats.venue_config import VenueConfig, load_config
from seawall.policy import Policy
from seawall.policy_file import load_policy
from tests.testing.anvil import mined
from tests.testing.approvers import approver_addresses
from tests.testing.signer_harness import EmulatedKeys, signer_site
from tests.testing.venue_harness import (
    CREDENTIAL,
    HANGS_AFTER_S,
    POLICY,
    DatabaseUrls,
    Heartbeat,
    connected,
    free_port,
    heartbeat,
    make_sign_log,
    opening_balances,
    urls_of,
    write_config,
)
from venue.chain.deploy import Plan, PlannedNetwork, deploy
from venue.contracts.calls import mint, transfer
from venue.database import Connection, Pool
from venue.genesis.found import found_venue, next_nonces
from venue.process import serve_http
from venue.signer.app import application
from venue.signer.bulkhead import Bulkhead
from venue.signer.callers import Callers
from venue.signer.logs import ProofLog, SignLog, open_log_pool
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
    """A venue of which everything but the settlers runs.

    ``owner`` is a connection to its database, ``sign_log`` one to the signers', as their owners.
    """

    policy: Policy
    config: VenueConfig
    config_path: Path
    database: DatabaseUrls
    owner: Connection
    sign_log: Connection
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
        self, network: str, *, ready: bool = True, order: Path | None = None, **environment: str
    ) -> asyncio.subprocess.Process:
        """Start a settler and, if it is to be ``ready``, wait until it is.

        It dies where ``order`` says (`tests/testing/dying_process.py`).
        """
        under = () if order is None else ("tests.testing.dying_process", str(order))
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                *under,
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
            await mined(rpc, {"from": sender, **call})
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


async def chain_equals_ledger(venue: Venue) -> None:
    """Hot and reserve wallets hold on their chain, to the base unit, what the ledger says."""
    for network, site in venue.config.networks.items():
        async with AsyncRpcClient(network, (site.rpc.primary,)) as rpc:
            for wallet, contract in (
                *site.payout_contracts.items(),
                *site.reserve_contracts.items(),
            ):
                kind = venue.policy.wallets[wallet].wallet_class
                for asset in venue.policy.networks[network].assets:
                    held = await rpc.balance(contract, token=site.tokens.get(asset))
                    booked = await venue.owner.fetchval(
                        """select sum(e.amount) from entries e join accounts a on a.id =
                            e.account_id
                           where (a.bucket, a.network, a.asset, a.kind) = ($1, $2, $3, $4)""",
                        *(venue.policy.wallets[wallet].bucket, network, asset, kind),
                    )
                    assert (wallet, asset, held) == (wallet, asset, booked)


_BOOK = """
    with found as (
        insert into surpluses (bucket, network, wallet, asset, amount, block_number)
        select 'customer', $3, $1, $4, $2, 1 + coalesce(max(block_number), 0)
        from surpluses where wallet = $1 returning id
    ), posted as (
        insert into postings (kind, surplus_id) select 'surplus', id from found returning id
    ), booked as (
        insert into entries (posting_id, account_id, amount)
        select p.id, a.id, case a.kind when 'hot' then $2::numeric else -$2::numeric end
        from posted p join accounts a on (a.bucket, a.network, a.asset) = ('customer', $3, $4)
                                     and a.kind in ('hot', 'unidentified')
    )
    update floats set available = available + $2 where (wallet, asset) = ($1, $4)"""


async def overfill(venue: Venue, network: str, asset: str = "USDX") -> None:
    """Money comes from outside, more than the hot wallet is to hold, and is booked."""
    hot = f"customer-{network}-hot"
    amount = venue.policy.base_units(asset, venue.policy.wallets[hot].holdings[asset].maximum)
    site = venue.config.networks[network]
    contract, token = site.payout_contracts[hot], site.tokens.get(asset)
    call = (
        {"to": contract, "value": hex(amount)}
        if token is None
        else {"to": token, "data": "0x" + mint(contract, amount).hex()}
    )
    async with AsyncRpcClient(network, (site.rpc.primary,)) as rpc:
        await rpc.call("anvil_impersonateAccount", STRANGER)
        await mined(rpc, {"from": STRANGER, **call})
    await venue.owner.execute(_BOOK, hot, amount, network, asset)


async def ask_sweep(venue: Venue, network: str, asset: str = "USDX") -> None:
    """Have the hot wallet give something back."""
    await venue.owner.execute(
        """insert into topups (id, network, asset, from_wallet, to_wallet, amount, state,
            justification)
           values (gen_random_uuid(), $1, $4, $2, $3, 3000000, 'requested', 'test')""",
        *(network, f"customer-{network}-hot", f"customer-{network}-reserve", asset),
    )


@asynccontextmanager
async def venue_bench(
    database_url: str,
    directory: Path,
    start_anvil: Callable[..., str],
    log_url: str | None = None,
    *,
    keys: EmulatedKeys | None = None,
    custodian: str | None = None,
    carrier: str | None = None,
) -> AsyncIterator[Venue]:
    """Deploy, found and serve; everything ends with the block.

    The sign log is made at ``log_url``, or else beside the venue's database. With ``keys`` at an
    emulated AWS, the signers are processes that the caller starts, and settlers reach those of the
    bucket that pays customers without a front. ``custodian`` is the address of the key that the
    contracts of cold wallets obey, ``carrier`` that of the one that the carrier's contracts do.
    """
    policy = load_policy(POLICY)
    secrets = {wallet: keccak256(wallet.encode()) for wallet in policy.signing_wallets()}
    addresses = {wallet: address_of_private_key(secret) for wallet, secret in secrets.items()}
    if keys is not None:
        made = keys.keys[policy.regions.primary]
        addresses = {wallet: key["address"] for wallet, key in made.items()}
    nodes = {
        name: start_anvil(chain_id=network.chain_id, block_time=1, behind_s=BEHIND_S)
        for name, network in policy.networks.items()
    }
    plan = Plan(
        policy=POLICY,
        networks={
            name: PlannedNetwork(chain_id=policy.networks[name].chain_id, rpc=url)
            for name, url in nodes.items()
        },
        wallets=addresses,
        approvers=approver_addresses(policy),
        custodian=custodian,
        carrier=carrier,
    )
    with hurried(nodes):
        deployed = await deploy(plan, secret=to_bytes(DEPLOYER))
    path = directory / "venue.json"
    write_config(path, database_url, policy)
    payload = json.loads(path.read_text(encoding="utf-8"))
    for name, url in nodes.items():
        payload["networks"][name].update(
            rpc={"primary": url, "standby": url}, **vars(deployed[name])
        )
        payload["metrics_ports"][f"settler-{name}"] = free_port()
    payload["approvers"] = approver_addresses(policy)
    for region, site in payload["signers"].items():
        port = free_port()
        if keys is not None:
            site.update(signer_site(keys, policy, region, port))
            site["url"] = site["buckets"]["customer"]["url"]
            continue
        site.update(listen_port=port, url=f"http://127.0.0.1:{port}")
        for wallet, key in site["keys"].items():
            key["address"] = addresses[wallet]
    path.write_text(json.dumps(payload), encoding="utf-8")
    config = load_config(path)
    stop = asyncio.Event()
    async with connected(database_url) as owner:
        nonces = await next_nonces(config, policy)
        customers = opening_balances(policy, 3)
        database = urls_of(database_url, log_url)
        await found_venue(
            owner,
            config=config,
            policy=policy,
            customers=customers,
            nonces=nonces,
            roles=database.roles,
        )
        await make_sign_log(database)
        beating = AsyncExitStack()
        alive = await beating.enter_async_context(heartbeat(database_url))
        sign_log = await beating.enter_async_context(connected(database.sign_log.owner))
        providers = {region: LocalKeys(secrets=secrets) for region in config.signers}
        serving = []
        pools: list[Pool] = []
        for region, provider in ({} if keys is not None else providers).items():
            records, log = [
                await open_log_pool(url, name=f"signer-{region}", size=4)
                for url in (database.signer, database.sign_log.signer)
            ]
            pools += [records, log]
            service = SigningService(
                region=region,
                log=SignLog(
                    records=records,
                    log=log,
                    region=region,
                    caps=caps_of(config, policy, config.contracts(policy, secrets)),
                ),
                proofs=ProofLog(pool=records, region=region),
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
                tanks=config.tanks(policy, secrets),
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
            sign_log=sign_log,
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
