"""secp256k1 keys as Ethereum uses them: addresses, signatures and signed messages.

AWS KMS returns ECDSA signatures in DER with any ``s``. A chain accepts (y parity, r, s) only with
``s`` in the lower half of the order (EIP-2, https://eips.ethereum.org/EIPS/eip-2).

All addresses returned here are 0x and lower case. Errors: ValueError for input that is malformed,
:class:`ServiceError` where the input is the answer of a key provider.
"""

from __future__ import annotations

from dataclasses import dataclass

from coincurve import PrivateKey, PublicKey
from Crypto.Hash import keccak
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from seawall.errors import ServiceError

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of secp256k1 (SEC 2, section 2.4.1)."""
_RECOVERABLE_BYTES = 65
_V_OFFSET = 27
"""The recovery id is counted from here (yellow paper, appendix F)."""


def keccak256(data: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it (not SHA3-256)."""
    # Called directly, because importing eth_utils costs a quarter of a second in every process.
    return keccak.new(digest_bits=256, data=data).digest()


def to_bytes(text: str) -> bytes:
    """``0x``-hex or bare hex to bytes. Raises ValueError."""
    return bytes.fromhex(text.removeprefix("0x"))


def selector(signature: str) -> bytes:
    """The four bytes that call a function, for example ``mint(address,uint256)``."""
    return keccak256(signature.encode())[:4]


def event_topic(signature: str) -> str:
    """The first topic of logs of the event ``signature``, 0x-hex."""
    return "0x" + keccak256(signature.encode()).hex()


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A canonical signature: ``s`` is in the lower half, ``y_parity`` recovers the signer."""

    y_parity: int
    r: int
    s: int

    @property
    def recoverable(self) -> bytes:
        """r, s and v in 65 bytes, the form in which signed messages are exchanged."""
        return (
            self.r.to_bytes(32, "big")
            + self.s.to_bytes(32, "big")
            + bytes([_V_OFFSET + self.y_parity])
        )


def address_of_point(uncompressed: bytes) -> str:
    """Address of an uncompressed public key (65 bytes, the first is 4)."""
    return "0x" + keccak256(uncompressed[1:])[-20:].hex()


def address_of_public_key_der(der: bytes) -> str:
    """Address of a SubjectPublicKeyInfo as KMS returns it.

    Raises :class:`ServiceError` if it cannot be read or is on another curve.
    """
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ServiceError(f"the provider's public key cannot be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256k1":
        raise ServiceError("the provider's key is no secp256k1 key")
    return address_of_point(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def address_of_private_key(secret: bytes) -> str:
    """Address of a private key of 32 bytes."""
    return address_of_point(PrivateKey(secret).public_key.format(compressed=False))


def recover_address(digest: bytes, signature: Signature) -> str:
    """Address whose key made ``signature`` over ``digest`` (32 bytes).

    Raises ValueError if no key makes such a signature.
    """
    compact = (
        signature.r.to_bytes(32, "big")
        + signature.s.to_bytes(32, "big")
        + bytes([signature.y_parity])
    )
    try:
        point = PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except Exception as error:  # coincurve raises a bare Exception if no point has this r
        raise ValueError("no key makes such a signature") from error
    return address_of_point(point.format(compressed=False))


def signature_from_der(der: bytes, *, digest: bytes, address: str) -> Signature:
    """The canonical form of a provider's signature over ``digest``, checked to be by ``address``.

    Raises :class:`ServiceError` if it is malformed or made by another key.
    """
    try:
        r, s = decode_dss_signature(der)
    except ValueError as error:
        raise ServiceError("the provider's signature is not DER") from error
    if not (0 < r < ORDER and 0 < s < ORDER):
        raise ServiceError("the provider's signature is out of range")
    s = min(s, ORDER - s)
    for y_parity in (0, 1):
        signature = Signature(y_parity=y_parity, r=r, s=s)
        try:
            if recover_address(digest, signature) == address:
                return signature
        except ValueError:  # no point has this r with this parity
            continue
    raise ServiceError(f"the provider's signature is not by {address}")


def sign_locally(digest: bytes, *, secret: bytes) -> Signature:
    """Sign ``digest`` with a private key in memory: the deployer's, never a wallet's."""
    compact = PrivateKey(secret).sign_recoverable(digest, hasher=None)
    return Signature(
        y_parity=compact[64],
        r=int.from_bytes(compact[:32], "big"),
        s=int.from_bytes(compact[32:64], "big"),
    )


def recoverable(signature: bytes) -> Signature:
    """The parts of a signature of 65 bytes: r, s and v.

    Raises ValueError if it has another form, or if ``s`` is in the upper half of the order.
    """
    if len(signature) != _RECOVERABLE_BYTES or signature[-1] not in (_V_OFFSET, _V_OFFSET + 1):
        raise ValueError("not a recoverable signature of 65 bytes")
    s = int.from_bytes(signature[32:64], "big")
    if s > ORDER // 2:
        raise ValueError("a signature whose s is in the upper half of the order")
    return Signature(
        y_parity=signature[-1] - _V_OFFSET, r=int.from_bytes(signature[:32], "big"), s=s
    )


def personal_message_hash(text: str) -> bytes:
    """The 32 bytes that are signed for ``text``.

    EIP-191, version 0x45 ("personal message", https://eips.ethereum.org/EIPS/eip-191): Keccak-256
    over 0x19, ``Ethereum Signed Message:``, a line feed, the length of the text and the text. No
    transaction begins with 0x19, so such a signature can never move money.
    """
    body = text.encode()
    return keccak256(b"\x19Ethereum Signed Message:\n" + str(len(body)).encode() + body)


def recover_message_signer(text: str, signature: bytes) -> str:
    """Address whose key signed ``text``; ``signature`` is r, s and v in 65 bytes.

    Raises ValueError if no key makes such a signature.
    """
    return recover_address(personal_message_hash(text), recoverable(signature))
