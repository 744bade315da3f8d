"""The simulated nodes: JSON-RPC over the chain, by endpoints that lag, lie and fail.

An endpoint has its own newest block and its own pool. What it says about state is asked for at the
hash of a block, as the settler does; it refuses if that block is not on its branch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from seawall.ethereum.keys import selector
from tests.simulation import reserve
from tests.simulation.chain import Block, Chain, Pool, Transaction, decoded, word
from tests.simulation.loop import nap
from tests.simulation.processes import pass_through

_TIMEOUT_S = 1.5
_PAID_MANY = selector("paid_many(uint256[])")
_CAP = selector("cap(address)")
_GENERATION = selector("generation()")
_TRANSFER = selector("transfer(address,uint256)")
_NONSENSE: tuple[bytes, ...] = (
    b"null",
    b"[]",
    b"<html>",
    b'{"jsonrpc": "2.0", "id": 99999, "result": "0x1"}',
    b'{"jsonrpc": "2.0", "id": null, "error": {"code": 429, "message": "rate limit"}}',
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What httpx gives back, as far as the client reads it."""

    status_code: int
    content: bytes


@dataclass(kw_only=True)
class Moods:
    """What is wrong with an endpoint, as chances per call, or as a state."""

    silent: float = 0.0
    refusing: float = 0.0
    nonsense: float = 0.0
    forgetful: float = 0.0
    """It takes a transaction and loses it."""
    alone: float = 0.0
    """It takes a transaction and tells no other node."""
    made_up_head: float = 0.0
    says_reverted: bool = False
    """It says of every transaction that it reverted and logged nothing."""
    hides_bits: bool = False
    """It says of every number that it is unused."""
    lag: int = 0
    stuck: bool = False
    slow_s: float = 0.0

    @property
    def lies(self) -> bool:
        """Whether it says what is not so."""
        return self.says_reverted or self.hides_bits


_WELL = Moods()
LIES = ("says_reverted", "hides_bits")
"""Moods in which an endpoint says what is not so."""


