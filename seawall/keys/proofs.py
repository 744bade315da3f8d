"""Key proofs: a text that a key signs to show that it works, and the address that signed it.

The signature is over an EIP-191 "personal message" (version 0x45): Keccak-256 of 0x19, ``Ethereum
Signed Message:``, a line feed, the length and the text (https://eips.ethereum.org/EIPS/eip-191). No
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
"""The offset that Ethereum adds to the recovery id (yellow paper, appendix F)."""


def proof_text(*, stack: str, name: str, key: str, region: str, time: str, challenge: str) -> str:
    """Return the text that a key signs as a proof.

    Args:
        stack: the stack that the key belongs to.
        name: its wallet or approver.
        key: its id in KMS.
        region: the region in which it signs.
        time: UTC in whole seconds, ``2026-11-24T20:00:00Z``.
        challenge: random hex digits, chosen by the caller of the signer.

    Raises:
        ValueError: a part has characters that it may not have.
    """
    text = (
        f"{_HEAD}\nstack: {stack}\nname: {name}\nkey: {key}"
        f"\nregion: {region}\ntime: {time}\nchallenge: {challenge}"
    )
    if not is_proof_text(text):
        raise ValueError(f"not the parts of a proof of key control: {text!r}")
    return text


def is_proof_text(text: str) -> bool:
    """Tell whether ``text`` is a whole proof and nothing else, so that a signer may sign it."""
    return _TEXT.fullmatch(text) is not None


def message_hash(text: str) -> bytes:
    """Return the 32 bytes that are signed for ``text``."""
    body = text.encode()
    return keccak(b"\x19Ethereum Signed Message:\n" + str(len(body)).encode() + body)


def recovered_address(text: str, signature: bytes) -> str:
    """Return the lower-case address whose key signed ``text``.

    Args:
        text: the text of the proof.
        signature: r, s and v in 65 bytes.

    Raises:
        ValueError: ``signature`` is none of this form.
    """
    if len(signature) != _RECOVERABLE_BYTES or signature[-1] not in (_V_OFFSET, _V_OFFSET + 1):
        raise ValueError("not a recoverable signature of 65 bytes")
    compact = signature[:-1] + bytes([signature[-1] - _V_OFFSET])
    try:
        point = PublicKey.from_signature_and_message(compact, message_hash(text), hasher=None)
    except Exception as error:  # coincurve raises bare Exception if no point fits
        raise ValueError("no key makes such a signature") from error
    return "0x" + keccak(point.format(compressed=False)[1:])[-20:].hex()


def recoverable(*, r: int, s: int, y_parity: int) -> bytes:
    """Encode a signature as 65 bytes."""
    return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([_V_OFFSET + y_parity])
