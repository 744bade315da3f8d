"""The directory: which customer an API key belongs to, and in which accounts money is booked.

These facts never change once committed, so they are kept in memory.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from venue.ledger.chart import payout_routes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seawall.policy import Policy
    from venue.database import Pool

_CUSTOMERS = "select id, api_key_sha256 from customers"
_CUSTOMER = "select id from customers where api_key_sha256 = $1"
_ACCOUNTS = "select id, bucket, network, asset, kind, customer_id from accounts"
_ACCOUNTS_OF = _ACCOUNTS + " where customer_id = $1"


@dataclass(frozen=True, kw_only=True)
class HouseAccounts:
    """Accounts of one (network, asset) that belong to no customer.

    ``inventory`` is None where the house does not trade.
    """

    bucket: str
    reserved: int
    clearing: int
    inventory: int | None
    house: str | None


class Directory:
    """Customers by key, and accounts by network and asset.

    A customer who was added after the start is read from the database once.
    """

    def __init__(self, policy: Policy, pool: Pool) -> None:
        self._routes = payout_routes(policy)
        self._pool = pool
        self._customers: dict[bytes, int] = {}
        self._accounts: dict[int, dict[tuple[str, str], int]] = {}
        self._house: dict[tuple[str, str], HouseAccounts] = {}

    async def load(self) -> None:
        """Read all customers and accounts at once, so that a flood finds them in memory."""
        self._customers = {
            bytes(row["api_key_sha256"]): row["id"] for row in await self._pool.fetch(_CUSTOMERS)
        }
        books: dict[tuple[str, str, str, str], int] = {}
        for row in await self._pool.fetch(_ACCOUNTS):
            if row["customer_id"] is None:
                books[row["bucket"], row["network"], row["asset"], row["kind"]] = row["id"]
            else:
                self._accounts.setdefault(row["customer_id"], {})[row["network"], row["asset"]] = (
                    row["id"]
                )
        for (bucket, network, asset, kind), account in books.items():
            route = self._routes.get(network)
            if kind == "reserved" and route is not None and route.bucket == bucket:
                self._house[network, asset] = HouseAccounts(
                    bucket=bucket,
                    reserved=account,
                    clearing=books[bucket, network, asset, "clearing"],
                    inventory=None
                    if route.house is None
                    else books.get((route.house, network, asset, "inventory")),
                    house=route.house,
                )

    async def customer_of(self, api_key: str) -> int | None:
        """The customer with this key, or None."""
        digest = hashlib.sha256(api_key.encode()).digest()
        known = self._customers.get(digest)
        if known is None:
            known = await self._pool.fetchval(_CUSTOMER, digest)
            if known is not None:
                self._customers[digest] = known
        return known

    async def accounts_of(self, customer_id: int) -> Mapping[tuple[str, str], int]:
        """The customer's account by (network, asset)."""
        known = self._accounts.get(customer_id)
        if known is None:
            rows = await self._pool.fetch(_ACCOUNTS_OF, customer_id)
            known = self._accounts[customer_id] = {
                (row["network"], row["asset"]): row["id"] for row in rows
            }
        return known

    def house(self, network: str, asset: str) -> HouseAccounts | None:
        """The venue's own accounts of an asset on a network; None if it has no such asset there."""
        return self._house.get((network, asset))
