"""What each tier does with a request, and the tier that is shown without a heartbeat."""

from __future__ import annotations

import pytest

from seawall.controls.admission import (
    admit,
    functions_of_withdrawal,
    guaranteed_sizes,
    size_of,
    within_limit,
)
from seawall.controls.heartbeat import stale, tier_without_heartbeat
from seawall.policy import MICRO, Tier
from tests.testing import policies

POLICY = policies.policy(durations="1/3")


@pytest.mark.parametrize(
    ("tier", "value", "cross_rail", "outcome"),
    [
        ("normal", 100_000, True, "allowed"),
        ("stressed", 1_000, False, "allowed"),
        ("stressed", 1_001, False, "allowed"),
        ("stressed", 5_000, True, "allowed"),
        ("protected", 1_000, False, "allowed"),
        ("protected", 1_001, False, "deferred"),
        ("protected", 999, True, "allowed"),
        ("protected", 1_000, True, "suspended"),
        ("protected", 1_001, True, "suspended"),
    ],
)
def test_a_tier_does_with_a_withdrawal_what_it_promises(
    tier: Tier, value: int, cross_rail: bool, outcome: str
) -> None:
    """By size and by transfer; the strictest answer wins, and a refusal says why."""
    value_micro = value * MICRO
    transferred = value_micro if cross_rail else None
    admission = admit(
        POLICY, tier, *functions_of_withdrawal(POLICY, value_micro, transferred_micro=transferred)
    )
    assert admission.outcome == outcome
    assert (admission.reason is None) == (outcome == "allowed")


@pytest.mark.parametrize(
    ("tier", "outcome"),
    [("normal", "allowed"), ("stressed", "allowed"), ("protected", "suspended")],
)
def test_swaps_stop_in_protected_mode(tier: Tier, outcome: str) -> None:
    """The house does not trade while customers run."""
    assert admit(POLICY, tier, "swaps").outcome == outcome


def test_bounds_belong_to_the_calmer_side() -> None:
    """A bound itself is on the calmer side, one millionth more is not."""
    assert (size_of(POLICY, 1_000 * MICRO), size_of(POLICY, 1_000 * MICRO + 1)) == (
        "small",
        "large",
    )
    assert (within_limit(POLICY, 100_000 * MICRO), within_limit(POLICY, 100_000 * MICRO + 1)) == (
        True,
        False,
    )


@pytest.mark.parametrize(
    ("age_ms", "missing"),
    [(None, True), (0, False), (1_500, False), (1_501, True), (-86_400_000, True)],
)
def test_a_heartbeat_is_missing_when_its_lease_is_older_than_the_limit(
    age_ms: int | None, missing: bool
) -> None:
    """No lease at all is no heartbeat, nor is one from before the clock was set back."""
    assert stale(age_ms) is missing


@pytest.mark.parametrize(
    ("committed", "shown"),
    [("normal", "stressed"), ("stressed", "stressed"), ("protected", "protected")],
)
def test_a_missing_heartbeat_never_makes_the_tier_calmer(committed: Tier, shown: Tier) -> None:
    """Stressed at least, protected if that is committed."""
    assert tier_without_heartbeat(committed) == shown


@pytest.mark.parametrize(
    ("tier", "sizes"),
    [("normal", ["small", "large"]), ("stressed", ["small"]), ("protected", ["small"])],
)
def test_worse_tiers_guarantee_small_withdrawals_only(tier: Tier, sizes: list[str]) -> None:
    """What a promise leaves out may wait, and its age does not count as a broken promise."""
    assert guaranteed_sizes(POLICY, tier) == sizes
