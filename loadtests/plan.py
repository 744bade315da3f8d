"""The plan of a drill's flood: its schedule, from a policy, customers and a seed.

    python -m loadtests.plan --policy policies/sandbox.yaml --drill signing-region-dark --seed 7 \
        --customers FILE --out DIR

The same arguments give the same bytes. It prints in one line of JSON what the plan does to the
policy's indicators.
"""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

from loadtests import shape
from loadtests.arrivals import MICROSECONDS, Arrival, Phase, read_arrivals, write_arrivals
from loadtests.assignment import Wanted, assign
from loadtests.plan_check import check_plan, target_rates
from loadtests.population import Population, read_customers
from loadtests.rails import send_over_rails
from loadtests.reads import PLANNED_READS, PlannedRead, plan_reads, write_reads_planned
from loadtests.shock import Facts, Profile, load_profile
from seawall.errors import SeawallError, UsageError
from seawall.formats.atomic import write_whole
from seawall.formats.customers import Pool
from seawall.policy import MICRO, Policy
from seawall.policy.drilling import Flood, Storm
from seawall.policy_file import load_policy

MS = 1_000
SECONDS_PER_HOUR = 3_600
NOT_COMPRESSED = (
    "block time and finality depth",
    "signing, its timeouts and its failover",
    "what alerts wait for: scrape, evaluation, `for`, group wait",
    "how long tiers dwell and how long a top-up takes",
    "the delay before a client repeats a request",
)
"""All of these are as the policy declares them: only arrivals are compressed in time."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A schedule, what it was made from (``knobs``), and how it relates to the real event.

    ``reads`` are what its customers look at besides.
    """

    arrivals: tuple[Arrival, ...]
    reads: tuple[PlannedRead, ...]
    knobs: dict[str, Any]
    scaling: dict[str, Any]


def plan(
    policy: Policy,
    name: str,
    profile: Profile,
    population: Population,
    *,
    seed: int,
    earlier: int = 0,
) -> Plan:
    """The flood of the drill called ``name``, after ``earlier`` floods on the same deployment.

    Each of those has other requests, so that one drill can be run several times in a row.

    Raises:
        UsageError: No customer can afford a request, or the flood could not do to the policy's
            tiers what the drill expects.
    """
    rng = Random(f"{seed}/{name}/{earlier}/arrivals")
    assumed = profile.assumed
    drill = policy.drills[name]
    flood = drill.flood
    calm = _calm(policy, flood, profile, rng)
    run = _run(policy, flood, profile, rng)
    storm = [] if flood.storm is None else _storm(policy, flood, flood.storm, population)
    stormers = {request.customer_id for request in storm}
    others = [each for each in population.depositors if each.customer_id not in stormers]
    assign(policy, calm + run, others, rng)
    # Randomness of its own: all that does not go over a rail stays what it is without rails.
    send_over_rails(policy, flood, calm + run, Random(f"{seed}/{name}/{earlier}/rails"))
    destinations = _Destinations(rng, repeated=float(assumed.destinations_repeated.value))
    lines: list[tuple[int, Phase, int, str, Wanted, str]] = []
    phases: tuple[tuple[Phase, list[Wanted], int], ...] = (
        ("calm", calm, flood.calm),
        ("run", run, flood.calm + flood.length),
    )
    for phase, requests, ends_ms in phases:
        named = [(_identity(rng), request, destinations.draw()) for request in requests]
        named = [(identity, each, each.destination or to) for identity, each, to in named]
        lines += [
            (request.at_us, phase, 1, identity, request, to) for identity, request, to in named
        ]
        for position, delay_us in _repeats(
            rng, [request.at_us for request in requests], ends_us=ends_ms * MS, profile=profile
        ):
            identity, request, to = named[position]
            lines.append((request.at_us + delay_us, phase, 2, identity, request, to))
    storming = Random(f"{seed}/{name}/{earlier}/storm")
    lines += [
        (request.at_us, "run", 1, _identity(storming), request, _address(storming))
        for request in storm
    ]
    lines.sort(key=lambda line: (line[0], line[3], line[2]))
    small_max = policy.small_value_micro_max()
    arrivals = tuple(
        Arrival(
            index=index,
            offset_us=offset_us,
            phase=phase,
            attempt=attempt,
            id=identity,
            customer_id=request.customer_id,
            network=request.rail or request.pool[0],
            asset=request.pool[1],
            amount=request.amount,
            value_micro=request.value_micro,
            size="small" if request.value_micro <= small_max else "large",
            destination=to,
            source_network=request.pool[0] if request.rail else "",
        )
        for index, (offset_us, phase, attempt, identity, request, to) in enumerate(lines)
    )
    reads = plan_reads(
        [arrival for arrival in arrivals if arrival.customer_id not in stormers],
        assumed,
        without_spent(population, arrivals),
        calm_us=flood.calm * MS,
        ends_us=(flood.calm + flood.length) * MS,
        # Randomness of its own: the withdrawals of a seed stay what they are.
        rng=Random(f"{seed}/{name}/{earlier}/reads"),
    )
    expected = check_plan(policy, drill, profile, arrivals, reads)
    knobs = {
        "seed": seed,
        "earlier_floods": earlier,
        "policy": policy.policy,
        "policy_digest": policy.digest,
        "drill": name,
        "profile": profile.profile,
        "calm_ms": flood.calm,
        "flood_ms": flood.length,
        "customers": len(population.customers),
        "requested": str(profile.requested(flood)),
        **{name: str(choice["value"]) for name, choice in profile.described()["assumed"].items()},
        "expected": expected,
    }
    if flood.rails:
        knobs["rails"] = {rail: str(share) for rail, share in flood.rails.items()}
    return Plan(
        arrivals=arrivals,
        reads=reads,
        knobs=knobs,
        scaling=scaling(policy, flood, profile, arrivals),
    )


