"""The follower against nodes that disagree, die, refuse or talk nonsense.

No payout may become unknown because of that: what the nodes say is read again, and the payout is
posted once one of them gives a consistent view.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import httpx
import pytest

from seawall.ethereum.rpc import AsyncRpcClient
from seawall.ethereum.values import Receipt
from tests.testing.nodes import (
    CONTRACT,
    Answered,
    FakeChain,
    FakeNode,
    error,
    hash_of,
    item,
    nodes,
    receipt,
    result,
)
from venue.chain.transaction import Fees
from venue.contracts.calls import NATIVE, Item, cap, open_generation, paid_many
from venue.settler import follower
from venue.settler.follower import Follower
from venue.settler.lanes import TOP_UP_RESTS_S, Lane, Slot
from venue.settler.posting import Settlement

TX = hash_of("the payout")
PAID = Settlement(paid=(7, 8), failed=(), unclear=())
Spoil = Callable[[str, list[Any]], Callable[[int], Answered] | None]


class _Ledger:
    """Takes the place of the database: items, inclusions and settlements."""

    def __init__(self) -> None:
        self.posted: list[Settlement] = []
        self.due = [item(7), item(8)]

    async def paused(self, network: str) -> dict[str, str]:
        return {}

    async def items(self, slot: Slot) -> list[Item]:
        return self.due

    async def post(self, slot: Slot, settlement: Settlement) -> bool:
        self.posted.append(settlement)
        return True

    async def included(self, found: Sequence[tuple[Slot, Receipt]]) -> None:
        for slot, seen in found:
            slot.block_number, slot.block_hash = seen.block_number, seen.block_hash


class _Metrics:
    def in_flight(self, wallet: str, slots: int) -> None: ...

    def final(self, payouts: object) -> None: ...

    def disputed(self, wallet: str, *, disputed: bool) -> None: ...

    def stuck(self, wallet: str, *, stuck: bool) -> None: ...


class Bench:
    """A follower of one broadcast slot, over a primary and a standby node of one chain."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, standby_behind: int = 0) -> None:
        self.chain = FakeChain()
        self.primary = FakeNode(chain=self.chain)
        self.standby = FakeNode(chain=self.chain, behind=standby_behind)
        self.ledger = _Ledger()
        self.stuck: list[int] = []
        self._monkeypatch = monkeypatch
        rpc = AsyncRpcClient(
            "aster",
            ("http://primary", "http://standby"),
            client=nodes({"primary": self.primary, "standby": self.standby}),
        )
        lane = Lane(
            chain_id=1, address="0xa", network="n", wallet="w", contract=CONTRACT, purpose="payout"
        )
        self._follower = Follower(
            rpc=rpc,
            progress=cast("Any", self.ledger),
            poster=cast("Any", self.ledger),
            resolver=cast("Any", None),
            approvals=cast("Any", None),
            metrics=cast("Any", _Metrics()),
            assets={NATIVE: "AST"},
            homes={"w": "0x" + "0b" * 20},
            payer=lane,
            on_final=lambda _: None,
            on_stuck=lambda slot: self.stuck.append(slot.id),
        )
        fees = Fees(gas_limit=1, max_fee_wei=1, priority_fee_wei=1)
        slot = Slot(
            id=1,
            lane=lane,
            purpose="payout",
            nonce=0,
            to=CONTRACT,
            value=0,
            data=b"",
            fees=fees,
            state="broadcast",
            tx_hash=TX,
            raw=b"\x02",
            sent_at_block=1_000,
        )
        self.lane, self.slot = lane, slot
        self._follower.follow(slot)

    def as_top_up(self) -> None:
        """The transaction refills a wallet of the venue's."""
        self.slot.purpose = "topup"

    def broadcast_long_ago(self) -> None:
        """So many blocks ago that the transaction is missed."""
        self.slot.sent_at_block = 0

    def follow_behind(self) -> Slot:
        """A second slot, of the next nonce, that was broadcast long ago as well."""
        slot = replace(
            self.slot, id=2, nonce=1, tx_hash=hash_of("the next one"), sent_at_block=0, replaced=[]
        )
        self._follower.follow(slot)
        return slot

    def pay(self) -> None:
        """The transaction is in the newest block, which becomes final two blocks later."""
        self.chain.pay(TX, [7, 8])

    def opens(self, generation: int, *, wanted: int) -> None:
        """The transaction opens ``generation``, and ``wanted`` is to be opened."""
        self.slot.purpose, self.slot.data = "generation", open_generation(generation)
        self.lane.to_open = wanted
        self.ledger.due = []
        self.chain.pay(TX, [])
        self.chain.generation = generation

    async def blocks(self, count: int, *, turns: int = 1) -> None:
        """So many new blocks, and after each so many turns of the follower."""
        for _ in range(count):
            self.chain.newest += 1
            await self.turns(turns)

    async def turns(self, count: int) -> None:
        """Let the follower look so often, without waiting between two turns."""
        left, stop = count, asyncio.Event()

        async def pause(_stop: asyncio.Event, _seconds: float) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                stop.set()

        self._monkeypatch.setattr(follower, "pause", pause)
        await self._follower.loop(stop)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def once(method: str, answer: Callable[[int], Answered]) -> Spoil:
    """Spoil the first answer to ``method``."""
    left = [answer]
    return lambda asked, _params: left.pop() if asked == method and left else None


