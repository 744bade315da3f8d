"""What rebalancing's health checks are made of: what nodes, carrier, exchange and mode say now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seawall.controls.rebalancing import Busyness, Observed, Route
from seawall.errors import ServiceError
from seawall.ethereum import values
from venue.treasury.topups import LEASE_AGE_MS

if TYPE_CHECKING:
    from seawall.ethereum.rpc import AsyncRpcClient
    from seawall.policy import Policy
    from venue.database import Pool
    from venue.treasury.custodian import Carrier
    from venue.treasury.prices import Prices

_MODE = f"select tier, ({LEASE_AGE_MS}) as age_ms from mode"


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Looks at everything that may speak against a movement; ``rpcs`` are by network."""

    policy: Policy
    pool: Pool
    rpcs: Mapping[str, AsyncRpcClient]
    carrier: Carrier
    prices: Prices

    async def observe(self, route: Route, lacking: Mapping[str, int | None]) -> Observed:
        """What can be seen now; what does not answer is left out.

        ``lacking`` is what the last comparison with the chain found, by reserve. Raises the errors
        of the database.
        """
        networks = (route.from_network, route.to_network)
        coins = [self.policy.networks[network].native for network in networks]
        mode = await self.pool.fetchrow(_MODE)
        return Observed(
            busy={network: await self._busyness(network) for network in networks},
            carrier=await self.carrier_says(),
            quotes=await self.prices.quotes(coins, buy=route.asset),
            tier=None if mode is None else mode["tier"],
            lease_age_ms=None if mode is None else mode["age_ms"],
            lacking=lacking,
        )

    async def carrier_says(self) -> tuple[str, str] | None:
        """The carrier's state, and why; None if it does not answer."""
        try:
            condition = await self.carrier.condition()
        except ServiceError:
            return None
        return condition.state, condition.reason

    async def _busyness(self, network: str) -> Busyness | None:
        rpc = self.rpcs[network]
        try:
            head = await rpc.head()
            pending = await rpc.ask(
                values.quantity, "eth_getBlockTransactionCountByNumber", "pending"
            )
        except ServiceError:
            return None
        return Busyness(base_fee_wei=head.base_fee_wei, pending=pending)
