"""Calldata of the payout contract and of tokens, and the contract's answers and events.

Everything is encoded from function signatures, so that only the deployer needs the compiler. What
the contract cannot have answered or emitted is a ValueError: a node made it up.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

from seawall.controls.sizing import BATCH_ITEMS_MAX
from seawall.ethereum.keys import event_topic, selector, to_bytes
from venue.contracts import approvals

NATIVE = "0x" + "00" * 20
"""Token address that stands for the native coin."""
ITEMS_MAX = BATCH_ITEMS_MAX
"""Items of one `pay`; the bound of the contract's array."""
GAS_BASE = 300_000
"""Intrinsic gas, and what must be left before the last item (ITEM_GAS_MIN of payout.vy)."""
GAS_PER_ITEM = 45_000
"""Gas limit per item.

Measured over 200 items: new accounts in either asset cost 35,500, recipients that burn their
allowance 34,900. Blocks are filled by gas limits, not by gas used, so a loose limit would halve
what a block can pay.
"""
CANCEL_GAS_BASE = 40_000
"""Intrinsic gas of a `cancel`, and its lock."""
CANCEL_GAS_PER_ITEM = 30_000
"""Measured over 200 numbers: 24,800. A new word of bits costs 22,100 of that."""


REFILL_GAS_LIMIT = 100_000
"""Gas limit of a `refill`. Measured: 59,000, to a key that had nothing and a window without any."""
OPEN_GAS_LIMIT = 60_000
"""Gas limit of an `open_generation`. Measured: 45,000, with a new storage slot and an event."""
NUMBER_BITS = 40
"""Bits of a sequence number that are the number within its generation, as in payout.vy."""
_SWEEPS = 1 << (NUMBER_BITS - 1)
"""Numbers of sweeps begin here: those of withdrawals, which their contract has too, are below."""
Number = tuple[int, UUID]
"""A sequence number, and the withdrawal, top-up or sweep whose number it is."""


def packed(generation: int, number: int) -> int:
    """The sequence number of ``number`` in a generation of the ledger.

    Raises ValueError if ``number`` needs more than :data:`NUMBER_BITS` bits.
    """
    if number >> NUMBER_BITS:
        raise ValueError(f"{number} is no number of a generation")
    return generation << NUMBER_BITS | number


def sweep_number(generation: int, number: int) -> int:
    """The sequence number of sweep ``number`` in a generation of the ledger. Raises ValueError."""
    if not 0 <= number < _SWEEPS:
        raise ValueError(f"{number} is no number of a sweep")
    return packed(generation, _SWEEPS + number)


def is_sweep(seq: int) -> bool:
    """Whether ``seq`` is the number of a sweep, in the contract of a hot wallet."""
    return bool(seq & _SWEEPS)


def generation_of(seq: int) -> int:
    """The generation of the ledger in which ``seq`` was given out."""
    return seq >> NUMBER_BITS


@dataclass(frozen=True, kw_only=True)
class Item:
    """One payment.

    ``seq`` is the number of its bit, ``id`` the withdrawal or top-up whose number that is,
    ``amount`` is in base units of ``token``.
    """

    seq: int
    id: UUID
    to: str
    token: str
    amount: int

    @property
    def number(self) -> Number:
        """Its sequence number, and whose that is."""
        return self.seq, self.id


@dataclass(frozen=True, kw_only=True)
class Events:
    """The events of one transaction: what was paid, by sequence number, failed and cancelled."""

    paid: dict[int, Item]
    failed: frozenset[Number]
    cancelled: frozenset[Number] = frozenset()


_PAY = selector("pay((uint256,bytes16,address,address,uint256)[])")
_CANCEL = selector("cancel((uint256,bytes16)[])")
_OPEN_GENERATION = selector("open_generation(uint256)")
_GENERATION = selector("generation()")
_REFILL = selector("refill(address)")
_REFILLABLE = selector("refillable(address)")
_PAID_MANY = selector("paid_many(uint256[])")
_CAP = selector("cap(address)")
_METHOD_BYTES = 4
_WORD = 32
_PADDING = 12
"""Zeros before the 20 bytes of an address."""
_ID = 16
"""Bytes of an id; zeros follow."""
_WORDS_PER_PAYMENT = 5
_WORDS_PER_NUMBER = 2
_TRANSFER = selector("transfer(address,uint256)")
_MINT = selector("mint(address,uint256)")
_SET_PAUSED = selector("set_paused(bool)")
_PAID = event_topic("Paid(uint256,bytes16,address,address,uint256)")
_FAILED = event_topic("Failed(uint256,bytes16)")
_TRANSFERRED = event_topic("Transfer(address,address,uint256)")
_CANCELLED = event_topic("Cancelled(uint256,bytes16)")


