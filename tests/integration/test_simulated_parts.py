"""The simulated store and chain do what PostgreSQL and the real contract do (tests/simulation).

The same operations in the same order on both, many of them forbidden ones; the answers and the rows
must be equal. Without this the campaigns would prove something about a world of our own making.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from random import Random

import pytest

from seawall.ethereum.keys import address_of_private_key
from seawall.ethereum.rpc import AsyncRpcClient
from tests.integration.test_payout_contract import CAP, REJECTS, SIGNER, Bench
from tests.simulation.chain import Block, Chain, Contract, Payment, Pool, State
from tests.simulation.chain import Transaction as Sent
from tests.simulation.trace import Trace
from tests.testing.conformance import Pair, pair_of
from tests.testing.venue_harness import Founded, connected
from venue.contracts.calls import NATIVE, Item, cancel, mint, pay, read_events, set_paused
from venue.contracts.compiler import payout_creation, token_creation
from venue.database import open_pool

pytestmark = pytest.mark.integration


@pytest.fixture
async def pair(founded: Founded) -> AsyncIterator[Pair]:
    """A founded venue on PostgreSQL, and the same rows in a simulated store."""
    async with connected(founded.database.owner) as owner:
        pool = await open_pool(founded.database.owner, name="conformance", size=4)
        try:
            yield await pair_of(founded, owner, pool)
        finally:
            pool.terminate()


@pytest.mark.parametrize("seed", range(12))
async def test_a_random_sequence_of_steps_has_the_same_effects_on_both(
    pair: Pair, seed: int
) -> None:
    await pair.random_steps(Random(seed), count=80)
    # The sequence meets what it is about: slots go all their way, and something is held.
    assert pair.effects["claim"] > 1
    assert pair.effects["post"] > 0


async def test_what_postgresql_forbids_the_simulated_store_forbids_too(pair: Pair) -> None:
    """Each constraint and trigger on the money path, met head on."""
    refused = await pair.forbidden_steps()
    assert refused >= 12


@pytest.fixture
async def bench(start_anvil: Callable[..., str]) -> AsyncIterator[Bench]:
    """A contract on a node whose cap is four coins and three tokens, in one endless window."""
    async with AsyncRpcClient("aster", (start_anvil(),)) as rpc:
        bench = Bench(rpc=rpc)
        bench.token = await bench.create(token_creation(symbol="USDX", decimals=6))
        bench.contract = await bench.create(
            payout_creation(
                signer=address_of_private_key(SIGNER),
                window_seconds=10**12,
                caps={NATIVE: 4 * CAP, bench.token: 3 * CAP},
            )
        )
        yield bench


@pytest.mark.parametrize("seed", range(3))
async def test_the_simulated_contract_answers_a_random_sequence_as_the_real_one(
    bench: Bench, seed: int
) -> None:
    """Numbers twice, amounts above cap and balance, refusals, a paused token, strangers."""
    random, signer = Random(seed), address_of_private_key(SIGNER)
    refusing = await bench.runtime(REJECTS)
    state = State(held={(NATIVE, bench.contract): 2 * CAP, (bench.token, bench.contract): 2 * CAP})
    await bench.send(_DEPLOYER, to=bench.contract, value=2 * CAP)
    await bench.send(_DEPLOYER, to=bench.token, data=mint(bench.contract, 2 * CAP))
    chain = Chain(
        contracts={
            bench.contract: Contract(
                address=bench.contract,
                signer=signer,
                caps={NATIVE: 4 * CAP, bench.token: 3 * CAP},
                window_s=10**12,
            )
        },
        state=state,
        random=random,
        trace=Trace(now=lambda: 0.0),
        pools=[Pool()],
        refusing={refusing},
    )
    for turn in range(25):
        if random.random() < 0.2:
            paused = not chain.paused
            chain.paused = frozenset({bench.token}) if paused else frozenset()
            await bench.send(_DEPLOYER, to=bench.token, data=set_paused(paused=paused))
        seqs = [random.randint(1, 24) for _ in range(random.randint(0, 5))]
        if random.random() < 0.25:
            data = cancel(seqs)
        else:
            data = pay([_item(random, bench, seq, refusing) for seq in seqs])
        secret = _DEPLOYER if random.random() < 0.1 else SIGNER
        real = await bench.send(secret, to=bench.contract, data=data, gas=3_000_000)
        block = _simulated(chain, data, sender=address_of_private_key(secret), turn=turn)
        (receipt,) = block.receipts.values()
        assert real.succeeded == (receipt["status"] == "0x1"), turn
        assert read_events(real.logs, contract=bench.contract) == read_events(
            receipt["logs"], contract=bench.contract
        ), turn
        numbers = range(1, 25)
        bits = [(bench.contract, seq) in chain.tip.state.bits for seq in numbers]
        assert await bench.bits(*numbers) == bits, turn
        for token in (NATIVE, bench.token):
            held = await bench.rpc.balance(bench.contract, token=None if token == NATIVE else token)
            assert held == chain.tip.state.held[token, bench.contract], turn


_DEPLOYER = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")


def _item(random: Random, bench: Bench, seq: int, refusing: str) -> Item:
    """A payment that may be refused, too large, or above the cap."""
    amount = random.choice((1, CAP // 50, CAP // 50, CAP, 5 * CAP))
    to = refusing if random.random() < 0.2 else f"0x{seq + 0xABC000:040x}"
    token = random.choice((NATIVE, bench.token))
    return Item(seq=seq, to=to, token=token, amount=amount)


def _simulated(chain: Chain, data: bytes, *, sender: str, turn: int) -> Block:
    """A block with this one call, sent as if it were signed."""
    nonce = chain.tip.state.nonces.get(sender, 0)
    (contract,) = chain.contracts
    chain.pools[0].waiting[sender, nonce] = Sent(
        raw=turn.to_bytes(4, "big"),
        hash=f"0x{turn:064x}",
        sender=sender,
        nonce=nonce,
        priority_fee_wei=10**9,
        max_fee_wei=10**12,
        gas_limit=3_000_000,
        to=contract,
        data=data,
    )
    return chain.mine(time_s=turn)


def test_the_simulated_chain_reads_the_calldata_that_is_really_sent() -> None:
    """It decodes by hand, because decoding by type would take a third of the time of a run."""
    from tests.simulation.chain import payments_of

    items = [Item(seq=2**40, to="0x" + "ab" * 20, token="0x" + "cd" * 20, amount=2**90)] * 3
    assert payments_of(pay(items)) == [
        Payment(seq=item.seq, to=item.to, token=item.token, amount=item.amount) for item in items
    ]
