"""A proof of key control is no transaction, says what it is for, and names its signer."""

from __future__ import annotations

import pytest
from coincurve import PrivateKey

from seawall.keys.proofs import (
    is_proof_text,
    message_hash,
    proof_text,
    recoverable,
    recovered_address,
)

PARTS = {
    "stack": "sandbox",
    "name": "customer-aster-hot",
    "key": "mrk-0123456789abcdef",
    "region": "us-east-1",
    "time": "2026-11-24T20:00:00Z",
    "challenge": "0123456789abcdef",
}
KEY_ONE = "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"


def signed(text: str, secret: int = 1) -> bytes:
    compact = PrivateKey(secret.to_bytes(32, "big")).sign_recoverable(
        message_hash(text), hasher=None
    )
    return recoverable(
        r=int.from_bytes(compact[:32], "big"),
        s=int.from_bytes(compact[32:64], "big"),
        y_parity=compact[64],
    )


def test_the_hash_is_that_of_a_personal_message() -> None:
    """The known hash of ``hello`` under EIP-191, as wallets compute it."""
    assert (
        message_hash("hello").hex()
        == "50b2c43fd39106bafbba0da34fc430e1f91e3c96ea2acee2bc34119f92b37750"
    )


def test_a_signature_recovers_to_the_address_of_its_key() -> None:
    text = proof_text(**PARTS)
    assert recovered_address(text, signed(text)) == KEY_ONE
    assert recovered_address(text, signed(text, secret=2)) != KEY_ONE


def test_a_signature_of_another_text_recovers_to_another_address() -> None:
    text = proof_text(**PARTS)
    other = proof_text(**{**PARTS, "time": "2026-11-24T20:00:01Z"})
    assert recovered_address(other, signed(text)) != KEY_ONE


@pytest.mark.parametrize(
    "signature", [b"", b"\x01" * 64, b"\x01" * 64 + b"\x05", b"\xff" * 64 + b"\x1b"]
)
def test_what_is_no_signature_is_refused(signature: bytes) -> None:
    with pytest.raises(ValueError, match="signature"):
        recovered_address(proof_text(**PARTS), signature)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("stack", "a\nname: b"),
        ("name", ""),
        ("time", "now"),
        ("challenge", "xyz"),
        ("region", "us east"),
        ("key", "arn:aws:kms:us-east-1:1:key/a"),
    ],
)
def test_parts_that_would_say_something_else_are_refused(part: str, value: str) -> None:
    with pytest.raises(ValueError, match="not the parts of a proof"):
        proof_text(**{**PARTS, part: value})


def test_only_whole_texts_are_proofs() -> None:
    text = proof_text(**PARTS)
    assert is_proof_text(text)
    assert not is_proof_text(text + "\n")
    assert not is_proof_text("pay " + text)
    assert not is_proof_text("hello")
