"""The address of a signing key, from the public key that KMS shows; pure.

An address is the last 20 bytes of the Keccak-256 hash of the uncompressed public point (Ethereum
yellow paper, appendix F).
"""

from __future__ import annotations

import base64

from Crypto.Hash import keccak

_SPKI_HEADER = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")
"""DER of SubjectPublicKeyInfo up to the point.

Id-ecPublicKey on secp256k1, a bit string of 66 bytes (RFC 5480, SEC 2).
"""
_UNCOMPRESSED = b"\x04"
_POINT_BYTES = 64


def address_of(public_key_base64: str) -> str:
    """The address, 0x and lower case, of a secp256k1 key in base64 of DER.

    Raises ValueError for any other kind of key.
    """
    der = base64.b64decode(public_key_base64, validate=True)
    header, point = der[: -_POINT_BYTES - 1], der[-_POINT_BYTES - 1 :]
    if header != _SPKI_HEADER or point[:1] != _UNCOMPRESSED:
        message = "not the uncompressed public key of a secp256k1 key"
        raise ValueError(message)
    return "0x" + keccak.new(digest_bits=256, data=point[1:]).digest()[-20:].hex()
