"""What an endpoint said: the dialects of clients and providers, with their HTTP statuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seawall.ethereum.answers import (
    Answer,
    CallRefused,
    Cause,
    Nonsense,
    Result,
    ServiceRefused,
    read_answer,
    read_batch,
)

CALL = 7


def said(status: int = 200, **body: Any) -> Answer:
    """The answer in a JSON body to the call 7."""
    whole = {"jsonrpc": "2.0", "id": CALL, **body}
    return read_answer(status=status, body=json.dumps(whole).encode(), identity=CALL)


def said_error(code: int, message: str, status: int = 200) -> Answer:
    return said(status, error={"code": code, "message": message})


def test_a_result_is_a_result_also_if_it_is_null() -> None:
    assert said(result="0x1") == Result(value="0x1")
    assert said(result=None) == Result(value=None)
    assert said(result="0x1", error=None) == Result(value="0x1")


@pytest.mark.parametrize(
    ("cause", "code", "message"),
    [
        (Cause.ALREADY_KNOWN, -32000, "already known"),  # geth, reth, Nethermind of 2026
        (Cause.ALREADY_KNOWN, -32000, "known transaction: 0xabc"),  # geth before 1.9.11
        (Cause.ALREADY_KNOWN, -32010, "AlreadyKnown"),  # Nethermind
        (Cause.ALREADY_KNOWN, -32000, "Known transaction"),  # Besu
        (Cause.ALREADY_KNOWN, -32010, "Transaction with the same hash was already imported."),
        (Cause.ALREADY_KNOWN, -32003, "Tx: [0xabc] already Imported"),  # anvil
        (Cause.ALREADY_KNOWN, -32003, "transaction already imported"),  # anvil
        (Cause.ALREADY_KNOWN, -32000, "ALREADY_EXISTS: already known"),  # Erigon
        (Cause.ALREADY_KNOWN, -32000, "existing txn with same hash"),  # Erigon
        (Cause.NONCE_USED, -32000, "nonce too low: next nonce 5, tx nonce 4"),  # geth
        (Cause.NONCE_USED, -32001, "Nonce too low"),  # Besu
        (Cause.NONCE_USED, -32010, "OldNonce, Current nonce: 5, nonce of rejected tx: 4"),
        (Cause.NONCE_USED, -32010, "Transaction nonce is too low. Try incrementing the nonce."),
        (Cause.NONCE_USED, -32010, "transaction nonce too low"),  # RSK
        (Cause.UNDERPRICED, -32000, "replacement transaction underpriced"),
        (Cause.UNDERPRICED, -32009, "Gas price below configured minimum gas price"),  # Besu
        (Cause.UNDERPRICED, -32010, "FeeTooLowToCompete"),  # Nethermind
        (Cause.UNDERPRICED, -32003, "max fee per gas less than block base fee"),  # anvil
        (  # OpenEthereum
            Cause.UNDERPRICED,
            -32010,
            "Transaction gas price is too low. There is another transaction with same nonce",
        ),
        (Cause.UNFUNDED, -32000, "insufficient funds for gas * price + value: balance 0"),
        (Cause.UNFUNDED, -32004, "Upfront cost exceeds account balance"),  # Besu
        (Cause.UNFUNDED, -32010, "InsufficientFunds, Balance is 0"),  # Nethermind
        (Cause.INVALID, -32005, "Transaction gas limit exceeds block gas limit"),  # Besu
        (Cause.INVALID, -32002, "Invalid signature"),  # Besu
        (Cause.INVALID, -32000, "intrinsic gas too low"),
        (Cause.INVALID, -32010, "GasLimitExceeded"),  # Nethermind
        (Cause.REVERTED, 3, "execution reverted: rate limit exceeded"),  # geth; a contract's words
        (Cause.REVERTED, 3, "already known"),  # a contract's words alone
        (Cause.REVERTED, -32000, "Execution reverted"),  # Besu
        (Cause.REVERTED, -32603, "VM Exception while processing transaction: revert"),
        (Cause.REVERTED, -32015, "VM execution error."),  # OpenEthereum
        (Cause.OTHER, -32602, "Failed to decode transaction"),  # anvil
        (Cause.OTHER, -32601, "the method eth_x is not served here"),
        (Cause.OTHER, -32003, "Unknown transaction type not supported"),  # anvil
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_a_refusal_of_a_call_is_recognised_in_every_dialect_also_behind_http_400(
    cause: Cause, code: int, message: str, status: int
) -> None:
    assert said_error(code, message, status) == CallRefused(cause=cause, reason=message)


def test_words_about_the_call_count_behind_any_http_status() -> None:
    """RSK answers so with 500 (rsksmart/rskj#973)."""
    found = said_error(-32010, "transaction nonce too low", 500)

    assert found == CallRefused(cause=Cause.NONCE_USED, reason="transaction nonce too low")


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (200, -32005, "daily request count exceeded, request rate limited"),  # Infura
        (200, -32005, "ran out of cu"),  # MegaNode
        (200, -32029, "rate limit exceeded"),  # TheRPC
        (200, -32012, "credits limited to 6000/sec"),  # QuickNode
        (200, -32007, "50/second request limit reached"),  # QuickNode
        (200, -32016, "over rate limit"),  # Base
        (200, 429, "Your app has exceeded its compute units per second capacity."),  # Alchemy
        (429, 429, "Your app has exceeded its compute units per second capacity."),
        (402, 402, "Payment Required"),  # Infura
        (403, -32601, "rpc method is not whitelisted"),  # MegaETH
        (200, -32000, "429 Too Many Requests: {...}"),
        (200, -32000, "Unauthorized"),  # MegaNode
        (200, -32002, "request timed out"),  # geth
        (200, -32000, "execution aborted (timeout = 5s)"),  # geth
        (200, -32603, "Timeout expired"),  # Besu
        (200, -32603, "Internal error"),
        (500, -32603, "Internal error"),
        (503, -32003, "backend unavailable"),
        (200, -32002, "Transaction pool not enabled. (Either txpool explicitly disabled)"),  # Besu
        (200, -32000, "txpool is full"),  # geth
        (200, -32010, "There are too many transactions in the queue. Your transaction was dropped"),
        (200, -32008, "Initial sync is still in progress"),  # Besu
        (200, -39001, "unknown block"),  # reth, after its restart
        (200, -32000, "header for hash not found"),  # geth
        (200, -32000, "hash is not currently canonical"),  # geth
        (200, -32001, "Resource not found"),  # anvil
        (200, -32000, "World state unavailable"),  # Besu
        (400, -32000, "Block not found"),
    ],
)
def test_a_refusal_of_service_is_recognised_whatever_its_status_and_code(
    status: int, code: int, message: str
) -> None:
    found = said_error(code, message, status)

    assert isinstance(found, ServiceRefused)
    assert message in found.reason


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503, 504, 302, 400])
def test_a_gateways_page_is_a_refusal_of_service(status: int) -> None:
    page = read_answer(status=status, body=b"<html>no</html>", identity=CALL)

    assert page == ServiceRefused(reason=f"HTTP {status}")
    assert said(status, result="0x1") == ServiceRefused(reason=f"HTTP {status}")
    assert said(status) == ServiceRefused(reason=f"HTTP {status}")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"\xff\xfe",
        b"null",
        b"7",
        b'"0x1"',
        b"[]",
        b'[{"jsonrpc": "2.0", "id": 7, "result": "0x1"}]',
        b"{}",
        b'{"jsonrpc": "2.0", "id": 7}',
        b'{"jsonrpc": "2.0", "id": 8, "result": "0x1"}',
        b'{"jsonrpc": "2.0", "id": null, "result": "0x1"}',
        b'{"jsonrpc": "2.0", "id": 8, "error": {"code": -32000, "message": "nonce too low"}}',
        b'{"jsonrpc": "2.0", "id": 7, "error": "no"}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_to_the_call_is_nonsense(body: bytes) -> None:
    """An answer to another call must never be taken for one to this."""
    assert isinstance(read_answer(status=200, body=body, identity=CALL), Nonsense)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({"code": -32000}, "error -32000"),
        ({"code": -32000, "message": None}, "error -32000"),
        ({"code": [], "message": {}}, "error []"),
        ({}, "error None"),
    ],
)
def test_an_error_without_words_is_still_a_refusal(error: dict[str, Any], reason: str) -> None:
    assert said(error=error) == CallRefused(cause=Cause.OTHER, reason=reason)


