"""JSON-RPC of one network through two endpoints.

Whoever does not answer in time is left for the other.

A node that answers with an error has answered: :class:`NodeRefusedError` never moves us to the
standby.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Self

import httpx

from seawall.errors import ServiceError
from venue.chain.keys import to_bytes

TIMEOUT_S = 1.5
"""One answer of one endpoint; a local node needs a few milliseconds, a busy one a few hundred."""

_ALREADY_KNOWN = ("already known", "already imported")
_NONCE_USED = ("nonce too low",)


class NodeRefusedError(ServiceError):
    """The node answered, and the answer was no; ``reason`` is in its words."""

    def __init__(self, network: str, method: str, reason: str) -> None:
        super().__init__(f"{network} refused {method}: {reason}")
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Head:
    """A block as followers need it."""

    number: int
    base_fee_wei: int


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What became of a transaction.

    Where it was included, whether it ran to its end, and its logs as the node gives them.
    """

    block_number: int
    block_hash: str
    succeeded: bool
    logs: list[dict[str, Any]]


class Rpc:
    """A network's nodes; endpoints change places when the one in use does not answer."""

    def __init__(
        self, network: str, urls: tuple[str, ...], *, client: httpx.AsyncClient | None = None
    ) -> None:
        self.network = network
        self._urls = list(urls)
        self._client = client or httpx.AsyncClient(timeout=TIMEOUT_S)
        self._ids = itertools.count(1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def call(self, method: str, *params: Any) -> Any:
        """The result of ``method``.

        Raises :class:`NodeRefusedError`, or :class:`ServiceError` if no endpoint answers.
        """
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        failures: list[str] = []
        for url in tuple(self._urls):
            try:
                answer = (await self._client.post(url, json=request)).raise_for_status().json()
            except (httpx.HTTPError, ValueError) as error:
                failures.append(f"{url}: {error!r}")
                if self._urls[0] == url:
                    self._urls.append(self._urls.pop(0))
                continue
            if "error" in answer:
                raise NodeRefusedError(
                    self.network, method, str(answer["error"].get("message", answer["error"]))
                )
            return answer.get("result")
        message = f"no endpoint of {self.network} answers {method}: {'; '.join(failures)}"
        raise ServiceError(message)

    async def head(self, tag: str = "latest") -> Head:
        """The block that ``tag`` (latest, finalized) names."""
        block = await self.call("eth_getBlockByNumber", tag, False)
        return Head(
            number=int(block["number"], 16), base_fee_wei=int(block.get("baseFeePerGas", "0x0"), 16)
        )

    async def nonce(self, address: str, tag: str = "latest") -> int:
        """The next nonce of ``address``."""
        return int(await self.call("eth_getTransactionCount", address, tag), 16)

    async def balance(self, address: str, tag: str = "latest") -> int:
        """Native coin at ``address``, in wei."""
        return int(await self.call("eth_getBalance", address, tag), 16)

    async def read(self, to: str, data: bytes, tag: str = "latest") -> bytes:
        """What a contract answers, without a transaction."""
        return to_bytes(await self.call("eth_call", {"to": to, "data": "0x" + data.hex()}, tag))

    async def broadcast(self, raw: bytes) -> None:
        """Hand signed bytes to the pool.

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
