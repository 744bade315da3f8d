"""Gas money on real chains: a key that has little left is refilled, and by no more than its cap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from seawall.ethereum.keys import address_of_private_key, keccak256, to_bytes
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.ethereum.values import uint256
from seawall.formats.journal import chain_breaks
from tests.integration.test_settler import small
from tests.testing.anvil import mined
from tests.testing.nightly import repetitions
from tests.testing.settler_harness import DEPLOYER, Venue, chain_equals_ledger, venue_bench
from tests.testing.venue_harness import HANGS_AFTER_S, Founded, connected, venue_process
from venue.contracts.calls import REFILL_GAS_LIMIT, refill, refillable
from venue.contracts.compiler import gas_creation
from venue.treasury.gas import Due, Gas

pytestmark = pytest.mark.integration

GOVERNOR = address_of_private_key(to_bytes(DEPLOYER))
ANYBODY = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"
"""The second account that anvil signs for."""
KEY, OTHER, STRANGER = (f"0x{number:040x}" for number in (0xA1, 0xA2, 0xA3))
COIN = 10**18
MINIMUM, TARGET, CAP, WINDOW_S, HELD = 2 * COIN, 5 * COIN, 8 * COIN, 1_000, 30 * COIN
HOT, RESERVE = "customer-aster-hot", "customer-aster-reserve"


class Tank:
    """The contract on a node that makes a block of each transaction."""

    def __init__(self, rpc: AsyncRpcClient, address: str) -> None:
        self.rpc, self.address = rpc, address

    async def send(self, data: bytes, *, sender: str = ANYBODY) -> bool:
        """Call it; whether that succeeded."""
        call = {"from": sender, "to": self.address, "data": "0x" + data.hex()}
        call["gas"] = hex(REFILL_GAS_LIMIT)
        receipt = await self.rpc.receipt(await mined(self.rpc, call))
        assert receipt is not None
        return receipt.succeeded

    async def refillable(self, key: str) -> int:
        """What ``key`` would get now, in wei."""
        return await self.rpc.read(self.address, refillable(key), uint256)

    async def holds(self, key: str, wei: int) -> None:
        """Let ``key`` have so much."""
        await self.rpc.call("anvil_setBalance", key, hex(wei))


@pytest.fixture
async def tank(start_anvil: Callable[..., str]) -> AsyncIterator[Tank]:
    """One that pays two keys, and holds nearly four refills of one."""
    async with AsyncRpcClient("aster", (start_anvil(),)) as rpc:
        creation = gas_creation(
            keys=[KEY, OTHER], minimum=MINIMUM, target=TARGET, cap=CAP, window_seconds=WINDOW_S
        )
        sent = await mined(rpc, {"from": GOVERNOR, "data": "0x" + creation.hex()})
        made = await rpc.call("eth_getTransactionReceipt", sent)
        address = made["contractAddress"].lower()
        await mined(rpc, {"from": GOVERNOR, "to": address, "value": hex(HELD)})
        # A window begins now, so that none ends in the middle of a test.
        now_s = int((await rpc.call("eth_getBlockByNumber", "latest", False))["timestamp"], 16)
        begins_s = (now_s // WINDOW_S + 1) * WINDOW_S
        await rpc.call("evm_setNextBlockTimestamp", begins_s)
        await rpc.call("evm_mine")
        yield Tank(rpc, address)


async def test_a_key_gets_what_it_lacks_and_anybody_may_call(tank: Tank) -> None:
    await tank.holds(KEY, MINIMUM)
    assert await tank.refillable(KEY) == 0
    assert not await tank.send(refill(KEY)), "it has the minimum"
    await tank.holds(KEY, MINIMUM - 1)
    assert await tank.refillable(KEY) == TARGET - MINIMUM + 1
    assert await tank.send(refill(KEY))
    assert await tank.rpc.balance(KEY) == TARGET
    assert await tank.rpc.balance(tank.address) == HELD - (TARGET - MINIMUM + 1)


async def test_nobody_but_its_keys_gets_anything(tank: Tank) -> None:
    await tank.holds(STRANGER, 0)
    assert await tank.refillable(STRANGER) == 0
    assert not await tank.send(refill(STRANGER))
    assert not await tank.send(refill(ANYBODY))
    assert await tank.rpc.balance(tank.address) == HELD


async def test_a_key_that_burns_what_it_gets_gets_no_more_than_the_cap_in_a_window(
    tank: Tank,
) -> None:
    """Another key's cap is its own, and the next window has a new one."""
    for expected in (TARGET, CAP - TARGET, 0):
        await tank.holds(KEY, 0)
        assert await tank.refillable(KEY) == expected
        assert await tank.send(refill(KEY)) == bool(expected)
        assert await tank.rpc.balance(KEY) == expected
    await tank.holds(OTHER, 0)
    assert await tank.refillable(OTHER) == TARGET
    await tank.rpc.call("evm_increaseTime", WINDOW_S)
    await tank.rpc.call("evm_mine")
    await tank.holds(KEY, 0)
    assert await tank.refillable(KEY) == TARGET


