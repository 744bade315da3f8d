"""What a signed transaction does, from its own bytes; no code of the venue.

In: bytes of the sign log. Out: :func:`read_signed`, the digest of what they do and their hash, so
that the venue's word for either need not be taken.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import rlp

from seawall.errors import EvidenceError
from seawall.ethereum.keys import Signature, keccak256, recover_address

_TYPE = b"\x02"
"""EIP-1559."""
_FIELDS = 12
_SIGNATURE_FIELDS = 3


@dataclass(frozen=True, kw_only=True)
class SignedTransaction:
    """``digest`` is over what is done, whatever it may cost; both are hex, the hash with ``0x``."""

    digest: str
    tx_hash: str


def read_signed(raw: bytes) -> SignedTransaction:
    """Read a signed transaction of type 2.

    Args:
        raw: The bytes that are broadcast.

    Returns:
        Its hash, and the SHA-256 over ``chain_id|from|nonce|to|value|data``, where ``from`` is the
        address whose key made the signature.

    Raises :class:`EvidenceError` for bytes that are none: what they would do is not known then.
    """
    tx_hash = "0x" + keccak256(raw).hex()
    try:
        fields = _fields(raw)
        chain_id, nonce, _, _, _, to, value, data, _, y_parity, r, s = fields
        signing_hash = keccak256(_TYPE + rlp.encode(fields[:-_SIGNATURE_FIELDS]))
        signature = Signature(y_parity=_number(y_parity), r=_number(r), s=_number(s))
        sender = recover_address(signing_hash, signature)
    except (ValueError, OverflowError, TypeError, rlp.exceptions.RLPException) as error:
        raise EvidenceError(
            f"the bytes of {tx_hash} in the sign log are no signed transaction: {error}"
        ) from error
    done = (
        str(_number(chain_id)),
        sender,
        str(_number(nonce)),
        f"0x{to.hex()}" if to else "",
        str(_number(value)),
        f"0x{data.hex()}",
    )
    return SignedTransaction(
        digest=hashlib.sha256("|".join(done).encode()).hexdigest(), tx_hash=tx_hash
    )


def _fields(raw: bytes) -> list[Any]:
    if raw[:1] != _TYPE:
        raise ValueError("they do not begin with the type 2")
    found: Any = rlp.decode(raw[1:])
    if not isinstance(found, list) or len(found) != _FIELDS:
        raise ValueError(f"they are no list of {_FIELDS} fields")
    return found


def _number(field: bytes) -> int:
    return int.from_bytes(field, "big")
