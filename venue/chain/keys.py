"""secp256k1 as Ethereum uses it: addresses, and the one signature form that a chain accepts.

KMS answers ECDSA signatures in DER with any s; a chain wants (y parity, r, s) with s in the lower
half of the order (EIP-2).
"""

from __future__ import annotations

from dataclasses import dataclass

from coincurve import PrivateKey, PublicKey
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from eth_utils.crypto import keccak

from seawall.errors import ServiceError

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of secp256k1 (SEC 2, section 2.4.1)."""


def keccak256(data: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it (not SHA3-256)."""
    return keccak(data)


def to_bytes(text: str) -> bytes:
    """``0x``-hex or bare hex to bytes. Raises ValueError."""
    return bytes.fromhex(text.removeprefix("0x"))


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A canonical signature: ``s`` is in the lower half, ``y_parity`` recovers the signer."""

    y_parity: int
    r: int
    s: int


def address_of_point(uncompressed: bytes) -> str:
    """Lower-case address of an uncompressed public key (65 bytes, leading 4)."""
    return "0x" + keccak256(uncompressed[1:])[-20:].hex()


def address_of_public_key_der(der: bytes) -> str:
    """Lower-case address of a SubjectPublicKeyInfo as KMS returns it.

    Raises :class:`ServiceError`.
    """
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        message = f"the provider's public key cannot be read: {error}"
        raise ServiceError(message) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256k1":
        message = "the provider's key is no secp256k1 key"
        raise ServiceError(message)
    return address_of_point(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def address_of_private_key(secret: bytes) -> str:
    """Lower-case address of a private key of 32 bytes."""
    return address_of_point(PrivateKey(secret).public_key.format(compressed=False))


def recover_address(digest: bytes, signature: Signature) -> str:
    """Lower-case address whose key made ``signature`` over ``digest`` (32 bytes)."""
    compact = (
        signature.r.to_bytes(32, "big")
        + signature.s.to_bytes(32, "big")
        + bytes([signature.y_parity])
    )
    return address_of_point(
        PublicKey.from_signature_and_message(compact, digest, hasher=None).format(compressed=False)
    )


def signature_from_der(der: bytes, *, digest: bytes, address: str) -> Signature:
    """The canonical form of a provider's signature over ``digest``, proven to be by ``address``.

    Raises :class:`ServiceError` if it is malformed or made by another key.
    """
    try:
        r, s = decode_dss_signature(der)
    except ValueError as error:
        message = "the provider's signature is not DER"
        raise ServiceError(message) from error
    if not (0 < r < ORDER and 0 < s < ORDER):
        message = "the provider's signature is out of range"
        raise ServiceError(message)
    s = min(s, ORDER - s)
    for y_parity in (0, 1):
        signature = Signature(y_parity=y_parity, r=r, s=s)
        try:
            if recover_address(digest, signature) == address:
                return signature
        except ValueError:  # no point has this r with this parity
            continue
    message = f"the provider's signature is not by {address}"
    raise ServiceError(message)


def sign_locally(digest: bytes, *, secret: bytes) -> Signature:
    """Sign ``digest`` with a private key at hand: the deployer's, never a wallet's."""
    compact = PrivateKey(secret).sign_recoverable(digest, hasher=None)
    return Signature(
        y_parity=compact[64],
        r=int.from_bytes(compact[:32], "big"),
        s=int.from_bytes(compact[32:64], "big"),
    )
