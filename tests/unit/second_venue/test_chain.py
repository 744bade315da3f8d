"""What the second venue signs is what the reference venue's code, written apart, makes of it."""

from __future__ import annotations

import pytest

from seawall.ethereum.keys import address_of_private_key, sign_locally
from tests.testing.second_venue.chain import (
    BASE_FEE_FACTOR,
    NATIVE_GAS,
    TIP_WEI,
    TOKEN_GAS,
    address_of,
    sign_transfer,
)
from tests.testing.second_venue_books import SECRET, TOKEN, address
from venue.chain.transaction import Fees, Intent, encode_signed, signing_hash, transaction_hash
from venue.contracts.calls import transfer

KEY = bytes.fromhex(SECRET)
BASE_FEE_WEI = 10**9


@pytest.mark.parametrize("token", [None, TOKEN])
def test_both_venues_would_send_the_same_bytes(token: str | None) -> None:
    signed = sign_transfer(
        KEY,
        chain_id=73311,
        nonce=3,
        token=token,
        address=address(1),
        amount=12_345,
        base_fee_wei=BASE_FEE_WEI,
    )
    intent = Intent(
        chain_id=73311,
        sender=address_of(KEY),
        nonce=3,
        to=token or address(1),
        value=0 if token else 12_345,
        data=transfer(address(1), 12_345) if token else b"",
    )
    fees = Fees(
        gas_limit=TOKEN_GAS if token else NATIVE_GAS,
        max_fee_wei=BASE_FEE_FACTOR * BASE_FEE_WEI + TIP_WEI,
        priority_fee_wei=TIP_WEI,
    )
    expected = encode_signed(intent, fees, sign_locally(signing_hash(intent, fees), secret=KEY))
    assert signed.raw == expected
    assert signed.tx_hash == transaction_hash(expected)


def test_both_venues_agree_on_addresses() -> None:
    assert address_of(KEY) == address_of_private_key(KEY)