def pay(items: Sequence[Item]) -> bytes:
    """Calldata that pays ``items``, at most :data:`ITEMS_MAX`."""
    rows = [(item.seq, item.id.bytes, item.to, item.token, item.amount) for item in items]
    return _PAY + encode(("(uint256,bytes16,address,address,uint256)[]",), (rows,))


def pay_gas_limit(items: int) -> int:
    """Gas limit of a `pay` of ``items`` items."""
    return GAS_BASE + GAS_PER_ITEM * items


def cancel(numbers: Sequence[Number]) -> bytes:
    """Calldata that sets bits without paying, at most :data:`ITEMS_MAX`."""
    rows = [(seq, identity.bytes) for seq, identity in numbers]
    return _CANCEL + encode(("(uint256,bytes16)[]",), (rows,))


def cancel_gas_limit(items: int) -> int:
    """Gas limit of a `cancel` of ``items`` sequence numbers."""
    return CANCEL_GAS_BASE + CANCEL_GAS_PER_ITEM * items


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a call of the contract does.

    It pays ``items``, cancels ``numbers``, opens a ``generation``, does something with an
    ``approval``, or, of the contract that pays for gas, has the key ``refilled``.
    """

    items: tuple[Item, ...] = ()
    numbers: tuple[Number, ...] = ()
    generation: int | None = None
    approval: approvals.Called | None = None
    refilled: str | None = None


def read_call(data: bytes) -> Call:
    """What calldata of this module does. Raises ValueError for any other."""
    method, arguments = data[:4], data[4:]
    if method == _PAY:
        (rows,) = _decoded(("(uint256,bytes16,address,address,uint256)[]",), arguments)
        return Call(
            items=tuple(
                Item(seq=seq, id=UUID(bytes=identity), to=to, token=token, amount=amount)
                for seq, identity, to, token, amount in rows
            )
        )
    if method == _CANCEL:
        (rows,) = _decoded(("(uint256,bytes16)[]",), arguments)
        return Call(numbers=tuple((seq, UUID(bytes=identity)) for seq, identity in rows))
    if method == _OPEN_GENERATION:
        (generation,) = _decoded(("uint256",), arguments)
        return Call(generation=generation)
    if (key := refilled(data)) is not None:
        return Call(refilled=key)
    if (approval := approvals.read(data)) is not None:
        return Call(approval=approval)
    raise ValueError(f"0x{method.hex()} is no call that the venue makes")


def refill(key: str) -> bytes:
    """Calldata that has the address of a key refilled, of the contract that pays for gas."""
    return _REFILL + encode(("address",), (key,))


def refilled(data: bytes) -> str | None:
    """Whose key a call has refilled, if it is written as :func:`refill` writes it; else None."""
    if len(data) != len(_REFILL) + _WORD or not data.startswith(_REFILL + bytes(_PADDING)):
        return None
    return "0x" + data[len(_REFILL) + _PADDING :].hex()


def refillable(key: str) -> bytes:
    """Calldata that reads what a refill would pay to a key now, in wei."""
    return _REFILLABLE + encode(("address",), (key,))


def open_generation(generation: int) -> bytes:
    """Calldata after which numbers of ``generation`` alone are paid, which must be a later one."""
    return _OPEN_GENERATION + encode(("uint256",), (generation,))


def generation_in_force() -> bytes:
    """Calldata that reads the generation whose numbers are paid."""
    return _GENERATION


def payments(data: bytes) -> list[Item]:
    """The numbered payments that a call asks its contract for; only a `pay` asks for any.

    Calls are read in the one layout in which they are written here. Others that the contract might
    take as well are not read, so that both always see the same payments.

    Raises ValueError for any call that the venue does not make, or not in that layout.
    """
    return [*_payments(data)]


@functools.lru_cache(maxsize=16)
def _payments(data: bytes) -> tuple[Item, ...]:
    """As :func:`payments`; who signs a call asks for its recipients, and then what it moves."""
    if approvals.read(data) is not None or refilled(data) is not None:
        return ()
    method, words = data[:_METHOD_BYTES], data[_METHOD_BYTES:]
    if method == _OPEN_GENERATION and len(words) == _WORD:
        return ()
    per_item = {_PAY: _WORDS_PER_PAYMENT, _CANCEL: _WORDS_PER_NUMBER}.get(method)
    if per_item is None:
        raise ValueError("a call that the venue does not make")
    offset, count = (int.from_bytes(words[at : at + _WORD], "big") for at in (0, _WORD))
    items = words[2 * _WORD :]
    if offset != _WORD or count > ITEMS_MAX or len(items) != count * per_item * _WORD:
        raise ValueError(f"{len(data)} bytes are no list of items as it is written here")
    if method == _CANCEL:
        return ()
    return tuple(
        _payment(*(items[at + word * _WORD : at + (word + 1) * _WORD] for word in range(per_item)))
        for at in range(0, len(items), per_item * _WORD)
    )


def _payment(seq: bytes, identity: bytes, to: bytes, token: bytes, amount: bytes) -> Item:
    if any(identity[_ID:]):
        raise ValueError("an id of more than 16 bytes")
    if any(to[:_PADDING]) or any(token[:_PADDING]):
        raise ValueError("an address of more than 20 bytes")
    return Item(
        seq=int.from_bytes(seq, "big"),
        id=UUID(bytes=identity[:_ID]),
        to="0x" + to[_PADDING:].hex(),
        token="0x" + token[_PADDING:].hex(),
        amount=int.from_bytes(amount, "big"),
    )


def outflow(data: bytes) -> dict[str, int]:
    """What a call moves out of its contract at most: base units by token address.

    Raises ValueError as :func:`payments`.
    """
    moved: dict[str, int] = {}
    leaving: list[Item | approvals.Movement] = [*_payments(data)]
    called = approvals.read(data)
    if called is not None and called.moves is not None:
        leaving.append(called.moves)
    for each in leaving:
        moved[each.token] = moved.get(each.token, 0) + each.amount
    return moved


def paid_many(seqs: Sequence[int]) -> bytes:
    """Calldata that reads up to 500 bits at once."""
    return _PAID_MANY + encode(("uint256[]",), (list(seqs),))


def decode_paid_many(answer: bytes, seqs: Sequence[int]) -> dict[int, bool]:
    """The bits of ``seqs``, which were asked for. Raises ValueError."""
    (bits,) = _decoded(("bool[]",), answer)
    return dict(zip(seqs, bits, strict=True))


def cap(token: str) -> bytes:
    """Calldata that reads how much of ``token`` a wallet pays in one window, in base units."""
    return _CAP + encode(("address",), (token,))


def transfer(to: str, amount: int) -> bytes:
    """Calldata of a token's transfer."""
    return _TRANSFER + encode(("address", "uint256"), (to, amount))


