"""What anybody can see.

Blocks and pending nonces at the nodes, and whether a region's key service answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx

from seawall.errors import ServiceError
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.evidence.prober.beat import Probe, Sample

NODE_EVERY_S = 0.05
KMS_EVERY_S = 0.2
SILENT_S_MIN = 0.3
"""How long a key service must stay silent to count as hanging."""
BLOCKS_BEHIND_MAX = 64


class NodeProbe:
    """Probe of one network's node; ``lanes`` are the payout addresses by wallet.

    Nonces and height are asked for in one batch: an observer that shares two cores with what it
    observes must be light.
    """

    def __init__(
        self, *, http: httpx.AsyncClient, network: str, url: str, lanes: dict[str, str]
    ) -> None:
        self._network, self._lanes = network, lanes
        self._node = AsyncRpcClient(network, (url,), client=http)
        self._newest: int | None = None

    def probes(self) -> Sequence[Probe]:
        """The look with its pace; a failure counts against the nonces if any are watched."""
        name = "pending_nonce" if self._lanes else "block"
        return (
            Probe(
                name=name, period_s=NODE_EVERY_S, look=self.look, about={"network": self._network}
            ),
        )

    async def look(self) -> Sequence[Sample]:
        """The next nonce of every lane, pending transactions included, and every block that is new
        since the last look, once.
        """
        asked = [
            ("eth_getTransactionCount", [address, "pending"]) for address in self._lanes.values()
        ]
        *nonces, height = (
            int(found, 16) for found in await self._call([*asked, ("eth_blockNumber", [])])
        )
        samples = [
            Sample(
                probe="pending_nonce",
                ok=True,
                detail={"network": self._network, "wallet": wallet, "nonce": nonce},
            )
            for wallet, nonce in zip(self._lanes, nonces, strict=True)
        ]
        known = (
            height - 1 if self._newest is None else max(self._newest, height - BLOCKS_BEHIND_MAX)
        )
        if height > known:
            new = await self._call(
                [
                    ("eth_getBlockByNumber", [hex(number), False])
                    for number in range(known + 1, height + 1)
                ]
            )
            self._newest = height
            samples += [
                Sample(
                    probe="block",
                    ok=True,
                    detail={
                        "network": self._network,
                        "number": int(block["number"], 16),
                        "timestamp": int(block["timestamp"], 16),
                    },
                )
                for block in new
            ]
        return samples

    async def _call(self, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        """Results of a JSON-RPC batch, in order.

        Raises :class:`ServiceError` if the node errs or lacks one.
        """
        results = await self._node.batch(calls)
        if None in results:
            raise ServiceError(f"the node of {self._network} answered {results!r}")
        return results


class KeyServiceProbe:
    """Whether the key service of ``region``, at the ``host:port`` where its signers reach it,
    answers at all.
    """

    def __init__(self, *, region: str, listen: str) -> None:
        self._region = region
        self._host, _, port = listen.rpartition(":")
        self._port = int(port)

    def probes(self) -> Sequence[Probe]:
        """The look with its pace."""
        return (
            Probe(
                name="kms", period_s=KMS_EVERY_S, look=self.answers, about={"region": self._region}
            ),
        )

    async def answers(self) -> Sequence[Sample]:
        """One request over a connection of its own.

        Any HTTP answer counts, silence for ``SILENT_S_MIN`` does not.
        """
        async with asyncio.timeout(SILENT_S_MIN):
            reader, writer = await asyncio.open_connection(self._host, self._port)
            try:
                writer.write(
                    b"GET / HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % self._host.encode()
                )
                first = await reader.readline()
            finally:
                writer.close()
        told = "answered" if first.startswith(b"HTTP/") else "closed"
        return [
            Sample(
                probe="kms", ok=told == "answered", detail={"region": self._region, "told": told}
            )
        ]
