"""The plan of a flood, recomputed here with plain code from what it wrote."""

from __future__ import annotations

import csv
import re
import stat
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from loadtests.arrivals import Arrival, read_arrivals
from loadtests.plan import Plan, plan, without_spent, write_plan
from loadtests.population import CUSTOMERS, SET_ASIDE, Population, owed, populate, write_customers
from loadtests.shock import Profile, load_profile
from seawall.errors import UsageError
from seawall.policy import Policy
from seawall.policy.drilling import Storm
from seawall.policy_file import load_policy

SANDBOX = load_policy(Path("policies/sandbox.yaml"))
PROFILE = load_profile("bybit-2025-02")
DRILL = "signing-region-dark"
SIZE = CUSTOMERS
SEEDS = range(4)
MORE_SEEDS = range(4, 20)


@pytest.fixture(scope="module", params=[SEEDS, pytest.param(MORE_SEEDS, marks=pytest.mark.nightly)])
def made(request: pytest.FixtureRequest) -> dict[int, tuple[Population, Plan]]:
    return {seed: _make(SANDBOX, seed) for seed in request.param}


def _make(policy: Policy, seed: int, profile: Profile = PROFILE) -> tuple[Population, Plan]:
    population = populate(policy, seed=seed, size=SIZE)
    return population, plan(policy, DRILL, profile, population, seed=seed)


def _firsts(arrivals: tuple[Arrival, ...], phase: str) -> list[Arrival]:
    return [arrival for arrival in arrivals if arrival.phase == phase and arrival.attempt == 1]


def _velocity(arrivals: list[Arrival], at_us: int) -> float:
    """The policy's drawdown velocity at an instant, the slow and obvious way."""
    return (
        sum(a.value_micro for a in arrivals if at_us - 5_000_000 < a.offset_us <= at_us)
        / 1_680_000_000_000
    )


def test_balances_sum_exactly_to_what_the_policy_holds_for_customers(
    made: dict[int, tuple[Population, Plan]],
) -> None:
    """Hot, reserve and cold targets, to the last base unit, for every seed."""
    expected = {
        ("aster", "AST"): 10_500 * 10**18,
        ("aster", "USDX"): 21_000_000 * 10**6,
        ("birch", "BIR"): 42_000 * 10**18,
        ("birch", "USDX"): 21_000_000 * 10**6,
    }

    for population, _ in made.values():
        sums: Counter[tuple[str, str]] = Counter()
        for customer in population.customers:
            sums.update(customer.balances)

        assert dict(sums) == expected
    assert owed(SANDBOX) == expected


