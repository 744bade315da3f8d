"""The payout contract on a real node: it pays each number at most once, whatever recipients do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from seawall.ethereum.keys import address_of_private_key, sign_locally, to_bytes
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.ethereum.values import Receipt, uint256
from tests.testing.venue_harness import HANGS_AFTER_S
from venue.chain.transaction import (
    Intent,
    contract_address,
    encode_signed,
    fees,
    signing_hash,
    transaction_hash,
)
from venue.contracts.calls import (
    GAS_BASE,
    GAS_PER_ITEM,
    ITEMS_MAX,
    NATIVE,
    OPEN_GAS_LIMIT,
    Item,
    cancel,
    cancel_gas_limit,
    decode_paid_many,
    generation_in_force,
    mint,
    open_generation,
    packed,
    paid_many,
    pay,
    pay_gas_limit,
    read_events,
)
from venue.contracts.compiler import payout_creation, token_creation

pytestmark = pytest.mark.integration

# The development accounts that anvil funds.
DEPLOYER = to_bytes("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
SIGNER = to_bytes("0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d")
CAP = 10**18
REJECTS = "60006000fd"  # PUSH1 0 PUSH1 0 REVERT
BURNS = "5b600056"  # JUMPDEST PUSH1 0 JUMP, for ever
ANSWERS_FALSE = "600060005260206000f3"  # returns one zero word


@dataclass(kw_only=True)
class Bench:
    """A node with one payout contract and one token."""

    rpc: AsyncRpcClient
    nonces: dict[bytes, int] = field(default_factory=dict)
    token: str = ""
    contract: str = ""

    async def send(
        self,
        secret: bytes,
        *,
        to: str | None,
        value: int = 0,
        data: bytes = b"",
        gas: int = 3_000_000,
    ) -> Receipt:
        """Sign, broadcast, and give the receipt (a block per transaction)."""
        sender = address_of_private_key(secret)
        nonce = self.nonces.get(secret, 0)
        self.nonces[secret] = nonce + 1
        intent = Intent(chain_id=73311, sender=sender, nonce=nonce, to=to, value=value, data=data)
        fee = fees(base_fee_wei=(await self.rpc.head()).base_fee_wei, gas_limit=gas)
        raw = encode_signed(intent, fee, sign_locally(signing_hash(intent, fee), secret=secret))
        await self.rpc.broadcast(raw)
        async with asyncio.timeout(HANGS_AFTER_S):
            # a node is polled
            while (receipt := await self.rpc.receipt(transaction_hash(raw))) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return receipt

    async def create(self, code: bytes) -> str:
        """Deploy ``code``; its address."""
        address = contract_address(address_of_private_key(DEPLOYER), self.nonces.get(DEPLOYER, 0))
        assert (await self.send(DEPLOYER, to=None, data=code, gas=5_000_000)).succeeded
        return address

    async def runtime(self, code: str) -> str:
        """Put bare ``code`` (hex) on the chain at an address of its own."""
        address = "0x" + code.rjust(40, "e")
        await self.rpc.call("anvil_setCode", address, "0x" + code)
        return address

    async def pay(self, *items: Item, gas: int | None = None) -> Receipt:
        """Have the signer pay."""
        return await self.send(
            SIGNER, to=self.contract, data=pay(items), gas=gas or pay_gas_limit(len(items))
        )

    async def open(self, generation: int, *, by: bytes = SIGNER) -> Receipt:
        """Have a generation opened."""
        return await self.send(
            by, to=self.contract, data=open_generation(generation), gas=OPEN_GAS_LIMIT
        )

    async def generation(self) -> int:
        """The generation in force."""
        return await self.rpc.read(self.contract, generation_in_force(), uint256)

    async def gas_used(self) -> int:
        """Gas of the newest block, which holds one transaction."""
        return int((await self.rpc.call("eth_getBlockByNumber", "latest", False))["gasUsed"], 16)

    async def bits(self, *seqs: int) -> list[bool]:
        """What the bitmap says."""
        bits = await self.rpc.read(
            self.contract, paid_many(seqs), lambda answer: decode_paid_many(answer, seqs)
        )
        return list(bits.values())


def item(seq: int, *, to: str | None = None, token: str = NATIVE, amount: int = 1000) -> Item:
    """A payment to an address of its own."""
    return Item(
        seq=seq,
        id=identity(seq),
        to=to or f"0x{seq % (1 << 40) + 0xABC000:040x}",
        token=token,
        amount=amount,
    )


def numbers(*seqs: int) -> bytes:
    """Calldata that cancels numbers."""
    return cancel([(seq, identity(seq)) for seq in seqs])


def identity(seq: int) -> UUID:
    """An id without zero bytes, whose calldata costs the most, for each number."""
    return UUID(bytes=(seq % 255 + 1).to_bytes() + b"\xff" * 15)


@pytest.fixture
async def bench(start_anvil: Callable[..., str]) -> AsyncIterator[Bench]:
    """A funded contract whose cap is one coin and as many tokens."""
    async with AsyncRpcClient("aster", (start_anvil(),)) as rpc:
        bench = Bench(rpc=rpc)
        bench.token = await bench.create(token_creation(symbol="USDX", decimals=6))
        caps = {NATIVE: CAP, bench.token: CAP}
        signer = address_of_private_key(SIGNER)
        bench.contract = await bench.create(
            payout_creation(signer=signer, window_seconds=10**6, caps=caps)
        )
        assert (await bench.send(DEPLOYER, to=bench.contract, value=2 * CAP)).succeeded
        assert (
            await bench.send(DEPLOYER, to=bench.token, data=mint(bench.contract, 2 * CAP))
        ).succeeded
        yield bench


async def test_a_number_is_paid_once_in_one_batch_and_across_batches(bench: Bench) -> None:
    """Duplicates are skipped without an event; the recipient has the money once."""
    first = read_events(
        (await bench.pay(item(1), item(1), item(2, token=bench.token))).logs,
        contract=bench.contract,
    )
    again = read_events(
        (await bench.pay(item(2, token=bench.token), item(1), item(3))).logs,
        contract=bench.contract,
    )

    assert first.paid == {1: item(1), 2: item(2, token=bench.token)}
    assert set(again.paid) == {3}
    assert await bench.bits(1, 2, 3, 4) == [True, True, True, False]
    assert await bench.rpc.balance(item(1).to) == 1000
    assert await bench.rpc.balance(item(2).to, token=bench.token) == 1000


async def test_bad_recipients_and_tokens_fail_alone_and_may_be_paid_later(bench: Bench) -> None:
    """Rejecting and gas-burning recipients clear their bit; the rest of the batch is paid."""
    rejects, burns = await bench.runtime(REJECTS), await bench.runtime(BURNS)

    receipt = await bench.pay(item(1), item(2, to=rejects), item(3, to=burns), item(4))
    events = read_events(receipt.logs, contract=bench.contract)

    assert receipt.succeeded
    assert (set(events.paid), {seq for seq, _ in events.failed}) == ({1, 4}, {2, 3})
    assert await bench.bits(1, 2, 3, 4) == [True, False, False, True]
    await bench.rpc.call("anvil_setCode", rejects, "0x")
    assert set(
        read_events((await bench.pay(item(2, to=rejects))).logs, contract=bench.contract).paid
    ) == {2}


@pytest.mark.parametrize("code", [REJECTS, ANSWERS_FALSE, BURNS])
async def test_a_token_that_does_not_move_is_a_failed_item(bench: Bench, code: str) -> None:
    """A token that reverts, answers false or burns its gas makes the item fail."""
    await bench.rpc.call("anvil_setCode", bench.token, "0x" + code)
    events = read_events(
        (await bench.pay(item(1, token=bench.token), item(2))).logs, contract=bench.contract
    )

    assert (set(events.paid), events.failed) == ({2}, frozenset({(1, identity(1))}))


async def test_a_cancelled_number_is_never_paid(bench: Bench) -> None:
    """Cancel burns bits; what is resolved is passed over, and gets no event."""
    receipt = await bench.send(SIGNER, to=bench.contract, data=numbers(5), gas=100_000)
    assert read_events(receipt.logs, contract=bench.contract).cancelled == {(5, identity(5))}
    receipt = await bench.pay(item(5), item(6))

    assert set(read_events(receipt.logs, contract=bench.contract).paid) == {6}
    assert await bench.rpc.balance(item(5).to) == 0
    receipt = await bench.send(SIGNER, to=bench.contract, data=numbers(5, 6, 7), gas=200_000)
    assert read_events(receipt.logs, contract=bench.contract).cancelled == {(7, identity(7))}


async def test_only_numbers_of_the_generation_in_force_are_paid(bench: Bench) -> None:
    """What was signed before a later one was opened reverts, and pays nobody.

    The same number within a later generation is another number: its bit is clear.
    """
    assert set(read_events((await bench.pay(item(1))).logs, contract=bench.contract).paid) == {1}
    assert (await bench.open(2)).succeeded
    opened_gas = await bench.gas_used()
    assert await bench.generation() == 2
    later = packed(2, 1)

    assert not (await bench.pay(item(3))).succeeded
    assert not (await bench.pay(item(later), item(packed(3, 1)))).succeeded
    events = read_events((await bench.pay(item(later))).logs, contract=bench.contract)
    assert events.paid == {later: item(later)}
    assert await bench.bits(1, 3, later, packed(3, 1)) == [True, False, True, False]
    print(f"gas of an opening: {opened_gas}")


async def test_a_generation_is_opened_once_and_never_an_earlier_one(bench: Bench) -> None:
    assert (await bench.open(3)).succeeded
    assert not (await bench.open(3)).succeeded
    assert not (await bench.open(2)).succeeded
    assert await bench.generation() == 3


async def test_numbers_of_earlier_generations_can_be_cancelled_and_later_ones_not(
    bench: Bench,
) -> None:
    """What was held before a restore is cancelled after it; what is to come must stay free."""
    assert (await bench.open(1)).succeeded
    held, to_come = 9, packed(2, 1)
    receipt = await bench.send(SIGNER, to=bench.contract, data=numbers(held), gas=100_000)
    assert read_events(receipt.logs, contract=bench.contract).cancelled == {(9, identity(9))}
    ahead = await bench.send(SIGNER, to=bench.contract, data=numbers(to_come), gas=100_000)
    assert not ahead.succeeded
    assert await bench.bits(held, to_come) == [True, False]


async def test_a_full_cancel_fits_its_gas_limit(bench: Bench) -> None:
    """200 numbers, each in a word of its own, which is the dearest way."""
    seqs = [n * 256 for n in range(1, ITEMS_MAX + 1)]
    receipt = await bench.send(
        SIGNER, to=bench.contract, data=numbers(*seqs), gas=cancel_gas_limit(ITEMS_MAX)
    )
    cancelled = read_events(receipt.logs, contract=bench.contract).cancelled
    assert cancelled == {(seq, identity(seq)) for seq in seqs}
    print(f"gas per cancelled number: {await bench.gas_used() / ITEMS_MAX:.0f}")


async def test_the_cap_of_the_window_stops_the_whole_batch(bench: Bench) -> None:
    """Both assets have their own cap; an asset without one cannot be paid at all.

    The bitmap stays untouched.
    """
    assert (await bench.pay(item(1, amount=CAP - 10))).succeeded
    assert not (await bench.pay(item(2, amount=5), item(3, amount=6))).succeeded
    assert not (await bench.pay(item(4, token="0x" + "99" * 20, amount=1))).succeeded
    assert await bench.bits(2, 3, 4) == [False, False, False]
    assert (await bench.pay(item(2, amount=5), item(3, token=bench.token, amount=CAP))).succeeded


async def test_only_the_signer_pays_and_cancels(bench: Bench) -> None:
    """The deployer, who set the caps, is refused too."""
    assert not (await bench.send(DEPLOYER, to=bench.contract, data=pay([item(1)]))).succeeded
    assert not (await bench.open(1, by=DEPLOYER)).succeeded
    assert await bench.generation() == 0
    assert not (await bench.send(DEPLOYER, to=bench.contract, data=numbers(1))).succeeded
    assert await bench.bits(1) == [False]


async def test_too_little_gas_reverts_rather_than_fails_an_item(bench: Bench) -> None:
    """A starved call would look like a bad recipient; the batch refuses to begin such an item."""
    assert not (await bench.pay(item(1), item(2), gas=180_000)).succeeded
    assert await bench.bits(1, 2) == [False, False]


async def test_a_full_batch_of_the_worst_recipients_fits_its_gas_limit(bench: Bench) -> None:
    """200 new accounts, half in each asset, and 200 gas burners.

    Measured gas stays under the declared ceiling.
    """
    full = await bench.pay(*(item(n, token=(NATIVE, bench.token)[n % 2]) for n in range(1, 201)))
    full_gas = await bench.gas_used()
    burns = await bench.runtime(BURNS)
    worst = await bench.pay(*(item(n, to=burns) for n in range(1001, 1201)))
    worst_gas = await bench.gas_used()

    assert full.succeeded
    assert len(read_events(full.logs, contract=bench.contract).paid) == 200
    assert worst.succeeded
    assert len(read_events(worst.logs, contract=bench.contract).failed) == 200
    assert max(full_gas, worst_gas) <= GAS_BASE + GAS_PER_ITEM * 200 - 150_000
    print(f"gas per item: new accounts {full_gas / 200:.0f}, burners {worst_gas / 200:.0f}")
