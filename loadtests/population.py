"""The customers of a flood, with heavy-tailed balances.

    python -m loadtests.population --policy policies/sandbox.yaml --seed 7 --out FILE

The balances sum to exactly what the policy holds for customers. Only a sandbox invents customers;
any other deployment names a file with its own.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from loadtests.shape import pareto
from seawall.errors import SeawallError, UsageError
from seawall.formats.atomic import write_private
from seawall.formats.customers import COLUMNS, Pool, read_accounts
from seawall.formats.drill_contract import Credentials
from seawall.policy import Policy
from seawall.policy_file import load_policy

CUSTOMERS = 4_000
SET_ASIDE_PERCENT = (1, 3, 1)
"""The first customers hold so much of every pool and take no part in the flood.

Two are for the prober, one is for experiments. The prober's second moves large sums between
networks, once in a probing interval, for as long as all drills of a game day last.
"""
SET_ASIDE = len(SET_ASIDE_PERCENT)
LARGEST_OVER_SMALLEST = 500
"""The tail is heavy, but no single customer dominates a pool."""
BALANCE_TAIL_EXPONENT = 1.16
"""Pareto exponent of balances: a fifth of the customers hold four fifths of the money."""
WEIGHT_STEPS = 1_000_000
HOLDS = 0.5
"""The probability that a customer holds a pool's asset."""


@dataclass(frozen=True, kw_only=True)
class Customer:
    """One customer: its secret, and its balances in base units by (network, asset)."""

    customer_id: str
    api_key: str
    balances: dict[Pool, int]

    def __repr__(self) -> str:
        return f"Customer({self.customer_id})"  # the key is a secret


@dataclass(frozen=True, kw_only=True)
class Population:
    """All customers in the order of their list; the first ``SET_ASIDE`` take no part in a flood."""

    customers: tuple[Customer, ...]

    @property
    def depositors(self) -> tuple[Customer, ...]:
        """The customers who may withdraw in the flood."""
        return self.customers[SET_ASIDE:]


def owed(policy: Policy) -> dict[Pool, int]:
    """What customers are owed per pool, in base units.

    That is the sum of the hot, reserve and cold targets of the buckets that pay customers.
    """
    totals: dict[Pool, int] = {}
    for wallet in policy.wallets.values():
        if "customers" in policy.buckets[wallet.bucket].pays:
            for asset, holding in wallet.holdings.items():
                pool = (wallet.network, asset)
                totals[pool] = totals.get(pool, 0) + policy.base_units(asset, holding.target)
    return {pool: total for pool, total in totals.items() if total > 0}


def populate(policy: Policy, *, seed: int, size: int = CUSTOMERS) -> Population:
    """``size`` customers. The same arguments give the same customers, API keys included.

    Raises:
        UsageError: ``size`` is too small.
    """
    if size <= SET_ASIDE:
        raise UsageError(
            f"of {size} customers none could take part in the flood",
            remedy=f"ask for more than {SET_ASIDE}",
        )
    rng = Random(f"{seed}/population")
    keys = Random(f"{seed}/keys")
    pools = owed(policy)
    weights: dict[Pool, dict[int, int]] = {pool: {} for pool in pools}
    for customer_id in range(SET_ASIDE + 1, size + 1):
        held = [pool for pool in pools if rng.random() < HOLDS] or [rng.choice(list(pools))]
        for pool in held:
            weights[pool][customer_id] = int(
                WEIGHT_STEPS
                * pareto(
                    rng.random(), low=1.0, high=LARGEST_OVER_SMALLEST, alpha=BALANCE_TAIL_EXPONENT
                )
            )
    balances: dict[int, dict[Pool, int]] = {customer_id: {} for customer_id in range(1, size + 1)}
    for pool, total in pools.items():
        aside = [total * percent // 100 for percent in SET_ASIDE_PERCENT]
        for customer_id, amount in enumerate(aside, start=1):
            balances[customer_id][pool] = amount
        for customer_id, amount in divide(total - sum(aside), weights[pool]):
            balances[customer_id][pool] = amount
    return Population(
        customers=tuple(
            Customer(
                customer_id=str(customer_id),
                api_key=f"sk_{keys.getrandbits(160):040x}",
                balances=held,
            )
            for customer_id, held in balances.items()
        )
    )


def divide(total: int, weights: dict[int, int]) -> Iterator[tuple[int, int]]:
    """Split ``total`` by integer weights into parts that sum to it exactly.

    The heaviest gets the remainder. Parts of nothing are left out.

    Raises:
        UsageError: There are no weights.
    """
    if not weights:
        raise UsageError(
            "no customer holds a pool that the policy funds", remedy="ask for more customers"
        )
    whole = sum(weights.values())
    parts = {key: total * weight // whole for key, weight in weights.items()}
    heaviest = max(weights, key=lambda key: (weights[key], -key))
    parts[heaviest] += total - sum(parts.values())
    return ((key, part) for key, part in parts.items() if part > 0)


def write_customers(population: Population, path: Path) -> None:
    """Write one line per balance; readable by the owner alone, because API keys are secrets."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for customer in population.customers:
        for (network, asset), amount in customer.balances.items():
            writer.writerow((customer.customer_id, customer.api_key, network, asset, amount))
    write_private(path, text.getvalue())


def read_customers(path: Path) -> Population:
    """The customers in the file at ``path``, in the order in which they first stand there.

    Raises:
        UsageError: The file is no list of customers.
    """
    return Population(
        customers=tuple(
            Customer(
                customer_id=account.customer.customer_id,
                api_key=account.customer.credential,
                balances=account.balances,
            )
            for account in read_accounts(path)
        )
    )


def read_credentials(path: Path, *, wanted: Collection[str] = ()) -> dict[str, Credentials]:
    """Credentials by customer id.

    Raises:
        UsageError: The file is no list of customers, or lacks one of the ``wanted`` ids.
    """
    found = {account.customer.customer_id: account.customer for account in read_accounts(path)}
    if unknown := set(wanted) - set(found):
        raise UsageError(
            f"{path} lacks {len(unknown)} customers of the schedule",
            remedy="use the customers of the same plan",
        )
    return found


def main() -> int:
    """Write the customers of a sandbox. The exit code is a :class:`seawall.errors.ExitCode`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--policy", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--size", type=int, default=CUSTOMERS, help="number of customers")
    parser.add_argument("--out", type=Path, required=True, help="the file, secrets included")
    arguments = parser.parse_args()
    try:
        policy = load_policy(arguments.policy)
        population = populate(policy, seed=arguments.seed, size=arguments.size)
        write_customers(population, arguments.out)
    except SeawallError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
