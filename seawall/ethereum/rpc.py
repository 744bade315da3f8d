"""JSON-RPC to Ethereum nodes: one asynchronous client, one synchronous client, one set of rules.

:class:`AsyncRpcClient` has a list of endpoints of one network. An endpoint that does not answer in
time is replaced by the next one. A node that answers with an error has answered:
:class:`NodeRefusedError` never moves a client to another endpoint. :class:`RpcClient` has a single
endpoint and a new connection per call, for programs that ask a few questions.

Neither reads proxy settings from the environment unless asked to: nodes are private, and a proxy
that is meant for the internet must not see or stop their traffic.

Errors:

    ServiceError
    └── RpcError
        ├── NodeSilentError     no endpoint gave a usable answer in time
        └── NodeRefusedError    the node answered with an error; ``reason`` is its text
    UsageError
    └── WrongChainError         the node serves another chain than the configuration says
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import httpx

from seawall.conventions import sabotage
from seawall.errors import ServiceError, UsageError
from seawall.ethereum.keys import selector, to_bytes

TIMEOUT_S = 1.5
"""One answer of one endpoint; a local node needs a few milliseconds, a busy one a few hundred."""
BALANCE_OF = selector("balanceOf(address)")
_WORD_DIGITS = 64

_ALREADY_KNOWN = ("already known", "already imported")
_NONCE_USED = ("nonce too low",)


class RpcError(ServiceError):
    """A network's nodes could not be used."""


class NodeSilentError(RpcError):
    """No endpoint gave a usable answer in time."""


class NodeRefusedError(RpcError):
    """The node answered with an error; ``reason`` is its text."""

    def __init__(self, network: str, method: str, reason: str) -> None:
        super().__init__(f"{network} refused {method}: {reason}")
        self.reason = reason


class WrongChainError(UsageError):
    """The node serves another chain than the configuration says."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """The part of a block that followers need; ``base_fee_wei`` is wei per gas."""

    number: int
    base_fee_wei: int


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What became of a transaction that a block contains.

    ``succeeded`` is false if it reverted; ``logs`` are as the node gives them.
    """

    block_number: int
    block_hash: str
    succeeded: bool
    logs: list[dict[str, Any]]


def balance_of(holder: str) -> bytes:
    """Calldata that asks an ERC-20 token for the balance of ``holder``."""
    return BALANCE_OF + to_bytes(holder.removeprefix("0x").rjust(_WORD_DIGITS, "0"))


