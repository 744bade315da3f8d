"""The customer in whose name experiments act.

The third of the population, which takes no part in any flood.
"""

from __future__ import annotations

import csv
from pathlib import Path

from seawall.errors import UsageError
from seawall.formats.drill_contract import Balance
from seawall.policy import MICRO, Policy

PLACE = 3
"""The first two belong to the black-box prober (loadtests sets three customers aside)."""
CUSTOMERS = "customers.csv"


def api_key(data_dir: Path) -> str:
    """The key of the third customer in ``customers.csv``.

    Raises :class:`UsageError` if there is none.
    """
    path = data_dir / CUSTOMERS
    try:
        with path.open(encoding="utf-8", newline="") as file:
            keys = list(dict.fromkeys(row["api_key"] for row in csv.DictReader(file)))
    except OSError as error:
        message = f"cannot read the customers {path}: {error.strerror}"
        raise UsageError(message, remedy="give experiments a customer of their own") from error
    except KeyError as error:
        message = f"{path} has no column {error}"
        raise UsageError(message) from error
    if len(keys) < PLACE:
        message = f"{path} names {len(keys)} customers; experiments act as number {PLACE}"
        raise UsageError(message, remedy="set three customers aside")
    return keys[PLACE - 1]


def smallest_sum(policy: Policy, balances: tuple[Balance, ...]) -> Balance | None:
    """The smallest power of ten of base units worth at least one unit of account, of the first
    asset of which there is so much.

    None if no balance covers it. An asset whose whole unit is worth less is taken whole.
    """
    for balance in balances:
        asset = policy.assets.get(balance.asset)
        if asset is None:
            continue
        amount = 10**asset.decimals
        while policy.value_micro(balance.asset, amount // 10) >= MICRO:
            amount //= 10
        if amount <= int(balance.available):
            return Balance(network=balance.network, asset=balance.asset, available=str(amount))
    return None
