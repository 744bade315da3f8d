"""What orders of operators leave of the tier machine's decisions."""

from __future__ import annotations

from itertools import product

import pytest

from seawall.controls.modes import Decision, ModeState, TierOrder, under_orders
from seawall.policy import TIERS, Tier


def order(tier: Tier, *, exactly: bool = False, number: int = 1) -> TierOrder:
    return TierOrder(id=number, tier=tier, exactly=exactly, operator="kim", justification="why")


def after(now: Tier, wanted: Tier | None, *orders: TierOrder) -> Tier:
    """The tier after a decision for ``wanted`` (None: to stay) under ``orders``."""
    decision = None if wanted is None else Decision(tier=wanted, reason="trigger", trigger="t")
    found = under_orders(ModeState(tier=now, since_us=0), decision, orders)
    return now if found is None else found.tier


@pytest.mark.parametrize(("now", "wanted"), list(product(TIERS, (*TIERS, None))))
def test_without_orders_the_decision_stands(now: Tier, wanted: Tier | None) -> None:
    assert after(now, wanted) == (wanted or now)


@pytest.mark.parametrize(("now", "wanted", "floor"), list(product(TIERS, (*TIERS, None), TIERS)))
def test_a_floor_is_never_gone_below_and_never_in_the_way_above(
    now: Tier, wanted: Tier | None, floor: Tier
) -> None:
    """On the way back a decision below the floor is not followed."""
    found = after(now, wanted, order("normal"), order(floor, number=2))
    rank = TIERS.index
    assert rank(found) >= rank(floor)
    if rank(wanted or now) >= rank(floor):
        assert found == (wanted or now)


@pytest.mark.parametrize(("now", "wanted", "exact"), list(product(TIERS, (*TIERS, None), TIERS)))
def test_the_newest_exact_order_wins_over_triggers_and_floors(
    now: Tier, wanted: Tier | None, exact: Tier
) -> None:
    older = order("protected", exactly=True)
    assert after(now, wanted, older, order("stressed"), order(exact, exactly=True)) == exact


@pytest.mark.parametrize("exactly", [False, True])
def test_a_flip_says_whose_order_it_is_on_record_and_to_nobody_else(*, exactly: bool) -> None:
    ordered = order("protected", exactly=exactly, number=7)
    found = under_orders(ModeState(tier="normal", since_us=0), None, [ordered])
    assert found is not None
    assert (found.tier, found.reason, found.trigger) == ("protected", "order 7 of kim: why", None)
    assert "kim" not in found.shown
    assert "why" not in found.shown
