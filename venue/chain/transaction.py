"""Transactions of type 2 (EIP-1559) without access list: the intent, its fees and their encoding.

The intent is what a nonce may be used for and never changes; the fees may, in a transaction that
replaces the first one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import rlp

from seawall.ethereum.keys import Signature, keccak256, to_bytes

_TYPE = b"\x02"


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What one nonce is used for; ``to`` is None for a deployment, ``value`` is in wei.

    Addresses are lower case.
    """

    chain_id: int
    sender: str
    nonce: int
    to: str | None
    value: int
    data: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 over ``chain_id|from|nonce|to|value|data``: the identity in the sign log."""
        fields = (
            str(self.chain_id),
            self.sender,
            str(self.nonce),
            self.to or "",
            str(self.value),
            "0x" + self.data.hex(),
        )
        return hashlib.sha256("|".join(fields).encode()).digest()


@dataclass(frozen=True, kw_only=True)
class Fees:
    """What inclusion may cost: ``gas_limit`` in gas, the others in wei per gas."""

    gas_limit: int
    max_fee_wei: int
    priority_fee_wei: int


def _payload(intent: Intent, fees: Fees) -> list[object]:
    return [
        intent.chain_id,
        intent.nonce,
        fees.priority_fee_wei,
        fees.max_fee_wei,
        fees.gas_limit,
        to_bytes(intent.to) if intent.to else b"",
        intent.value,
        intent.data,
        [],
    ]


def signing_hash(intent: Intent, fees: Fees) -> bytes:
    """The 32 bytes that the sender's key signs."""
    return keccak256(_TYPE + rlp.encode(_payload(intent, fees)))


def encode_signed(intent: Intent, fees: Fees, signature: Signature) -> bytes:
    """The bytes that are broadcast."""
    return bytes(
        _TYPE + rlp.encode([*_payload(intent, fees), signature.y_parity, signature.r, signature.s])
    )


def transaction_hash(raw: bytes) -> str:
    """The hash by which the chain knows signed bytes, lower-case hex."""
    return "0x" + keccak256(raw).hex()


def contract_address(sender: str, nonce: int) -> str:
    """The address of the contract that ``sender`` deploys under ``nonce``, lower case."""
    return "0x" + keccak256(rlp.encode([to_bytes(sender), nonce]))[-20:].hex()


PRIORITY_FEE_WEI = 10**9
MAX_FEE_FLOOR_WEI = 2 * 10**9
"""An idle chain's base fee falls to a few wei; a multiple of that would leave no headroom."""
MAX_FEE_CEILING_WEI = 10**13
"""The most that a signer allows per gas: 10,000 gwei, twenty times the dearest hours of mainnet.

Whoever can name any fee can burn the gas money of a lane with one transaction.
"""
PRIORITY_FEE_CEILING_WEI = 500 * 10**9
"""The most that a signer allows as a tip: whoever names it pays it in full, whatever the base fee.

Tips of mainnet are below 10 gwei but for minutes of its dearest mints.
"""
BASE_FEE_HEADROOM = 50
"""33 full blocks in a row multiply the base fee by 50 (EIP-1559: at most one eighth per block)."""


REPLACEMENT_MAX_FEE_PERCENT = 113
"""Of the replaced transaction's fee per gas, at least: pools demand 110 of both fees.

geth's `PriceBump`, go-ethereum core/txpool/legacypool; Erigon, Besu and Nethermind follow it.
"""
REPLACEMENT_PRIORITY_PERCENT = 200
"""Of the tip of a transaction that is passed over although its fees cover the base fee.

A tenth more would take eight steps to double it.
"""


def affordable(base_fee_wei: int) -> bool:
    """Whether a transaction that is sent now leaves room for a few full blocks in a row."""
    return 2 * base_fee_wei <= MAX_FEE_CEILING_WEI - PRIORITY_FEE_WEI


def too_cheap(of: Fees, *, base_fee_wei: int) -> bool:
    """Whether a block with ``base_fee_wei`` would pay its maker less than ``of`` promises."""
    return base_fee_wei + of.priority_fee_wei > of.max_fee_wei


def fees(*, base_fee_wei: int, gas_limit: int) -> Fees:
    """Fees for a transaction that is sent when the latest block has ``base_fee_wei``.

    The ceiling leaves room for a long run of full blocks, so that they are seldom raised later.
    """
    wanted = max(BASE_FEE_HEADROOM * base_fee_wei, MAX_FEE_FLOOR_WEI)
    ceiling = min(wanted, MAX_FEE_CEILING_WEI - PRIORITY_FEE_WEI)
    return Fees(
        gas_limit=gas_limit,
        max_fee_wei=ceiling + PRIORITY_FEE_WEI,
        priority_fee_wei=PRIORITY_FEE_WEI,
    )


def raised(replaced: Fees, *, base_fee_wei: int) -> Fees | None:
    """Fees for a transaction that replaces one with ``replaced``, which no block takes.

    The latest block has ``base_fee_wei``. The tip is doubled only if the base fee does not explain
    it. None if no fees within the ceilings would do.
    """
    fresh = fees(base_fee_wei=base_fee_wei, gas_limit=replaced.gas_limit)
    least = _percent(replaced.max_fee_wei, REPLACEMENT_MAX_FEE_PERCENT)
    explained = too_cheap(replaced, base_fee_wei=base_fee_wei)
    percent = REPLACEMENT_MAX_FEE_PERCENT if explained else REPLACEMENT_PRIORITY_PERCENT
    priority = _percent(replaced.priority_fee_wei, percent)
    max_fee = min(max(fresh.max_fee_wei + priority, least), MAX_FEE_CEILING_WEI)
    if max_fee < least or priority > min(PRIORITY_FEE_CEILING_WEI, max_fee - base_fee_wei):
        return None
    return Fees(gas_limit=replaced.gas_limit, max_fee_wei=max_fee, priority_fee_wei=priority)


def _percent(of: int, percent: int) -> int:
    return -(-of * percent // 100)