async def test_it_pays_what_it_has_and_governance_takes_back_what_is_left(tank: Tank) -> None:
    close = keccak256(b"close(address)")[:4] + bytes(12) + bytes.fromhex(STRANGER[2:])
    assert not await tank.send(close)
    await tank.rpc.call("anvil_setBalance", tank.address, hex(COIN))
    await tank.holds(KEY, 0)
    assert await tank.refillable(KEY) == COIN
    assert await tank.send(close, sender=GOVERNOR)
    assert await tank.rpc.balance(STRANGER) == COIN
    assert await tank.refillable(KEY) == 0
    assert not await tank.send(refill(KEY))


async def test_a_key_that_is_revoked_gets_nothing_more_and_the_others_go_on(tank: Tank) -> None:
    """By governance alone, and for good: whoever has stolen it lives on what it has."""
    revoke = keccak256(b"revoke(address)")[:4] + bytes(12) + bytes.fromhex(KEY[2:])
    for key in (KEY, OTHER):
        await tank.holds(key, 0)
    assert not await tank.send(revoke)
    assert await tank.refillable(KEY) == TARGET
    assert await tank.send(revoke, sender=GOVERNOR)
    assert await tank.refillable(KEY) == 0
    assert not await tank.send(refill(KEY))
    assert await tank.send(refill(OTHER))
    assert await tank.rpc.balance(tank.address) == HELD - TARGET


