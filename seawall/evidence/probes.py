"""The probes of the black-box prober: what each one asks, and what it makes of the answer.

As a customer: the venue's status, a login, balances, small and large money. From outside the venue:
blocks and pending nonces at the nodes, whether key services and RPC endpoints answer, and what key
services answer to the signers.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import cycle
from typing import Any

import httpx

from seawall.conventions import signing
from seawall.errors import UsageError
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.ethereum.values import BlockStamp, block_stamp, quantity
from seawall.formats.customers import Account
from seawall.formats.deployment import Signer
from seawall.formats.drill_contract import (
    WITHDRAW,
    Refusal,
    SwapRequest,
    VenueClient,
    WithdrawalReceipt,
    WithdrawalRequest,
    keyless_address,
    require_pools,
)
from seawall.policy import Policy
from seawall.policy.drilling import LARGE_OVER_MIN

STATUS_EVERY_S = 0.05
SMALL_VALUE = Fraction(1)
"""Units of account that a small withdrawal or swap moves: too little to matter to the run.

Of an asset whose smallest withdrawal is worth more, a withdrawal moves that.
"""
ACCEPTED = "accepted"
NODE_EVERY_S = 0.05
ENDPOINT_EVERY_S = 0.2
SILENT_S_MIN = 0.3
"""An endpoint that has not answered for this long counts as hanging."""
SIGNER_EVERY_S = 1.0
"""Each asks KMS for a signature, and of the quota one in twenty is nobody's share."""
BLOCKS_BEHIND_MAX = 64


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What one probe found; ``ok`` if a healthy venue that suspends nothing answers like this."""

    probe: str
    ok: bool
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A question that is asked every ``period_s``.

    ``ask`` returns samples or raises; ``about`` is then the detail of the failed sample.
    """

    name: str
    period_s: float
    ask: Callable[[], Awaitable[Sequence[Sample]]]
    about: dict[str, Any] = field(default_factory=dict)


class StatusProbe:
    """The venue's status page, over a client whose timeout is shorter than a customer's."""

    def __init__(self, *, venue: VenueClient) -> None:
        self._venue = venue

    def probes(self) -> Sequence[Probe]:
        """The probe and its period; none if the venue has no status."""
        if "status" not in self._venue.adapter.operations:
            return ()
        return (Probe(name="status", period_s=STATUS_EVERY_S, ask=self.status),)

    async def status(self) -> Sequence[Sample]:
        """The tier that the venue shows, and its epoch where the venue has one."""
        shown = await self._venue.status()
        detail: dict[str, Any] = {"tier": shown.tier}
        if shown.epoch is not None:
            detail["epoch"] = shown.epoch
        return [Sample(probe="status", ok=True, detail=detail)]