def mint(to: str, amount: int) -> bytes:
    """Calldata with which the minter creates tokens."""
    return _MINT + encode(("address", "uint256"), (to, amount))


def set_paused(*, paused: bool) -> bytes:
    """Calldata with which the issuer stops all transfers of a token, or allows them again."""
    return _SET_PAUSED + encode(("bool",), (paused,))


def paid_filter(identity: UUID) -> list[str | None]:
    """Topics of the ``Paid`` events that name ``identity``, as ``eth_getLogs`` takes them."""
    return [_PAID, None, f"0x{identity.hex:0<64}"]


def read_events(logs: Sequence[dict[str, Any]], *, contract: str) -> Events:
    """The ``Paid``, ``Failed`` and ``Cancelled`` events of ``contract`` among a receipt's logs.

    Raises ValueError.
    """
    paid: dict[int, Item] = {}
    failed: set[Number] = set()
    cancelled: set[Number] = set()
    for log in logs:
        if log["address"].lower() != contract.lower():
            continue
        match log["topics"]:
            case [topic, seq, identity, to] if topic == _PAID:
                token, amount = _decoded(("address", "uint256"), to_bytes(log["data"]))
                number = int(seq, 16)
                paid[number] = Item(
                    seq=number,
                    id=_uuid(identity),
                    to="0x" + to[-40:].lower(),
                    token=token.lower(),
                    amount=amount,
                )
            case [topic, seq, identity] if topic == _FAILED:
                failed.add((int(seq, 16), _uuid(identity)))
            case [topic, seq, identity] if topic == _CANCELLED:
                cancelled.add((int(seq, 16), _uuid(identity)))
            case [topic, *_] if topic in (_PAID, _FAILED, _CANCELLED):
                raise ValueError(f"an event of {contract} has other topics than its contract gives")
    return Events(paid=paid, failed=frozenset(failed), cancelled=frozenset(cancelled))


def moved_in(logs: Sequence[dict[str, Any]], *, token: str, sender: str, to: str) -> int:
    """Base units of ``token`` that a receipt's logs say went from ``sender`` to ``to``.

    Raises ValueError.
    """
    ends = [_address_topic(sender), _address_topic(to)]
    return sum(
        int.from_bytes(to_bytes(log["data"]), "big")
        for log in logs
        if log["address"].lower() == token.lower()
        and [topic.lower() for topic in log["topics"]] == [_TRANSFERRED, *ends]
    )


def _address_topic(address: str) -> str:
    return f"0x{int(address, 16):064x}"


def _decoded(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    try:
        return decode(types, data)
    except DecodingError as error:
        raise ValueError(f"{len(data)} bytes are no {', '.join(types)}") from error


def _uuid(topic: str) -> UUID:
    """The id in an event's topic: 16 bytes, and as many that are zero. Raises ValueError."""
    identity, padding = to_bytes(topic)[:16], to_bytes(topic)[16:]
    if padding != bytes(16):
        raise ValueError(f"{topic} is no id of 16 bytes")
    return UUID(bytes=identity)
