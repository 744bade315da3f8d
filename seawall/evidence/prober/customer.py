"""What the prober does as a customer.

Looks at the venue's status and its own account, and moves small and large money.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle
from typing import Any

from seawall.errors import UsageError
from seawall.evidence.prober.beat import Probe, Sample
from seawall.formats.drill_contract import Refusal, SwapRequest, VenueClient, WithdrawalRequest
from seawall.policy import Policy

STATUS_EVERY_S = 0.05
ACCOUNT_EVERY_S = 1.0
SMALL_VALUE = Fraction(1)
"""Units of account that a small withdrawal or swap moves.

Next to nothing, so that the prober is no part of the run.
"""
LARGE_OVER_MIN = Fraction(6, 5)
"""A large transfer is this much larger than the smallest that the policy calls large."""
ACCEPTED = "accepted"


@dataclass(frozen=True, kw_only=True)
class Account:
    """A customer that the prober acts for.

    ``pools`` are its (network, asset) with money in them.
    """

    api_key: str
    pools: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        return "Account(...)"  # the key is a secret


def destination(network: str) -> str:
    """The address on ``network`` that the prober has itself paid to; nobody holds a key to it."""
    return "0x" + hashlib.sha256(f"seawall prober {network}".encode()).hexdigest()[:40]


class StatusProbe:
    """The venue's status page, over a ``venue`` client of its own that gives up sooner than a
    customer would.
    """

    def __init__(self, *, venue: VenueClient) -> None:
        self._venue = venue

    def probes(self) -> Sequence[Probe]:
        """The look with its pace."""
        return (Probe(name="status", period_s=STATUS_EVERY_S, look=self.status),)

    async def status(self) -> Sequence[Sample]:
        """The tier and epoch that the venue shows."""
        told = await self._venue.status()
        return [Sample(probe="status", ok=True, detail={"tier": told.tier, "epoch": told.epoch})]


class CustomerProbes:
    """Probes of a customer's account.

    ``small`` and ``large`` are accounts of their own, so neither can starve the other.
    """

    def __init__(
        self, *, venue: VenueClient, policy: Policy, small: Account, large: Account
    ) -> None:
        self._venue, self._policy, self._small, self._large = venue, policy, small, large
        self._pools = cycle(small.pools)
        self._swaps = cycle(self._swap_pairs())
        self._routes = cycle(self._transfer_routes())

    def probes(self) -> Sequence[Probe]:
        """All of them with their pace."""
        return (
            Probe(name="login", period_s=ACCOUNT_EVERY_S, look=self.login),
            Probe(name="balances", period_s=ACCOUNT_EVERY_S, look=self.balances),
            Probe(name="small_withdrawal", period_s=ACCOUNT_EVERY_S, look=self.small_withdrawal),
            Probe(name="swap", period_s=ACCOUNT_EVERY_S, look=self.swap),
            Probe(name="large_transfer", period_s=ACCOUNT_EVERY_S, look=self.large_transfer),
        )

    async def login(self) -> Sequence[Sample]:
        """Whether a customer gets in."""
        return [_told("login", await self._venue.login(self._small.api_key))]

    async def balances(self) -> Sequence[Sample]:
        """Whether a customer sees what it has."""
        return [_told("balances", await self._venue.balances(self._small.api_key))]

    async def small_withdrawal(self) -> Sequence[Sample]:
        """Whether a small withdrawal is accepted; ``detail.id`` leads to what became of it."""
        network, asset = next(self._pools)
        request = WithdrawalRequest(
            id=uuid.uuid4(),
            network=network,
            asset=asset,
            amount=self._worth(asset, SMALL_VALUE),
            destination=destination(network),
        )
        answer = await self._venue.withdraw(self._small.api_key, request)
        return [_told("small_withdrawal", answer, id=str(request.id), network=network, asset=asset)]

    async def swap(self) -> Sequence[Sample]:
        """Whether swaps are carried out or suspended (``detail.code``)."""
        network, sell, buy = next(self._swaps)
        request = SwapRequest(
            id=uuid.uuid4(),
            network=network,
            sell=sell,
            buy=buy,
            amount=self._worth(sell, SMALL_VALUE),
        )
        return [
            _told(
                "swap",
                await self._venue.swap(self._small.api_key, request),
                id=str(request.id),
                network=network,
                sell=sell,
            )
        ]

    async def large_transfer(self) -> Sequence[Sample]:
        """Whether a large transfer from one rail to another is accepted or suspended
        (``detail.code``).
        """
        source, network, asset = next(self._routes)
        request = WithdrawalRequest(
            id=uuid.uuid4(),
            network=network,
            source_network=source,
            asset=asset,
            amount=self._worth(
                asset, LARGE_OVER_MIN * Fraction(self._policy.limits.large_transfer_value_min)
            ),
            destination=destination(network),
        )
        answer = await self._venue.withdraw(self._large.api_key, request)
        return [
            _told(
                "large_transfer", answer, id=str(request.id), network=network, source_network=source
            )
        ]

    def _worth(self, asset: str, value: Fraction) -> str:
        declared = self._policy.assets[asset]
        return str(max(1, int(value / Fraction(declared.reference_price) * 10**declared.decimals)))

    def _swap_pairs(self) -> Sequence[tuple[str, str, str]]:
        """(network, sell, buy) both ways in turn, so that the account does not run dry."""
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


def _told(probe: str, answer: object, **detail: Any) -> Sample:
    """A refusal is an answer, but not one that the probe hoped for."""
    if isinstance(answer, Refusal):
        return Sample(
            probe=probe, ok=False, detail={**detail, "code": answer.code, "reason": answer.reason}
        )
    return Sample(probe=probe, ok=True, detail={**detail, "code": ACCEPTED})
