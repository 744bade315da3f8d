"""Answers and events of the payout contract: what it cannot have said is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import vyper
from eth_abi.abi import encode
from vyper.compiler.input_bundle import FilesystemInputBundle

from seawall.ethereum.keys import event_topic
from seawall.evidence.chain import FAILED_TOPIC, PAID_TOPIC
from tests.testing.nodes import CONTRACT, FAILED, PAID, id_topic, item, receipt
from venue.contracts import calls
from venue.contracts.calls import (
    ITEMS_MAX,
    NATIVE,
    Call,
    Events,
    Item,
    cancel,
    decode_paid_many,
    generation_of,
    is_sweep,
    outflow,
    packed,
    pay,
    read_call,
    read_events,
    refill,
    refilled,
    sweep_number,
)

TX = "0x" + "01" * 32
SEVEN = [f"0x{7:064x}", id_topic(UUID(int=7))]


def test_a_refill_moves_nothing_out_of_a_wallet_and_is_read_in_one_layout() -> None:
    """Only the contract that pays for gas takes it, so a signer must tell it from the others."""
    key = "0x" + "ab" * 20
    data = refill(key)
    assert (refilled(data), outflow(data), calls.payments(data)) == (key, {}, [])
    assert read_call(data) == Call(refilled=key)
    for other in (data + b"\0", data[:-1], data[:4] + b"\1" + data[5:], pay([item(1)]), b""):
        assert refilled(other) is None
    with pytest.raises(ValueError, match="no call that the venue makes"):
        read_call(data + b"\0")


def test_bits_are_by_the_numbers_that_were_asked_for() -> None:
    answer = encode(("bool[]",), ([True, False],))

    assert decode_paid_many(answer, [7, 9]) == {7: True, 9: False}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        bytes(31),
        bytes(32),
        encode(("bool[]",), ([True],)),
        encode(("bool[]",), ([True, True, True],)),
        encode(("uint256[]",), ([2, 2],)),
        b"\xff" * 96,
    ],
)
def test_bits_that_are_not_one_for_each_number_are_an_error(answer: bytes) -> None:
    """Else a number would get the bit of another, or none."""
    with pytest.raises(ValueError, match=r".+"):
        decode_paid_many(answer, [7, 9])


def test_events_of_other_contracts_and_other_events_are_left_out() -> None:
    logs = receipt(TX, 5, [7])["logs"]
    failed = {
        "address": CONTRACT.upper().replace("X", "x"),
        "topics": [FAILED, f"0x{8:064x}", id_topic(UUID(int=8))],
    }
    other = {"address": CONTRACT, "topics": ["0x" + "02" * 32, f"0x{9:064x}"], "data": "0x"}
    foreign = {**logs[0], "address": "0x" + "dd" * 20}

    found = read_events([*logs, {**failed, "data": "0x"}, other, foreign], contract=CONTRACT)

    assert found == Events(paid={7: item(7)}, failed=frozenset({(8, UUID(int=8))}))


@pytest.mark.parametrize(
    "log",
    [
        {"topics": [PAID], "data": "0x"},
        {"topics": [PAID, *SEVEN], "data": "0x"},
        {"topics": [PAID, *SEVEN, f"0x{7:064x}"], "data": "0x"},
        {"topics": [PAID, *SEVEN, f"0x{7:064x}"], "data": "0x" + "ff" * 64},
        {"topics": [FAILED], "data": "0x"},
        {"topics": [FAILED, *SEVEN, f"0x{7:064x}"], "data": "0x"},
        {"topics": [FAILED, f"0x{7:064x}", f"0x{7:064x}"], "data": "0x"},
        {"topics": [FAILED, f"0x{7:064x}", "0x07"], "data": "0x"},
    ],
)
def test_an_event_that_the_contract_cannot_have_emitted_is_an_error(log: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_events([{"address": CONTRACT, **log}], contract=CONTRACT)


def test_numbers_of_two_generations_are_never_the_same() -> None:
    """The first generation's are what they are without one; what does not fit is an error."""
    largest = (1 << 40) - 1

    assert [packed(0, 7), packed(1, 7), packed(3, largest)] == [7, (1 << 40) + 7, (4 << 40) - 1]
    assert [generation_of(packed(each, largest)) for each in (0, 1, 9)] == [0, 1, 9]
    with pytest.raises(ValueError, match="is no number of a generation"):
        packed(0, largest + 1)


