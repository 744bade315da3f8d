"""JSON-RPC to Ethereum nodes: one asynchronous client, one synchronous client, one set of rules.

:class:`AsyncRpcClient` has a list of endpoints of one network. An endpoint that does not answer in
time, refuses to serve or talks nonsense is replaced by the next one; what counts as which is in
:mod:`seawall.ethereum.answers`. A node that refuses a call has answered, and is not replaced
(:class:`NodeRefusedError`); but where its reason may be its own and not the call's, the others are
asked as well. :class:`RpcClient` has a single endpoint and a new
connection per call, for programs that ask a few questions.

Whatever follows from several answers is read through a :class:`ChainView`: one endpoint and one
finalized block. Answers of two nodes, or of one node about two blocks, must not be combined,
because one of them may lag behind or be on another branch.

Keys of providers stand in the addresses of endpoints, so no message names an address: endpoints
are numbered in the order of the configuration, and parts of the address are removed from what a
node says. Neither client reads proxy settings from the environment unless asked to: nodes are
private, and a proxy that is meant for the internet must not see or stop their traffic.

Errors:

    ServiceError
    └── RpcError
        ├── NodeSilentError         no endpoint gave a usable answer in time
        ├── NodeRefusedError        the node refused the call; ``reason`` is its text
        ├── ViewLostError           the endpoint of a view serves it no longer: read again
        └── ReceiptDisputedError    a view does not confirm a receipt: read again
    UsageError
    └── WrongChainError             the node serves another chain than the configuration says
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar
from urllib.parse import parse_qsl, urlsplit

import httpx

from seawall.conventions import sabotage
from seawall.errors import ServiceError, UsageError
from seawall.ethereum import values
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
from seawall.ethereum.keys import keccak256, selector, to_bytes
from seawall.ethereum.values import BlockId, Head, Receipt

TIMEOUT_S = 1.5
"""One answer of one endpoint; a local node needs a few milliseconds, a busy one a few hundred."""
BALANCE_OF = selector("balanceOf(address)")
_WORD_DIGITS = 64
_SEND = "eth_sendRawTransaction"
_SENT = (Cause.ALREADY_KNOWN, Cause.NONCE_USED)
_REASON_CHARACTERS_MAX = 200
_SECRET_CHARACTERS_MIN = 6
"""Parts of an address that are shorter, such as ``v3``, are no keys."""

T = TypeVar("T")
Parse = Callable[[Any], T]
"""From a result as JSON has it to a typed value; ValueError if it cannot be one."""


class RpcError(ServiceError):
    """A network's nodes could not be used."""


class NodeSilentError(RpcError):
    """No endpoint gave a usable answer in time."""


class NodeRefusedError(RpcError):
    """The node refused the call; ``reason`` is its text."""

    def __init__(self, network: str, method: str, *, cause: Cause, reason: str) -> None:
        super().__init__(f"{network} refused {method}: {reason}")
        self.cause = cause
        self.reason = reason


class ViewLostError(RpcError):
    """The endpoint of a view serves it no longer; a new view must be read."""


class ReceiptDisputedError(RpcError):
    """A view does not confirm a receipt; it must be read again with a new view."""


class WrongChainError(UsageError):
    """The node serves another chain than the configuration says."""


def balance_of(holder: str) -> bytes:
    """Calldata that asks an ERC-20 token for the balance of ``holder``."""
    return BALANCE_OF + to_bytes(holder.removeprefix("0x").rjust(_WORD_DIGITS, "0"))


