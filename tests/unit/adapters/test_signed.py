"""Signed bytes say what they do; whoever stored them is not asked."""

from __future__ import annotations

import pytest

from adapters.reference_venue.signed import read_signed
from seawall.errors import EvidenceError
from seawall.ethereum.keys import address_of_private_key, keccak256, sign_locally
from venue.chain.transaction import (
    Fees,
    Intent,
    encode_signed,
    fees,
    signing_hash,
    transaction_hash,
)

SECRET, OTHER = keccak256(b"a lane"), keccak256(b"another")
INTENT = Intent(
    chain_id=73311,
    sender=address_of_private_key(SECRET),
    nonce=7,
    to="0x" + "ab" * 20,
    value=10**21,
    data=b"\x01" * 300,
)
CHEAP = fees(base_fee_wei=0, gas_limit=500_000)
DEAR = fees(base_fee_wei=100 * 10**9, gas_limit=500_000)


def signed(intent: Intent, fee: Fees, *, secret: bytes = SECRET) -> bytes:
    return encode_signed(intent, fee, sign_locally(signing_hash(intent, fee), secret=secret))


@pytest.mark.parametrize(
    "intent",
    [INTENT, Intent(chain_id=1, sender=INTENT.sender, nonce=0, to=None, value=0, data=b"")],
)
@pytest.mark.parametrize("fee", [CHEAP, DEAR])
def test_the_digest_is_that_of_the_slot_whatever_the_fees(intent: Intent, fee: Fees) -> None:
    """As the venue has it on record, read without the venue's code."""
    raw = signed(intent, fee)
    found = read_signed(raw)
    assert found.digest == intent.digest.hex()
    assert found.tx_hash == transaction_hash(raw)


@pytest.mark.parametrize(
    "changes",
    [{"to": "0x" + "99" * 20}, {"value": 1}, {"data": b""}, {"nonce": 8}, {"chain_id": 73312}],
)
def test_a_replacement_that_does_something_else_has_another_digest(
    changes: dict[str, object],
) -> None:
    fields = {
        name: getattr(INTENT, name)
        for name in ("chain_id", "sender", "nonce", "to", "value", "data")
    }
    other = Intent(**{**fields, **changes})
    assert read_signed(signed(other, DEAR)).digest != INTENT.digest.hex()


def test_one_that_another_key_has_signed_has_another_digest() -> None:
    assert read_signed(signed(INTENT, DEAR, secret=OTHER)).digest != INTENT.digest.hex()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x01",
        b"\x02",
        b"\x02\xc0",
        b"\x02" + b"\xcc" + b"\x80" * 12,
        signed(INTENT, DEAR)[:-1],
        signed(INTENT, DEAR) + b"\x00",
    ],
)
def test_bytes_that_are_no_transaction_are_no_evidence(raw: bytes) -> None:
    with pytest.raises(EvidenceError, match="no signed transaction"):
        read_signed(raw)
