"""Keys, addresses and signed messages against published vectors and against each other."""

from __future__ import annotations

import pytest
from coincurve import PrivateKey
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from seawall.errors import ServiceError
from seawall.ethereum.keys import (
    ORDER,
    Signature,
    address_of_private_key,
    address_of_public_key_der,
    event_topic,
    keccak256,
    personal_message_hash,
    recover_address,
    recover_message_signer,
    selector,
    sign_locally,
    signature_from_der,
)

# The first development account that every Ethereum tool derives from "test test ... junk".
SECRET = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
ADDRESS = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"


def public_key_der(secret: int, curve: ec.EllipticCurve) -> bytes:
    public = ec.derive_private_key(secret, curve).public_key()
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_keccak_is_not_sha3() -> None:
    """The hash of no bytes, as the yellow paper gives it for an account without code."""
    assert (
        keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    )


def test_selectors_and_topics_are_those_that_explorers_show() -> None:
    """ERC-20's ``transfer`` and ``Transfer``."""
    assert selector("transfer(address,uint256)").hex() == "a9059cbb"
    assert (
        event_topic("Transfer(address,address,uint256)")
        == "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    )


@pytest.mark.parametrize(
    ("secret", "address"),
    [
        (1, "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"),
        (2, "0x2b5ad5c4795c026514f8317c7a215e218dccd6cf"),
        (int.from_bytes(SECRET, "big"), ADDRESS),
    ],
)
def test_private_and_public_key_lead_to_the_published_address(secret: int, address: str) -> None:
    assert address_of_private_key(secret.to_bytes(32, "big")) == address
    assert address_of_public_key_der(public_key_der(secret, ec.SECP256K1())) == address


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_a_key_on_another_curve_has_no_address(curve: ec.EllipticCurve) -> None:
    """It would be an address that no key can sign for."""
    with pytest.raises(ServiceError, match="no secp256k1 key"):
        address_of_public_key_der(public_key_der(1, curve))


@pytest.mark.parametrize("der", [b"", b"\x30\x00", public_key_der(1, ec.SECP256K1())[:-1]])
def test_what_is_no_public_key_has_no_address(der: bytes) -> None:
    with pytest.raises(ServiceError, match="cannot be read"):
        address_of_public_key_der(der)


def test_provider_signatures_become_canonical_whatever_their_s() -> None:
    """Both twins (s and order - s) give the same low-s signature, and it recovers to the signer."""
    key = ec.derive_private_key(int.from_bytes(SECRET, "big"), ec.SECP256K1())
    for number in range(12):
        digest = keccak256(bytes([number]))
        r, s = decode_dss_signature(key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))
        twins = [
            signature_from_der(encode_dss_signature(r, each), digest=digest, address=ADDRESS)
            for each in (s, ORDER - s)
        ]
        assert twins[0] == twins[1]
        assert twins[0].s <= ORDER // 2
        assert recover_address(digest, twins[0]) == ADDRESS


def test_a_signature_by_another_key_is_refused() -> None:
    """A signer that answers with a wrong key must not put bytes in a slot."""
    digest = keccak256(b"x")
    other = ec.generate_private_key(ec.SECP256K1()).sign(
        digest, ec.ECDSA(Prehashed(hashes.SHA256()))
    )

    with pytest.raises(ServiceError, match="is not by"):
        signature_from_der(other, digest=digest, address=ADDRESS)


@pytest.mark.parametrize(
    ("der", "why"),
    [
        (b"\x30\x00junk", "not DER"),
        (encode_dss_signature(0, 1), "out of range"),
        (encode_dss_signature(1, ORDER), "out of range"),
        # 5 is no x coordinate of the curve: 5**3 + 7 is no square modulo its prime.
        (encode_dss_signature(5, 1), "is not by"),
    ],
)
def test_a_malformed_signature_is_the_fault_of_the_provider(der: bytes, why: str) -> None:
    with pytest.raises(ServiceError, match=why):
        signature_from_der(der, digest=keccak256(b"x"), address=ADDRESS)


def test_a_local_signature_recovers_to_its_key() -> None:
    digest = keccak256(b"x")

    assert recover_address(digest, sign_locally(digest, secret=SECRET)) == ADDRESS


def test_the_hash_of_a_personal_message_is_the_one_that_wallets_compute() -> None:
    """The known hash of ``hello`` under EIP-191."""
    assert (
        personal_message_hash("hello").hex()
        == "50b2c43fd39106bafbba0da34fc430e1f91e3c96ea2acee2bc34119f92b37750"
    )


def test_a_published_message_signature_recovers_to_its_signer() -> None:
    """The example in the documentation of eth-account (``Account.recover_message``)."""
    signature = bytes.fromhex(
        "e6ca9bba58c88611fad66a6ce8f996908195593807c4b38bd528d2cff09d4eb3"
        "3e5bfbbf4d3e39b1a2fd816a7680c19ebebaf3a141b239934ad43cb33fcec8ce1c"
    )

    assert recover_message_signer("I♥SF", signature) == "0x5ce9454909639d2d17a3f753ce7d93fa0b9ab12e"


def message_signature(text: str, secret: int = 1) -> bytes:
    digest = personal_message_hash(text)
    return sign_locally(digest, secret=secret.to_bytes(32, "big")).recoverable


def test_another_key_or_another_text_recovers_to_another_address() -> None:
    one = address_of_private_key(PrivateKey.from_int(1).secret)

    assert recover_message_signer("pay", message_signature("pay")) == one
    assert recover_message_signer("pay", message_signature("pay", secret=2)) != one
    assert recover_message_signer("pay more", message_signature("pay")) != one


@pytest.mark.parametrize(
    "signature", [b"", b"\x01" * 64, b"\x01" * 64 + b"\x05", b"\xff" * 64 + b"\x1b"]
)
def test_what_is_no_signature_is_refused(signature: bytes) -> None:
    with pytest.raises(ValueError, match="signature"):
        recover_message_signer("pay", signature)


@pytest.mark.parametrize("r", [0, 5, ORDER])
def test_numbers_that_no_key_signs_are_refused(r: int) -> None:
    with pytest.raises(ValueError, match="no key makes such a signature"):
        recover_address(keccak256(b"x"), Signature(y_parity=0, r=r, s=1))
