"""Key control: the text that a key signs to show that it answers, and whose address a signature
recovers to.

Signed is the EIP-191 "personal message" (version 0x45): Keccak-256 over 0x19, ``Ethereum Signed
Message:``, a line feed, the length and the text (https://eips.ethereum.org/EIPS/eip-191). No
transaction begins with 0x19, so a proof can never move money.
"""

from __future__ import annotations

import re

from coincurve import PublicKey
from eth_utils.crypto import keccak

_HEAD = "seawall key control"
_TEXT = re.compile(
    rf"{_HEAD}\nstack: [A-Za-z0-9-]{{1,64}}\nname: [A-Za-z0-9-]{{1,64}}\nkey: [A-Za-z0-9-]{{1,64}}"
    r"\nregion: [a-z0-9-]{1,32}\ntime: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\nchallenge: [0-9a-f]{16,64}"
)
_RECOVERABLE_BYTES = 65
_V_OFFSET = 27
"""Where Ethereum begins to count the recovery id (yellow paper, appendix F)."""


def proof_text(*, stack: str, name: str, key: str, region: str, time: str, challenge: str) -> str:
    """What the key of ``name`` (a wallet or an approver) signs.

    Raises ValueError if a part has characters of no such name.

    ``key`` is its id in KMS, ``time`` is UTC in whole seconds (``2026-11-24T20:00:00Z``),
    ``challenge`` is random hex of the asker's.
    """
    text = f"{_HEAD}\nstack: {stack}\nname: {name}\nkey: {key}\nregion: {region}\ntime: {time}\nchallenge: {challenge}"
    if not is_proof_text(text):
        raise ValueError(f"not the parts of a proof of key control: {text!r}")
    return text


def is_proof_text(text: str) -> bool:
    """Whether ``text`` is one that a signer may sign as a proof.

    Every line of it, and nothing else.
    """
    return _TEXT.fullmatch(text) is not None


def message_hash(text: str) -> bytes:
    """The 32 bytes that are signed for ``text``."""
    body = text.encode()
    return keccak(b"\x19Ethereum Signed Message:\n" + str(len(body)).encode() + body)


def recovered_address(text: str, signature: bytes) -> str:
    """Lower-case address whose key signed ``text``; ``signature`` is r, s and v in 65 bytes.

    Raises ValueError if it is none.
    """
    if len(signature) != _RECOVERABLE_BYTES or signature[-1] not in (_V_OFFSET, _V_OFFSET + 1):
        raise ValueError("not a recoverable signature of 65 bytes")
    compact = signature[:-1] + bytes([signature[-1] - _V_OFFSET])
    try:
        point = PublicKey.from_signature_and_message(compact, message_hash(text), hasher=None)
    except Exception as error:  # coincurve raises bare Exception for what no point has
        raise ValueError("no key makes such a signature") from error
    return "0x" + keccak(point.format(compressed=False)[1:])[-20:].hex()


def recoverable(*, r: int, s: int, y_parity: int) -> bytes:
    """The 65 bytes of a signature."""
    return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([_V_OFFSET + y_parity])