def _calm(policy: Policy, flood: Flood, profile: Profile, rng: Random) -> list[Wanted]:
    """Small requests at a constant rate.

    Their mean drawdown velocity is far below the level at which the first tier is left.
    """
    assumed = profile.assumed
    rates = target_rates(policy)
    total = assumed.calm_requests_per_s.value * flood.calm / MS
    count = _first_attempts(total, profile)
    if count == 0:
        return []
    value = (
        assumed.calm_velocity_of_exit.value
        * rates.stressed_exit
        * rates.hot_micro
        * flood.calm
        / rates.window_ms
    )
    mean = float(value) / count
    requests: list[Wanted] = []
    for pool, share in _pools(policy, count).items():
        drawn = _amounts(
            rng,
            profile,
            count=share,
            total=mean * share,
            high=min(8 * mean, float(policy.small_value_micro_max())),
        )
        requests += [_planned_request(policy, pool, value_micro=int(amount)) for amount in drawn]
    rng.shuffle(requests)
    times = shape.steady_times(rng, count=len(requests), length=flood.calm / MS)
    _set_times(requests, times, start_ms=0)
    return requests


def _run(policy: Policy, flood: Flood, profile: Profile, rng: Random) -> list[Wanted]:
    """The requests of the run itself.

    Amounts are heavy-tailed, value is spread evenly over the pools, and large requests tend to come
    first.
    """
    assumed = profile.assumed
    hot = policy.hot_target_value_micro()
    count = _first_attempts(assumed.requests_per_s.value * flood.length / MS, profile)
    value = profile.requested(flood) * hot
    requests: list[Wanted] = []
    for pool, share in _pools(policy, count).items():
        of_wallet = assumed.amount_of_wallet_max.value * _hot_value_micro(policy, pool, "maximum")
        high = min(float(policy.limits.withdrawal_value_max * MICRO), float(of_wallet))
        drawn = _amounts(
            rng,
            profile,
            count=share,
            total=float(value * _hot_value_micro(policy, pool, "target") / hot),
            high=high,
        )
        requests += [_planned_request(policy, pool, value_micro=int(amount)) for amount in drawn]
    length = flood.length / MS
    times = shape.run_times(
        rng,
        count=len(requests),
        length=length,
        opening_rate=float(assumed.opening_rate_over_later.value),
        contagion=float(assumed.contagion.value),
        contagion_delay=float(assumed.contagion_delay.value) * length,
    )
    order = shape.leaving_order(
        rng,
        [request.value_micro for request in requests],
        opening_count=sum(time < float(assumed.opening.value) * length for time in times),
        opening_value=int(assumed.opening_over_hot_targets.value * hot),
        largest_first=float(assumed.largest_first.value),
        small_max=policy.small_value_micro_max(),
    )
    requests = [requests[index] for index in order]
    _set_times(requests, times, start_ms=flood.calm)
    return requests


def _amounts(
    rng: Random, profile: Profile, *, count: int, total: float, high: float
) -> list[float]:
    """Amounts of ``total`` together in millionths, each up to ``high``.

    Raises:
        UsageError: So few of them cannot be worth so much.
    """
    alpha = float(profile.assumed.amount_tail_exponent.value)
    try:
        return shape.amounts(rng, count=count, total=total, high=high, alpha=alpha)
    except ValueError as error:
        raise UsageError(
            f"{count} requests of up to {high / MICRO:,.0f} cannot be worth {total / MICRO:,.0f}",
            remedy="raise limits.small_withdrawal_value_max or withdrawal_value_max, or let the"
            " profile ask for less, or more often",
        ) from error


