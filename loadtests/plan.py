"""From (policy, game day, profile, seed) to the schedule of a flood.

The same arguments give the same bytes.

    python -m loadtests.plan --policy policies/sandbox.yaml --seed 7 --out DIR

It prints in one line what the plan will do to the policy.
"""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

from loadtests import shape
from loadtests.arrivals import MICROSECONDS, Arrival, Phase, write_arrivals
from loadtests.plan_check import proof, yardstick
from loadtests.population import CUSTOMERS, Customer, Pool, Population, populate, write_customers
from loadtests.scaling import scaling
from loadtests.shock import Profile, load_profile
from seawall.errors import SeawallError, UsageError
from seawall.policy import MICRO, GameDay, Policy
from seawall.policy_file import load_policy

DRAWS = 16
"""Tries to find a depositor by chance before the one with the largest balance left is asked."""
MS = 1_000


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A schedule, how it came about, and how it relates to the event that it is modelled on."""

    arrivals: tuple[Arrival, ...]
    knobs: dict[str, Any]
    scaling: dict[str, Any]


@dataclass(kw_only=True)
class _Wish:
    """A request before it has an index: who wants how much of what, and when.

    Microseconds after the phase began.
    """

    pool: Pool
    amount: int
    value_micro: int
    at_us: int = 0
    customer_id: int = 0


def plan(
    policy: Policy, day: GameDay, profile: Profile, population: Population, *, seed: int
) -> Plan:
    """The flood of ``day``.

    Raises :class:`UsageError` if it would not shake this policy as a run on the bank must.
    """
    rng = Random(f"{seed}/arrivals")
    chosen = profile.assumed
    calm = _calm(policy, day, profile, rng)
    run = _run(policy, day, profile, rng)
    _assign(calm + run, population, rng)
    destinations = _Destinations(rng, repeated=float(chosen.destinations_repeated.value))
    lines: list[tuple[int, Phase, int, str, _Wish, str]] = []
    phases: tuple[tuple[Phase, list[_Wish], int, int], ...] = (
        ("calm", calm, 0, day.calm),
        ("run", run, day.calm, day.flood),
    )
    for phase, wishes, start_ms, length_ms in phases:
        named = [
            (str(uuid.UUID(int=rng.getrandbits(128), version=4)), wish, destinations.draw())
            for wish in wishes
        ]
        lines += [
            (start_ms * MS + wish.at_us, phase, 1, name, wish, to) for name, wish, to in named
        ]
        for position, delay_us in _repeats(
            rng, [wish.at_us for wish in wishes], length_us=length_ms * MS, profile=profile
        ):
            name, wish, to = named[position]
            lines.append((start_ms * MS + wish.at_us + delay_us, phase, 2, name, wish, to))
    lines.sort(key=lambda line: (line[0], line[3], line[2]))
    small_max = policy.small_value_micro_max()
    arrivals = tuple(
        Arrival(
            index=index,
            offset_us=offset_us,
            phase=phase,
            attempt=attempt,
            id=name,
            customer_id=wish.customer_id,
            network=wish.pool[0],
            asset=wish.pool[1],
            amount=wish.amount,
            value_micro=wish.value_micro,
            size="small" if wish.value_micro <= small_max else "large",
            destination=to,
        )
        for index, (offset_us, phase, attempt, name, wish, to) in enumerate(lines)
    )
    expected = proof(policy, day, profile, arrivals)
    knobs = {
        "seed": seed,
        "policy": policy.policy,
        "policy_digest": policy.digest,
        "gameday": day.name,
        "profile": profile.profile,
        "calm_ms": day.calm,
        "flood_ms": day.flood,
        "customers": len(population.customers),
        **{name: str(choice["value"]) for name, choice in profile.described()["assumed"].items()},
        "expected": expected,
    }
    return Plan(arrivals=arrivals, knobs=knobs, scaling=scaling(policy, day, profile, arrivals))


def _calm(policy: Policy, day: GameDay, profile: Profile, rng: Random) -> list[_Wish]:
    """Small requests at a steady rate, with a mean drawdown velocity far below the exit of the
    first tier.
    """
    chosen = profile.assumed
    measure = yardstick(policy)
    total = chosen.calm_requests_per_s.value * day.calm / MS
    count = _first_attempts(total, profile)
    if count == 0:
        return []
    value = (
        chosen.calm_velocity_of_exit.value
        * measure.stressed_exit
        * measure.hot_micro
        * day.calm
        / measure.window_ms
    )
    mean = float(value) / count
    wishes: list[_Wish] = []
    for pool, share in _pools(policy, count).items():
        drawn = shape.amounts(
            rng,
            count=share,
            total=mean * share,
            high=min(8 * mean, float(policy.small_value_micro_max())),
            alpha=float(chosen.amount_tail_exponent.value),
        )
        wishes += [_wish(policy, pool, value_micro=int(amount)) for amount in drawn]
    rng.shuffle(wishes)
    _set_times(wishes, shape.steady_times(rng, count=len(wishes), length=day.calm / MS))
    return wishes


def _run(policy: Policy, day: GameDay, profile: Profile, rng: Random) -> list[_Wish]:
    """The run itself: heavy-tailed, evenly over the pools by value, the largest first as a
    tendency.
    """
    chosen = profile.assumed
    hot = policy.hot_target_value_micro()
    count = _first_attempts(chosen.requests_per_s.value * day.flood / MS, profile)
    value = chosen.requested_over_hot_targets.value * hot
    wishes: list[_Wish] = []
    for pool, share in _pools(policy, count).items():
        of_wallet = chosen.amount_of_wallet_max.value * _hot_value_micro(policy, pool, "maximum")
        high = min(float(policy.limits.withdrawal_value_max * MICRO), float(of_wallet))
        drawn = shape.amounts(
            rng,
            count=share,
            total=float(value * _hot_value_micro(policy, pool, "target") / hot),
            high=high,
            alpha=float(chosen.amount_tail_exponent.value),
        )
        wishes += [_wish(policy, pool, value_micro=int(amount)) for amount in drawn]
    length = day.flood / MS
    times = shape.run_times(
        rng,
        count=len(wishes),
        length=length,
        opening_rate=float(chosen.opening_rate_over_later.value),
        contagion=float(chosen.contagion.value),
        contagion_delay=float(chosen.contagion_delay.value) * length,
    )
    order = shape.leaving_order(
        rng,
        [wish.value_micro for wish in wishes],
        opening_count=sum(time < float(chosen.opening.value) * length for time in times),
        opening_value=int(chosen.opening_over_hot_targets.value * hot),
        largest_first=float(chosen.largest_first.value),
        small_max=policy.small_value_micro_max(),
    )
    wishes = [wishes[index] for index in order]
    _set_times(wishes, times)
    return wishes


def _first_attempts(total: Fraction, profile: Profile) -> int:
    """How many of ``total`` requests are first attempts, when a share of those is repeated."""
    return round(total / (1 + profile.assumed.repeated.value))


def _repeats(
    rng: Random, times_us: Sequence[int], *, length_us: int, profile: Profile
) -> list[tuple[int, int]]:
    """(position, delay in microseconds) of the requests that are sent once more before the phase
    ends.
    """
    chosen = profile.assumed
    earliest, latest = (
        int(bound.value * MICROSECONDS)
        for bound in (chosen.repeat_after_s_min, chosen.repeat_after_s_max)
    )
    candidates = [(position, rng.randint(earliest, latest)) for position in range(len(times_us))]
    fitting = [
        (position, delay)
        for position, delay in candidates
        if times_us[position] + delay < length_us
    ]
    return rng.sample(fitting, min(len(fitting), round(len(times_us) * chosen.repeated.value)))


def _pools(policy: Policy, count: int) -> dict[Pool, int]:
    """``count`` requests over the pools, in proportion to the value of their hot targets."""
    hot = policy.hot_target_value_micro()
    pools = {
        (wallet.network, asset): _hot_value_micro(policy, (wallet.network, asset), "target")
        for wallet in policy.payout_wallets().values()
        for asset in wallet.holdings
    }
    bounds = [0, *accumulate(value for value in pools.values())]
    cuts = [count * bound // hot for bound in bounds]
    return {
        pool: after - before
        for pool, before, after in zip(pools, cuts, cuts[1:], strict=False)
        if after > before
    }


def _hot_value_micro(policy: Policy, pool: Pool, bound: str) -> int:
    network, asset = pool
    return sum(
        policy.value_micro(asset, policy.base_units(asset, getattr(wallet.holdings[asset], bound)))
        for wallet in policy.payout_wallets().values()
        if wallet.network == network and asset in wallet.holdings
    )


def _wish(policy: Policy, pool: Pool, *, value_micro: int) -> _Wish:
    """A request for ``value_micro`` worth of the pool's asset, rounded down to a base unit, never
    nothing.
    """
    asset = policy.assets[pool[1]]
    price, per_price = asset.reference_price.as_integer_ratio()
    amount = max(1, value_micro * per_price * 10**asset.decimals // (MICRO * price))
    return _Wish(pool=pool, amount=amount, value_micro=policy.value_micro(pool[1], amount))


def _set_times(wishes: Sequence[_Wish], times: Sequence[float]) -> None:
    for wish, time in zip(wishes, times, strict=True):
        wish.at_us = int(time * MICROSECONDS)


def _assign(wishes: Sequence[_Wish], population: Population, rng: Random) -> None:
    """Give each wish a depositor who can afford it, drawn in proportion to balance.

    Nobody is asked for more than it holds.
    """
    holders: dict[Pool, list[Customer]] = {}
    for customer in population.depositors:
        for pool in customer.balances:
            holders.setdefault(pool, []).append(customer)
    for pool in sorted({wish.pool for wish in wishes}):
        able = holders.get(pool, [])
        left = [customer.balances[pool] for customer in able]
        reach = list(accumulate(left))
        for wish in sorted(
            (wish for wish in wishes if wish.pool == pool),
            key=lambda wish: (-wish.amount, wish.at_us),
        ):
            position = _depositor(rng, left, reach, wish.amount)
            left[position] -= wish.amount
            wish.customer_id = able[position].customer_id


def _depositor(rng: Random, left: list[int], reach: list[int], amount: int) -> int:
    for _ in range(DRAWS):
        position = bisect_right(reach, rng.randrange(reach[-1])) if reach else 0
        if left and left[position] >= amount:
            return position
    if left and max(left) >= amount:
        return left.index(max(left))
    raise UsageError(
        "no depositor can afford a planned request", remedy="plan a smaller run, or larger balances"
    )


class _Destinations:
    """Addresses to be paid: mostly new ones, some seen before."""

    def __init__(self, rng: Random, *, repeated: float) -> None:
        self._rng = rng
        self._repeated = repeated
        self._seen: list[str] = []

    def draw(self) -> str:
        """A lower-case 0x address."""
        if self._seen and self._rng.random() < self._repeated:
            return self._rng.choice(self._seen)
        self._seen.append(f"0x{self._rng.getrandbits(160):040x}")
        return self._seen[-1]


def write_plan(made: Plan, out: Path) -> None:
    """Write ``arrivals.csv`` and ``plan.json`` (knobs and scaling, which the flood copies into
    ``flood.json``).
    """
    write_arrivals(made.arrivals, out / "arrivals.csv")
    text = json.dumps(
        {"seed": made.knobs["seed"], "knobs": made.knobs, "scaling": made.scaling}, indent=2
    )
    (out / "plan.json").write_text(text + "\n", encoding="utf-8")


def main() -> int:
    """Write the plan of one flood; the exit code is of :class:`seawall.errors.ExitCode`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--policy", type=Path, required=True)
    parser.add_argument("--gameday", help="its name; the policy's first one if left out")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--size", type=int, default=CUSTOMERS, help="number of customers")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for arrivals.csv and plan.json"
    )
    parser.add_argument(
        "--customers",
        type=Path,
        help="file for the customers, secrets included; OUT/customers.csv if left out",
    )
    arguments = parser.parse_args()
    try:
        policy = load_policy(arguments.policy)
        try:
            day = policy.gameday(arguments.gameday)
        except KeyError as error:
            known = ", ".join(known.name for known in policy.gamedays)
            raise UsageError(
                f"the policy has no game day {arguments.gameday!r}", remedy=f"name one of: {known}"
            ) from error
        profile = load_profile(day.profile)
        population = populate(policy, profile, seed=arguments.seed, size=arguments.size)
        made = plan(policy, day, profile, population, seed=arguments.seed)
    except SeawallError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_customers(population, arguments.customers or arguments.out / "customers.csv")
    write_plan(made, arguments.out)
    print(
        json.dumps(
            {
                "arrivals": len(made.arrivals),
                "customers": len(population.customers),
                **made.knobs["expected"],
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
