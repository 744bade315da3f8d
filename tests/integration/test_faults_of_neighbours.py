"""Faults that a neighbour keeps up, on real nodes, a real PostgreSQL and with a real lease.

A stranger pays single base units, fees rise, clients of the database are silent: each is seen by
somebody else than who does it, lasts as long as its runner, and is gone afterwards.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pytest

from chaos.faults import Fault, make_fault
from chaos.noop import Noop
from chaos.repeated import RepeatedFault
from seawall.conventions import components
from seawall.conventions.database import MODE_LOCK
from seawall.errors import ServiceError
from seawall.ethereum.keys import address_of_private_key, to_bytes
from seawall.ethereum.rpc import RpcClient
from seawall.evidence.sessions import SessionsProbe
from seawall.formats.atomic import write_private
from seawall.formats.deployment import Deployment
from tests.integration.test_faults_of_signing import TTL_MS, session_of
from tests.testing.deployments import NOTHING, make_deployment
from tests.testing.settler_harness import DEPLOYER, Venue, Wanted, venue_bench
from tests.testing.venue_harness import (
    HANGS_AFTER_S,
    Founded,
    commit_flow,
    connected,
    venue_process,
)

pytestmark = pytest.mark.integration

HOT = "customer-aster-hot"
WHOLE = ["fault.applied", "fault.effective", "fault.held", "fault.reverted", "fault.cleared"]
HELD_MS = 2_500
LONG_TTL_MS = 20_000
"""Three blocks of a second must pass before a payment is no longer among the newest."""


@pytest.fixture
async def venue(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[Venue]:
    """Everything but settlers and treasury."""
    async with venue_bench(database_url, tmp_path, start_anvil) as bench:
        yield bench


def deployment_of(venue: Venue, folder: Path) -> Deployment:
    """What the kit knows of ``venue``: its chains alone."""
    site = venue.config.networks["aster"]
    keys = venue.config.signers[venue.policy.regions.primary].keys
    return make_deployment(
        folder,
        networks={
            "aster": {
                "chain_id": site.chain_id,
                "node": site.rpc.primary,
                "payouts": {
                    "contracts": site.payout_contracts,
                    "wallets": site.payout_contracts,
                    "tokens": site.tokens,
                    "signers": {wallet: keys[wallet].address for wallet in site.payout_contracts},
                },
                "issuer": address_of_private_key(to_bytes(DEPLOYER)),
            }
        },
    )


def made(deployment: Deployment, fault: str, target: str, **parameters: str) -> Fault:
    return make_fault(
        fault, target=target, parameters=parameters, deployment=deployment, blast_radius=(target,)
    )


def until(fault: Fault, state: str) -> None:
    """Wait until ``fault`` is seen in ``state``."""
    give_up = time.monotonic() + HANGS_AFTER_S
    while (seen := fault.observe()).state != state:
        assert time.monotonic() < give_up, seen
        time.sleep(0.05)


async def test_a_stranger_pays_in_each_asset_until_it_is_undone_and_all_of_it_is_booked(
    venue: Venue, tmp_path: Path
) -> None:
    """Top-ups go on meanwhile, and the ledger says afterwards what the chain holds."""
    fault = made(deployment_of(venue, tmp_path), "one-wei", components.contract_target(HOT))
    events: list[str] = []

    def injected() -> None:
        assert fault.observe().state == "clear"
        noop = Noop(fault)
        noop.apply()
        assert fault.observe().state == "clear", "its sibling pays nothing"
        noop.revert(within_ms=1_000)
        with session_of(fault, tmp_path, events, ttl_ms=LONG_TTL_MS) as session:
            session.apply()
            session.hold(HELD_MS)
            session.revert()
            session.revert()

    await venue.owner.execute("update floats set available = 0")
    async with venue_process("treasury", venue.config_path, venue.database):
        await asyncio.to_thread(injected)
        assert events == WHOLE
        await venue.until("select count(*) = 4 from topups")
        await venue.until("select count(distinct asset) = 2 from surpluses where wallet = $1", HOT)
        await venue.until(
            """select count(*) = 0 from (select a.asset from accounts a
                   join entries e on e.account_id = a.id
                   where (a.bucket, a.network, a.kind) = ('customer', 'aster', 'hot')
                   group by a.asset having sum(e.amount) <>
                       case a.asset when 'AST' then $1::numeric else $2::numeric end) x""",
            *await _held(venue),
        )
    assert await venue.ledger_sum() == 0


async def _held(venue: Venue) -> tuple[int, int]:
    """What the chain holds for the hot wallet: AST and USDX in base units."""
    site = venue.config.networks["aster"]
    node = RpcClient(network="aster", url=site.rpc.primary, timeout_s=HANGS_AFTER_S)
    holder = site.payout_contracts[HOT]
    return node.balance(holder), node.balance(holder, token=site.tokens["USDX"])


@pytest.mark.nightly  # test_settler.py replaces one
async def test_payouts_in_flight_are_replaced_when_fees_rise(venue: Venue, tmp_path: Path) -> None:
    """They were paid for an idle network; the fees fall again when the fault is undone."""
    target = components.fees_target("aster")
    fault = made(deployment_of(venue, tmp_path), "fee-spike", target, base_fee_gwei="5")
    assert isinstance(fault, RepeatedFault)
    node = RpcClient(
        network="aster", url=venue.config.networks["aster"].rpc.primary, timeout_s=HANGS_AFTER_S
    )
    node.call("anvil_setNextBlockBaseFeePerGas", hex(7))
    await asyncio.to_thread(until, fault, "clear")
    events: list[str] = []
    await venue.settler("aster")
    node.call("evm_setIntervalMining", 0)
    await venue.reserve([Wanted(network="aster", asset="USDX", amount=10**6)] * 3)
    await venue.until("select exists (select 1 from slots where state = 'broadcast')")
    loop = asyncio.get_running_loop()

    def answer(query: str) -> bool:
        asked = asyncio.run_coroutine_threadsafe(venue.owner.fetchval(query), loop)
        return bool(asked.result(timeout=HANGS_AFTER_S))

    def wait_for(query: str) -> None:
        asyncio.run_coroutine_threadsafe(venue.until(query), loop).result()

    def injected() -> None:
        with session_of(fault, tmp_path, events) as session:
            fault.apply()  # the blocks go on with the fees of the fault, and not before
            node.call("evm_setIntervalMining", 1)
            until(fault, "effective")
            give_up = time.monotonic() + HANGS_AFTER_S
            while not answer("select exists (select 1 from replacements where raw is not null)"):
                assert time.monotonic() < give_up, "nothing was replaced"
                fault.step()  # as a session keeps it up: by itself the fee falls with each block
                time.sleep(0.05)
            fault.revert(within_ms=TTL_MS)
            session.apply()
            session.hold(HELD_MS)
            wait_for("select not exists (select 1 from withdrawals where state <> 'posted')")
            session.revert()
            session.revert()

    await asyncio.to_thread(injected)
    assert events == WHOLE
    newest = node.call("eth_getBlockByNumber", "latest", False)
    assert int(newest["baseFeePerGas"], 16) < 10**9
    assert (
        await venue.owner.fetchval("select count(*) from withdrawals where state = 'posted'") == 3
    )


def _client(founded: Founded, folder: Path) -> Fault:
    url = folder / "auditor.url"
    write_private(url, founded.database.auditor + "\n")
    deployment = make_deployment(
        folder, database={"address": "127.0.0.1:1", "control": NOTHING, "client": str(url)}
    )
    return made(deployment, "client-frozen", components.DATABASE_LOCK_TARGET)


def _ended(folder: Path) -> int:
    """What the prober has the database count: sessions that the server has ended."""

    async def count() -> int:
        probe = SessionsProbe(url_file=folder / "auditor.url")
        try:
            (sample,) = await probe.count()
        finally:
            await _closed(probe)
        return int(sample.detail["ended"])

    return asyncio.run(count())


_Client: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def _closed(what: SessionsProbe | _Client) -> None:
    what.close() if isinstance(what, SessionsProbe) else what.terminate()
    await asyncio.sleep(0.001)  # for its socket to be closed


async def test_only_what_the_server_ends_is_counted_as_ended(
    founded: Founded, tmp_path: Path
) -> None:
    """By somebody's word or by its own time-out; not a client that goes in the midst of things."""
    write_private(tmp_path / "auditor.url", founded.database.auditor + "\n")
    probe = SessionsProbe(url_file=tmp_path / "auditor.url")
    async with connected(founded.database.owner) as owner:

        async def ended() -> int:
            return int((await probe.count())[0].detail["ended"])

        async def ended_with(end: Callable[[_Client, int], Awaitable[object]]) -> int:
            client = await asyncpg.connect(founded.database.auditor)
            await client.execute("begin")
            pid, before = client.get_server_pid(), await ended()
            await end(client, pid)
            async with asyncio.timeout(HANGS_AFTER_S):
                while await owner.fetchval(_THERE, pid):  # noqa: ASYNC110  (a database is polled)
                    await asyncio.sleep(0.01)
            await _closed(client)
            return await ended() - before

        async def in_vain(client: _Client, _pid: int) -> None:
            await client.execute("set idle_in_transaction_session_timeout = 1")

        async def told(_client: _Client, pid: int) -> None:
            await owner.execute("select pg_terminate_backend($1)", pid)

        found = [await ended_with(end) for end in (lambda each, _: _closed(each), in_vain, told)]
        await _closed(probe)
    assert found == [0, 1, 1]