class CustomerProbes:
    """Probes of a customer's account, as often as the policy says.

    ``small`` and ``large`` are separate accounts, so that neither uses up the other's money.
    """

    def __init__(
        self, *, venue: VenueClient, policy: Policy, small: Account, large: Account
    ) -> None:
        self._venue, self._policy, self._small, self._large = venue, policy, small, large
        operations = venue.adapter.operations
        pools = (*small.pools, *large.pools)
        if unknown := sorted({asset for _, asset in pools} - set(policy.assets)):
            raise UsageError(
                f"the prober's customers hold {', '.join(unknown)}, which the policy lacks",
                remedy="list assets of the policy only",
            )
        asked: list[tuple[str, Callable[[], Awaitable[Sequence[Sample]]]]] = []
        if "login" in operations:
            asked.append(("login", self.login))
        if "balances" in operations:
            asked.append(("balances", self.balances))
        if WITHDRAW in operations:
            require_pools(venue.adapter, pools)
            self._pools = cycle(small.pools)
            asked.append(("small_withdrawal", self.small_withdrawal))
        if "swap" in operations:
            self._swaps = cycle(self._swap_pairs())
            asked.append(("swap", self.swap))
        # Between networks there is nothing to transfer where there is one only.
        if WITHDRAW in operations and venue.adapter.transfers and len(policy.networks) > 1:
            self._routes = cycle(self._transfer_routes())
            asked.append(("large_transfer", self.large_transfer))
        every_s = policy.probing.every / 1_000
        self._asked = tuple(Probe(name=name, period_s=every_s, ask=ask) for name, ask in asked)

    def probes(self) -> Sequence[Probe]:
        """Those whose operations the venue offers, with their periods."""
        return self._asked

    async def login(self) -> Sequence[Sample]:
        """Whether a customer can log in."""
        return [_sample("login", await self._venue.login(self._small.customer))]

    async def balances(self) -> Sequence[Sample]:
        """Whether a customer can see the balances."""
        return [_sample("balances", await self._venue.balances(self._small.customer))]

    async def small_withdrawal(self) -> Sequence[Sample]:
        """Whether a small withdrawal is accepted; ``detail.id`` is its id in the records."""
        network, asset = next(self._pools)
        identity = uuid.uuid4()
        request = WithdrawalRequest(
            id=identity,
            network=network,
            asset=asset,
            amount=self._withdrawn(asset, SMALL_VALUE),
            destination=keyless_address(identity),
        )
        answer = await self._venue.withdraw(self._small.customer, request)
        return [_withdrawal_sample("small_withdrawal", answer, request, self._small)]

    async def swap(self) -> Sequence[Sample]:
        """Whether swaps are carried out or suspended (``detail.code``)."""
        network, sell, buy = next(self._swaps)
        request = SwapRequest(
            id=uuid.uuid4(),
            network=network,
            sell=sell,
            buy=buy,
            amount=str(self._worth(sell, SMALL_VALUE)),
        )
        return [
            _sample(
                "swap",
                await self._venue.swap(self._small.customer, request),
                id=str(request.id),
                network=network,
                sell=sell,
            )
        ]

    async def large_transfer(self) -> Sequence[Sample]:
        """Whether a large transfer between networks is accepted or suspended (``detail.code``)."""
        source, network, asset = next(self._routes)
        identity = uuid.uuid4()
        request = WithdrawalRequest(
            id=identity,
            network=network,
            source_network=source,
            asset=asset,
            amount=self._withdrawn(
                asset, LARGE_OVER_MIN * Fraction(self._policy.limits.large_transfer_value_min)
            ),
            destination=keyless_address(identity),
        )
        answer = await self._venue.withdraw(self._large.customer, request)
        return [_withdrawal_sample("large_transfer", answer, request, self._large)]

    def _withdrawn(self, asset: str, value: Fraction) -> str:
        return str(max(self._policy.withdrawal_min(asset), self._worth(asset, value)))

    def _worth(self, asset: str, value: Fraction) -> int:
        declared = self._policy.assets[asset]
        return max(1, int(value / Fraction(declared.reference_price) * 10**declared.decimals))

    def _swap_pairs(self) -> Sequence[tuple[str, str, str]]:
        """(network, sell, buy), both directions in turn, so that the account does not run out."""
        pairs = [
            pair
            for network, asset in self._small.pools
            for other in (self._policy.networks[network].native,)
            if other != asset
            for pair in ((network, asset, other), (network, other, asset))
        ]
        if not pairs:
            raise UsageError(
                "the prober's first customer has no pair of assets to swap",
                remedy="give it a token on some network",
            )
        return pairs

    def _transfer_routes(self) -> Sequence[tuple[str, str, str]]:
        """(from, to, asset) for every asset that the account holds on two networks."""

        def routes() -> Iterator[tuple[str, str, str]]:
            for source, asset in self._large.pools:
                for network, other in self._large.pools:
                    if asset == other and network != source:
                        yield source, network, asset

        found = list(routes())
        if not found:
            raise UsageError(
                "the prober's second customer holds no asset on two networks",
                remedy="give it a token on both",
            )
        return found


def _sample(probe: str, answer: object, **detail: Any) -> Sample:
    """A sample of the venue's answer; a refusal is an answer, but not ``ok``."""
    if isinstance(answer, Refusal):
        return Sample(
            probe=probe, ok=False, detail={**detail, "code": answer.code, "reason": answer.reason}
        )
    return Sample(probe=probe, ok=True, detail={**detail, "code": ACCEPTED})