def _request(identity: int, method: str, params: Sequence[Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "method": method, "params": params}


def _result(network: str, method: str, answer: Any) -> Any:
    """The result in a node's answer.

    Raises :class:`NodeRefusedError` for an error, ValueError for what is no JSON-RPC answer.
    """
    if not isinstance(answer, dict) or not ("result" in answer or "error" in answer):
        raise ValueError(f"no answer to {method}: {answer!r}")
    if "error" in answer:
        error = answer["error"]
        reason = error.get("message", error) if isinstance(error, dict) else error
        raise NodeRefusedError(network, method, str(reason))
    return answer["result"]


def _check_chain(network: str, served: str, chain_id: int) -> None:
    if int(served, 16) != chain_id:
        raise WrongChainError(
            f"the node of {network} serves chain {int(served, 16)}, not {chain_id}"
        )


class AsyncRpcClient:
    """A network's nodes; endpoints change places when the one in use does not answer.

    ``client`` is closed with this one; it brings its own timeouts. ``tell`` is told of every call
    which endpoint was asked, and whether it gave a usable answer.
    """

    def __init__(
        self,
        network: str,
        urls: Sequence[str],
        *,
        client: httpx.AsyncClient | None = None,
        tell: Callable[[str, bool], None] | None = None,
    ) -> None:
        self.network = network
        self._tell = tell or (lambda _url, _answered: None)
        self._urls = list(urls)
        if sabotage.sabotaged(sabotage.SABOTAGE_RPC_FAILOVER):
            del self._urls[1:]
        self._client = client or httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)
        self._ids = itertools.count(1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def call(self, method: str, *params: Any) -> Any:
        """The result of ``method``.

        Raises :class:`NodeRefusedError`, or :class:`NodeSilentError` if no endpoint answers.
        """
        request = _request(next(self._ids), method, params)
        failures: list[str] = []
        for url in tuple(self._urls):
            try:
                answer = (await self._client.post(url, json=request)).raise_for_status().json()
                result = _result(self.network, method, answer)
            except NodeRefusedError:  # it has answered
                self._tell(url, True)
                raise
            except (httpx.HTTPError, ValueError) as error:
                self._tell(url, False)
                failures.append(f"{url}: {error!r}")
                if self._urls[0] == url:
                    self._urls.append(self._urls.pop(0))
            else:
                self._tell(url, True)
                return result
        raise NodeSilentError(
            f"no endpoint of {self.network} answers {method}: {'; '.join(failures)}"
        )

    async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Results of several calls in one request to the first endpoint, in the order of ``calls``.

        Raises :class:`RpcError`; httpx's errors pass.
        """
        requests = [_request(index, *each) for index, each in enumerate(calls)]
        answers = (await self._client.post(self._urls[0], json=requests)).json()
        if not isinstance(answers, list) or len(answers) != len(requests):
            raise NodeSilentError(f"the node of {self.network} answered {answers!r}")
        by_id = {answer.get("id"): answer for answer in answers}
        try:
            return [
                _result(self.network, each["method"], by_id.get(each["id"])) for each in requests
            ]
        except ValueError as error:
            raise NodeSilentError(f"the node of {self.network}: {error}") from error

    async def check_chain(self, chain_id: int) -> None:
        """Raises :class:`WrongChainError` if the node serves another chain."""
        _check_chain(self.network, await self.call("eth_chainId"), chain_id)

    async def head(self, tag: str = "latest") -> Head:
        """The block that ``tag`` (latest, finalized) names."""
        block = await self.call("eth_getBlockByNumber", tag, False)
        return Head(
            number=int(block["number"], 16), base_fee_wei=int(block.get("baseFeePerGas", "0x0"), 16)
        )

    async def nonce(self, address: str, tag: str = "latest") -> int:
        """The next nonce of ``address``."""
        return int(await self.call("eth_getTransactionCount", address, tag), 16)

    async def balance(self, holder: str, *, token: str | None = None, tag: str = "latest") -> int:
        """Base units at ``holder``: of ``token``, or of the native coin (wei) if that is None."""
        if token is None:
            return int(await self.call("eth_getBalance", holder, tag), 16)
        return int.from_bytes(await self.read(token, balance_of(holder), tag), "big")

    async def read(self, to: str, data: bytes, tag: str = "latest") -> bytes:
        """The answer of the contract ``to`` to calldata ``data``, without a transaction."""
        return to_bytes(await self.call("eth_call", {"to": to, "data": "0x" + data.hex()}, tag))

    async def broadcast(self, raw: bytes) -> None:
        """Hand signed bytes to the node's pool.

        Bytes that the node knows already, or whose nonce is used, are no error.
        """
        try:
            await self.call("eth_sendRawTransaction", "0x" + raw.hex())
        except NodeRefusedError as error:
            if not any(words in error.reason.lower() for words in (*_ALREADY_KNOWN, *_NONCE_USED)):
                raise

    async def receipt(self, tx_hash: str) -> Receipt | None:
        """What became of a transaction; None while no block contains it."""
        found = await self.call("eth_getTransactionReceipt", tx_hash)
        if found is None or found.get("blockHash") is None:
            return None
        return Receipt(
            block_number=int(found["blockNumber"], 16),
            block_hash=found["blockHash"],
            succeeded=int(found["status"], 16) == 1,
            logs=found["logs"],
        )


@dataclass(frozen=True, kw_only=True)
class RpcClient:
    """One node, asked from synchronous code; one connection per call.

    ``through_proxy``: whether the proxy that the environment names is used, for a node of the
    user's beyond it.
    """

    network: str
    url: str
    timeout_s: float
    through_proxy: bool = False

    def call(self, method: str, *params: Any) -> Any:
        """The result of ``method``. Raises :class:`RpcError`."""
        request = _request(1, method, params)
        try:
            with httpx.Client(timeout=self.timeout_s, trust_env=self.through_proxy) as client:
                answer = client.post(self.url, json=request).raise_for_status().json()
            return _result(self.network, method, answer)
        # ImportError: the environment names a SOCKS proxy.
        except (httpx.HTTPError, httpx.InvalidURL, ImportError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise NodeSilentError(
                f"the node of {self.network} does not answer {method}: {reason}"
            ) from error

    def check_chain(self, chain_id: int) -> None:
        """Raises :class:`WrongChainError` if the node serves another chain."""
        _check_chain(self.network, self.call("eth_chainId"), chain_id)

    def balance(self, holder: str, *, token: str | None = None) -> int:
        """Base units at ``holder``: of ``token``, or of the native coin (wei) if that is None."""
        if token is None:
            return int(self.call("eth_getBalance", holder, "latest"), 16)
        call = {"to": token, "data": "0x" + balance_of(holder).hex()}
        return int(self.call("eth_call", call, "latest"), 16)
