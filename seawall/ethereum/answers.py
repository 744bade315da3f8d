"""What an endpoint said to a JSON-RPC call: a result, a refusal, or nonsense.

Four kinds, because a client must do something else with each:

- :class:`Result`: what was asked for.
- :class:`CallRefused`: the node judged this very call and said no (it would revert, its nonce is
  used). Every other node would say the same, so nobody else is asked.
- :class:`ServiceRefused`: the endpoint does not serve just now (a spent plan, an overloaded or
  syncing node, a gateway without one), or lacks the block asked for. Another endpoint may.
- :class:`Nonsense`: no answer to this call. Another endpoint may give one.

Neither HTTP statuses nor error codes tell refusals apart, because clients do not agree on them:
Besu has sent errors with HTTP 400 (github.com/besu-eth/besu/issues/4212), RSK sends them with 500
(github.com/rsksmart/rskj/issues/973);
TheRPC sends a spent plan with HTTP 200 (github.com/reown-com/blockchain-api/pull/1102); -32005 is
"limit exceeded" in EIP-1474 (https://eips.ethereum.org/EIPS/eip-1474), and in Besu a transaction
that exceeds the block's gas limit; -32001 is "resource not found" there, and here a used nonce
(besu: ethereum/api/.../jsonrpc/internal/response/RpcErrorType.java). So the words of a node about a
call come first, then the codes and words of limits, then the HTTP status.

Everything here is pure. Reasons repeat what an endpoint said, at any length and with any key in it:
the client cleans them before it shows them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any, TypeAlias


class Cause(Enum):
    """Why a node refused a call."""

    ALREADY_KNOWN = "the pool has these very bytes"
    NONCE_USED = "a block has a transaction with this nonce"
    UNDERPRICED = "the fee is too low, or too low to replace another transaction"
    UNFUNDED = "the sender cannot pay for it"
    REVERTED = "the contract reverted"
    INVALID = "the transaction breaks a rule of the network"
    OTHER = "the node's own reason"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was asked for, as JSON has it."""

    value: Any


@dataclass(frozen=True, kw_only=True)
class CallRefused:
    """The node judged this call and refused it; ``reason`` is its text."""

    cause: Cause
    reason: str


@dataclass(frozen=True, kw_only=True)
class ServiceRefused:
    """The endpoint does not serve now, whatever it is asked."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Nonsense:
    """Neither a result nor a refusal."""

    reason: str


Answer: TypeAlias = Result | CallRefused | ServiceRefused | Nonsense

_REVERTED_CODE = 3
"""geth: internal/ethapi/errors.go; the text may hold any words, because a contract chose them."""

_WORDS: tuple[tuple[Cause, re.Pattern[str]], ...] = (
    # geth: vm.ErrExecutionReverted; Nethermind and Besu say it with another code; OpenEthereum's
    # "VM execution error." has the cause in its data.
    (Cause.REVERTED, re.compile(r"\brevert(?:ed)?\b|\bvm execution error")),
    # geth, reth, Erigon (txpoolcfg.go, AlreadyKnown) and Nethermind of 2026 (TxPoolErrorMessages)
    # "already known"; Nethermind before "AlreadyKnown" (AcceptTxResult.cs); Besu and geth before
    # 1.9.11 "known transaction"; OpenEthereum "Transaction with the same hash was already imported"
    # (rpc/src/v1/helpers/errors.rs); anvil "already Imported" (crates/anvil/src/eth/error.rs);
    # Erigon "existing txn with same hash" (DuplicateHash). An unknown transaction type is not it.
    (
        Cause.ALREADY_KNOWN,
        re.compile(
            r"\balready ?known\b|\bknown transaction\b|\balready imported\b"
            r"|\bexisting txn? with same hash\b"
        ),
    ),
    # geth, Besu, Erigon, anvil "nonce too low"; OpenEthereum "nonce is too low"; Nethermind before
    # 2026 "OldNonce".
    (Cause.NONCE_USED, re.compile(r"\bnonce (?:is )?too low\b|\boldnonce\b")),
    # geth "transaction underpriced", "replacement transaction underpriced"; OpenEthereum "gas price
    # is too low"; Besu "Gas price below"; anvil "insufficient gas price to replace", "max fee per
    # gas less than block base fee"; Erigon "fee too low"; Nethermind "FeeTooLow",
    # "ReplacementNotAllowed".
    (
        Cause.UNDERPRICED,
        re.compile(
            r"\bunderpriced\b|\bgas price (?:is too low|below|to replace)|\bfee ?(?:is )?too ?low"
            r"|\bless than block base fee\b|\bcould not replace existing tx\b"
            r"|\breplacementnotallowed\b"
        ),
    ),
    # geth, anvil, Erigon, OpenEthereum "insufficient funds"; Nethermind "InsufficientFunds"; Besu
    # "Upfront cost exceeds account balance".
    (Cause.UNFUNDED, re.compile(r"\binsufficient ?funds\b|\bcost exceeds account balance\b")),
    # geth "exceeds block gas limit", "nonce too high", "intrinsic gas too low", "invalid sender";
    # Nethermind "GasLimitExceeded"; Besu "Invalid signature" under the code that others give a node
    # without its pool.
    (
        Cause.INVALID,
        re.compile(
            r"\bgas ?limit|\bintrinsic ?gas|\bnonce too (?:high|far|distant)|\binvalid s"
            r"(?:ender|ignature)\b|\btoo ?large\b|\boversized data\b|\bsize exceeded\b"
        ),
    ),
)

_SERVICE_CODES = frozenset(
    {
        402,  # Infura: the day's credits are spent (docs.metamask.io, "Avoid rate limiting")
        429,  # Alchemy: too many requests, also with HTTP 200
        -32002,  # EIP-1474: resource unavailable; geth: request timed out; Besu: no pool yet
        -32005,  # EIP-1474: limit exceeded
        -32029,  # TheRPC: rate limit, with HTTP 200
        -32603,  # JSON-RPC 2.0: internal error; Besu: timeout expired
        -39001,  # execution-apis: unknown block, as a node says of `finalized` after its restart
    }
)
_SERVICE_WORDS = re.compile(
    r"rate.?limit|limit(?:ed| exceeded| reached)|request (?:count|rate) exceeded|too many requests"
    r"|capacity exceeded|exceeded its|quota|ran out of cu|time(?:d )?out|timeout|deadline exceeded"
    r"|unauthorized|invalid api key|overloaded|temporarily|unavailable|not available"
    r"|pool is full|too many transactions in the queue"
    r"|\bsync(?:ing|ed)?\b|unknown block|(?:block|header|resource) not found|header for hash"
    r"|missing trie node|currently canonical"
)
"""Providers' words for limits, and clients' for a block or a state that they lack.