def test_an_error_without_an_id_is_an_answer() -> None:
    """A node that could not read the request does not know its id."""
    found = said(id=None, error={"code": -32700, "message": "parse error"})

    assert found == CallRefused(cause=Cause.OTHER, reason="parse error")


def test_the_answers_of_a_batch_come_in_any_order_and_each_is_judged() -> None:
    answers = [
        {"id": 2, "error": {"code": -32005, "message": "limit exceeded"}},
        {"id": 0, "result": "0x1"},
        "nonsense",
        {"id": [], "result": "0x1"},
    ]
    found = read_batch(status=200, body=json.dumps(answers).encode(), size=3)

    assert found == [
        Result(value="0x1"),
        Nonsense(reason="None is no answer"),
        ServiceRefused(reason="limit exceeded"),
    ]


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (429, b"slow down", ServiceRefused(reason="HTTP 429")),
        (200, b"slow down", Nonsense(reason="the body is no JSON")),
        (
            200,
            b'{"id": null, "error": {"code": -32005, "message": "limit exceeded"}}',
            ServiceRefused(reason="limit exceeded"),
        ),
        (
            200,
            b'{"id": null, "result": 1}',
            Nonsense(reason="{'id': None, 'result': 1} has neither result nor error"),
        ),
    ],
)
def test_a_batch_that_is_answered_as_a_whole_is_answered_so_for_each_call(
    status: int, body: bytes, answer: Answer
) -> None:
    assert read_batch(status=status, body=body, size=2) == [answer, answer]