def _request(identity: int, method: str, params: Sequence[Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "method": method, "params": params}


def _presentable(text: str, url: str) -> str:
    """``text`` without the parts of ``url`` in which providers put keys, and not too long."""
    try:
        parts = urlsplit(url)
        secrets = [url, parts.username or "", parts.password or "", *parts.path.split("/")]
        secrets += [value for _, value in parse_qsl(parts.query)]
    except ValueError:
        secrets = [url]
    for secret in sorted(secrets, key=len, reverse=True):  # one may be a part of another
        if len(secret) >= _SECRET_CHARACTERS_MIN:
            text = text.replace(secret, "***")
    return text if len(text) <= _REASON_CHARACTERS_MAX else f"{text[:_REASON_CHARACTERS_MAX]}..."


def _said(error: Exception) -> str:
    """What went wrong on the way; the text of an InvalidURL may be any part of the address."""
    text = "" if isinstance(error, httpx.InvalidURL) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _check_chain(network: str, served: int, chain_id: int) -> None:
    if served != chain_id:
        raise WrongChainError(f"the node of {network} serves chain {served}, not {chain_id}")


class _UnusableError(Exception):
    """An answer that is neither a result nor a refusal of the call; its text says why."""


def _value(answer: Answer, parse: Parse[T], *, network: str, method: str, url: str) -> T:
    """The typed result in ``answer``.

    Raises :class:`NodeRefusedError`, :class:`_UnusableError`.
    """
    if isinstance(answer, Result):
        try:
            return parse(answer.value)
        except ValueError as error:
            answer = Nonsense(reason=str(error))
    reason = _presentable(answer.reason, url)
    if isinstance(answer, CallRefused):
        raise NodeRefusedError(network, method, cause=answer.cause, reason=reason)
    raise _UnusableError(reason)


@dataclass(frozen=True, kw_only=True)
class _Endpoint:
    """One endpoint; ``name`` may be shown, ``url`` may not."""

    network: str
    name: str
    url: str = field(repr=False)
    client: httpx.AsyncClient = field(repr=False)
    tell: Callable[[str, bool], None] = field(repr=False)
    identities: itertools.count[int] = field(default_factory=itertools.count, repr=False)

    async def ask(self, parse: Parse[T], method: str, params: Sequence[Any]) -> T:
        """The result of ``method``.

        Raises :class:`NodeRefusedError`, or :class:`NodeSilentError` if the answer is not usable.
        """
        identity = next(self.identities)
        answer: Answer
        try:
            response = await self.client.post(self.url, json=_request(identity, method, params))
            answer = read_answer(
                status=response.status_code, body=response.content, identity=identity
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            answer = ServiceRefused(reason=_said(error))
        try:
            value = _value(answer, parse, network=self.network, method=method, url=self.url)
        except NodeRefusedError:  # it has answered
            self.tell(self.url, True)
            raise
        except _UnusableError as error:
            self.tell(self.url, False)
            raise NodeSilentError(f"{self.name}: {error}") from None
        self.tell(self.url, True)
        return value

    async def ask_batch(self, calls: Sequence[tuple[Parse[Any], str, Sequence[Any]]]) -> list[Any]:
        """Results of several calls in one request, in their order. Raises :class:`RpcError`."""
        requests = [
            _request(identity, method, params) for identity, (_, method, params) in enumerate(calls)
        ]
        answers: Sequence[Answer]
        try:
            response = await self.client.post(self.url, json=requests)
            answers = read_batch(
                status=response.status_code, body=response.content, size=len(calls)
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            answers = [ServiceRefused(reason=_said(error))] * len(calls)
        try:
            return [
                _value(answer, parse, network=self.network, method=method, url=self.url)
                for answer, (parse, method, _) in zip(answers, calls, strict=True)
            ]
        except _UnusableError as error:
            raise NodeSilentError(f"the node of {self.network}: {error}") from None


class ChainReads(ABC):
    """What can be read of a chain: state at one block, and receipts."""

    @property
    @abstractmethod
    def block(self) -> Any:
        """The block at which state is read, as a parameter of a call."""

    @abstractmethod
    async def ask(self, parse: Parse[T], method: str, *params: Any) -> T:
        """The typed result of ``method``. Raises :class:`RpcError`."""

    async def nonce(self, address: str) -> int:
        """The next nonce of ``address``."""
        return await self.ask(values.quantity, "eth_getTransactionCount", address, self.block)

    async def balance(self, holder: str, *, token: str | None = None) -> int:
        """Base units at ``holder``: of ``token``, or of the native coin (wei) if that is None."""
        if token is None:
            return await self.ask(values.quantity, "eth_getBalance", holder, self.block)
        return await self.read(token, balance_of(holder), values.uint256)

    async def read(self, to: str, data: bytes, parse: Callable[[bytes], T]) -> T:
        """The answer of the contract ``to`` to calldata ``data``, without a transaction.

        ``parse`` raises ValueError for an answer that the contract cannot have given.
        """
        call = {"to": to, "data": "0x" + data.hex()}
        return await self.ask(
            lambda result: parse(values.data(result)), "eth_call", call, self.block
        )

    async def receipt(self, tx_hash: str) -> Receipt | None:
        """What became of a transaction; None while no block contains it."""
        return await self.ask(
            lambda result: values.receipt(result, tx_hash=tx_hash),
            "eth_getTransactionReceipt",
            tx_hash,
        )


class ChainView(ChainReads):
    """What one endpoint says of its chain as of one finalized block.

    State is read at the hash of that block, and only while the node has it on its canonical chain
    (EIP-1898, https://eips.ethereum.org/EIPS/eip-1898). A node behind the same address that lags or
    is on another branch then refuses, instead of answering for another block.

    Any failure is a :class:`ViewLostError`: nothing has been learnt, and the client goes on with
    its next endpoint.
    """

    def __init__(
        self, *, endpoint: _Endpoint, finalized: BlockId, lost: Callable[[_Endpoint], None]
    ) -> None:
        self.finalized = finalized
        self._endpoint = endpoint
        self._lost = lost
        self._canonical = {finalized.number: finalized.hash}

    def is_of(self, endpoint: _Endpoint) -> bool:
        """Whether this is what ``endpoint`` says."""
        return endpoint is self._endpoint

    @property
    def block(self) -> dict[str, Any]:
        """The finalized block, by its hash."""
        return {"blockHash": self.finalized.hash, "requireCanonical": True}

    async def ask(self, parse: Parse[T], method: str, *params: Any) -> T:
        """The typed result of ``method``. Raises :class:`ViewLostError`."""
        try:
            return await self._endpoint.ask(parse, method, params)
        except RpcError as error:
            raise self._give_up(error) from error

    async def call_as(self, sender: str, to: str, data: bytes, *, block_hash: str) -> bytes | None:
        """What ``to`` answers ``sender`` at a block, without a transaction; None if it reverts.

        Raises :class:`ViewLostError`.
        """
        call = {"from": sender, "to": to, "data": "0x" + data.hex()}
        block = {"blockHash": block_hash, "requireCanonical": True}
        try:
            return await self._endpoint.ask(values.data_or_none, "eth_call", (call, block))
        except RpcError as error:
            if isinstance(error, NodeRefusedError) and error.cause is Cause.REVERTED:
                return None
            raise self._give_up(error) from error

    def _give_up(self, error: RpcError) -> ViewLostError:
        self._lost(self._endpoint)
        return ViewLostError(
            f"the view of {self._endpoint.network} at block {self.finalized.number} is lost:"
            f" {error}"
        )

    async def confirm(self, receipt: Receipt) -> None:
        """Check that the block of ``receipt`` is final here: canonical, and not above the view's.

        Raises :class:`ReceiptDisputedError` if it is not, :class:`ViewLostError`.
        """
        number = receipt.block_number
        if number > self.finalized.number:
            raise ReceiptDisputedError(
                f"block {number} of {self._endpoint.network} is not final at block"
                f" {self.finalized.number}"
            )
        if number not in self._canonical:
            self._canonical[number] = await self.ask(
                lambda result: values.hash_of_block(result, number),
                *("eth_getBlockByNumber", hex(number), False),
            )
        if self._canonical[number] != receipt.block_hash:
            # It contradicts itself, and may go on doing so: the next view is another endpoint's.
            self._lost(self._endpoint)
            raise ReceiptDisputedError(
                f"a receipt names {receipt.block_hash} as block {number} of"
                f" {self._endpoint.network}, which is {self._canonical[number]}"
            )


async def _offer(endpoint: _Endpoint, raw: bytes) -> None:
    """Hand signed bytes to the pool of ``endpoint``. Raises as :meth:`_Endpoint.ask`."""
    expected = "0x" + keccak256(raw).hex()

    def parse(result: Any) -> None:
        if values.word(result) != expected:
            raise ValueError(f"the node took {result}, not {expected}")

    await endpoint.ask(parse, _SEND, ("0x" + raw.hex(),))


class AsyncRpcClient(ChainReads):
    """A network's nodes; endpoints change places when the one in use does not serve.

    State is read at the newest block. ``client`` is closed with this one; it brings its own
    timeouts. ``tell`` is told of every call which endpoint was asked, and whether it gave a usable
    answer.
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
        self._client = client or httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)
        self._endpoints = [
            _Endpoint(
                network=network,
                name=f"endpoint {number}",
                url=url,
                client=self._client,
                tell=tell or (lambda _url, _answered: None),
            )
            for number, url in enumerate(urls, 1)
        ]
        if sabotage.sabotaged(sabotage.SABOTAGE_RPC_FAILOVER):
            del self._endpoints[1:]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    @property
    def block(self) -> str:
        """The newest block of whichever node answers."""
        return "latest"

    async def call(self, method: str, *params: Any) -> Any:
        """The result of ``method`` as JSON has it; otherwise like :meth:`ask`."""
        return await self.ask(values.anything, method, *params)

    async def ask(self, parse: Parse[T], method: str, *params: Any) -> T:
        """The typed result of ``method``.

        Raises :class:`NodeRefusedError`, or :class:`NodeSilentError` if no endpoint answers.
        """
        return await self._first(
            method, lambda endpoint: endpoint.ask(parse, method, params), own=(Cause.OTHER,)
        )

    async def view(self) -> ChainView:
        """A view of the chain at the block that the first endpoint that answers calls finalized.

        Raises :class:`NodeSilentError`.
        """

        async def open_at(endpoint: _Endpoint) -> ChainView:
            try:
                finalized = await endpoint.ask(
                    values.block_id, "eth_getBlockByNumber", ("finalized", False)
                )
            except NodeRefusedError as error:  # it knows no finalized block; another node may
                raise NodeSilentError(f"{endpoint.name}: {error.reason}") from error
            return ChainView(endpoint=endpoint, finalized=finalized, lost=self._put_last)

        return await self._first("the finalized block", open_at)

    def other_view(self, view: ChainView) -> ChainView | None:
        """The first of :meth:`other_views`; None where there is no other endpoint."""
        return next(iter(self.other_views(view)), None)

    def other_views(self, view: ChainView) -> list[ChainView]:
        """The block of ``view`` as each other endpoint has it; their silence moves none of them."""
        return [
            ChainView(endpoint=endpoint, finalized=view.finalized, lost=lambda _: None)
            for endpoint in self._endpoints
            if not view.is_of(endpoint)
        ]

    async def batch(self, calls: Sequence[tuple[Parse[Any], str, Sequence[Any]]]) -> list[Any]:
        """Results, in order, of calls in one request to the first endpoint. Raises RpcError."""
        return await self._endpoints[0].ask_batch(calls)

    async def check_chain(self, chain_id: int) -> None:
        """Raises :class:`WrongChainError` if the node serves another chain."""
        _check_chain(self.network, await self.ask(values.quantity, "eth_chainId"), chain_id)

    async def head(self, tag: str = "latest") -> Head:
        """The block that ``tag`` (latest, finalized) names."""
        return await self.ask(values.head, "eth_getBlockByNumber", tag, False)

    async def highest_head(self) -> int:
        """The number of the newest block that any endpoint knows.

        Raises :class:`RpcError` if one of them does not say: it may know a newer one.
        """
        asked = ("eth_getBlockByNumber", ("latest", False))
        return max(
            [(await each.ask(values.head, *asked)).number for each in tuple(self._endpoints)]
        )

    async def highest_nonce(self, address: str) -> int:
        """The highest next nonce of ``address`` that any endpoint knows, with its pool.

        Raises :class:`NodeSilentError` if none answers.
        """
        found: list[int] = []
        failures: list[str] = []
        for endpoint in tuple(self._endpoints):
            for tag in ("latest", "pending"):
                try:
                    found.append(
                        await endpoint.ask(
                            values.quantity, "eth_getTransactionCount", (address, tag)
                        )
                    )
                except RpcError as error:
                    failures.append(str(error))
        if not found:
            raise NodeSilentError(f"no endpoint gives a nonce: {'; '.join(failures)}")
        return max(found)

    async def pending_nonce(self, address: str) -> int:
        """The next nonce of ``address``, with the transactions that wait in the node's pool."""
        return await self.ask(values.quantity, "eth_getTransactionCount", address, "pending")

    async def broadcast(self, raw: bytes) -> None:
        """Hand signed bytes to the node's pool.

        Bytes that the node knows already, or whose nonce is used, are no error: they were sent
        before.
        """
        try:
            # Pools differ in the fees that they take and in the balances that they see.
            await self._first(
                _SEND,
                lambda endpoint: _offer(endpoint, raw),
                own=(Cause.OTHER, Cause.UNDERPRICED, Cause.UNFUNDED, Cause.INVALID),
            )
        except NodeRefusedError as error:
            if error.cause not in _SENT:
                raise

    async def broadcast_everywhere(self, raw: bytes) -> None:
        """Hand signed bytes to the pools of all endpoints, for one may pass nothing on.

        One that takes them is enough, and a silent one changes no places; as :meth:`broadcast`.
        """
        failures: list[str] = []
        refusal: NodeRefusedError | None = None
        taken = False
        for endpoint in tuple(self._endpoints):
            try:
                await _offer(endpoint, raw)
            except NodeSilentError as error:
                failures.append(str(error))
            except NodeRefusedError as error:
                taken = taken or error.cause in _SENT
                refusal = refusal or error
            else:
                taken = True
        if not taken:
            silent = f"no endpoint of {self.network} takes it: {'; '.join(failures)}"
            raise refusal or NodeSilentError(silent)

    def leave(self, view: ChainView | None = None) -> None:
        """Ask others before the endpoint in use, or that of ``view``: it answers, but not truly."""
        in_use = self._endpoints[0]
        if view is None or view.is_of(in_use):
            self._put_last(in_use)

    async def _first(
        self, what: str, ask: Callable[[_Endpoint], Awaitable[T]], *, own: Collection[Cause] = ()
    ) -> T:
        """What ``ask`` gets of the first endpoint that gives a usable answer.

        A refusal for a cause of ``own`` is raised only if no other endpoint gives a result.
        """
        failures: list[str] = []
        refusal: NodeRefusedError | None = None
        for endpoint in tuple(self._endpoints):
            try:
                return await ask(endpoint)
            except NodeSilentError as error:
                failures.append(str(error))
                self._put_last(endpoint)
            except NodeRefusedError as error:
                if error.cause not in own:
                    raise
                refusal = refusal or error
        if refusal is not None:
            raise refusal
        raise NodeSilentError(
            f"no endpoint of {self.network} answers {what}: {'; '.join(failures)}"
        )

    def _put_last(self, endpoint: _Endpoint) -> None:
        """Ask the others first from now on, unless that is so already."""
        if self._endpoints[0] is endpoint:
            self._endpoints.append(self._endpoints.pop(0))


@dataclass(frozen=True, kw_only=True)
class RpcClient:
    """One node, asked from synchronous code; one connection per call.

    ``through_proxy``: whether the proxy that the environment names is used, for a node of the
    user's beyond it.
    """

    network: str
    url: str = field(repr=False)
    timeout_s: float
    through_proxy: bool = False

    def call(self, method: str, *params: Any) -> Any:
        """The result of ``method`` as JSON has it. Raises :class:`RpcError`."""
        return self._ask(values.anything, method, *params)

    def check_chain(self, chain_id: int) -> None:
        """Raises :class:`WrongChainError` if the node serves another chain."""
        _check_chain(self.network, self._ask(values.quantity, "eth_chainId"), chain_id)

    def balance(self, holder: str, *, token: str | None = None) -> int:
        """Base units at ``holder``: of ``token``, or of the native coin (wei) if that is None."""
        if token is None:
            return self._ask(values.quantity, "eth_getBalance", holder, "latest")
        call = {"to": token, "data": "0x" + balance_of(holder).hex()}
        return self._ask(
            lambda result: values.uint256(values.data(result)), "eth_call", call, "latest"
        )

    def _ask(self, parse: Parse[T], method: str, *params: Any) -> T:
        answer: Answer
        try:
            with httpx.Client(timeout=self.timeout_s, trust_env=self.through_proxy) as client:
                response = client.post(self.url, json=_request(1, method, params))
            answer = read_answer(status=response.status_code, body=response.content, identity=1)
        # ImportError: the environment names a SOCKS proxy.
        except (httpx.HTTPError, httpx.InvalidURL, ImportError) as error:
            answer = ServiceRefused(reason=_said(error))
        try:
            return _value(answer, parse, network=self.network, method=method, url=self.url)
        except _UnusableError as error:
            raise NodeSilentError(
                f"the node of {self.network} does not answer {method}: {error}"
            ) from None