QuickNode "credits limited to" (github.com/latticexyz/mud/issues/1522); Base "over rate limit"
(github.com/base/node/issues/368). geth "header for hash not found", "hash is not currently
canonical" (eth/api_backend.go), "missing trie node"; Besu "World state unavailable"; anvil
"Resource not found"; Erigon "block not found".
"""
_JUDGED_STATUSES = frozenset({HTTPStatus.BAD_REQUEST})
"""Statuses other than 2xx under which an error that is not recognised is one of the call."""


def read_answer(*, status: int, body: bytes, identity: int) -> Answer:
    """What an endpoint said to the call ``identity``.

    Args:
        status: The HTTP status.
        body: The whole body.
        identity: The id of the call; a result with another one is nonsense.
    """
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return _without_json(status)
    return _read(status, said, identity)


def read_batch(*, status: int, body: bytes, size: int) -> Sequence[Answer]:
    """What an endpoint said to the calls 0 to ``size`` - 1 of a batch, in that order.

    Answers may come in any order. An endpoint that answers the batch as a whole, as for a spent
    plan, has answered each call so.
    """
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return [_without_json(status)] * size
    if not isinstance(said, list):
        return [_read(status, said, None)] * size
    by_id = {str(each.get("id")): each for each in said if isinstance(each, dict)}
    return [_read(status, by_id.get(str(identity)), identity) for identity in range(size)]


def _without_json(status: int) -> Answer:
    if _is_success(status):
        return Nonsense(reason="the body is no JSON")
    return ServiceRefused(reason=f"HTTP {status}")


def _read(status: int, said: Any, identity: int | None) -> Answer:
    """``identity`` None: a whole batch was answered at once, which only an error can do."""
    if not isinstance(said, dict):
        if _is_success(status):
            return Nonsense(reason=f"{said!r} is no answer")
        return ServiceRefused(reason=f"HTTP {status}")
    error = said.get("error")
    # A node that could not read the request does not know its id (JSON-RPC 2.0, section 5).
    if said.get("id") != identity and (error is None or said.get("id") is not None):
        return Nonsense(reason=f"the answer is to the call {said.get('id')!r}")
    if isinstance(error, dict):
        return _read_error(status, error)
    if not _is_success(status):
        return ServiceRefused(reason=f"HTTP {status}")
    if error is not None:
        return Nonsense(reason=f"{error!r} is no error object")
    if "result" not in said or identity is None:
        return Nonsense(reason=f"{said!r} has neither result nor error")
    return Result(value=said["result"])


def _read_error(status: int, error: dict[str, Any]) -> Answer:
    code, message = error.get("code"), error.get("message")
    reason = message if isinstance(message, str) and message else f"error {code!r}"
    words = reason.lower()
    if code == _REVERTED_CODE:
        return CallRefused(cause=Cause.REVERTED, reason=reason)
    for cause, pattern in _WORDS:
        if pattern.search(words):
            return CallRefused(cause=cause, reason=reason)
    if not (_is_success(status) or status in _JUDGED_STATUSES):
        return ServiceRefused(reason=f"HTTP {status}: {reason}")
    if (isinstance(code, int) and code in _SERVICE_CODES) or _SERVICE_WORDS.search(words):
        return ServiceRefused(reason=reason)
    return CallRefused(cause=Cause.OTHER, reason=reason)


def _is_success(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
