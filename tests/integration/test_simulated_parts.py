"""The simulated store and chain do what PostgreSQL and the real contract do (tests/simulation).

The same operations in the same order on both, many of them forbidden ones; the answers and the rows
must be equal. Without this the campaigns would prove something about a world of our own making.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from seawall.ethereum.keys import address_of_private_key
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.ethereum.values import uint256
from seawall.formats.venue_config import Endpoint
from tests.integration.test_payout_contract import CAP, REJECTS, SIGNER, Bench
from tests.integration.test_reserve_contract import (
    ADDRESSES,
    BUCKET,
    CHAIN_ID,
    DELAY_S,
    FAST_CAP,
    KEYS,
    REVIEW_S,
    Reserve,
    creation,
    lanes,
)
from tests.simulation.chain import Block, Chain, Contract, Payment, Pool, State
from tests.simulation.chain import Transaction as Sent
from tests.simulation.reserve import EXECUTED_EVENT, ReserveState, Rules, Stage
from tests.simulation.reserve import Lane as ApprovalLane
from tests.simulation.trace import Trace
from tests.testing.approvers import all_signed, signed
from tests.testing.conformance import Pair, pair_of
from tests.testing.conformance_rails import rail_pair_of
from tests.testing.nightly import repetitions
from tests.testing.venue_harness import Founded, connected, found
from venue.contracts import approvals
from venue.contracts.approvals import Approval, Kind, review_message, veto_message
from venue.contracts.calls import (
    NATIVE,
    Item,
    cancel,
    mint,
    open_generation,
    pay,
    read_events,
    set_paused,
)
from venue.contracts.compiler import payout_creation, token_creation
from venue.database import open_pool

pytestmark = pytest.mark.integration


@pytest.fixture
async def pair(founded: Founded) -> AsyncIterator[Pair]:
    """A founded venue on PostgreSQL, and the same rows in a simulated store."""
    async with connected(founded.database.owner) as owner:
        pool, log = [
            await open_pool(url, name="conformance", size=4)
            for url in (founded.database.owner, founded.database.sign_log.owner)
        ]
        try:
            yield await pair_of(founded, owner, pool, log)
        finally:
            pool.terminate()
            log.terminate()


@pytest.mark.parametrize("seed", repetitions(range(12), keep=3))
async def test_a_random_sequence_of_steps_has_the_same_effects_on_both(
    pair: Pair, seed: int
) -> None:
    await pair.random_steps(Random(seed), count=160)
    # The sequence meets what it is about: slots go all their way.
    assert pair.effects["claim"] > 1
    assert pair.effects["post"] > 0


async def test_what_postgresql_forbids_the_simulated_store_forbids_too(pair: Pair) -> None:
    """Each constraint and trigger on the money path, met head on."""
    refused = await pair.forbidden_steps()
    assert refused >= 18


@pytest.mark.parametrize("seed", repetitions(range(12), keep=2))
async def test_a_random_sequence_over_a_rail_has_the_same_effects_on_both(
    new_database: Callable[[], str], tmp_path: Path, seed: int
) -> None:
    """What was claimed is taken, used up, settled, contradicted, and made by a lost ledger."""
    rail = ("fiat", "exchange")[seed % 2]
    nowhere = Endpoint(primary="http://nowhere", standby="http://nowhere")
    founded = await found(
        new_database(), tmp_path / "venue.json", customers=3, rails={rail: nowhere}
    )
    pools = [
        await open_pool(url, name="conformance", size=2)
        for url in (founded.database.rails, founded.database.api)
    ]
    try:
        async with connected(founded.database.owner) as owner:
            both = await rail_pair_of(founded, owner, *pools, rail=rail, seed=seed)
            await both.random_steps(count=120)
    finally:
        for pool in pools:
            pool.terminate()
    for effect in ("reserve", "claim", "read", "cancel", "open"):
        assert both.pair.effects[effect] > 0, both.pair.effects


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
            data = cancel([(seq, UUID(int=seq)) for seq in seqs])
        elif random.random() < 0.1:
            data = open_generation(random.choice((0, 1)))
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


@pytest.fixture
async def reserve(start_anvil: Callable[..., str]) -> AsyncIterator[Reserve]:
    """A reserve contract on a node, with coins and tokens."""
    async with AsyncRpcClient("aster", (start_anvil(chain_id=CHAIN_ID),)) as rpc:
        made = Reserve(rpc=rpc)
        made.token = await made.create(token_creation(symbol="USDX", decimals=6))
        made.contract = await made.create(creation(made.token))
        await made.send(_DEPLOYER, to=made.contract, value=2 * CAP)
        await made.send(_DEPLOYER, to=made.token, data=mint(made.contract, 2 * CAP))
        yield made


def _rules(token: str) -> Rules:
    """As the reserve of test_reserve_contract.py is deployed."""
    declared = lanes(token)
    routine, fast = [
        ApprovalLane(
            approvers=frozenset(each.approvers),
            needed=each.needed,
            delay_s=each.delay_s,
            window_s=each.window_s,
            caps=dict(each.caps),
        )
        for each in (declared["routine"], declared["fast"])
    ]
    return Rules(bucket=BUCKET, lanes=(routine, fast), review_within_s=REVIEW_S)


@pytest.mark.parametrize("seed", range(2))
async def test_the_simulated_reserve_answers_a_random_sequence_as_the_real_one(
    reserve: Reserve, seed: int
) -> None:
    """Too few signatures, strangers', twice, too early, above a lane's cap, vetoed, reviewed."""
    random, signer = Random(seed), address_of_private_key(SIGNER)
    chain = Chain(
        contracts={
            reserve.contract: Contract(
                address=reserve.contract,
                signer=signer,
                caps={},
                window_s=10**12,
                approving=_rules(reserve.token),
            )
        },
        state=State(held={(token, reserve.contract): 2 * CAP for token in (NATIVE, reserve.token)}),
        random=random,
        trace=Trace(now=lambda: 0.0),
        pools=[Pool()],
        chain_id=CHAIN_ID,
    )
    known: list[Approval] = []
    succeeded = 0
    for turn in range(40):
        if random.random() < 0.2:
            await reserve.wait(DELAY_S)
        data = await _about_approvals(reserve, known, random)
        real = await reserve.does(data)
        block = await reserve.rpc.call("eth_getBlockByNumber", hex(real.block_number), False)
        time_s = int(block["timestamp"], 16)
        simulated = _simulated(chain, data, sender=signer, turn=turn, time_s=time_s)
        (receipt,) = simulated.receipts.values()
        assert real.succeeded == (receipt["status"] == "0x1"), turn
        succeeded += real.succeeded
        executed = [log for log in real.logs if log["topics"][0] == EXECUTED_EVENT]
        assert [(log["topics"], log["data"]) for log in executed] == [
            (list(log["topics"]), log["data"]) for log in receipt["logs"]
        ], turn
        state = chain.tip.state.reserves.get(reserve.contract, ReserveState())
        for each in known:
            found = state.known.get(each.id.int)
            assert await reserve.state(each) == (0 if found is None else int(found.stage)), turn
            ready_at = await reserve.rpc.read(
                reserve.contract, approvals.ready_at(each.id), uint256
            )
            assert found is None or found.stage is Stage.VETOED or ready_at == found.ready_s, turn
        for token in (NATIVE, reserve.token):
            held = await reserve.rpc.balance(
                reserve.contract, token=None if token == NATIVE else token
            )
            assert held == chain.tip.state.held[token, reserve.contract], turn
    assert succeeded > 5


async def _about_approvals(reserve: Reserve, known: list[Approval], random: Random) -> bytes:
    """Calldata about an approval, mostly about one that was proposed before."""
    kind = random.choice((Kind.TRANSFER, Kind.FAST_TRANSFER))
    if not known or random.random() < 0.35:
        token = random.choice((NATIVE, reserve.token))
        amount = random.choice((1, FAST_CAP // 3, FAST_CAP, CAP, 3 * CAP))
        wanted = await reserve.approval(kind, token=token, amount=amount)
        if random.random() < 0.1:
            wanted = replace(wanted, from_bucket="another")
        if random.random() < 0.1:
            wanted = replace(wanted, requester=random.choice(ADDRESSES))
        known.append(wanted)
        keys = KEYS[:2] if kind is Kind.TRANSFER else KEYS[1:3]
        return reserve.proposal(wanted, keys[: random.choice((1, 2, 2, 2, 2))])
    wanted = random.choice(known[-4:])
    draw = random.random()
    if draw < 0.65:
        return approvals.execute(wanted)
    if draw < 0.75:
        message = veto_message(wanted.id)
        return approvals.veto(wanted.id, signed(message, reserve.home, random.choice(KEYS)))
    if draw < 0.95:
        message = review_message(wanted.id, "as agreed")
        signatures = all_signed(message, reserve.home, KEYS[: random.choice((1, 2))])
        return approvals.review(wanted.id, "as agreed", signatures)
    return reserve.proposal(wanted)


_DEPLOYER = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")


def _item(random: Random, bench: Bench, seq: int, refusing: str) -> Item:
    """A payment that may be refused, too large, or above the cap."""
    amount = random.choice((1, CAP // 50, CAP // 50, CAP, 5 * CAP))
    to = refusing if random.random() < 0.2 else f"0x{seq + 0xABC000:040x}"
    token = random.choice((NATIVE, bench.token))
    return Item(seq=seq, id=UUID(int=seq), to=to, token=token, amount=amount)


def _simulated(
    chain: Chain, data: bytes, *, sender: str, turn: int, time_s: int | None = None
) -> Block:
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
    return chain.mine(time_s=turn if time_s is None else time_s)


def test_the_simulated_chain_reads_the_calldata_that_is_really_sent() -> None:
    """It decodes by hand, because decoding by type would take a third of the time of a run."""
    from tests.simulation.chain import payments_of

    each = UUID(int=7)
    items = [
        Item(seq=2**40, id=each, to="0x" + "ab" * 20, token="0x" + "cd" * 20, amount=2**90)
    ] * 3
    assert payments_of(pay(items)) == [
        Payment(
            seq=item.seq,
            id=int.from_bytes(each.bytes.ljust(32, b"\0"), "big"),
            to=item.to,
            token=item.token,
            amount=item.amount,
        )
        for item in items
    ]
