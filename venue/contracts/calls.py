"""Calls of the payout contract and of tokens as calldata, and their events as facts.

Encoded from the signatures, so that no process but the deployer loads the compiler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode, encode

from seawall.controls.sizing import BATCH_ITEMS_MAX
from seawall.ethereum.keys import event_topic, selector, to_bytes

NATIVE = "0x" + "00" * 20
"""Token address that stands for the native coin."""
ITEMS_MAX = BATCH_ITEMS_MAX
"""Items of one `pay`; the bound of the contract's array."""
GAS_BASE = 300_000
"""Intrinsic gas, and what must be left before the last item (ITEM_GAS_MIN of payout.vy)."""
GAS_PER_ITEM = 45_000
"""Ceiling per item: new accounts in either asset cost 34,600, recipients that burn their allowance
34,300 (measured, 200 items).

Blocks are filled by limits, not by use; a loose ceiling would halve what a block can pay.
"""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One payment: ``seq`` is its bit, ``amount`` base units of ``token``."""

    seq: int
    to: str
    token: str
    amount: int


@dataclass(frozen=True, kw_only=True)
class Events:
    """What one transaction said: sequence numbers paid (with what left the wallet) and failed."""

    paid: dict[int, Item]
    failed: frozenset[int]


_PAY = selector("pay((uint256,address,address,uint256)[])")
_CANCEL = selector("cancel(uint256)")
_PAID_MANY = selector("paid_many(uint256[])")
_TRANSFER = selector("transfer(address,uint256)")
_MINT = selector("mint(address,uint256)")
_PAID = event_topic("Paid(uint256,address,address,uint256)")
_FAILED = event_topic("Failed(uint256)")


def pay(items: Sequence[Item]) -> bytes:
    """Calldata that pays ``items``, at most :data:`ITEMS_MAX`."""
    rows = [(item.seq, item.to, item.token, item.amount) for item in items]
    return _PAY + encode(("(uint256,address,address,uint256)[]",), (rows,))


def pay_gas_limit(items: int) -> int:
    """Gas limit of a `pay` of so many items."""
    return GAS_BASE + GAS_PER_ITEM * items


def cancel(seq: int) -> bytes:
    """Calldata that burns a bit without paying."""
    return _CANCEL + encode(("uint256",), (seq,))


def paid_many(seqs: Sequence[int]) -> bytes:
    """Calldata that asks for up to 500 bits at once."""
    return _PAID_MANY + encode(("uint256[]",), (list(seqs),))


def decode_paid_many(answer: bytes) -> list[bool]:
    """Bits in the order in which they were asked for."""
    (bits,) = decode(("bool[]",), answer)
    return list(bits)


def transfer(to: str, amount: int) -> bytes:
    """Calldata of a token's transfer."""
    return _TRANSFER + encode(("address", "uint256"), (to, amount))


def mint(to: str, amount: int) -> bytes:
    """Calldata with which the minter makes tokens."""
    return _MINT + encode(("address", "uint256"), (to, amount))


def read_events(logs: Sequence[dict[str, Any]], *, contract: str) -> Events:
    """The ``Paid`` and ``Failed`` events of ``contract`` among a receipt's logs."""
    paid: dict[int, Item] = {}
    failed: set[int] = set()
    for log in logs:
        if log["address"].lower() != contract.lower():
            continue
        topic, *indexed = log["topics"]
        if topic == _PAID:
            token, amount = decode(("address", "uint256"), to_bytes(log["data"]))
            seq = int(indexed[0], 16)
            paid[seq] = Item(
                seq=seq, to="0x" + indexed[1][-40:].lower(), token=token.lower(), amount=amount
            )
        elif topic == _FAILED:
            failed.add(int(indexed[0], 16))
    return Events(paid=paid, failed=frozenset(failed))
