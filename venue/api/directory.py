"""The directory: which customer an API key belongs to, and in which accounts money is booked.

Accounts never change once committed, so they are kept in memory. Keys may be revoked or added, so
all of them are read again every few seconds: whatever keys are presented, known ones or guessed
ones, costs the database the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from venue.ledger.chart import escrow_routes, payout_routes, rail_routes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from seawall.policy import Policy
    from venue.database import Pool

KEYS_VALID_S = 3.0
"""After so long a revoked key is refused and a new one is known.

Reading the 4,000 keys of a sandbox takes a few milliseconds.
"""
_KEYS = "select id, api_key_sha256 from customers"
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


@dataclass(frozen=True, kw_only=True)
class EscrowAccounts:
    """Accounts of one (network, asset) through which what is bid goes into escrow and out of it.

    ``own`` is of ``bucket``, which pays customers; ``escrow`` and ``backing`` are of
    ``escrow_bucket``, which owes what is in escrow, and has its own money against it.
    """

    bucket: str
    escrow_bucket: str
    own: int
    escrow: int
    backing: int


class Directory:
    """Customers by key, and accounts by network and asset.

    The accounts of a customer who was added after the start are read from the database once.
    """

    def __init__(
        self, policy: Policy, pool: Pool, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._payers = {
            name: (route.bucket, route.house) for name, route in payout_routes(policy).items()
        } | {name: (route.bucket, None) for name, route in rail_routes(policy).items()}
        self._pool = pool
        self._clock = clock
        self._customers: dict[bytes, int] = {}
        self._keys_valid_until = float("-inf")
        self._reading_keys = asyncio.Lock()
        self._accounts: dict[int, dict[tuple[str, str], int]] = {}
        self._house: dict[tuple[str, str], HouseAccounts] = {}
        self._escrows = escrow_routes(policy)
        self._escrow: dict[tuple[str, str], EscrowAccounts] = {}

    async def load(self) -> None:
        """Read all customers and accounts at once, so that a flood finds them in memory."""
        await self._read_keys()
        books: dict[tuple[str, str, str, str], int] = {}
        for row in await self._pool.fetch(_ACCOUNTS):
            if row["customer_id"] is None:
                books[row["bucket"], row["network"], row["asset"], row["kind"]] = row["id"]
            else:
                self._accounts.setdefault(row["customer_id"], {})[row["network"], row["asset"]] = (
                    row["id"]
                )
        for (bucket, network, asset, kind), account in books.items():
            paying, house = self._payers.get(network, (None, None))
            if kind == "reserved" and paying == bucket:
                self._house[network, asset] = HouseAccounts(
                    bucket=bucket,
                    reserved=account,
                    clearing=books[bucket, network, asset, "clearing"],
                    inventory=None
                    if house is None
                    else books.get((house, network, asset, "inventory")),
                    house=house,
                )

        for (bucket, network, asset, kind), account in books.items():
            route = self._escrows.get(network)
            if kind == "escrow" and route is not None and route.escrow == bucket:
                self._escrow[network, asset] = EscrowAccounts(
                    bucket=route.bucket,
                    escrow_bucket=bucket,
                    own=books[route.bucket, network, asset, "own"],
                    escrow=account,
                    backing=books[bucket, network, asset, "own"],
                )

    async def customer_of(self, api_key: str) -> int | None:
        """The customer with this key, or None.

        While the database does not answer, nobody is known and the failure is raised: a key that
        was revoked meanwhile must not go on being valid.
        """
        if self._clock() >= self._keys_valid_until:
            await self._read_keys()
        return self._customers.get(hashlib.sha256(api_key.encode()).digest())

    async def _read_keys(self) -> None:
        """Read all keys, once for all requests that wait for it."""
        async with self._reading_keys:
            began = self._clock()
            if began < self._keys_valid_until:
                return
            self._customers = {
                bytes(row["api_key_sha256"]): row["id"] for row in await self._pool.fetch(_KEYS)
            }
            self._keys_valid_until = began + KEYS_VALID_S

    async def accounts_of(self, customer_id: int) -> Mapping[tuple[str, str], int]:
        """The customer's account by (network, asset)."""
        known = self._accounts.get(customer_id)
        if known is None:
            rows = await self._pool.fetch(_ACCOUNTS_OF, customer_id)
            known = self._accounts[customer_id] = {
                (row["network"], row["asset"]): row["id"] for row in rows
            }
        return known

    def escrow(self, network: str, asset: str) -> EscrowAccounts | None:
        """Where bids of an asset on a network lie; None if nothing can be bid in it."""
        return self._escrow.get((network, asset))

    def bids_max(self, network: str, asset: str) -> int:
        """How much the open bids of one customer may be together there, in base units."""
        route = self._escrows.get(network)
        return 0 if route is None else route.bids_max.get(asset, 0)

    def house(self, network: str, asset: str) -> HouseAccounts | None:
        """The venue's own accounts of an asset on a network or rail; None if it has none there."""
        return self._house.get((network, asset))