def _storm(policy: Policy, flood: Flood, storm: Storm, population: Population) -> list[Wanted]:
    """The requests of one customer, at an even rate all through the run.

    That is the depositor who holds most of one asset.

    Raises:
        UsageError: Even that one holds too little for a single window of the drawdown velocity.
    """
    holdings = [
        (policy.value_micro(pool[1], held), pool, customer.customer_id)
        for customer in population.depositors
        for pool, held in customer.balances.items()
    ]
    if not holdings:
        raise UsageError(
            "nobody is left who could storm: the prober acts as the first customers",
            remedy="import more customers",
        )
    held_micro, pool, customer_id = max(holdings)
    value_micro = int(storm.value * MICRO)
    needed_micro = value_micro * storm.requests_per_s * target_rates(policy).window_ms // MS
    if held_micro < needed_micro:
        raise UsageError(
            f"nobody holds the {needed_micro // MICRO} that the storm asks for in one window of the"
            " drawdown velocity",
            remedy="plan a smaller storm, or larger balances",
        )
    count = storm.requests_per_s * flood.length // MS
    requests = [_planned_request(policy, pool, value_micro=value_micro) for _ in range(count)]
    times = [(index + 0.5) / storm.requests_per_s for index in range(count)]
    _set_times(requests, times, start_ms=flood.calm)
    for request in requests:
        request.customer_id = customer_id
    return requests


def without_spent(population: Population, arrivals: Sequence[Arrival]) -> Population:
    """``population`` after it asked for ``arrivals``: what is left to withdraw in a later flood."""
    spent: dict[str, dict[Pool, int]] = {}
    for arrival in arrivals:
        if arrival.attempt == 1:
            by_pool = spent.setdefault(arrival.customer_id, {})
            by_pool[arrival.pool] = by_pool.get(arrival.pool, 0) + arrival.amount
    return Population(
        customers=tuple(
            replace(
                customer,
                balances={
                    pool: max(0, held - own.get(pool, 0))
                    for pool, held in customer.balances.items()
                },
            )
            if (own := spent.get(customer.customer_id))
            else customer
            for customer in population.customers
        )
    )


def _first_attempts(total: Fraction, profile: Profile) -> int:
    """How many of ``total`` requests are first attempts; the others repeat some of those."""
    return round(total / (1 + profile.assumed.repeated.value))


def _repeats(
    rng: Random, times_us: Sequence[int], *, ends_us: int, profile: Profile
) -> list[tuple[int, int]]:
    """Which requests are sent again before the phase ends: (position, delay in microseconds)."""
    assumed = profile.assumed
    earliest, latest = (
        int(bound.value * MICROSECONDS)
        for bound in (assumed.repeat_after_s_min, assumed.repeat_after_s_max)
    )
    candidates = [(position, rng.randint(earliest, latest)) for position in range(len(times_us))]
    fitting = [
        (position, delay) for position, delay in candidates if times_us[position] + delay < ends_us
    ]
    return rng.sample(fitting, min(len(fitting), round(len(times_us) * assumed.repeated.value)))


def _pools(policy: Policy, count: int) -> dict[Pool, int]:
    """``count`` requests divided over the pools in proportion to their hot targets' value."""
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