def dies_at(method: str) -> Spoil:
    """From the first call of ``method`` on, the node takes requests and does not answer."""
    dead = False

    def spoil(asked: str, _params: list[Any]) -> None:
        nonlocal dead
        dead = dead or asked == method
        if dead:
            raise httpx.ReadTimeout("")

    return spoil


async def test_a_payout_is_posted_when_its_block_is_final(bench: Bench) -> None:
    bench.pay()
    await bench.blocks(1)
    assert bench.ledger.posted == []
    await bench.blocks(1)
    assert bench.ledger.posted == [PAID]


@pytest.mark.parametrize(("wanted", "left"), [(2, None), (3, 3)])
async def test_nothing_else_is_claimed_until_the_ledgers_own_generation_is_open_at_finality(
    bench: Bench, wanted: int, left: int | None
) -> None:
    """One that an earlier ledger had opened is not the one that is wanted."""
    bench.opens(2, wanted=wanted)
    await bench.blocks(1)
    assert bench.lane.to_open == wanted
    await bench.blocks(1)
    assert bench.lane.to_open == left
    assert bench.ledger.posted == [Settlement(paid=(), failed=(), unclear=())]


@pytest.mark.parametrize(("in_force", "left"), [(2, None), (1, 2)])
async def test_an_opening_that_reverted_came_too_late_or_is_claimed_again(
    bench: Bench, in_force: int, left: int | None
) -> None:
    """A settler that started on an endpoint behind had not seen that the generation was open."""
    bench.opens(2, wanted=2)
    bench.chain.generation = in_force
    reverted = receipt(TX, bench.chain.blocks[TX], []) | {"status": "0x0"}
    spoil: Spoil = lambda method, _: (  # noqa: E731
        result(reverted) if method == "eth_getTransactionReceipt" else None
    )
    bench.primary.spoil = bench.standby.spoil = spoil
    await bench.blocks(2)
    assert bench.lane.to_open == left


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(error(-32005, "limit exceeded"), id="its plan is spent"),
        pytest.param(error(-32000, "header for hash not found"), id="it lost the block"),
        pytest.param(error(-32603, "Internal error", status=500), id="it fails"),
        pytest.param(result("0x"), id="it has no such contract"),
        pytest.param(result(None), id="null"),
        pytest.param(result("0x" + "00" * 32), id="no list of bits"),
    ],
)
async def test_bits_that_one_node_does_not_give_are_not_taken_from_one_that_lags(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[int], Answered]
) -> None:
    """The standby is a block behind: its bits are of before the payment.

    With the primary's receipt they would look like a contradiction.
    """
    bench = Bench(monkeypatch, standby_behind=1)
    bench.pay()
    await bench.blocks(1)
    bench.primary.spoil = lambda method, _: answer if method == "eth_call" else None
    await bench.blocks(1)
    assert bench.ledger.posted == []
    await bench.blocks(2)
    assert bench.ledger.posted == [PAID]


