"""What became of a restored ledger's lanes after its last moment, as the chains tell it.

A transaction that the ledger does not know was claimed, signed and sent after that moment. It is
read from the blocks with its own signature, so that its slot can be written again byte for byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from seawall.errors import ServiceError
from seawall.ethereum import values
from seawall.ethereum.keys import Signature
from seawall.ethereum.rpc import AsyncRpcClient, ChainView
from seawall.ethereum.values import Receipt
from venue.chain.transaction import Fees, Intent, encode_signed, transaction_hash
from venue.contracts.calls import Call, Events, read_call, read_events

_FINAL_WITHIN_S = 120.0
"""So long it is waited until what the pools hold is final; a real chain's finality takes longer
than this: the program is then run again."""
_LOOK_EVERY_S = 0.5
_TYPE_2 = 2
K = TypeVar("K")


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A transaction that a lane has sent, as a final block has it; ``raw`` are its bytes."""

    intent: Intent
    fees: Fees
    raw: bytes = field(repr=False)
    tx_hash: str


@dataclass(frozen=True, kw_only=True)
class LostSlot:
    """What a lost slot did: its transaction, its call, and the events of its receipt."""

    sent: Sent
    call: Call
    events: Events


async def read_lost(
    rpc: AsyncRpcClient,
    *,
    address: str,
    contract: str,
    chain_id: int,
    nonces: Collection[int],
    first_block: int,
) -> list[LostSlot]:
    """What the lane of ``address`` did with ``nonces``, lowest first.

    Args:
        rpc: The network.
        address: The lane's.
        contract: The only one that it may call.
        chain_id: The network's.
        nonces: Those that the chain or a pool knows and the ledger does not.
        first_block: No transaction with any of them is in an earlier block.

    Raises :class:`ServiceError` if they do not become final, if one is in no block since
    ``first_block``, or if one does what the venue never does.
    """
    if not nonces:
        return []
    view = await _final(rpc, address, max(nonces))
    found: dict[int, Sent] = {}
    for number in range(first_block, view.finalized.number + 1):
        sent = await view.ask(
            partial(transactions, sender=address, chain_id=chain_id, nonces=nonces),
            "eth_getBlockByNumber",
            hex(number),
            True,
        )
        found |= {each.intent.nonce: each for each in sent}
    missing = sorted(set(nonces) - found.keys())
    if missing:
        raise ServiceError(
            f"nonce {missing[0]} of {address} is used up, and no block of {rpc.network} since"
            f" {first_block} has its transaction"
        )
    return [await _lost(view, found[nonce], contract) for nonce in sorted(nonces)]


async def _final(rpc: AsyncRpcClient, address: str, nonce: int) -> ChainView:
    """A view of the chain in which ``nonce`` and all that is in a pool is used up at finality."""
    try:
        async with asyncio.timeout(_FINAL_WITHIN_S):
            while True:
                view = await rpc.view()
                final = await view.nonce(address)
                if final > nonce and final >= await rpc.highest_nonce(address):
                    return view
                await asyncio.sleep(_LOOK_EVERY_S)
    except TimeoutError as error:
        raise ServiceError(
            f"what {address} has sent on {rpc.network} is not final after {_FINAL_WITHIN_S:g} s",
            remedy="run it again later; nothing has been changed",
        ) from error


async def _lost(view: ChainView, sent: Sent, contract: str) -> LostSlot:
    try:
        call = _call(sent.intent, contract)
    except ValueError as error:
        raise ServiceError(
            f"{sent.tx_hash} of {sent.intent.sender} is not the venue's: {error}",
            remedy="the key is not the venue's alone; stop signing (runbook signing-procedures)",
        ) from error
    receipt = await view.receipt(sent.tx_hash)
    if receipt is None:
        raise ServiceError(f"there is no receipt of {sent.tx_hash}", remedy="run it again")
    await view.confirm(receipt)
    return LostSlot(sent=sent, call=call, events=_events(receipt, contract))


def _call(intent: Intent, contract: str) -> Call:
    """What ``intent`` has the contract do. Raises ValueError for what the venue never does."""
    if (intent.to, intent.value) != (contract, 0):
        raise ValueError(f"it goes to {intent.to} with {intent.value} wei")
    return read_call(intent.data)


def _events(receipt: Receipt, contract: str) -> Events:
    try:
        return read_events(receipt.logs, contract=contract)
    except ValueError as error:
        raise ServiceError(f"a receipt is malformed: {error}", remedy="run it again") from error


def transactions(
    block: Any, *, sender: str, chain_id: int, nonces: Collection[int]
) -> Sequence[Sent]:
    """The transactions with ``nonces`` of ``sender`` in a block as JSON has it.

    Raises ValueError for one whose fields are not those of its hash.
    """
    found = []
    for each in _typed(_typed(block, dict).get("transactions"), list):
        by = _typed(_typed(each, dict).get("from"), str)
        if by.lower() == sender and values.quantity(each.get("nonce")) in nonces:
            found.append(_sent(each, sender=sender, chain_id=chain_id))
    return found


def _typed(value: Any, kind: type[K]) -> K:
    """``value``, which must be of ``kind``. Raises ValueError, as all that reads answers does."""
    if not isinstance(value, kind):
        raise ValueError(f"{value!r} is no {kind.__name__}")  # noqa: TRY004 - nonsense of a node
    return value


def _sent(transaction: dict[str, Any], *, sender: str, chain_id: int) -> Sent:
    def number(name: str) -> int:
        return values.quantity(transaction.get(name))

    if number("type") != _TYPE_2:
        raise ValueError(f"a transaction of type {number('type')}, which the venue never sends")
    data = _typed(transaction.get("input"), str)
    intent = Intent(
        chain_id=chain_id,
        sender=sender,
        nonce=number("nonce"),
        to=_typed(transaction.get("to"), str).lower(),
        value=number("value"),
        data=b"" if data == "0x" else values.data(data),
    )
    fees = Fees(
        gas_limit=number("gas"),
        max_fee_wei=number("maxFeePerGas"),
        priority_fee_wei=number("maxPriorityFeePerGas"),
    )
    parity = "yParity" if "yParity" in transaction else "v"
    signature = Signature(y_parity=number(parity), r=number("r"), s=number("s"))
    raw = encode_signed(intent, fees, signature)
    if transaction_hash(raw) != values.word(transaction.get("hash")):
        raise ValueError("a transaction whose fields are not those of its hash")
    return Sent(intent=intent, fees=fees, raw=raw, tx_hash=transaction_hash(raw))
