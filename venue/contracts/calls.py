"""Calldata of the payout contract and of tokens, and the contract's answers and events.

Everything is encoded from function signatures, so that only the deployer needs the compiler. What
the contract cannot have answered or emitted is a ValueError: a node made it up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

from seawall.controls.sizing import BATCH_ITEMS_MAX
from seawall.ethereum.keys import event_topic, selector, to_bytes

NATIVE = "0x" + "00" * 20
"""Token address that stands for the native coin."""
ITEMS_MAX = BATCH_ITEMS_MAX
"""Items of one `pay`; the bound of the contract's array."""
GAS_BASE = 300_000
"""Intrinsic gas, and what must be left before the last item (ITEM_GAS_MIN of payout.vy)."""
GAS_PER_ITEM = 45_000
"""Gas limit per item.

Measured over 200 items: new accounts in either asset cost 34,600, recipients that burn their
allowance 34,300. Blocks are filled by gas limits, not by gas used, so a loose limit would halve
what a block can pay.
"""
CANCEL_GAS_BASE = 40_000
"""Intrinsic gas of a `cancel`, and its lock."""
CANCEL_GAS_PER_ITEM = 30_000
"""A new word of bits costs 22,100, its event and its loop the rest."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One payment: ``seq`` is the number of its bit, ``amount`` is in base units of ``token``."""

    seq: int
    to: str
    token: str
    amount: int


@dataclass(frozen=True, kw_only=True)
class Events:
    """The events of one transaction, by sequence number: what was paid, failed and cancelled."""

    paid: dict[int, Item]
    failed: frozenset[int]
    cancelled: frozenset[int] = frozenset()


_PAY = selector("pay((uint256,address,address,uint256)[])")
_CANCEL = selector("cancel(uint256[])")
_PAID_MANY = selector("paid_many(uint256[])")
_CAP = selector("cap(address)")
_METHOD_BYTES = 4
_WORD = 32
_PADDING = 12
"""Zeros before the 20 bytes of an address."""
_WORDS_PER_PAYMENT = 4
_TRANSFER = selector("transfer(address,uint256)")
_MINT = selector("mint(address,uint256)")
_SET_PAUSED = selector("set_paused(bool)")
_PAID = event_topic("Paid(uint256,address,address,uint256)")
_FAILED = event_topic("Failed(uint256)")
_CANCELLED = event_topic("Cancelled(uint256)")


def pay(items: Sequence[Item]) -> bytes:
    """Calldata that pays ``items``, at most :data:`ITEMS_MAX`."""
    rows = [(item.seq, item.to, item.token, item.amount) for item in items]
    return _PAY + encode(("(uint256,address,address,uint256)[]",), (rows,))


def pay_gas_limit(items: int) -> int:
    """Gas limit of a `pay` of ``items`` items."""
    return GAS_BASE + GAS_PER_ITEM * items


def cancel(seqs: Sequence[int]) -> bytes:
    """Calldata that sets bits without paying, at most :data:`ITEMS_MAX`."""
    return _CANCEL + encode(("uint256[]",), (list(seqs),))


def cancel_gas_limit(items: int) -> int:
    """Gas limit of a `cancel` of ``items`` sequence numbers."""
    return CANCEL_GAS_BASE + CANCEL_GAS_PER_ITEM * items


def payments(data: bytes) -> list[Item]:
    """The payments that a call asks its contract for; a `cancel` asks for none.

    Calls are read in the one layout in which they are written here. Others that the contract might
    take as well are not read, so that both always see the same payments.

    Raises ValueError for any call that is neither `pay` nor `cancel` in that layout.
    """
    method, words = data[:_METHOD_BYTES], data[_METHOD_BYTES:]
    per_item = {_PAY: _WORDS_PER_PAYMENT, _CANCEL: 1}.get(method)
    if per_item is None:
        raise ValueError("a call of neither pay nor cancel")
    offset, count = (int.from_bytes(words[at : at + _WORD], "big") for at in (0, _WORD))
    items = words[2 * _WORD :]
    if offset != _WORD or count > ITEMS_MAX or len(items) != count * per_item * _WORD:
        raise ValueError(f"{len(data)} bytes are no list of items as it is written here")
    if method == _CANCEL:
        return []
    return [
        _payment(*(items[at + word * _WORD : at + (word + 1) * _WORD] for word in range(per_item)))
        for at in range(0, len(items), per_item * _WORD)
    ]


def _payment(seq: bytes, to: bytes, token: bytes, amount: bytes) -> Item:
    if any(to[:_PADDING]) or any(token[:_PADDING]):
        raise ValueError("an address of more than 20 bytes")
    return Item(
        seq=int.from_bytes(seq, "big"),
        to="0x" + to[_PADDING:].hex(),
        token="0x" + token[_PADDING:].hex(),
        amount=int.from_bytes(amount, "big"),
    )


def outflow(data: bytes) -> dict[str, int]:
    """What a call moves out of its contract at most: base units by token address.

    Raises ValueError as :func:`payments`.
    """
    moved: dict[str, int] = {}
    for item in payments(data):
        moved[item.token] = moved.get(item.token, 0) + item.amount
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


def read_events(logs: Sequence[dict[str, Any]], *, contract: str) -> Events:
    """The ``Paid``, ``Failed`` and ``Cancelled`` events of ``contract`` among a receipt's logs.

    Raises ValueError.
    """
    paid: dict[int, Item] = {}
    failed: set[int] = set()
    cancelled: set[int] = set()
    for log in logs:
        if log["address"].lower() != contract.lower():
            continue
        match log["topics"]:
            case [topic, seq, to] if topic == _PAID:
                token, amount = _decoded(("address", "uint256"), to_bytes(log["data"]))
                number = int(seq, 16)
                paid[number] = Item(
                    seq=number, to="0x" + to[-40:].lower(), token=token.lower(), amount=amount
                )
            case [topic, seq] if topic == _FAILED:
                failed.add(int(seq, 16))
            case [topic, seq] if topic == _CANCELLED:
                cancelled.add(int(seq, 16))
            case [topic, *_] if topic in (_PAID, _FAILED, _CANCELLED):
                raise ValueError(f"an event of {contract} has other topics than its contract gives")
    return Events(paid=paid, failed=frozenset(failed), cancelled=frozenset(cancelled))


def _decoded(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    try:
        return decode(types, data)
    except DecodingError as error:
        raise ValueError(f"{len(data)} bytes are no {', '.join(types)}") from error
