"""What became of a restored ledger's lanes after its last moment, as the chains tell it.

A transaction that the ledger does not know was claimed, signed and sent after that moment. It is
read from the blocks with its own signature, so that its slot can be written again byte for byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from seawall.errors import ServiceError
from seawall.ethereum import values
from seawall.ethereum.keys import Signature
from seawall.ethereum.rpc import AsyncRpcClient, ChainView
from seawall.ethereum.values import Receipt
from venue.chain.transaction import Fees, Intent, encode_signed, transaction_hash
from venue.contracts.approvals import Movement
from venue.contracts.calls import Call, Events, Item, read_call, read_events

_FINAL_WITHIN_S = 120.0
"""So long it is waited until what the ledger does not know is final; a real chain's finality takes
longer than this: the program is then run again."""
_LOOK_EVERY_S = 0.5
_TYPE_2 = 2
K = TypeVar("K")


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What the ledger knows of a lane.

    ``contract`` is the only address that it may call, and ``gas_tank`` to have another key's gas
    money refilled. ``in_flight`` are the hashes of the
    transactions on record by nonce, of slots that are not final; none for one that was not signed.
    Every nonce below ``sent_below`` has a transaction that was sent, just now if not before.
    """

    address: str
    contract: str
    chain_id: int
    next_nonce: int
    in_flight: Mapping[int, Sequence[str]]
    sent_below: int = 0
    gas_tank: str | None = None


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A transaction that a lane has sent, as a final block has it; ``raw`` are its bytes.

    ``mined_at_s`` is the time of its block, Unix seconds.
    """

    intent: Intent
    fees: Fees
    raw: bytes = field(repr=False)
    tx_hash: str
    mined_at_s: int


@dataclass(frozen=True, kw_only=True)
class LostSlot:
    """What a lost slot did: its transaction, its call, and the events of its receipt.

    ``moved`` is what it moved as approvers had signed.
    """

    sent: Sent
    call: Call
    events: Events
    moved: tuple[Movement, ...] = ()

    @property
    def left(self) -> list[Item | Movement]:
        """All that it moved out of its contract."""
        return [*self.events.paid.values(), *self.moved]


async def settled_view(
    rpc: AsyncRpcClient, lanes: Mapping[str, Recorded]
) -> tuple[ChainView, dict[str, set[int]]]:
    """A view in which all that ``lanes`` sent and the ledger does not know is final.

    And, by lane, the nonces that are used up in it and are not final here. What is on record and
    waits in a pool is the settler's: it alone could have it replaced if it is too cheap.

    Raises :class:`ServiceError` if something does not become final.
    """
    waits = ""
    try:
        async with asyncio.timeout(_FINAL_WITHIN_S):
            while True:
                # Before the view: what is sent meanwhile is then looked for next time.
                sent = {
                    name: max(await rpc.highest_nonce(each.address), each.sent_below)
                    for name, each in lanes.items()
                }
                view = await rpc.view()
                used: dict[str, set[int]] = {}
                unknown: dict[str, int] = {}
                for name, lane in lanes.items():
                    final = await view.nonce(lane.address)
                    used[name] = {nonce for nonce in lane.in_flight if nonce < final}
                    used[name] |= {*range(lane.next_nonce, final)}
                    found = await _first_unknown(rpc, lane, range(final, sent[name]))
                    if found is not None:
                        unknown[name] = found
                if not unknown:
                    return view, used
                waits = ", ".join(f"nonce {nonce} of {name}" for name, nonce in unknown.items())
                rpc.leave()  # another endpoint may know what this one does not
                await asyncio.sleep(_LOOK_EVERY_S)
    except TimeoutError as error:
        raise ServiceError(
            f"{waits or 'what was sent'} on {rpc.network} is used by a transaction that is not on"
            f" record, and is not final after {_FINAL_WITHIN_S:g} s",
            remedy="run it again later; nothing has been changed. If an earlier nonce is on record"
            " and too cheap for every block, it waits until the network's fees fall",
        ) from error


async def _first_unknown(rpc: AsyncRpcClient, lane: Recorded, nonces: range) -> int | None:
    """The first of ``nonces`` whose transaction the ledger does not know; None if it knows all."""
    for nonce in nonces:
        for tx_hash in lane.in_flight.get(nonce, ()):
            if await rpc.call("eth_getTransactionByHash", tx_hash) is not None:
                break
        else:
            return nonce
    return None


async def read_lost(
    view: ChainView, lane: Recorded, *, nonces: Collection[int], first_block: int
) -> list[LostSlot]:
    """What ``lane`` did with ``nonces``, lowest first.

    Args:
        view: Of :func:`settled_view`.
        lane: Whose.
        nonces: Those of :func:`settled_view`.
        first_block: No transaction with any of them is in an earlier block.

    Raises :class:`ServiceError` if one is in no block since ``first_block``, or does what the venue
    never does.
    """
    if not nonces:
        return []
    reading = partial(transactions, sender=lane.address, chain_id=lane.chain_id, nonces=nonces)
    found: dict[int, Sent] = {}
    for number in range(first_block, view.finalized.number + 1):
        sent = await view.ask(reading, "eth_getBlockByNumber", hex(number), True)
        found |= {each.intent.nonce: each for each in sent}
    missing = sorted(set(nonces) - found.keys())
    if missing:
        raise ServiceError(
            f"nonce {missing[0]} of {lane.address} is used up, and no block since {first_block} has"
            " its transaction"
        )
    return [await _lost(view, found[nonce], lane) for nonce in sorted(nonces)]


async def _lost(view: ChainView, sent: Sent, lane: Recorded) -> LostSlot:
    try:
        call = _call(sent.intent, lane)
    except ValueError as error:
        raise ServiceError(
            f"{sent.tx_hash} of {sent.intent.sender} is not the venue's: {error}",
            remedy="the key is not the venue's alone; stop signing (runbook signing-procedures)",
        ) from error
    receipt = await view.receipt(sent.tx_hash)
    if receipt is None:
        raise ServiceError(f"there is no receipt of {sent.tx_hash}", remedy="run it again")
    await view.confirm(receipt)
    moves = None if call.approval is None or not receipt.succeeded else call.approval.moves
    return LostSlot(
        sent=sent,
        call=call,
        events=_events(receipt, lane.contract),
        moved=() if moves is None else (moves,),
    )


def _call(intent: Intent, lane: Recorded) -> Call:
    """What ``intent`` has a contract do. Raises ValueError for what the venue never does."""
    call = read_call(intent.data)
    called = lane.contract if call.refilled is None else lane.gas_tank
    if (intent.to, intent.value) != (called, 0):
        raise ValueError(f"it goes to {intent.to} with {intent.value} wei")
    return call


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
    mined_at_s = values.quantity(_typed(block, dict).get("timestamp"))
    for each in _typed(block.get("transactions"), list):
        by = _typed(_typed(each, dict).get("from"), str)
        if by.lower() == sender and values.quantity(each.get("nonce")) in nonces:
            found.append(_sent(each, sender=sender, chain_id=chain_id, mined_at_s=mined_at_s))
    return found


def _typed(value: Any, kind: type[K]) -> K:
    """``value``, which must be of ``kind``. Raises ValueError, as all that reads answers does."""
    if not isinstance(value, kind):
        raise ValueError(f"{value!r} is no {kind.__name__}")  # noqa: TRY004 - nonsense of a node
    return value


def _sent(transaction: dict[str, Any], *, sender: str, chain_id: int, mined_at_s: int) -> Sent:
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
    return Sent(
        intent=intent, fees=fees, raw=raw, tx_hash=transaction_hash(raw), mined_at_s=mined_at_s
    )