def test_balances_are_heavy_tailed(made: dict[int, tuple[Population, Plan]]) -> None:
    """The upper fifth of depositors holds most of a pool."""
    for population, _ in made.values():
        held = sorted(
            (
                c.balances[("aster", "USDX")]
                for c in population.depositors
                if ("aster", "USDX") in c.balances
            ),
            reverse=True,
        )

        assert sum(held[: len(held) // 5]) > 0.5 * sum(held)


def test_no_customer_asks_for_more_than_it_holds_and_those_set_aside_ask_for_nothing(
    made: dict[int, tuple[Population, Plan]],
) -> None:
    """Every planned request could be paid from its customer's balance, all of them together."""
    for population, schedule in made.values():
        balances = {
            (c.customer_id, *pool): amount
            for c in population.customers
            for pool, amount in c.balances.items()
        }
        for arrival in schedule.arrivals:
            if arrival.attempt == 1:
                balances[(arrival.customer_id, arrival.network, arrival.asset)] -= arrival.amount

        assert min(balances.values()) >= 0
        assert min(int(arrival.customer_id) for arrival in schedule.arrivals) > SET_ASIDE


def test_the_run_crosses_protected_in_the_opening_and_stays_above_its_exit(
    made: dict[int, tuple[Population, Plan]],
) -> None:
    """By plain sums over the policy's window.

    Clearly above 0.30 two seconds in, never near 0.08 again, calm far below 0.04.
    """
    for _, schedule in made.values():
        firsts = _firsts(schedule.arrivals, "calm") + _firsts(schedule.arrivals, "run")

        assert _velocity(firsts, 17_000_000) > 0.36
        assert min(_velocity(firsts, at) for at in range(17_000_000, 65_000_001, 500_000)) > 0.096
        assert max(_velocity(firsts, at) for at in range(0, 15_000_000, 500_000)) <= 0.01


def test_the_run_offers_enough_requests_and_value(made: dict[int, tuple[Population, Plan]]) -> None:
    """At least 215 a second and 3.3 times the hot targets; nine in ten are small.

    Each of the four pools has a quarter of the value.
    """
    for _, schedule in made.values():
        run = [arrival for arrival in schedule.arrivals if arrival.phase == "run"]
        firsts = _firsts(schedule.arrivals, "run")
        value = sum(arrival.value_micro for arrival in firsts)
        by_pool: Counter[tuple[str, str]] = Counter()
        for arrival in firsts:
            by_pool[(arrival.network, arrival.asset)] += arrival.value_micro

        assert len(run) / 50 >= 215
        assert value >= 3.3 * 1_680_000_000_000
        assert sum(arrival.size == "small" for arrival in run) / len(run) >= 0.9
        assert all(0.24 < pool / value < 0.26 for pool in by_pool.values())
        assert min(arrival.value_micro for arrival in firsts) > 0
        assert max(arrival.value_micro for arrival in firsts) <= 100_000_000_000


def test_repeats_carry_the_first_request_unchanged_and_come_one_to_five_seconds_later(
    made: dict[int, tuple[Population, Plan]],
) -> None:
    """A replay that differed in anything but its time would be refused as an id used twice."""
    for _, schedule in made.values():
        firsts = {arrival.id: arrival for arrival in schedule.arrivals if arrival.attempt == 1}
        repeats = [arrival for arrival in schedule.arrivals if arrival.attempt == 2]

        assert len(firsts) + len(repeats) == len(schedule.arrivals)
        assert 0.075 < len(repeats) / len(firsts) < 0.085
        for again in repeats:
            first = firsts[again.id]
            assert 1_000_000 <= again.offset_us - first.offset_us <= 5_000_000
            assert again.phase == first.phase
            assert (again.customer_id, again.amount, again.asset, again.destination) == (
                first.customer_id,
                first.amount,
                first.asset,
                first.destination,
            )


def test_destinations_are_addresses_of_which_some_repeat(
    made: dict[int, tuple[Population, Plan]],
) -> None:
    """About seven in ten are paid for the first time."""
    _, schedule = next(iter(made.values()))
    destinations = [arrival.destination for arrival in schedule.arrivals if arrival.attempt == 1]

    assert all(
        to == to.lower() and to.startswith("0x") and int(to, 16) > 0 and len(to) == 42
        for to in destinations
    )
    assert 0.67 < len(set(destinations)) / len(destinations) < 0.73


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    """Replay is byte for byte, secrets included; customers are readable by their owner alone."""
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        population, schedule = _make(SANDBOX, seed)
        (tmp_path / name).mkdir()
        write_plan(schedule, tmp_path / name)
        write_customers(population, tmp_path / name / "customers.csv")

    for file in ("arrivals.csv", "plan.json", "customers.csv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert (tmp_path / "a" / "arrivals.csv").read_bytes() != (
        tmp_path / "c" / "arrivals.csv"
    ).read_bytes()
    assert stat.S_IMODE((tmp_path / "a" / "customers.csv").stat().st_mode) == 0o600


def test_a_later_flood_has_other_requests_and_asks_for_nothing_that_is_gone() -> None:
    """The same drill again, for customers who hold what the first one left them."""
    population, first = _make(SANDBOX, 7)
    left = without_spent(population, first.arrivals)
    second = plan(SANDBOX, "calm", load_profile("calm-day"), left, seed=7, earlier=1)
    again = plan(SANDBOX, "calm", load_profile("calm-day"), left, seed=7, earlier=2)

    ids = [{arrival.id for arrival in each.arrivals} for each in (first, second, again)]
    assert not ids[0] & ids[1]
    assert not ids[1] & ids[2]
    held = {
        (c.customer_id, *pool): amount
        for c in population.customers
        for pool, amount in c.balances.items()
    }
    for arrival in (*first.arrivals, *second.arrivals):
        if arrival.attempt == 1:
            held[(arrival.customer_id, arrival.network, arrival.asset)] -= arrival.amount
    assert min(held.values()) >= 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_calm_day_reaches_no_tier_and_pays_small_ones(seed: int) -> None:
    """Its velocity stays far below the first level, by plain sums."""
    population = populate(SANDBOX, seed=seed, size=SIZE)
    made = plan(SANDBOX, "calm", load_profile("calm-day"), population, seed=seed)
    firsts = _firsts(made.arrivals, "calm") + _firsts(made.arrivals, "run")

    assert max(_velocity(firsts, at) for at in range(0, 45_000_000, 500_000)) < 0.05
    assert sum(arrival.size == "small" for arrival in firsts) > 0.97 * len(firsts)
    assert "measured" not in made.scaling


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_slow_bleed_asks_for_half_the_hot_targets_and_reaches_no_tier(seed: int) -> None:
    """A valid drill: much leaves, and at no moment fast."""
    population = populate(SANDBOX, seed=seed, size=SIZE)

    made = plan(SANDBOX, "slow-bleed", load_profile("slow-bleed"), population, seed=seed)

    expected = made.knobs["expected"]
    assert expected["requested_over_hot_targets"] > 0.5
    assert expected["velocity_max"] < 0.1 / 1.2
    assert expected["protected_crossed_after_s"] is None


def test_a_flood_that_reaches_a_tier_which_its_drill_avoids_is_refused() -> None:
    """A bank run under a drill that means to see nothing."""
    drill = SANDBOX.drills[DRILL]
    expects = drill.expects.model_copy(update={"reaches": (), "avoids": ("protected",)})
    other = drill.model_copy(update={"expects": expects})
    policy = SANDBOX.model_copy(update={"drills": {DRILL: other}})

    with pytest.raises(UsageError, match=r"it peaks at a velocity of 0\.\d+, and protected begins"):
        _make(policy, 1)


def test_a_flood_smaller_than_the_smallest_that_counts_is_refused() -> None:
    """Its drill could only ever be UNKNOWN."""
    drill = SANDBOX.drills[DRILL]
    smallest = drill.smallest.model_copy(update={"offered_per_s": 500})
    policy = SANDBOX.model_copy(
        update={"drills": {DRILL: drill.model_copy(update={"smallest": smallest})}}
    )

    with pytest.raises(UsageError, match=r"it offers 2\d\d requests a second, below the smallest"):
        _make(policy, 1)


def test_a_written_schedule_reads_back_as_it_was_planned(tmp_path: Path) -> None:
    """No rounding between the plan and the flood, down to the microsecond and the base unit."""
    _, schedule = _make(SANDBOX, 3)
    write_plan(schedule, tmp_path)

    assert read_arrivals(tmp_path / "arrivals.csv") == list(schedule.arrivals)


@pytest.mark.parametrize("text", ["", "index,offset_s\n", "index,offset_s,phase\n0,1.0,lunch\n"])
def test_a_file_that_is_no_schedule_is_refused(tmp_path: Path, text: str) -> None:
    """Empty, without lines, or malformed: a usage error, and not a flood that sends nothing."""
    (tmp_path / "arrivals.csv").write_text(text)

    with pytest.raises(UsageError):
        read_arrivals(tmp_path / "arrivals.csv")


def test_production_is_stressed_by_the_same_profile() -> None:
    """The promises are the same there; only durations are longer."""
    policy = load_policy(Path("policies/production.yaml"))

    _, schedule = _make(policy, 1)

    assert schedule.knobs["expected"]["requested_over_hot_targets"] >= 3.3


def test_a_drill_may_ask_for_less_than_its_profile_and_still_reach_its_tier() -> None:
    """One sandbox has money for one whole run on the bank, and for a smaller one after it."""
    population = populate(SANDBOX, seed=1, size=SIZE)
    asked = SANDBOX.drills["prometheus-dark"].flood.requested
    assert asked is not None

    schedule = plan(SANDBOX, "prometheus-dark", PROFILE, population, seed=1)

    expected = schedule.knobs["expected"]
    assert expected["requested_over_hot_targets"] == pytest.approx(float(asked), rel=0.02)
    assert expected["protected_crossed_after_s"] is not None
    assert schedule.knobs["requested"] == str(asked)


def test_no_customer_asks_for_more_than_the_limits_allow(
    made: dict[int, tuple[Population, Plan]],
) -> None:
    """Within any 15 s, and two more for requests that are committed late.

    What is planned as small stays small: else it would be deferred, and no promise broken by that.
    """
    for _, schedule in made.values():
        by_customer: dict[str, list[Arrival]] = {}
        for arrival in schedule.arrivals:
            if arrival.attempt == 1:
                by_customer.setdefault(arrival.customer_id, []).append(arrival)
        for asked in by_customer.values():
            for each in asked:
                together = [
                    other.value_micro
                    for other in asked
                    if each.offset_us - 17_000_000 <= other.offset_us <= each.offset_us + 2_000_000
                ]
                assert sum(together) <= 100_000_000_000
                assert len(together) <= 120
                assert each.size == "large" or sum(together) <= 1_000_000_000


@pytest.mark.parametrize(
    ("changes", "size", "said"),
    [
        ({}, 500, "has used up what limits allow a customer within 15000 ms"),
        ({"withdrawals_max": 1}, 500, "a value of 100000, of which 1000 is small, in 1 requests"),
        ({"small_withdrawal_value_max": Decimal(100)}, 50, "up to 100 cannot be worth 6,255"),
        ({"withdrawal_value_max": Decimal(1_050)}, 50, "up to 1,050 cannot be worth"),
    ],
)
def test_a_flood_that_the_limits_of_customers_make_impossible_is_refused(
    changes: dict[str, object], size: int, said: str
) -> None:
    """Its customers would be refused, or their small withdrawals be large, by the policy itself."""
    limits = SANDBOX.limits.model_copy(update=changes)
    policy = SANDBOX.model_copy(update={"limits": limits})

    with pytest.raises(UsageError, match=said):
        plan(policy, DRILL, PROFILE, populate(policy, seed=1, size=size), seed=1)


STORM = "one-customer"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_customer_storms_beside_a_calm_day_and_only_the_limits_keep_the_tier(seed: int) -> None:
    """Of what it asks for, only so much is let through; without limits it alone would be a run."""
    population = populate(SANDBOX, seed=seed, size=SIZE)

    made = plan(SANDBOX, STORM, load_profile("calm-day"), population, seed=seed)

    by_customer = Counter(each.customer_id for each in made.arrivals)
    [(stormer, count)] = by_customer.most_common(1)
    storm = [each for each in made.arrivals if each.customer_id == stormer]
    others = [each for each in made.arrivals if each.customer_id != stormer]
    assert count == 50 * 40
    assert {each.phase for each in storm} == {"run"}
    assert {each.size for each in storm} == {"large"}
    assert max(_velocity(storm, at) for at in range(15_000_000, 55_000_001, 500_000)) > 0.15
    assert max(_velocity(others, at) for at in range(0, 55_000_001, 500_000)) < 0.02
    assert made.knobs["expected"]["velocity_max"] < 0.1 / 1.2
    assert not {read.customer_id for read in made.reads} & {stormer}


def test_a_storm_that_would_reach_no_tier_anyway_is_refused() -> None:
    """It would pass without any limit."""
    drill = SANDBOX.drills[STORM]
    storm = Storm(requests_per_s=10, value=Decimal(1_050))
    flood = drill.flood.model_copy(update={"storm": storm})
    policy = SANDBOX.model_copy(
        update={"drills": {STORM: drill.model_copy(update={"flood": flood})}}
    )
    population = populate(policy, seed=1, size=SIZE)

    with pytest.raises(UsageError, match=r"its storm would reach a velocity of only 0\.0\d+ with"):
        plan(policy, STORM, load_profile("calm-day"), population, seed=1)


def test_a_storm_that_nobody_could_pay_for_is_refused() -> None:
    drill = SANDBOX.drills[STORM]
    storm = Storm(requests_per_s=5_000, value=Decimal(1_050))
    flood = drill.flood.model_copy(update={"storm": storm})
    policy = SANDBOX.model_copy(
        update={"drills": {STORM: drill.model_copy(update={"flood": flood})}}
    )
    population = populate(policy, seed=1, size=SIZE)

    with pytest.raises(UsageError, match="nobody holds the 26250000 that the storm asks for"):
        plan(policy, STORM, load_profile("calm-day"), population, seed=1)


def test_a_profile_too_weak_for_the_policy_is_refused_with_numbers() -> None:
    """A run that would not cross the trigger proves nothing about it."""
    tree = PROFILE.model_dump(mode="json")
    tree["assumed"]["opening_over_hot_targets"]["value"] = "0"
    tree["assumed"]["largest_first"]["value"] = "0"
    weak = Profile.model_validate(tree)

    with pytest.raises(
        UsageError, match=r"not what its drill expects: the opening reaches only 0\.\d+"
    ):
        _make(SANDBOX, 1, weak)


def test_every_scaling_is_stated_and_consistent(made: dict[int, tuple[Population, Plan]]) -> None:
    """Compression times the drill's length is the modelled window.

    Thinning times the requests is what really came.
    """
    _, schedule = next(iter(made.values()))
    scaling = schedule.scaling

    assert float(scaling["value_scale"]) == pytest.approx(84e6 / 16.9e9, rel=1e-3)
    assert float(scaling["time_compression"]) * scaling["run_s"] == pytest.approx(
        scaling["modelled_window_s"], rel=1e-2
    )
    assert float(scaling["thinning"]) * scaling["requests_planned"] == pytest.approx(
        scaling["requests_modelled"], rel=1e-2
    )
    assert any("block time" in line for line in scaling["not_compressed"])
    assert all(fact["source"] for fact in scaling["measured"].values())
    assert all(choice["why"] for choice in scaling["assumed"].values())


def test_api_keys_stay_out_of_reprs() -> None:
    """A traceback must not show a secret."""
    customer = populate(SANDBOX, seed=1, size=10).customers[0]

    assert customer.api_key not in repr(customer)


def test_customers_are_written_one_line_per_balance(tmp_path: Path) -> None:
    """The ledger is opened from these columns; those set aside hold every pool."""
    population = populate(SANDBOX, seed=1, size=50)
    write_customers(population, tmp_path / "customers.csv")

    with (tmp_path / "customers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    held = Counter(int(row["customer_id"]) for row in rows)

    assert len(rows) == sum(len(customer.balances) for customer in population.customers)
    assert [held[customer_id] for customer_id in (1, 2, 3)] == [4, 4, 4]


def _over_rails(shares: dict[str, str], *, seed: int = 7) -> Plan:
    """The calm day's plan, with these shares of its requests over rails."""
    drill = SANDBOX.drills["calm"]
    rails = {rail: Fraction(share) for rail, share in shares.items()}
    flood = drill.flood.model_copy(update={"rails": rails})
    policy = SANDBOX.model_copy(
        update={"drills": {"calm": drill.model_copy(update={"flood": flood})}}
    )
    population = populate(SANDBOX, seed=seed, size=SIZE)
    return plan(policy, "calm", load_profile("calm-day"), population, seed=seed)


@pytest.mark.parametrize("shares", [{}, {"exchange": "0"}])
def test_a_flood_without_a_share_for_rails_is_what_it_was(
    shares: dict[str, str], tmp_path: Path
) -> None:
    """The schedule names no rail, and no column for one."""
    write_plan(_over_rails(shares), tmp_path)

    header = (tmp_path / "arrivals.csv").read_text().partition("\n")[0]
    assert header == (
        "index,offset_s,phase,attempt,id,customer_id,network,asset,amount,value_micro,size,"
        "destination"
    )


def test_a_share_goes_over_each_rail_and_all_else_stays_what_it_is(tmp_path: Path) -> None:
    """Only where a request is paid differs: when, of whose balance and how much does not."""
    without, schedule = _over_rails({}), _over_rails({"exchange": "0.03", "fiat": "0.02"})
    firsts = [arrival for arrival in schedule.arrivals if arrival.attempt == 1]
    sent = Counter(arrival.network for arrival in firsts)

    assert 0.029 < sent["exchange"] / len(firsts) < 0.031
    assert 0.019 < sent["fiat"] / len(firsts) < 0.021
    for before, after in zip(without.arrivals, schedule.arrivals, strict=True):
        paid = replace(after, network=before.network, destination=before.destination)
        assert replace(paid, source_network="") == before
        assert after.pool == before.pool
        assert (after.source_network == "") == (after.network == before.network)
    over = [arrival for arrival in firsts if arrival.source_network]
    assert {arrival.size for arrival in over} == {"small"}
    assert {arrival.asset for arrival in over if arrival.network == "fiat"} == {"USDX"}
    assert {arrival.asset for arrival in over if arrival.network == "exchange"} == {
        "AST",
        "BIR",
        "USDX",
    }
    assert len({arrival.destination for arrival in over}) == len(over)
    assert all(
        re.fullmatch(r"XX\d\d[A-Z0-9]{18}" if each.network == "fiat" else "0x[0-9a-f]{40}", to)
        for each in over
        for to in [each.destination]
    )
    assert without.reads == schedule.reads
    assert schedule == _over_rails({"exchange": "0.03", "fiat": "0.02"})
    write_plan(schedule, tmp_path)
    assert read_arrivals(tmp_path / "arrivals.csv") == list(schedule.arrivals)
    assert schedule.knobs["rails"] == {"exchange": "3/100", "fiat": "1/50"}


def test_a_repeat_goes_over_the_rail_of_its_first_attempt() -> None:
    schedule = _over_rails({"exchange": "0.4"})
    firsts = {arrival.id: arrival for arrival in schedule.arrivals if arrival.attempt == 1}
    repeats = [each for each in schedule.arrivals if each.attempt == 2 and each.source_network]

    assert repeats
    for again in repeats:
        first = firsts[again.id]
        assert (again.network, again.destination) == (first.network, first.destination)


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"aster": "0.1"}, "nothing is paid over aster"),
        ({"fiat": "0.9"}, "requests should go over fiat, and it would pay"),
    ],
)
def test_a_share_that_a_rail_cannot_have_is_refused(shares: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        _over_rails(shares)


def test_more_over_a_rail_than_its_providers_hold_is_refused() -> None:
    """It would wait for money that nobody sends."""
    drill = SANDBOX.drills["calm"]
    rails = {
        **SANDBOX.rails,
        "fiat": SANDBOX.rails["fiat"].model_copy(update={"funding": {"USDX": Decimal(1)}}),
    }
    flood = drill.flood.model_copy(update={"rails": {"fiat": Fraction(1, 10)}})
    policy = SANDBOX.model_copy(
        update={"rails": rails, "drills": {"calm": drill.model_copy(update={"flood": flood})}}
    )
    population = populate(SANDBOX, seed=1, size=SIZE)

    with pytest.raises(UsageError, match=r"of the USDX that each provider of fiat holds"):
        plan(policy, "calm", load_profile("calm-day"), population, seed=1)