_THERE = "select exists (select 1 from pg_stat_activity where pid = $1)"
_HOLDERS = f"""
    select count(*) from pg_locks l join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.granted and a.state = 'idle in transaction'
      and (l.classid::bigint << 32 | l.objid::bigint) = {MODE_LOCK}
      and a.datname = current_database()"""


async def test_silent_clients_hold_the_lock_come_back_and_a_flip_is_still_in_time(
    founded: Founded, tmp_path: Path
) -> None:
    """The venue ends their sessions when it wants the lock; nothing is left of them afterwards."""
    fault = _client(founded, tmp_path)
    events: list[str] = []
    ended_before: list[int] = []
    async with (
        connected(founded.database.api) as api,
        connected(founded.database.owner) as observer,
        venue_process("mode_controller", founded.config_path, founded.database),
    ):

        def injected() -> None:
            assert fault.observe().state == "clear"
            ended_before.append(_ended(tmp_path))
            noop = Noop(fault)
            noop.apply()
            assert fault.observe().state == "clear", "its sibling connects to nothing"
            noop.revert(within_ms=1_000)
            with session_of(fault, tmp_path, events) as session:
                session.apply()
                _flipped.result(timeout=HANGS_AFTER_S)
                session.hold(HELD_MS)
                assert _ended(tmp_path) >= ended_before[0] + 2  # both clients, by the server
                ended_before.append(_ended(tmp_path))
                session.revert()
                session.revert()

        async def flip() -> None:
            while not await observer.fetchval(_HOLDERS):  # noqa: ASYNC110  (a database is polled)
                await asyncio.sleep(0.02)
            await commit_flow(api, founded.policy.hot_target_value_micro())
            while await observer.fetchval("select tier from mode") != "protected":  # noqa: ASYNC110
                await asyncio.sleep(0.01)

        _flipped = asyncio.run_coroutine_threadsafe(flip(), asyncio.get_running_loop())
        await asyncio.to_thread(injected)
        assert events == WHOLE
        assert await observer.fetchval(_HOLDERS) == 0
        # The fault's own undo closes connections, which is nobody's proof of anything.
        assert await asyncio.to_thread(_ended, tmp_path) == ended_before[1]
    # After a first attempt that was refused nothing is left either.
    lost = _client(founded, tmp_path)
    write_private(tmp_path / "auditor.url", "postgresql://127.0.0.1:1/nowhere\n")
    with pytest.raises(ServiceError, match=r"^no client holds database\.mode-lock"):
        await asyncio.to_thread(lost.apply)
    assert (await asyncio.to_thread(lost.observe)).state == "unclear"
