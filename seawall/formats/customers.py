"""The list of customers in whose names a drill may act: ``customers.csv``.

One line per balance: who, the customer's secret, and how much of which asset on which network. The
first three take no part in a flood: two are the prober's, and experiments act as the third.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from seawall.errors import UsageError
from seawall.formats.drill_contract import Balance, Balances, Credentials

COLUMNS = ("customer_id", "api_key", "network", "asset", "amount")
OF_PROBER = 2
OF_EXPERIMENTS = 3
"""Which customer experiments act as, counted from 1."""

Pool = tuple[str, str]
"""(network, asset)."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """A customer, and what the list says that it holds, in base units by pool."""

    customer: Credentials
    balances: dict[Pool, int]

    @property
    def pools(self) -> tuple[Pool, ...]:
        """Where it holds anything."""
        return tuple(self.balances)

    def listed(self) -> Balances:
        """What the list says, for a venue that does not show balances."""
        return Balances(
            balances=tuple(
                Balance(network=network, asset=asset, available=str(amount))
                for (network, asset), amount in self.balances.items()
            )
        )


def require_private(path: Path) -> None:
    """Require that nobody but the owner can read a list of customers: it has their credentials.

    Raises :class:`UsageError`, also if it is not there.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UsageError(f"cannot read the customers {path}: {error.strerror}") from error
    if mode & 0o077:
        raise UsageError(
            f"others can read {path}, and the customers' credentials are in it",
            remedy=f"chmod 600 {path}",
        )


def read_accounts(path: Path, *, first: int | None = None) -> list[Account]:
    """The customers in ``path``, in the order in which they first stand there.

    Args:
        path: The list.
        first: How many are wanted; None for all.

    Raises :class:`UsageError` if it is no such list, or has fewer.
    """
    accounts: dict[str, Account] = {}
    for customer, pool, amount in _rows(path):
        known = accounts.get(customer.customer_id)
        if known is None:
            if first is not None and len(accounts) == first:
                break
            known = accounts[customer.customer_id] = Account(customer=customer, balances={})
        known.balances[pool] = amount
    if first is not None and len(accounts) < first:
        raise UsageError(
            f"{path} lists {len(accounts)} customers, and {first} are needed",
            remedy="name a file with customers whose keys a drill may use",
        )
    return list(accounts.values())


def _rows(path: Path) -> Iterator[tuple[Credentials, Pool, int]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if not row["customer_id"] or not row["api_key"]:
                    raise ValueError("a line without a customer or without a key")  # noqa: TRY301
                yield (
                    Credentials(customer_id=row["customer_id"], credential=row["api_key"]),
                    (row["network"], row["asset"]),
                    int(row["amount"]),
                )
    except OSError as error:
        raise UsageError(f"cannot read the customers {path}: {error.strerror}") from error
    except KeyError as error:
        raise UsageError(f"{path} is no list of customers: it has no column {error}") from error
    except (ValueError, TypeError, csv.Error) as error:
        raise UsageError(f"{path} is no list of customers: {error}") from error
