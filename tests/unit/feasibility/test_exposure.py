"""The exposure map: exact small policies with figures by hand, and what holds for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.feasibility import sums_of
from seawall.feasibility.exposure import (
    COLUMNS,
    Column,
    Exposure,
    Observed,
    Row,
    as_declared,
    exposure_of,
)
from seawall.feasibility.exposure.figures import Figure, derived, read, unknown
from seawall.policy import Policy
from tests.testing.policies import policy

HOT, RESERVE, COLD = "customer-aster-hot", "customer-aster-reserve", "customer-aster-cold"
OUTFLOW = "stress.outflow.aster.AST"
EXCHANGE: dict[str, Any] = {
    "rails.exchange.funding": {"AST": "100", "USDX": "200000"},
    "rails.exchange.payout_value_max": "100000",
}
CUSTODY: dict[str, Any] = {
    "custody": {
        "custodian": "strongroom",
        "endpoint": "https://api.strongroom.example/v1",
        "opens": "06:00",
        "closes": "22:00",
        "delay": "10s",
        "lead_time": "60s",
        "credential_age_max": "90d",
    },
    f"wallets.{RESERVE}.holdings.AST": {"minimum": "420", "target": "1260", "maximum": "1680"},
}
NOON_S, NIGHT_S = 12 * 3_600, 23 * 3_600


def declared(changes: Mapping[str, Any] | None = None, level: Any = "target") -> Exposure:
    made = policy(changes)
    return exposure_of(made, as_declared(made, level))


def seen(
    made: Policy, *, at_s: float | None = None, waits: int = 0, **held: str | Figure
) -> Observed:
    """As declared, but what is named: ``hot="40"`` is AST in :data:`HOT`."""
    names = {"hot": HOT, "reserve": RESERVE, "cold": COLD}
    base = as_declared(made, "target")
    found = {
        (names[name], "AST"): amount
        if isinstance(amount, Figure)
        else read(Fraction(amount), "a node", age_ms=4_000)
        for name, amount in held.items()
    }
    waiting = {("aster", "AST"): read(Fraction(waits), "the ledger", age_ms=9_000)}
    return replace(
        base,
        holdings={**base.holdings, **found},
        waiting={**base.waiting, **(waiting if waits else {})},
        at_s=at_s,
    )


def row(found: Exposure, name: str, group: str | None = None) -> Row:
    [only] = [each for each in found.rows if each.name == name and group in (None, each.group)]
    return only


def amounts(found: Row, *columns: Column) -> list[Fraction | None]:
    return [found.figure(column).amount for column in columns]


FLOW: tuple[Column, ...] = ("available", "taken", "returned", "left", "shortfall")


@pytest.mark.parametrize(
    ("outflow", "flow", "status"),
    [
        # top-ups begin below 126 = 0.60 x 210; two of 294 fit into 90 s, 31.5 s each
        ("84", [210, 84, 0, 126, 0], "enough"),
        ("100", [210, 100, 16, 126, 0], "enough"),
        ("600", [210, 600, 516, 126, 0], "enough"),
        ("700", [210, 700, 588, 98, 0], "enough"),
        ("777", [210, 777, 588, 21, 0], "enough"),
        ("778", [210, 778, 588, 20, 1], "short"),
        ("900", [210, 900, 588, -102, 123], "short"),
    ],
)
def test_a_hot_wallet_in_one_cycle(outflow: str, flow: list[int], status: str) -> None:
    found = declared({OUTFLOW: outflow})
    hot, reserve = row(found, f"{HOT} AST"), row(found, f"{RESERVE} AST")

    assert amounts(hot, *FLOW) == flow
    assert amounts(hot, "minimum", "buffer", "limit") == [21, 189, 966]  # 6 x 168 less 42
    assert hot.status == status
    assert amounts(reserve, *FLOW) == [1260, flow[2], 0, 1260 - flow[2], 0]


def test_at_its_minimum_a_wallet_pays_what_it_must_not() -> None:
    """A reserve at its minimum has nothing to give either."""
    found = declared(level="minimum")

    assert amounts(row(found, f"{HOT} AST"), *FLOW) == [21, 600, 0, -579, 600]
    assert row(found, f"{HOT} AST").status == "short"


def test_what_the_signer_does_not_let_out_is_short() -> None:
    """With enough in the wallet: 2000 + 588 - 1000, but caps let out 966 in the cycle."""
    made = policy({OUTFLOW: "1000"})
    found = row(exposure_of(made, seen(made, hot="2000")), f"{HOT} AST")

    assert amounts(found, "left", "shortfall", "over_limit") == [1000, 0, 34]
    assert found.status == "short"


def test_who_waits_already_is_paid_as_well() -> None:
    made = policy({OUTFLOW: "700"})

    found = row(exposure_of(made, seen(made, waits=78)), f"{HOT} AST")

    assert amounts(found, "taken", "left", "shortfall") == [778, 20, 1]
    assert found.taken.source == f"{OUTFLOW}, and the ledger"
    assert found.left.age_ms == 9_000  # the oldest of what it follows from


def test_a_reserve_gives_what_it_has_above_its_minimum() -> None:
    changes = {f"wallets.{RESERVE}.holdings.AST.minimum": "420"}
    made = policy({**changes, OUTFLOW: "700"})

    found = exposure_of(made, seen(made, reserve="500"))

    assert amounts(row(found, f"{HOT} AST"), "returned", "left") == [80, -410]
    assert amounts(row(found, f"{RESERVE} AST"), "available", "taken", "left") == [500, 80, 420]
    assert "all of customer-aster-reserve" in row(found, f"{HOT} AST").returned.source


@pytest.mark.parametrize(
    ("at_s", "changes", "arrives", "why"),
    [
        (NOON_S, {}, 960, "the window closes at 22:00 UTC"),
        (NIGHT_S, {}, 0, "closed until 06:00 UTC"),
        (22 * 3_600 - 10, {}, 0, "closes at 22:00 UTC, before its delay is over"),
        (22 * 3_600 - 11, {}, 960, "the window closes at 22:00 UTC"),
        (NOON_S, {"custody.lead_time": "91s"}, 0, "the lead time of cold, 91s, is longer"),
        (NOON_S, {"custody.lead_time": "90s"}, 960, "within 90s"),
        (None, {}, 0, "may begin while the window of cold is closed"),
        (None, {"custody.closes": "06:00"}, 960, "the window never closes"),
        (NIGHT_S, {"custody.opens": "22:00", "custody.closes": "06:00"}, 960, "06:00"),
    ],
)
def test_cold_counts_if_it_arrives_within_the_cycle(
    at_s: float | None, changes: dict[str, Any], arrives: int, why: str
) -> None:
    """A reserve of 300, below its minimum of 420, is filled to 1260."""
    made = policy({**CUSTODY, **changes})

    found = exposure_of(made, seen(made, reserve="300", at_s=at_s))

    [window] = [each for each in found.cold if (each.reserve, each.asset) == (RESERVE, "AST")]
    assert why in window.reason
    assert window.asked.amount == 960
    reserve, cold = row(found, f"{RESERVE} AST"), row(found, f"{COLD} AST")
    assert amounts(reserve, "available", "taken", "returned") == [300, 0, arrives]
    assert reserve.status == ("enough" if arrives else "short")
    assert amounts(cold, "available", "taken", "left") == [9030, arrives, 9030 - arrives]


def test_a_reserve_at_its_minimum_asks_nothing_of_cold() -> None:
    made = policy(CUSTODY)
    found = exposure_of(made, seen(made, reserve="420", at_s=NOON_S))
    assert amounts(row(found, f"{RESERVE} AST"), "returned") == [0]


def test_a_provider_must_be_able_to_make_its_largest_payout() -> None:
    """100,000 at a price of 2,000; what a cycle takes over it, no policy declares."""
    found = row(declared(EXCHANGE), "meridian AST")

    assert amounts(found, "available", "minimum", "buffer", "limit") == [100, 50, 50, 50]
    assert amounts(found, "taken", "returned", "left", "shortfall") == [None] * 4
    assert found.status == "not declared"
    assert found.taken.source == "stress declares no outflow over exchange"


@pytest.mark.parametrize(
    ("funds", "lacks", "credit"), [("50", None, 500_000), ("49", 1, 500_000), ("-10", 60, 480_000)]
)
def test_a_provider_below_it_is_short_whatever_a_cycle_takes(
    funds: str, lacks: int | None, credit: int
) -> None:
    """And balances below zero use up its credit line."""
    made = policy(EXCHANGE)
    base = as_declared(made, "target")
    there = {
        place: read(
            Fraction(funds) if place[1:] == ("primary", "AST") else Fraction(7), "", age_ms=0
        )
        for place in base.funds
    }

    found = exposure_of(made, replace(base, funds=there))

    meridian = row(found, "meridian AST")
    assert meridian.shortfall.amount == lacks
    assert meridian.status == ("not declared" if lacks is None else "short")
    assert row(found, "meridian credit line USD").available.amount == credit
    assert row(found, "solstice credit line USD").available.amount == 500_000


def test_what_is_not_declared_is_said_and_never_zero() -> None:
    found = declared()
    swaps = row(found, "treasury-aster-hot AST")
    unfunded = row(found, "meridian")

    assert swaps.taken.source == "stress declares no swaps"
    assert amounts(swaps, "taken", "left", "shortfall") == [None] * 3
    assert "rails.exchange.funding is not declared" in unfunded.available.source
    assert {swaps.status, unfunded.status} == {"not declared"}
    pays_nobody = row(found, "promotional-aster-hot AST")
    assert amounts(pays_nobody, "taken", "left") == [0, 5]
    assert pays_nobody.status == "enough"


def test_a_bucket_is_as_good_as_the_worst_of_its_wallets() -> None:
    """What BIR and USDX have to spare covers no AST: 1 AST of 2,000 is lacking."""
    found = row(declared({OUTFLOW: "778"}), "customer custodial")

    assert found.status == "short"
    assert found.shortfall.amount == 2_000
    assert (found.left.amount or 0) > (found.minimum.amount or 0)
    assert found.unit == "USD"


def test_functions_are_told_apart_by_what_they_may_use_up() -> None:
    """Protected mode pays small withdrawals from below the minimum, and large ones wait."""
    found = declared({OUTFLOW: "778"})
    small, large = (
        row(found, "aster", "withdrawals_small"),
        row(found, "aster", "withdrawals_large"),
    )

    assert (small.role, small.status, small.shortfall.amount) == (
        "guaranteed",
        "enough",
        Fraction(0),
    )
    assert (large.role, large.status, large.shortfall.amount) == (
        "deferred",
        "short",
        Fraction(2_000),
    )
    assert small.minimum.amount == 0
    assert row(found, "aster", "transfers_large").status == "short"
    assert row(found, "birch", "withdrawals_large").status == "enough"
    assert row(found, "aster", "swaps").available.amount == 50 * 2_000 + 100_000
    assert found.without_money == ("login", "balances")


def test_small_withdrawals_need_the_minimum_where_protected_mode_does_not_promise_them() -> None:
    changes = {"tiers.protected.guarantees": ["login"], OUTFLOW: "778"}
    assert row(declared(changes), "aster", "withdrawals_small").status == "short"


def test_over_a_rail_the_weaker_provider_counts() -> None:
    made = policy(EXCHANGE)
    base = as_declared(made, "target")
    weak = {("exchange", "standby", "AST"): read(Fraction(60), "solstice", age_ms=0)}

    found = exposure_of(made, replace(base, funds={**base.funds, **weak}))

    small = row(found, "exchange", "withdrawals_small")
    assert small.available.amount == 60 * 2_000 + 200_000
    dark = {("exchange", "standby", "AST"): unknown("solstice is dark")}
    found = exposure_of(made, replace(base, funds={**base.funds, **dark}))
    assert row(found, "exchange", "withdrawals_small").status == "unknown"


def test_what_is_short_is_short_though_another_one_is_not_known() -> None:
    made = policy({OUTFLOW: "778"})
    base = seen(made)
    dark = {(HOT, "USDX"): unknown("dark")}

    bucket = row(
        exposure_of(made, replace(base, holdings={**base.holdings, **dark})), "customer custodial"
    )

    assert bucket.status == "short"
    assert bucket.shortfall.amount == 2_000
    assert "of those that are known" in bucket.shortfall.source
    assert bucket.left.basis == "unknown"


# --- for every policy

WHOLE = st.integers(min_value=0, max_value=3_000)


def numbers(found: Exposure) -> list[Row]:
    return [each for each in found.rows if each.left.amount is not None]


@settings(max_examples=60, deadline=None)
@given(outflow=WHOLE, hot=WHOLE, reserve=WHOLE, waits=WHOLE)
def test_nothing_is_created(outflow: int, hot: int, reserve: int, waits: int) -> None:
    made = policy({**CUSTODY, OUTFLOW: str(outflow)})
    found = exposure_of(
        made, seen(made, at_s=NOON_S, waits=waits, hot=str(hot), reserve=str(reserve))
    )

    for each in numbers(found):
        available, taken, returned, left = (
            each.figure(column).amount or 0 for column in ("available", "taken", "returned", "left")
        )
        assert available - taken + returned == left
    own = [row(found, f"{name} AST") for name in (HOT, RESERVE, COLD)]
    assert sum(each.taken.amount or 0 for each in own) == outflow + waits + sum(
        each.returned.amount or 0 for each in own
    )


@settings(max_examples=60, deadline=None)
@given(outflow=WHOLE, more=WHOLE, hot=WHOLE, reserve=WHOLE)
def test_more_outflow_never_leaves_more(outflow: int, more: int, hot: int, reserve: int) -> None:
    def after(amount: int) -> Exposure:
        made = policy({OUTFLOW: str(amount)})
        return exposure_of(made, seen(made, hot=str(hot), reserve=str(reserve)))

    less, later = after(outflow), after(outflow + more)
    for before, behind in zip(less.rows, later.rows, strict=True):
        assert before.name == behind.name
        if before.left.amount is not None and behind.left.amount is not None:
            assert behind.left.amount <= before.left.amount
            assert (behind.shortfall.amount or 0) >= (before.shortfall.amount or 0)


@settings(max_examples=60, deadline=None)
@given(outflow=WHOLE, minimum=st.integers(min_value=0, max_value=126))
def test_at_its_target_a_wallet_lacks_what_feasibility_says(outflow: int, minimum: int) -> None:
    """Up to minimums at which top-ups begin: 126 AST."""
    made = policy({OUTFLOW: str(outflow), f"wallets.{HOT}.holdings.AST.minimum": str(minimum)})
    [promise] = [each for each in sums_of(made) if each.name == "aster AST of one cycle of stress"]
    [caps] = [each for each in sums_of(made) if each.name == "aster AST through the signer's caps"]

    found = row(exposure_of(made, as_declared(made, "target")), f"{HOT} AST")

    assert found.shortfall.amount == max(0, -promise.margin)
    assert found.over_limit.amount == max(0, -caps.margin)


@pytest.mark.parametrize("place", sorted(as_declared(policy(), "target").holdings))
def test_what_is_not_known_is_never_enough(place: tuple[str, str]) -> None:
    """Neither in its own row nor where it is counted in."""
    made = policy(CUSTODY)
    base = as_declared(made, "target")
    found = exposure_of(
        made, replace(base, holdings={**base.holdings, place: unknown("it is dark")})
    )

    wallet, asset = place
    own = row(found, f"{wallet} {asset}")
    assert own.available.basis == "unknown"
    bucket = row(found, made.buckets[made.wallets[wallet].bucket].purpose)
    assert {own.status, bucket.status} == {"unknown"}
    if wallet == RESERVE:
        assert row(found, f"{HOT} {asset}").status == "unknown"
        assert row(found, "aster", "withdrawals_large").status == "unknown"


def test_a_place_that_was_not_looked_at_is_an_error() -> None:
    made = policy()
    base = as_declared(made, "target")
    with pytest.raises(KeyError):
        exposure_of(made, replace(base, holdings={}))


@pytest.mark.parametrize(
    ("amount", "basis"),
    [(None, "read"), (None, "declared"), (Fraction(0), "unknown"), (Fraction(0), "not declared")],
)
def test_a_figure_has_an_amount_or_a_reason(amount: Fraction | None, basis: Any) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        Figure(amount=amount, basis=basis, source="")


def test_unknown_beats_not_declared() -> None:
    dark, silent = unknown("dark"), Figure(amount=None, basis="not declared", source="nobody says")
    assert derived(lambda *_: Fraction(0), silent, dark, source="") is dark


def test_every_column_of_a_row_has_a_definition() -> None:
    found = row(declared(), f"{HOT} AST")
    assert {each for each, value in vars(found).items() if isinstance(value, Figure)} == set(
        COLUMNS
    )
    assert all(found.figure(column).source for column in COLUMNS)
