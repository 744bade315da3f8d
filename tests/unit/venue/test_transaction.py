"""Transactions and their fees against published vectors and against each other."""

from __future__ import annotations

import pytest
from coincurve import PrivateKey

from seawall.ethereum.keys import Signature, keccak256, recover_address, sign_locally
from venue.chain.transaction import (
    BASE_FEE_HEADROOM,
    MAX_FEE_CEILING_WEI,
    MAX_FEE_FLOOR_WEI,
    PRIORITY_FEE_CEILING_WEI,
    Fees,
    Intent,
    contract_address,
    encode_signed,
    fees,
    raised,
    signing_hash,
    too_cheap,
    transaction_hash,
)

# The first development account that every Ethereum tool derives from "test test ... junk".
SECRET = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
ADDRESS = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"


def test_contract_addresses_match_the_published_vector() -> None:
    """The vector of the yellow paper's CREATE, as used by every wallet library."""
    sender = "0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0"

    assert contract_address(sender, 0) == "0xcd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"
    assert contract_address(sender, 1) == "0x343c43a37d37dff08ae8c4a11544c718abb4fcf8"


def test_a_transaction_encodes_as_the_specification_says() -> None:
    """A hand-made EIP-1559 transaction, byte by byte, and its hash."""
    intent = Intent(chain_id=1, sender=ADDRESS, nonce=0, to="0x" + "11" * 20, value=1, data=b"")
    fee = fees(base_fee_wei=0, gas_limit=21_000)
    raw = encode_signed(intent, fee, Signature(y_parity=1, r=2, s=3))

    head, tail = "02ea0180843b9aca0084b2d05e0082520894", "0180c0010203"
    assert raw.hex() == head + "11" * 20 + tail
    assert transaction_hash(raw) == "0x" + keccak256(raw).hex()


def test_a_signed_transaction_recovers_to_its_sender() -> None:
    """The hash that is signed is the one that a chain recovers the sender from."""
    intent = Intent(
        chain_id=73311,
        sender=ADDRESS,
        nonce=7,
        to="0x" + "ab" * 20,
        value=10**21,
        data=b"\x01" * 300,
    )
    digest = signing_hash(intent, fees(base_fee_wei=10**9, gas_limit=500_000))

    assert recover_address(digest, sign_locally(digest, secret=SECRET)) == ADDRESS
    assert PrivateKey(SECRET).public_key.format() != b""


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": 8},
        {"to": "0x" + "ac" * 20},
        {"value": 2},
        {"data": b"\x02"},
        {"chain_id": 2},
        {"sender": "0x" + "01" * 20},
    ],
)
def test_the_digest_changes_with_every_part_of_the_intent(change: dict[str, object]) -> None:
    """Two intents that differ in anything but fees never share a digest."""
    base = {
        "chain_id": 1,
        "sender": ADDRESS,
        "nonce": 7,
        "to": "0x" + "ab" * 20,
        "value": 1,
        "data": b"\x01",
    }

    assert Intent(**base).digest != Intent(**{**base, **change}).digest  # type: ignore[arg-type]


def test_fees_leave_room_also_on_an_idle_chain() -> None:
    """A multiple of a base fee of a few wei would be no headroom."""
    idle, busy = (fees(base_fee_wei=base, gas_limit=1) for base in (7, 10**9))

    assert idle.max_fee_wei == MAX_FEE_FLOOR_WEI + idle.priority_fee_wei
    assert busy.max_fee_wei == BASE_FEE_HEADROOM * 10**9 + busy.priority_fee_wei


@pytest.mark.parametrize("base_fee_wei", [7, 10**9, 60 * 10**9, 10**12])
@pytest.mark.parametrize("max_fee_wei", [3 * 10**9, 10**11, 8 * 10**12])
def test_a_replacement_offers_what_pools_demand_and_what_a_block_takes(
    max_fee_wei: int, base_fee_wei: int
) -> None:
    """At least a tenth more of both fees (geth's PriceBump), and never more than the ceiling."""
    old = Fees(gas_limit=5, max_fee_wei=max_fee_wei, priority_fee_wei=10**9)
    new = raised(old, base_fee_wei=base_fee_wei)

    assert new is not None
    assert new.gas_limit == old.gas_limit
    assert 10 * new.max_fee_wei >= 11 * old.max_fee_wei
    assert 10 * new.priority_fee_wei >= 11 * old.priority_fee_wei
    assert new.max_fee_wei <= MAX_FEE_CEILING_WEI
    assert not too_cheap(new, base_fee_wei=base_fee_wei)


@pytest.mark.parametrize(
    ("max_fee_wei", "base_fee_wei"),
    [(MAX_FEE_CEILING_WEI, 7), (MAX_FEE_CEILING_WEI * 9 // 10, 7), (10**11, MAX_FEE_CEILING_WEI)],
)
def test_nothing_is_replaced_for_more_than_the_ceiling(max_fee_wei: int, base_fee_wei: int) -> None:
    old = Fees(gas_limit=5, max_fee_wei=max_fee_wei, priority_fee_wei=10**9)
    assert raised(old, base_fee_wei=base_fee_wei) is None


def test_a_tip_is_doubled_only_if_the_base_fee_explains_nothing_and_never_above_its_ceiling() -> (
    None
):
    """What a block maker gets is paid in full, whatever the fee per gas leaves."""
    old = Fees(gas_limit=5, max_fee_wei=3 * 10**9, priority_fee_wei=10**9)
    dear, passed_over = (raised(old, base_fee_wei=base) for base in (60 * 10**9, 7))
    assert dear is not None
    assert passed_over is not None
    assert dear.priority_fee_wei == 113 * 10**7
    assert passed_over.priority_fee_wei == 2 * 10**9
    high = Fees(
        gas_limit=5, max_fee_wei=10**12, priority_fee_wei=PRIORITY_FEE_CEILING_WEI * 6 // 10
    )
    assert raised(high, base_fee_wei=7) is None
