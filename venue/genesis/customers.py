"""Read ``customers.csv`` and compare it with the policy.

What customers are owed must equal what the wallets that pay them hold at the start.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seawall.errors import UsageError
from venue.ledger.chart import payout_routes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from seawall.policy import Policy

COLUMNS = ("customer_id", "api_key", "network", "asset", "amount")


@dataclass(frozen=True, kw_only=True, slots=True)
class OpeningBalance:
    """What one customer is owed of one asset on one network at the start, in base units."""

    customer_id: int
    api_key_sha256: bytes
    network: str
    asset: str
    amount: int


def read_customers(path: Path) -> list[OpeningBalance]:
    """Every opening balance in the file.

    Raises :class:`UsageError` that names the wrong line; it never contains an API key.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise UsageError(f"{path} must have the columns {', '.join(COLUMNS)}")
            balances = [_balance(path, reader.line_num, row) for row in reader]
    except OSError as error:
        raise UsageError(f"cannot read the customers in {path}: {error.strerror}") from error
    _check_identities(path, balances)
    return balances


def _balance(path: Path, line: int, row: dict[str, str]) -> OpeningBalance:
    try:
        customer_id, amount = int(row["customer_id"]), int(row["amount"])
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{path}, line {line}: customer_id and amount must be whole numbers"
        ) from error
    if amount <= 0 or not row["api_key"]:
        raise UsageError(
            f"{path}, line {line}: an amount must be above zero and a key must not be empty"
        )
    return OpeningBalance(
        customer_id=customer_id,
        api_key_sha256=hashlib.sha256(row["api_key"].encode()).digest(),
        network=row["network"],
        asset=row["asset"],
        amount=amount,
    )


def _check_identities(path: Path, balances: Iterable[OpeningBalance]) -> None:
    keys: dict[int, bytes] = {}
    seen: set[tuple[int, str, str]] = set()
    for balance in balances:
        if keys.setdefault(balance.customer_id, balance.api_key_sha256) != balance.api_key_sha256:
            raise UsageError(f"{path}: customer {balance.customer_id} has two keys")
        where = (balance.customer_id, balance.network, balance.asset)
        if where in seen:
            raise UsageError(
                f"{path}: customer {balance.customer_id} has two balances "
                f"of {balance.asset} on {balance.network}"
            )
        seen.add(where)
    if len(set(keys.values())) != len(keys):
        raise UsageError(f"{path}: two customers share a key")


def targets(policy: Policy, bucket: str, network: str) -> dict[str, dict[str, int]]:
    """Targets of the bucket's wallets on ``network``, base units by asset and wallet class."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for wallet in policy.wallets.values():
        if (wallet.bucket, wallet.network) == (bucket, network):
            for asset, holding in wallet.holdings.items():
                found[asset][wallet.wallet_class] = policy.base_units(asset, holding.target)
    return dict(found)


def check_backing(policy: Policy, balances: Iterable[OpeningBalance]) -> None:
    """Check that every asset owed is backed one to one.

    Raises :class:`UsageError` that names each (network, asset) that is not.
    """
    owed: dict[tuple[str, str], int] = defaultdict(int)
    for balance in balances:
        owed[balance.network, balance.asset] += balance.amount
    held = {
        (network, asset): sum(by_class.values())
        for network, route in payout_routes(policy).items()
        for asset, by_class in targets(policy, route.bucket, network).items()
    }
    faults = [
        f"{network} {asset}: customers are owed {owed[network, asset]}, "
        f"wallets hold {held.get((network, asset), 0)}"
        for network, asset in sorted(owed.keys() | held.keys())
        if owed[network, asset] != held.get((network, asset), 0)
    ]
    if faults:
        raise UsageError(
            "customers.csv is not backed one to one: " + "; ".join(faults),
            remedy=(
                "make the balances per network and asset sum to the targets of the bucket that pays"
            ),
        )
