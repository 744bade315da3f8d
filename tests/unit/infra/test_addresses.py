"""Addresses from public keys."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra.addresses import address_of


def public_key(secret: int, curve: ec.EllipticCurve) -> str:
    key = ec.derive_private_key(secret, curve).public_key()
    return base64.b64encode(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode()


@pytest.mark.parametrize(
    ("secret", "address"),
    [
        (1, "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"),
        (2, "0x2b5ad5c4795c026514f8317c7a215e218dccd6cf"),
    ],
)
def test_an_address_follows_from_the_public_key(secret: int, address: str) -> None:
    """The published addresses of the private keys 1 and 2."""
    assert address_of(public_key(secret, ec.SECP256K1())) == address


@pytest.mark.parametrize("text", [public_key(1, ec.SECP256R1()), public_key(1, ec.SECP384R1()), ""])
def test_a_key_on_another_curve_has_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not the uncompressed public key of a secp256k1 key$"):
        address_of(text)