@dataclass(kw_only=True)
class Endpoint:
    """One node."""

    chain: Chain
    name: str
    pool: Pool
    tip: Block
    draw: Callable[[], float]
    moods: Moods = field(default_factory=Moods)
    neighbours: list[Endpoint] = field(default_factory=list)
    alone_with_lies: bool = False
    offered: Callable[[Transaction], None] = lambda _: None

    @property
    def mood(self) -> Moods:
        """What is wrong with it now: nothing, while another endpoint lies.

        The settler believes a lie that nobody is there to contradict (`Follower._confirm`): no
        money is lost by that, but people must look. ``alone_with_lies`` leaves it so.
        """
        lied = not self.alone_with_lies and any(each.moods.lies for each in self.neighbours)
        return _WELL if lied else self.moods

    def see(self, block: Block) -> None:
        """The network has a new block."""
        moods = self.mood
        seen = block.ancestor(block.number - moods.lag)
        # A shorter branch is not followed, so what it calls finalized never goes back.
        if not moods.stuck and seen is not None and seen.number > self.tip.number:
            self.tip = seen

    async def post(self, request: Any) -> Answer:
        """Answer one call."""
        moods, trace = self.mood, self.chain.trace
        await pass_through()
        await nap(0.001 + 0.004 * self.draw() + moods.slow_s * self.draw())
        await pass_through()
        if self._happens(moods.silent):
            trace.reach("fault: silent endpoint")
            await nap(_TIMEOUT_S)
            await pass_through()
            raise httpx.ReadTimeout("")
        if self._happens(moods.refusing):
            trace.reach("fault: endpoint refuses service")
            return Answer(status_code=503, content=b"")
        if self._happens(moods.nonsense):
            trace.reach("fault: nonsense of an endpoint")
            content = _NONSENSE[int(self.draw() * len(_NONSENSE))]
            return Answer(status_code=200, content=content)
        said = self._said(request["method"], request["params"])
        return Answer(
            status_code=200,
            content=json.dumps({"jsonrpc": "2.0", "id": request["id"]} | said).encode(),
        )

    def _happens(self, chance: float) -> bool:
        return chance > 0 and self.draw() < chance

    def _said(self, method: str, params: Any) -> dict[str, Any]:
        try:
            return {"result": getattr(self, f"_{method}")(*params)}
        except _RefusedError as error:
            return {"error": {"code": error.code, "message": str(error)}}

    def _eth_getBlockByNumber(self, tag: str, _full: bool) -> Any:  # noqa: N802
        if tag == "latest":
            block, number = self.tip, self.tip.number
            if self._happens(self.mood.made_up_head):
                self.chain.trace.reach("fault: made-up head")
                number += 1_000
        elif tag == "finalized":
            block = self.chain.finalized(self.tip)
            number = block.number
        else:
            found = self.tip.ancestor(int(tag, 16))
            if found is None or found.number != int(tag, 16):
                return None
            block, number = found, found.number
        return {"number": hex(number), "hash": block.hash, "baseFeePerGas": hex(block.base_fee_wei)}

    def _eth_getTransactionReceipt(self, tx_hash: str) -> Any:  # noqa: N802
        for block in reversed(self.chain.blocks_of.get(tx_hash, [])):
            if self.tip.ancestor(block.number) is block:
                receipt = block.receipts[tx_hash]
                if self.moods.says_reverted:
                    self.chain.trace.reach("fault: receipt said to be reverted")
                    return receipt | {"status": "0x0", "logs": []}
                return receipt
        return None

    def _eth_getTransactionCount(self, address: str, at: Any) -> str:  # noqa: N802
        if at == "pending":
            nonce = self.tip.state.nonces.get(address, 0)
            while (address, nonce) in self.pool.waiting:
                nonce += 1
            return hex(nonce)
        return hex(self._at(at).state.nonces.get(address, 0))

    def _at(self, at: Any) -> Block:
        if at == "latest":
            return self.tip
        block = self.chain.blocks_by_hash.get(at["blockHash"])
        if block is None or self.tip.ancestor(block.number) is not block:
            raise _RefusedError("hash is not currently canonical")
        return block

    def _eth_call(self, call: Any, at: Any) -> str:
        block = self._at(at)
        data = bytes.fromhex(call["data"][2:])
        arguments = [int.from_bytes(data[i : i + 32], "big") for i in range(4, len(data), 32)]
        if data[:4] == _PAID_MANY:
            bits = block.state.bits
            hidden = self.moods.hides_bits
            if hidden:
                self.chain.trace.reach("fault: bits hidden")
            answers = [int((call["to"], seq) in bits and not hidden) for seq in arguments[2:]]
            return "0x" + word(32) + word(len(answers)) + "".join(map(word, answers))
        if data[:4] == _GENERATION:
            return "0x" + word(block.state.generations.get(call["to"], 0))
        if data[:4] in (reserve.STATE, reserve.READY_AT):
            known = block.state.reserves.get(call["to"], reserve.ReserveState()).known
            found = known.get(arguments[0] >> 128, reserve.Known(stage=reserve.Stage.UNUSED))
            return "0x" + word(found.stage if data[:4] == reserve.STATE else found.ready_s)
        if data[:4] == _CAP:
            contract = self.chain.contracts[call["to"]]
            return "0x" + word(contract.caps.get(f"0x{arguments[0]:040x}", 0))
        if data[:4] == _TRANSFER:
            receiver, amount = f"0x{arguments[0]:040x}", arguments[1]
            state = block.state.copy()
            if not self.chain.move(state, call["to"], call["from"], receiver, amount):
                raise _RefusedError("execution reverted", code=3)
            return "0x" + word(1)
        raise AssertionError(f"nobody simulates the call {data[:4].hex()}")

    def _eth_sendRawTransaction(self, raw: str) -> str:  # noqa: N802
        tx = decoded(bytes.fromhex(raw[2:]))
        self.offered(tx)
        refusal = self._offer(tx)
        if refusal is not None:
            self.chain.trace.reach(f"node: {refusal}")
            raise _RefusedError(refusal)
        if self._happens(self.mood.forgetful):
            self.chain.trace.reach("fault: pool lost a transaction")
            del self.pool.waiting[tx.sender, tx.nonce]
        elif self._happens(self.mood.alone):
            self.chain.trace.reach("fault: transaction not passed on")
        else:
            for neighbour in self.neighbours:
                neighbour._offer(tx)
        return tx.hash

    def _offer(self, tx: Transaction) -> str | None:
        used = self.tip.state.nonces.get(tx.sender, 0)
        return self.pool.offer(tx, used=used, base_fee_wei=self.tip.base_fee_wei)


class _RefusedError(Exception):
    def __init__(self, message: str, *, code: int = -32000) -> None:
        super().__init__(message)
        self.code = code


@dataclass(kw_only=True)
class Nodes:
    """Posts to the endpoints, as httpx does."""

    endpoints: dict[str, Endpoint]

    async def post(self, url: str, *, json: Any) -> Answer:
        """Ask the endpoint at ``url``."""
        return await self.endpoints[url].post(json)

    async def aclose(self) -> None:
        """Nothing is open."""