def _withdrawal_sample(
    probe: str, answer: WithdrawalReceipt | Refusal, request: WithdrawalRequest, account: Account
) -> Sample:
    """A sample with all that it takes to follow the withdrawal, and to find its payout."""
    asked = request.model_dump(mode="json", exclude_none=True)
    given = {} if isinstance(answer, Refusal) else {"venue_id": answer.venue_id}
    return _sample(probe, answer, **asked, **given, customer_id=account.customer.customer_id)


class NodeProbe:
    """Probe of one network's node; ``lanes`` are the payout addresses by wallet.

    Nonces and height are asked for in one batch, to take little of the two cores that the prober
    shares with the venue.
    """

    def __init__(
        self, *, http: httpx.AsyncClient, network: str, url: str, lanes: dict[str, str]
    ) -> None:
        self._network, self._lanes = network, lanes
        self._node = AsyncRpcClient(network, (url,), client=http)
        self._newest: int | None = None

    def probes(self) -> Sequence[Probe]:
        """The probe and its period; a failure is one of the nonces if any are watched."""
        name = "pending_nonce" if self._lanes else "block"
        return (
            Probe(
                name=name, period_s=NODE_EVERY_S, ask=self.read, about={"network": self._network}
            ),
        )

    async def read(self) -> Sequence[Sample]:
        """The next nonce of every lane, with pending transactions, and every new block once.

        Raises :class:`ServiceError` if the node does not answer every call.
        """
        asked = [
            (quantity, "eth_getTransactionCount", [address, "pending"])
            for address in self._lanes.values()
        ]
        *nonces, height = await self._node.batch([*asked, (quantity, "eth_blockNumber", [])])
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
            new: list[BlockStamp] = await self._node.batch(
                [
                    (block_stamp, "eth_getBlockByNumber", [hex(number), False])
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
                        "number": block.number,
                        "timestamp": block.timestamp,
                    },
                )
                for block in new
            ]
        return samples


class SignerProbe:
    """What the key service answers to a region's signer: its own probe, which is no transaction.

    It sees what an endpoint's answer does not show: whether signing is allowed, and not throttled.
    """

    def __init__(self, *, http: httpx.AsyncClient, region: str, signer: Signer) -> None:
        self._http, self._region = http, region
        self._url, self._headers = signer.url.rstrip("/"), signer.headers("prober")

    def probes(self) -> Sequence[Probe]:
        """The probe and its period."""
        about = {"region": self._region}
        return (Probe(name="signer", period_s=SIGNER_EVERY_S, ask=self.signs, about=about),)

    async def signs(self) -> Sequence[Sample]:
        """Whether the text was signed; ``detail.result`` is the key service's error if not."""
        answer = await self._http.post(f"{self._url}{signing.PROBE_PATH}", headers=self._headers)
        result = signing.probe_result(answer.status_code, answer.text)
        return [
            Sample(
                probe="signer",
                ok=result == signing.ANSWERED,
                detail={"region": self._region, "result": result},
            )
        ]


class EndpointProbe:
    """Whether what listens at ``listen`` (``host:port``) answers at all.

    It takes the path that the venue takes, so that it sees what a fault does to that.

    Args:
        name: Of the probe.
        about: What it is that should answer; stands in every sample.
        listen: Where the venue reaches it.
    """

    def __init__(self, *, name: str, about: dict[str, Any], listen: str) -> None:
        self._name, self._about = name, about
        self._host, _, port = listen.rpartition(":")
        self._port = int(port)

    def probes(self) -> Sequence[Probe]:
        """The probe and its period."""
        return (
            Probe(name=self._name, period_s=ENDPOINT_EVERY_S, ask=self.answers, about=self._about),
        )

    async def answers(self) -> Sequence[Sample]:
        """One request over a new connection: any HTTP answer is ``ok``.

        Raises TimeoutError after ``SILENT_S_MIN`` without one.
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
        result = "answered" if first.startswith(b"HTTP/") else "closed"
        return [
            Sample(
                probe=self._name, ok=result == "answered", detail={**self._about, "result": result}
            )
        ]
