"""The simulated network: blocks, pools, a fee market, reorganisations, contracts.

The payout contract behaves as venue/contracts/payout.vy, the token as token.vy; that is checked
against the real ones on anvil in tests/integration/test_simulated_parts.py. Gas is what the limit
says. Blocks are final :data:`FINAL_AFTER` blocks below the newest; a reorganisation replaces fewer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import rlp

from seawall.ethereum.keys import Signature, event_topic, keccak256, recover_address, selector
from tests.simulation import reserve
from tests.simulation.trace import Trace
from venue.contracts.calls import NATIVE, NUMBER_BITS

FINAL_AFTER = 3
"""Blocks from inclusion to finality; reorganisations are as deep at most."""
BUMP_PERCENT = 10
"""geth: a transaction replaces another of its nonce if both fees are so much higher."""
QUEUED_MAX = 64
GAS_PER_BLOCK = 30_000_000
_WORD = 32
_PAY = selector("pay((uint256,bytes16,address,address,uint256)[])")
_CANCEL = selector("cancel((uint256,bytes16)[])")
_OPEN_GENERATION = selector("open_generation(uint256)")
_PAID = event_topic("Paid(uint256,bytes16,address,address,uint256)")
_FAILED = event_topic("Failed(uint256,bytes16)")
_CANCELLED = event_topic("Cancelled(uint256,bytes16)")
_OPENED = event_topic("Opened(uint256)")


def word(value: int | str) -> str:
    """A number or an address as 32 bytes of hex, without 0x."""
    number = int(value, 16) if isinstance(value, str) else value
    return f"{number:064x}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Transaction:
    """A signed transaction of type 2, decoded."""

    raw: bytes
    hash: str
    sender: str
    nonce: int
    priority_fee_wei: int
    max_fee_wei: int
    gas_limit: int
    to: str
    data: bytes


@functools.lru_cache(maxsize=256)
def decoded(raw: bytes) -> Transaction:
    """The transaction in ``raw``, with its sender from the signature. Raises ValueError."""
    fields = rlp.decode(raw[1:])
    chain_id, nonce, priority, fee, gas, to, value, data, access, parity, r, s = fields
    unsigned = b"\x02" + rlp.encode([chain_id, nonce, priority, fee, gas, to, value, data, access])
    number = int.from_bytes
    signature = Signature(y_parity=number(parity, "big"), r=number(r, "big"), s=number(s, "big"))
    return Transaction(
        raw=raw,
        hash="0x" + keccak256(raw).hex(),
        sender=recover_address(keccak256(unsigned), signature),
        nonce=number(nonce, "big"),
        priority_fee_wei=number(priority, "big"),
        max_fee_wei=number(fee, "big"),
        gas_limit=number(gas, "big"),
        to="0x" + to.hex(),
        data=data,
    )


@dataclass(frozen=True, kw_only=True)
class Payment:
    """One item of a `pay`; ``id`` is a word."""

    seq: int
    id: int
    to: str
    token: str
    amount: int


def payments_of(data: bytes) -> list[Payment]:
    """The items of a call of `pay`: an array of five words each."""
    return [
        Payment(seq=seq, id=each, to=f"0x{to:040x}", token=f"0x{token:040x}", amount=amount)
        for seq, each, to, token, amount in zip(*[iter(_words(data))] * 5, strict=True)
    ]


def _words(data: bytes) -> list[int]:
    """The elements of a call whose only argument is an array of static values."""
    words = [int.from_bytes(data[at : at + _WORD], "big") for at in range(4, len(data), _WORD)]
    return words[2:]


def _names(item: Payment) -> tuple[str, str]:
    """Number and id of a payment, as an event has them."""
    return "0x" + word(item.seq), "0x" + word(item.id)


@dataclass(kw_only=True)
class State:
    """What the chain knows after a block."""

    nonces: dict[str, int] = field(default_factory=dict)
    held: dict[tuple[str, str], int] = field(default_factory=dict)
    """Base units by token and holder; :data:`NATIVE` is the coin."""
    bits: set[tuple[str, int]] = field(default_factory=set)
    spent: dict[tuple[str, str, int], int] = field(default_factory=dict)
    paused: frozenset[str] = frozenset()
    generations: dict[str, int] = field(default_factory=dict)
    reserves: dict[str, reserve.ReserveState] = field(default_factory=dict)
    """By contract, of those whose approvers have signed anything."""

    def copy(self) -> State:
        """The state that the next block begins with."""
        return State(
            nonces=dict(self.nonces),
            held=dict(self.held),
            bits=set(self.bits),
            spent=dict(self.spent),
            paused=self.paused,
            generations=dict(self.generations),
            reserves={address: each.copy() for address, each in self.reserves.items()},
        )


@dataclass(kw_only=True, eq=False)
class Block:
    """A block: its state is the one after it."""

    number: int
    hash: str
    parent: Block | None
    time_s: int
    base_fee_wei: int
    state: State
    receipts: dict[str, dict[str, Any]] = field(default_factory=dict)
    transactions: list[Transaction] = field(default_factory=list)
    paid: list[tuple[str, Payment]] = field(default_factory=list)
    """What was paid in it, with the paying contract."""
    executed: list[reserve.Executed] = field(default_factory=list)
    """What was carried out in it because approvers had signed it."""
    paid_so_far: list[tuple[Block, str, Payment]] = field(default_factory=list)
    """Everything that was paid on its branch, oldest first, with block and contract."""
    executed_so_far: list[tuple[Block, reserve.Executed]] = field(default_factory=list)
    """Everything that was carried out for approvers on its branch, the newest block first."""

    def close(self) -> None:
        """Nothing is added to it any more."""
        before = self.parent
        assert before is not None, "the first block is empty"
        # A block in which nothing happened shares what was so far.
        self.paid_so_far, self.executed_so_far = before.paid_so_far, before.executed_so_far
        if self.paid:
            self.paid_so_far = [
                *before.paid_so_far,
                *((self, contract, item) for contract, item in self.paid),
            ]
        if self.executed:
            self.executed_so_far = [
                *((self, each) for each in self.executed),
                *before.executed_so_far,
            ]

    def ancestor(self, number: int) -> Block | None:
        """The block of this branch with that number."""
        block: Block | None = self
        while block is not None and block.number > number:
            block = block.parent
        return block


@dataclass(frozen=True, kw_only=True)
class Contract:
    """A payout contract: who may call it, its caps by token, the length of their window.

    ``only_to`` is the only address that it pays; None: any. ``approving`` are its rules for
    anything else, which approvers sign.
    """

    address: str
    signer: str
    caps: dict[str, int]
    window_s: int
    only_to: str | None = None
    approving: reserve.Rules | None = None


@dataclass(kw_only=True)
class Pool:
    """Transactions that one node knows and no block of it contains, by sender and nonce."""

    waiting: dict[tuple[str, int], Transaction] = field(default_factory=dict)

    def offer(self, tx: Transaction, *, used: int, base_fee_wei: int) -> str | None:
        """Take ``tx``; else what the node says to it."""
        if tx.nonce < used:
            return "nonce too low"
        known = self.waiting.get((tx.sender, tx.nonce))
        if known is not None and known.hash == tx.hash:
            return "already known"
        if known is not None and not _replaces(tx, known):
            return "replacement transaction underpriced"
        if tx.nonce - used >= QUEUED_MAX:
            return "nonce too high"
        if tx.max_fee_wei < tx.priority_fee_wei:
            return "max priority fee per gas higher than max fee per gas"
        self.waiting[tx.sender, tx.nonce] = tx
        return None


def _replaces(tx: Transaction, known: Transaction) -> bool:
    return all(
        100 * new >= (100 + BUMP_PERCENT) * old
        for new, old in (
            (tx.max_fee_wei, known.max_fee_wei),
            (tx.priority_fee_wei, known.priority_fee_wei),
        )
    )


@dataclass(kw_only=True)
class Chain:
    """The network as its miners see it.

    Attributes:
        contracts: By address.
        tank: Address of what refills gas money, which is never scarce here.
        refusing: Addresses that take no payment.
        pools: Of the nodes; the miners take from all of them.
        random: Draws hashes.
        trace: Where blocks are noted.
        without: Names of safeguards that are switched off, for the ablations.
        chain_id: What signatures of approvers are bound to.
        mined: Called after each new block.
    """

    contracts: dict[str, Contract]
    state: State
    random: Random
    trace: Trace
    pools: list[Pool]
    tank: str = ""
    refusing: set[str] = field(default_factory=set)
    without: frozenset[str] = frozenset()
    chain_id: int = 0
    mined: Callable[[Block], None] = lambda _: None
    base_fee_wei: int = 10**9
    paused: frozenset[str] = frozenset()
    """Tokens that their issuer has stopped, from the next block on."""
    blocks_by_hash: dict[str, Block] = field(default_factory=dict)
    blocks_of: dict[str, list[Block]] = field(default_factory=dict)
    """Blocks that contain a transaction, of all branches."""
    tip: Block = field(init=False)

    def __post_init__(self) -> None:
        self.tip = self._block(None, self.state, time_s=0)

    def _block(self, parent: Block | None, state: State, *, time_s: int) -> Block:
        block = Block(
            number=0 if parent is None else parent.number + 1,
            hash="0x" + self.random.randbytes(_WORD).hex(),
            parent=parent,
            time_s=time_s,
            base_fee_wei=self.base_fee_wei,
            state=state,
        )
        self.blocks_by_hash[block.hash] = block
        return block

    def mine(self, *, time_s: float, empty: bool = False) -> Block:
        """Add a block to the newest."""
        state = self.tip.state.copy()
        state.paused = self.paused
        block = self._block(self.tip, state, time_s=int(time_s))
        left = 0 if empty else GAS_PER_BLOCK
        while (tx := self._next(state, left)) is not None:
            left -= tx.gas_limit
            self._run(tx, block)
            block.transactions.append(tx)
            self.blocks_of.setdefault(tx.hash, []).append(block)
        block.close()
        self.tip = block
        for pool in self.pools:
            for key in [key for key in pool.waiting if key[1] < state.nonces.get(key[0], 0)]:
                del pool.waiting[key]
        self.trace.note("block", block.number, block.hash[:10], len(block.transactions))
        self.mined(block)
        return block

    def reorganise(self, depth: int, *, time_s: float, forget: float) -> None:
        """Replace the newest blocks by as many others, and one more.

        The transactions of the old ones wait again, but for a part that is forgotten.
        """
        depth = min(depth, FINAL_AFTER, self.tip.number)
        if depth == 0:
            return
        old: list[Block] = []
        while len(old) < depth:
            old.append(self.tip)
            assert self.tip.parent is not None
            self.tip = self.tip.parent
        self.trace.reach(f"fault: reorganisation of depth {depth}")
        for block in reversed(old):
            for tx in block.transactions:
                for pool in self.pools:
                    if self.random.random() >= forget:
                        pool.waiting.setdefault((tx.sender, tx.nonce), tx)
        for _ in range(depth + 1):
            self.mine(time_s=time_s, empty=self.random.random() < 0.5)

    def _next(self, state: State, gas: int) -> Transaction | None:
        """The dearest transaction that may come next."""
        best: Transaction | None = None
        for pool in self.pools:
            for (sender, nonce), tx in pool.waiting.items():
                if (
                    nonce == state.nonces.get(sender, 0)
                    and tx.max_fee_wei >= self.base_fee_wei
                    and tx.gas_limit <= gas
                    and (best is None or tx.max_fee_wei > best.max_fee_wei)
                ):
                    best = tx
        return best

    def _run(self, tx: Transaction, block: Block) -> None:
        state = block.state
        state.nonces[tx.sender] = tx.nonce + 1
        logs: list[dict[str, Any]] = []
        contract = self.contracts.get(tx.to)
        before = state.copy()
        paid: list[tuple[str, Payment]] = []
        done: list[reserve.Executed] = []
        succeeded = tx.to == self.tank or (
            contract is not None
            and self._call(contract, tx, state, logs, paid=paid, done=done, now_s=block.time_s)
        )
        if succeeded:
            block.paid += paid
            block.executed += done
        else:
            state.held, state.bits, state.spent = before.held, before.bits, before.spent
            state.generations, state.reserves = before.generations, before.reserves
            logs = []
        block.receipts[tx.hash] = {
            "transactionHash": tx.hash,
            "blockNumber": hex(block.number),
            "blockHash": block.hash,
            "status": "0x1" if succeeded else "0x0",
            "logs": logs,
        }

    def _call(
        self,
        contract: Contract,
        tx: Transaction,
        state: State,
        logs: list[dict[str, Any]],
        *,
        paid: list[tuple[str, Payment]],
        done: list[reserve.Executed],
        now_s: int,
    ) -> bool:
        """Carry out a call of a payout contract; False if it reverts."""
        if tx.sender != contract.signer:
            return False
        own = contract.address

        def log(topics: Sequence[str], data: str = "0x") -> None:
            logs.append({"address": own, "topics": list(topics), "data": data})

        if tx.data[:4] == _CANCEL:
            return self._cancel(own, tx.data, state, log)
        if tx.data[:4] == _OPEN_GENERATION:
            later = int.from_bytes(tx.data[4:], "big")
            if later <= state.generations.get(own, 0):
                return False
            state.generations[own] = later
            log((_OPENED, "0x" + word(later)))
            return True
        if contract.approving is not None and tx.data[:4] in reserve.CALLS:
            return reserve.Call(
                address=own,
                chain_id=self.chain_id,
                rules=contract.approving,
                state=state.reserves.setdefault(own, reserve.ReserveState()),
                now_s=now_s,
                move=lambda token, to, amount: self.move(state, token, own, to, amount),
                log=log,
                done=done,
                without=self.without,
            ).run(tx.data)
        window = now_s // contract.window_s
        return tx.data[:4] == _PAY and all(
            self._pay(contract, item, state, log, paid, window=window)
            for item in payments_of(tx.data)
        )

    def _cancel(self, own: str, data: bytes, state: State, log: Callable[..., None]) -> bool:
        for seq, each in zip(*[iter(_words(data))] * 2, strict=True):
            if seq >> NUMBER_BITS > state.generations.get(own, 0):
                return False
            if (own, seq) not in state.bits:
                state.bits.add((own, seq))
                log((_CANCELLED, "0x" + word(seq), "0x" + word(each)))
        return True

    def _pay(
        self,
        contract: Contract,
        item: Payment,
        state: State,
        log: Callable[..., None],
        paid: list[tuple[str, Payment]],
        *,
        window: int,
    ) -> bool:
        """Pay one item, or let it fail; False if that reverts the whole call."""
        own = contract.address
        if item.seq >> NUMBER_BITS != state.generations.get(own, 0):
            return False
        if (own, item.seq) in state.bits and "bitmap" not in self.without:
            return True
        spent = state.spent.get((own, item.token, window), 0) + item.amount
        if contract.only_to not in (None, item.to) or spent > contract.caps.get(item.token, 0):
            return False
        state.bits.add((own, item.seq))
        if self.move(state, item.token, own, item.to, item.amount):
            state.spent[own, item.token, window] = spent
            paid.append((own, item))
            log(
                (_PAID, *_names(item), "0x" + word(item.to)),
                "0x" + word(item.token) + word(item.amount),
            )
        else:
            state.bits.discard((own, item.seq))
            log((_FAILED, *_names(item)))
        return True

    def move(self, state: State, token: str, sender: str, receiver: str, amount: int) -> bool:
        """Move base units; False if the token, the receiver or the balance does not allow it."""
        if token in state.paused or (token == NATIVE and receiver in self.refusing):
            return False
        left = state.held.get((token, sender), 0) - amount
        if left < 0:
            return False
        state.held[token, sender] = left
        state.held[token, receiver] = state.held.get((token, receiver), 0) + amount
        return True

    def finalized(self, tip: Block) -> Block:
        """What a node with this newest block calls finalized."""
        found = tip.ancestor(max(0, tip.number - FINAL_AFTER))
        assert found is not None
        return found