def test_numbers_of_sweeps_and_of_withdrawals_are_never_the_same() -> None:
    """A hot wallet's contract pays both, and a restore tells them apart by their numbers."""
    largest = (1 << 39) - 1
    sweeps = [sweep_number(0, 0), sweep_number(2, 7), sweep_number(2, largest)]

    assert sweeps == [1 << 39, (2 << 40) + (1 << 39) + 7, (3 << 40) - 1]
    assert all(map(is_sweep, sweeps))
    assert [generation_of(each) for each in sweeps] == [0, 2, 2]
    assert not any(is_sweep(packed(each, largest)) for each in (0, 1, 9))
    for number in (-1, largest + 1):
        with pytest.raises(ValueError, match="is no number of a sweep"):
            sweep_number(0, number)


@pytest.mark.parametrize("contract", ["payout", "reserve"])
def test_the_compiled_contracts_have_the_events_that_are_read(contract: str) -> None:
    """By the venue, and by the reader of evidence, which shares no code with it."""
    folder = Path(calls.__file__).parent
    path = folder / f"{contract}.vy"
    abi = vyper.compile_code(
        path.read_text(encoding="utf-8"),
        contract_path=path,
        input_bundle=FilesystemInputBundle([folder]),
        output_formats=("abi",),
    )["abi"]
    events = {
        each["name"]: event_topic(
            f"{each['name']}({','.join(field['type'] for field in each['inputs'])})"
        )
        for each in abi
        if each["type"] == "event"
    }

    assert (events["Paid"], events["Failed"]) == (PAID_TOPIC, FAILED_TOPIC)
    assert [events["Paid"], events["Failed"], events["Cancelled"]] == [
        calls._PAID,
        calls._FAILED,
        calls._CANCELLED,
    ]


def test_calldata_is_read_as_it_was_written() -> None:
    """A restore learns from it what a lost ledger had the chain do."""
    numbers = [item(7).number, item(packed(1, 8)).number]

    assert read_call(calls.pay([item(7), item(8)])) == Call(items=(item(7), item(8)))
    assert read_call(calls.cancel(numbers)) == Call(numbers=tuple(numbers))
    assert read_call(calls.cancel([])) == Call()
    assert read_call(calls.open_generation(3)) == Call(generation=3)
    for other in (b"", calls.mint("0x" + "11" * 20, 5), calls.pay([item(7)])[:-1]):
        with pytest.raises(ValueError, match=r".+"):
            read_call(other)


TOKEN = "0x" + "0d" * 20


def _paying(*amounts: tuple[str, int]) -> bytes:
    return pay(
        [
            Item(seq=seq, id=UUID(int=seq), to="0x" + "ee" * 20, token=token, amount=amount)
            for seq, (token, amount) in enumerate(amounts)
        ]
    )


def test_what_a_call_moves_is_summed_by_token() -> None:
    """A cancellation moves nothing, nor does a batch without items."""
    assert outflow(_paying((TOKEN, 2), (NATIVE, 5), (TOKEN, 2**255))) == {
        TOKEN: 2 + 2**255,
        NATIVE: 5,
    }
    assert outflow(_paying(*[(TOKEN, 1)] * ITEMS_MAX)) == {TOKEN: ITEMS_MAX}
    assert (
        outflow(cancel([(1, UUID(int=1))]))
        == outflow(calls.open_generation(3))
        == outflow(cancel([]))
        == outflow(pay([]))
        == {}
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x07",
        bytes(4),
        _paying((TOKEN, 1))[:-1],
        _paying((TOKEN, 1)) + bytes(32),
        _paying((TOKEN, 1))[:4],
        _paying(*[(TOKEN, 1)] * (ITEMS_MAX + 1)),
        # An offset further behind: the contract would read other payments than the first ones.
        _paying((TOKEN, 1))[:35] + b"\x40" + _paying((TOKEN, 1))[36:],
        # A token that the contract would refuse, and another reader might cut off.
        _paying((TOKEN, 1))[:164] + b"\x01" + _paying((TOKEN, 1))[165:],
        # An id of more than 16 bytes.
        _paying((TOKEN, 1))[:127] + b"\x01" + _paying((TOKEN, 1))[128:],
        calls.open_generation(3) + bytes(32),
    ],
)
def test_a_call_in_another_layout_is_an_error(data: bytes) -> None:
    """Signer and contract must see the same payments, so there is one way to write them."""
    with pytest.raises(ValueError, match=r".+"):
        outflow(data)