@pytest.fixture
async def venue(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[Venue]:
    """Everything but settlers and treasury."""
    async with venue_bench(database_url, tmp_path, start_anvil) as bench:
        yield bench


@pytest.mark.parametrize(
    ("wallet", "left"), repetitions([(HOT, 0), (HOT, COIN), (RESERVE, 0)], keep=1)
)
async def test_a_drained_key_is_refilled_and_payouts_go_on(
    venue: Venue, wallet: str, left: int
) -> None:
    """The lane of the other key has it refilled, so one that has nothing left pays again."""
    site = venue.config.networks["aster"]
    assert site.gas_tank is not None
    key = venue.config.signers[venue.policy.regions.primary].keys[wallet].address
    gas = venue.policy.treasury.gas["aster"]
    target = venue.policy.base_units("AST", gas.target)
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        held = await rpc.balance(site.gas_tank)
        await rpc.call("anvil_setBalance", key, hex(left))
        await venue.settler("aster")
        await venue.reserve(small(20))
        await venue.owner.execute("update floats set available = available / 4")
        async with venue_process("treasury", venue.config_path, venue.database):
            await venue.until("select exists (select 1 from gas_refills where state = 'done')")
            await venue.all_posted()
            await venue.until(
                "select bool_and(state = 'posted') from topups where network = 'aster'"
            )
        # What the key has used since is far less than a coin.
        assert target - COIN < await rpc.balance(key) <= target
        paid = held - await rpc.balance(site.gas_tank)
        assert target - left <= paid < target - left + COIN
    refills = await venue.owner.fetch(
        """select g.wallet, l.wallet as by, s.purpose, s.to_address, s.state from gas_refills g
           join slots s on s.id = g.slot_id
           join lanes l on (l.chain_id, l.address) = (s.chain_id, s.address)"""
    )
    other = RESERVE if wallet == HOT else HOT
    assert [tuple(row) for row in refills] == [
        (wallet, other, "gas", site.gas_tank.lower(), "final")
    ]
    await chain_equals_ledger(venue)
    assert await venue.ledger_sum() == 0
    journal = [dict(row) for row in await venue.owner.fetch("select * from journal order by n")]
    assert [row["kind"] for row in journal].count("gas") == 1
    assert chain_breaks(journal) == []


@pytest.mark.nightly  # refills and kills stay each by itself
async def test_a_settler_that_was_killed_with_a_refill_in_flight_ends_it(venue: Venue) -> None:
    """It is on record before it is signed, like all that a lane does."""
    site = venue.config.networks["aster"]
    key = venue.config.signers[venue.policy.regions.primary].keys[HOT].address.lower()
    async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
        await rpc.call("anvil_setBalance", key, "0x0")
        await venue.owner.execute(
            """insert into gas_refills (id, network, wallet, address, state, justification)
               values (gen_random_uuid(), 'aster', $1, $2, 'requested', 'test')""",
            HOT,
            key,
        )
        await rpc.call("evm_setIntervalMining", 0)
        process = await venue.settler("aster")
        await venue.until("select exists (select 1 from slots where state = 'broadcast')")
        process.kill()
        await process.wait()
        await rpc.call("evm_setIntervalMining", 1)
        await venue.settler("aster")
        await venue.until("select exists (select 1 from gas_refills where state = 'done')")
        assert await rpc.balance(key) > 0
    assert await venue.owner.fetchval("select count(*) from slots where state = 'final'") == 1


async def test_the_signer_has_keys_refilled_by_the_contract_for_gas_alone(venue: Venue) -> None:
    """The same call of another address is refused, and what is recorded cannot change that."""
    site = venue.config.networks["aster"]
    await venue.owner.execute(
        """insert into gas_refills (id, network, wallet, address, state, justification)
           select gen_random_uuid(), network, wallet, address, 'requested', 'test' from lanes
           where wallet = $1""",
        HOT,
    )
    path = venue.config_path
    wrong = path.read_text(encoding="utf-8").replace(str(site.gas_tank), "0x" + "ee" * 20)
    path.write_text(wrong, encoding="utf-8")
    await venue.settler("aster")
    await venue.until("select exists (select 1 from slots where purpose = 'gas')")
    await asyncio.sleep(1)  # several requests of the settler, each of which is refused
    assert not await venue.sign_log.fetchval("select count(*) from sign_log")
    assert await venue.owner.fetchval("select state from slots where purpose = 'gas'") == "open"


async def test_a_refill_is_asked_for_once(founded: Founded) -> None:
    gas = Gas(network="aster", native="AST", tank="0x" + "ee" * 20, minimum_wei=10)
    async with connected(founded.database.treasury) as treasury:
        key = await treasury.fetchval("select address from lanes where wallet = $1", HOT)
        due = [Due(wallet=HOT, address=key, held_wei=9, amount_wei=11)]
        await gas.request(treasury, due)
        await gas.request(treasury, due)
        rows = await treasury.fetch("select wallet, address, state, justification from gas_refills")
        kinds = await treasury.fetch("select kind from journal")
    assert [tuple(row)[:3] for row in rows] == [(HOT, key, "requested")]
    assert "has 9 wei for gas, below 10; refilled by 11" in rows[0]["justification"]
    assert [row["kind"] for row in kinds] == ["gas"]


@pytest.mark.parametrize(("wallet", "address"), [(HOT, KEY), ("customer-aster-cold", KEY)])
async def test_only_the_key_of_a_lane_is_refilled(
    founded: Founded, caplog: pytest.LogCaptureFixture, wallet: str, address: str
) -> None:
    """A key that `venue.json` names and no lane has is in the log; the others are asked for."""
    gas = Gas(network="aster", native="AST", tank="0x" + "ee" * 20, minimum_wei=10)
    async with connected(founded.database.treasury) as treasury:
        own = await treasury.fetchval("select address from lanes where wallet = $1", RESERVE)
        due = [
            Due(wallet=wallet, address=address, held_wei=9, amount_wei=11),
            Due(wallet=RESERVE, address=own, held_wei=9, amount_wei=11),
        ]
        await gas.request(treasury, due)
        assert await treasury.fetchval("select array_agg(wallet) from gas_refills") == [RESERVE]
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await treasury.execute(
                """insert into gas_refills (id, network, wallet, address, state, justification)
                   values (gen_random_uuid(), 'aster', $1, $2, 'requested', 'test')""",
                wallet,
                address,
            )
    assert f"no lane of {wallet} has the key {address}" in caplog.text


async def test_what_is_not_there_is_not_asked_for(tank: Tank) -> None:
    """Neither for a key with enough, nor for one whose cap is used up."""
    gas = Gas(network="aster", native="AST", tank=tank.address, minimum_wei=MINIMUM)
    keys = {"enough": KEY, "too little": OTHER, "no key of it": STRANGER}
    await tank.holds(KEY, MINIMUM)
    await tank.holds(OTHER, 1)
    await tank.holds(STRANGER, 0)
    async with asyncio.timeout(HANGS_AFTER_S):
        assert await gas.due(tank.rpc, keys) == [
            Due(wallet="too little", address=OTHER, held_wei=1, amount_wei=TARGET - 1)
        ]