@pytest.mark.parametrize(
    ("behind", "posted"),
    [
        pytest.param(1, [PAID], id="it has the block of the view, and answers for that"),
        pytest.param(3, [], id="it does not have the block of the view"),
    ],
)
async def test_a_receipt_of_a_node_ahead_is_never_judged_by_the_bits_of_a_node_behind(
    bench: Bench, behind: int, posted: list[Settlement]
) -> None:
    """Both nodes stand behind one address, and each call may reach either."""
    bench.pay()
    await bench.blocks(1)
    late = FakeNode(chain=bench.chain, behind=behind)

    def other_node(method: str, params: list[Any]) -> Callable[[int], Answered] | None:
        if method != "eth_call":
            return None
        return lambda identity: late.answer({"method": method, "params": params, "id": identity})

    bench.primary.spoil = bench.standby.spoil = other_node
    await bench.blocks(1)
    assert bench.ledger.posted == posted

    late.behind = 0
    await bench.turns(1)
    assert bench.ledger.posted == [PAID]


async def test_an_endpoint_that_dies_in_the_middle_of_a_view_ends_the_view(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The standby is not asked for the rest of it: it may be at another block."""
    bench = Bench(monkeypatch, standby_behind=1)
    bench.pay()
    await bench.blocks(1)
    bench.primary.spoil = dies_at("eth_call")
    await bench.blocks(1)
    assert bench.ledger.posted == []
    await bench.blocks(1)
    assert bench.ledger.posted == [PAID]


async def test_a_standby_that_is_not_behind_finishes_what_the_primary_left_in_the_same_turn(
    bench: Bench,
) -> None:
    """The failover costs no pause of the follower."""
    bench.pay()
    await bench.blocks(1)
    bench.primary.spoil = dies_at("eth_call")
    await bench.blocks(1)
    assert bench.ledger.posted == [PAID]


async def test_a_view_that_both_endpoints_lose_is_read_again_although_no_block_came(
    bench: Bench,
) -> None:
    bench.pay()
    await bench.blocks(1)
    spent = error(-32005, "limit exceeded")
    bench.primary.spoil, bench.standby.spoil = once("eth_call", spent), once("eth_call", spent)
    await bench.blocks(1)
    assert bench.ledger.posted == []
    await bench.turns(1)
    assert bench.ledger.posted == [PAID]


async def test_a_receipt_of_a_block_that_was_reorganised_away_decides_nothing(bench: Bench) -> None:
    """The node still gives it; the payment is in another block now, or in none."""
    bench.pay()
    await bench.blocks(1)
    number = bench.chain.blocks[TX]
    stale = result(receipt(TX, number, [7, 8], block=hash_of("another branch")))
    spoil: Spoil = lambda method, _: stale if method == "eth_getTransactionReceipt" else None  # noqa: E731
    bench.primary.spoil = bench.standby.spoil = spoil
    await bench.blocks(3, turns=2)
    assert bench.ledger.posted == []

    bench.primary.spoil = bench.standby.spoil = lambda _m, _p: None
    await bench.turns(1)
    assert bench.ledger.posted == [PAID]


@pytest.mark.parametrize(
    ("method", "tag", "answer"),
    [
        pytest.param("eth_getBlockByNumber", "finalized", result(None), id="finalized is null"),
        pytest.param("eth_getBlockByNumber", "latest", result(None), id="latest is null"),
        pytest.param("eth_getBlockByNumber", "latest", result({}), id="latest is empty"),
        pytest.param(
            "eth_getBlockByNumber",
            "finalized",
            error(-39001, "unknown block"),
            id="finalized is an error",
        ),
        pytest.param(
            "eth_getBlockByNumber", "latest", lambda _: (200, None), id="the answer is null"
        ),
        pytest.param(
            "eth_getBlockByNumber",
            "latest",
            lambda _: (200, [{"error": {"code": -32600, "message": "batch"}}]),
            id="the answer is a list",
        ),
        pytest.param("eth_call", None, result("0x"), id="bits are 0x"),
        pytest.param("eth_getTransactionReceipt", None, result([]), id="the receipt is a list"),
        pytest.param(
            "eth_getTransactionReceipt",
            None,
            result({"blockHash": "0x", "blockNumber": "0x", "status": "0x", "logs": None}),
            id="the receipt is empty",
        ),
    ],
)
async def test_a_follower_outlives_what_both_nodes_say_after_their_restart(
    bench: Bench, method: str, tag: str | None, answer: Callable[[int], Answered]
) -> None:
    """It goes on with its turns, and posts once the nodes are well."""
    bench.pay()

    def spoil(asked: str, params: list[Any]) -> Callable[[int], Answered] | None:
        return answer if asked == method and tag in (None, params[0]) else None

    bench.primary.spoil = bench.standby.spoil = spoil
    await bench.blocks(3, turns=2)
    assert bench.ledger.posted == []
    bench.primary.spoil = bench.standby.spoil = lambda _m, _p: None
    await bench.blocks(1)
    assert bench.ledger.posted == [PAID]


async def test_an_event_that_its_contract_cannot_have_emitted_decides_nothing(bench: Bench) -> None:
    bench.pay()
    await bench.blocks(1)
    malformed = receipt(TX, bench.chain.blocks[TX], [7, 8])
    malformed["logs"][0]["data"] = "0x"
    spoil = once("eth_getTransactionReceipt", result(malformed))
    bench.primary.spoil = spoil
    await bench.blocks(1)
    assert bench.ledger.posted == []
    await bench.turns(1)
    assert bench.ledger.posted == [PAID]


def _says_reverted(number: int) -> Spoil:
    """The transaction reverted, its bits are clear, and every amount is within the cap."""
    lie = receipt(TX, number, []) | {"status": "0x0"}
    words = {paid_many([7, 8])[:4]: [32, 2, 0, 0], cap(NATIVE)[:4]: [10**30]}

    def spoil(method: str, params: list[Any]) -> Callable[[int], Answered] | None:
        if method == "eth_getTransactionReceipt":
            return result(lie)
        if method == "eth_call":
            answer = words[bytes.fromhex(params[0]["data"][2:10])]
            return result("0x" + b"".join(each.to_bytes(32, "big") for each in answer).hex())
        return None

    return spoil


async def test_a_top_up_is_not_asked_for_again_on_the_word_of_one_node(bench: Bench) -> None:
    """Under its next number it would move again, and no bit would keep it from that."""
    bench.as_top_up()
    bench.pay()
    await bench.blocks(1)
    bench.primary.spoil = _says_reverted(bench.chain.blocks[TX])
    bench.standby.spoil = lambda _m, _p: error(-32005, "limit exceeded")
    await bench.blocks(2, turns=2)
    assert bench.ledger.posted == []
    bench.standby.spoil = lambda _m, _p: None
    await bench.turns(2)
    assert bench.ledger.posted == [PAID]


async def test_a_payout_is_judged_by_one_node_where_the_other_does_not_serve(bench: Bench) -> None:
    """If it lies, the bit keeps the payment from being made twice."""
    bench.pay()
    await bench.blocks(1)
    bench.primary.spoil = _says_reverted(bench.chain.blocks[TX])
    bench.standby.spoil = lambda _m, _p: error(-32005, "limit exceeded")
    await bench.blocks(1)
    assert bench.ledger.posted == [Settlement(paid=(), failed=(), unclear=(), untried=(7, 8))]


async def test_a_receipt_of_a_block_that_nobody_has_seen_is_not_recorded(bench: Bench) -> None:
    """Else the slot would not be asked for again before that block is final."""
    bench.pay()
    ahead = receipt(TX, 10**9, [7, 8])
    bench.primary.spoil = once("eth_getTransactionReceipt", result(ahead))
    await bench.blocks(3)
    assert bench.ledger.posted == [PAID]


async def test_a_node_that_stands_still_is_left(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers everything, of a chain that stopped; the other one goes on."""
    now_s = 0.0
    monkeypatch.setattr(follower, "now_s", lambda: now_s)
    bench.pay()
    await bench.turns(1)
    bench.primary.behind = 0
    for _ in range(8):
        bench.chain.newest += 1
        bench.primary.behind += 1
        now_s += 2.0
        await bench.turns(2)
    assert len(bench.ledger.posted) == 1


async def test_a_nonce_that_another_transaction_has_used_holds_its_lane(bench: Bench) -> None:
    """Somebody else has the key, or the records are older than the chain: nothing is claimed.

    If our transaction turns up after all, the lane goes on.
    """
    bench.chain.pay("0x" + "5a" * 32, [1])  # takes the nonce of our slot
    bench.broadcast_long_ago()
    await bench.blocks(4)
    assert bench.lane.disputed == {1}
    bench.pay()
    await bench.blocks(1)
    assert bench.lane.disputed == set()


async def test_what_is_passed_over_twice_is_stuck_and_what_waits_behind_it_is_not(
    bench: Bench,
) -> None:
    """Pools keep the second one until the first is mined; higher fees would not help it."""
    bench.slot.fees = Fees(gas_limit=1, max_fee_wei=10**10, priority_fee_wei=10**9)
    bench.broadcast_long_ago()
    bench.follow_behind()
    await bench.blocks(1, turns=3)
    assert bench.stuck == []
    await bench.blocks(3)
    assert bench.stuck == [1]


async def test_what_no_block_takes_at_its_base_fee_is_stuck_at_once_in_every_place(
    bench: Bench,
) -> None:
    """The base fee of the fake chain is 7 wei."""
    bench.slot.fees = Fees(gas_limit=1, max_fee_wei=8, priority_fee_wei=2)
    bench.broadcast_long_ago()
    bench.follow_behind().fees = Fees(gas_limit=1, max_fee_wei=9, priority_fee_wei=2)
    await bench.blocks(1)
    assert bench.stuck == [1]


@pytest.mark.parametrize("mined", ["the payout", "its replacement"])
async def test_a_slot_is_posted_whichever_of_its_transactions_is_mined(
    bench: Bench, mined: str
) -> None:
    """Both have the same intent; the pool chooses."""
    replacement = hash_of("its replacement")
    bench.slot.replace_by(bench.slot.fees, raw=b"\x03", tx_hash=replacement, region="standby")
    bench.chain.pay(TX if mined == "the payout" else replacement, [7, 8])
    await bench.blocks(3)
    assert bench.ledger.posted == [PAID]
    assert bench.slot.mined_hash == hash_of(mined)


async def test_an_unclear_top_up_is_read_until_event_and_bit_agree(bench: Bench) -> None:
    """It holds its lane meanwhile; once final and unclear it would end that wallet's top-ups."""
    bench.slot.purpose = "topup"
    bench.pay()
    silent = receipt(TX, bench.chain.blocks[TX], [])
    spoil: Spoil = lambda method, _: (  # noqa: E731
        result(silent) if method == "eth_getTransactionReceipt" else None
    )
    bench.primary.spoil = bench.standby.spoil = spoil
    await bench.blocks(4, turns=2)
    assert bench.ledger.posted == []
    assert bench.lane.disputed == {1}

    bench.primary.spoil = bench.standby.spoil = lambda _m, _p: None
    await bench.turns(1)
    assert bench.ledger.posted == [PAID]
    assert bench.lane.disputed == set()


async def test_a_node_that_finalizes_nothing_more_is_left(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows new blocks, and would keep what they pay from ever being posted."""
    monkeypatch.setattr(follower, "_UNFINALIZED_MAX", 5)
    stuck = result({"number": hex(8), "hash": FakeChain.hash(8), "baseFeePerGas": "0x7"})
    bench.primary.spoil = lambda method, params: (
        stuck if method == "eth_getBlockByNumber" and params[0] == "finalized" else None
    )
    bench.pay()
    await bench.blocks(5)
    assert bench.ledger.posted == []
    await bench.blocks(2)
    assert bench.ledger.posted == [PAID]


async def test_a_top_up_that_moved_nothing_rests_until_it_may_be_tried_again(bench: Bench) -> None:
    """Each try costs gas; one that moved ends it."""
    bench.as_top_up()
    bench.pay()
    await bench.blocks(1)
    bench.primary.spoil = bench.standby.spoil = _says_reverted(bench.chain.blocks[TX])
    began_s = asyncio.get_running_loop().time()
    await bench.blocks(1)

    assert bench.ledger.posted == [Settlement(paid=(), failed=(), unclear=(), untried=(7, 8))]
    assert not bench.lane.may_top_up("AST", now_s=began_s + TOP_UP_RESTS_S - 0.1)
    assert bench.lane.may_top_up("USDX", now_s=began_s)


def test_a_top_up_rests_twice_as_long_each_time_up_to_a_bound() -> None:
    lane = Lane(chain_id=1, address="", network="", wallet="", contract="", purpose="topup")
    rested = []
    for _ in range(6):
        lane.topped_up("USDX", moved=False, now_s=100)
        rested.append(lane.rests["USDX"][1] - 100)
        assert not lane.may_top_up("USDX", now_s=99.9 + rested[-1])
        assert lane.may_top_up("USDX", now_s=100 + rested[-1])
    assert rested == [5, 10, 20, 40, 40, 40]
    lane.topped_up("USDX", moved=True, now_s=100)
    assert lane.may_top_up("USDX", now_s=100)
    lane.topped_up("USDX", moved=False, now_s=100)
    assert lane.rests["USDX"][1] == 100 + TOP_UP_RESTS_S