def _planned_request(policy: Policy, pool: Pool, *, value_micro: int) -> Wanted:
    """A request for ``value_micro`` worth of the pool's asset.

    The amount is rounded down to whole base units, and is at least one.
    """
    asset = policy.assets[pool[1]]
    price, per_price = asset.reference_price.as_integer_ratio()
    amount = max(1, value_micro * per_price * 10**asset.decimals // (MICRO * price))
    return Wanted(
        pool=pool, amount=amount, value_micro=policy.value_micro(pool[1], amount), at_us=0
    )


def _set_times(requests: Sequence[Wanted], times: Sequence[float], *, start_ms: int) -> None:
    """Let each be sent at its time, in seconds after ``start_ms``."""
    for request, time in zip(requests, times, strict=True):
        request.at_us = start_ms * MS + int(time * MICROSECONDS)


class _Destinations:
    """Addresses to be paid: mostly new ones, some repeated."""

    def __init__(self, rng: Random, *, repeated: float) -> None:
        self._rng = rng
        self._repeated = repeated
        self._seen: list[str] = []

    def draw(self) -> str:
        """A lower-case 0x address."""
        if self._seen and self._rng.random() < self._repeated:
            return self._rng.choice(self._seen)
        self._seen.append(_address(self._rng))
        return self._seen[-1]


def _identity(rng: Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _address(rng: Random) -> str:
    return f"0x{rng.getrandbits(160):040x}"


def scaling(
    policy: Policy, flood: Flood, profile: Profile, arrivals: Sequence[Arrival]
) -> dict[str, Any]:
    """How the planned run relates to the real event: what was scaled, how much, and what was not.

    The report shows it as a table. Ratios are decimals, values are in units of account.
    """
    first = [arrival for arrival in arrivals if arrival.phase == "run" and arrival.attempt == 1]
    requested = Fraction(sum(arrival.value_micro for arrival in first), MICRO)
    liabilities = Fraction(policy.venue.liabilities)
    return {
        "profile": profile.profile,
        "event": profile.event,
        "requested_value": f"{float(requested):,.0f}",
        "requested_of_liabilities": f"{float(requested / liabilities):.4f}",
        "run_s": float(Fraction(flood.length, 1_000)),
        "requests_planned": len(first),
        **_against_event(policy, flood, profile.measured, requested, len(first)),
        "assumed": profile.described()["assumed"],
    }


def _against_event(
    policy: Policy, flood: Flood, facts: Facts | None, requested: Fraction, count: int
) -> dict[str, Any]:
    """What was scaled against the real event, if the profile stands for one."""
    if facts is None:
        return {}
    liabilities = Fraction(policy.venue.liabilities)
    wallets = facts.wallets_value.value
    modelled_h = requested / liabilities / facts.burst_of_assets_per_h.value
    modelled_requests = facts.requests.value / facts.requests_over_h.value * modelled_h
    flood_s = Fraction(flood.length, 1_000)
    return {
        "source": "; ".join(
            dict.fromkeys(
                fact.source
                for fact in (facts.requests, facts.wallets_value, facts.burst_of_assets_per_h)
            )
        ),
        "value_scale": f"{float(liabilities / wallets):.6f}",
        "value_scale_of": f"liabilities {float(liabilities):,.0f} / wallets {float(wallets):,.0f}",
        "modelled_window_s": round(float(modelled_h * SECONDS_PER_HOUR)),
        "time_compression": f"{float(modelled_h * SECONDS_PER_HOUR / flood_s):.1f}",
        "requests_modelled": round(modelled_requests),
        "thinning": f"{float(modelled_requests / count):.2f}",
        "thinning_of": "real requests that one planned request stands for; "
        "its amount carries their value",
        "not_compressed": list(NOT_COMPRESSED),
        "measured": facts.model_dump(mode="json"),
    }


def write_plan(made: Plan, out: Path) -> None:
    """Write ``arrivals.csv``, ``planned_reads.csv`` and ``plan.json``.

    The last holds knobs and scaling, which the flood copies into ``flood.json``.
    """
    write_arrivals(made.arrivals, out / "arrivals.csv")
    write_reads_planned(made.reads, out / PLANNED_READS)
    text = json.dumps(
        {"seed": made.knobs["seed"], "knobs": made.knobs, "scaling": made.scaling}, indent=2
    )
    write_whole(out / "plan.json", text + "\n")


def main() -> int:
    """Write the plan of one flood. The exit code is a :class:`seawall.errors.ExitCode`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--policy", type=Path, required=True)
    parser.add_argument("--drill", required=True, help="its name in the policy")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the schedule and plan.json"
    )
    parser.add_argument(
        "--customers", type=Path, required=True, help="who may withdraw, with their balances"
    )
    parser.add_argument(
        "--spent",
        type=Path,
        nargs="*",
        default=[],
        help="schedules of earlier floods: what they ask for is gone from the balances",
    )
    arguments = parser.parse_args()
    try:
        policy = load_policy(arguments.policy)
        if arguments.drill not in policy.drills:
            raise UsageError(
                f"the policy has no drill {arguments.drill!r}",
                remedy=f"name one of: {', '.join(policy.drills)}",
            )
        profile = load_profile(policy.drills[arguments.drill].flood.profile)
        population = without_spent(
            read_customers(arguments.customers),
            [arrival for path in arguments.spent for arrival in read_arrivals(path)],
        )
        made = plan(
            policy,
            arguments.drill,
            profile,
            population,
            seed=arguments.seed,
            earlier=len(arguments.spent),
        )
        arguments.out.mkdir(parents=True, exist_ok=True)
        write_plan(made, arguments.out)
    except SeawallError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    print(
        json.dumps(
            {
                "arrivals": len(made.arrivals),
                "reads": len(made.reads),
                "customers": len(population.customers),
                **made.knobs["expected"],
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
