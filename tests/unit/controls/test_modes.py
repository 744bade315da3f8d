"""The tier machine: when a tier is entered and when it is left."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.controls.modes import ModeState, decide, drained_age_ms, settling_ms, watch
from seawall.indicators import Sample
from seawall.policy import TIERS, IndicatorName, Policy, Tier
from seawall.policy.model import IndicatorSettings
from seawall.policy_file import load_policy
from tests.testing import policies

ROOT = Path(__file__).resolve().parents[3]
POLICY = policies.policy(durations="1/3")
SECOND = 1_000_000


def sample(levels: Mapping[str, str], *, at_s: float = 0) -> Sample:
    names: tuple[IndicatorName, ...] = (
        "drawdown_velocity",
        "queue_age_s",
        "queue_age_guaranteed_s",
        "signing_failures",
    )
    return Sample(
        at_us=int(at_s * SECOND),
        shown_us=0,
        levels={name: Fraction(levels.get(name, "0")) for name in names},
        newest_flow_id=1,
    )


@pytest.mark.parametrize(
    ("tier", "levels", "expected", "trigger"),
    [
        ("normal", {}, None, None),
        ("normal", {"drawdown_velocity": "0.0999"}, None, None),
        ("normal", {"drawdown_velocity": "0.10"}, "stressed", "run-building"),
        ("normal", {"drawdown_velocity": "0.30"}, "protected", "run-on-the-bank"),
        ("stressed", {"drawdown_velocity": "0.29"}, None, None),
        ("stressed", {"drawdown_velocity": "0.30"}, "protected", "run-on-the-bank"),
        ("protected", {"drawdown_velocity": "9"}, None, None),
        ("normal", {"signing_failures": "1"}, None, None),
        ("normal", {"signing_failures": "2"}, "stressed", "signing-degraded"),
        ("normal", {"queue_age_guaranteed_s": "10"}, "stressed", "queue-ageing"),
        ("normal", {"queue_age_s": "39.9"}, None, None),
        ("normal", {"queue_age_s": "40"}, "stressed", "backlog"),
        (
            "normal",
            {"signing_failures": "5", "drawdown_velocity": "0.31"},
            "protected",
            "run-on-the-bank",
        ),
    ],
)
def test_a_worse_tier_is_entered_at_once(
    tier: Tier, levels: dict[str, str], expected: Tier | None, trigger: str | None
) -> None:
    """At the level itself, past tiers in between, for the trigger that demands it.

    The dwell of the present tier does not delay it.
    """
    decision = decide(POLICY, ModeState(tier=tier, since_us=0), sample(levels), 0)
    if expected is None:
        assert decision is None
    else:
        assert decision is not None
        assert (decision.tier, decision.trigger) == (expected, trigger)


@pytest.mark.parametrize(
    ("tier", "since_s", "calm_since_s", "now_s", "expected"),
    [
        ("protected", 0, 7, 10, "stressed"),  # dwell 10 s, exit after 3 s
        ("protected", 0, 7, 9.99, None),
        ("protected", 0, 7.01, 10, None),
        ("protected", 0, None, 100, None),
        ("stressed", 0, 2, 5, "normal"),
        ("stressed", 0, 2, 4.99, None),
        ("normal", 0, 0, 1_000, None),
    ],
)
def test_a_tier_is_left_after_dwell_and_calm(
    tier: Tier, since_s: float, calm_since_s: float | None, now_s: float, expected: Tier | None
) -> None:
    """Both bounds must have passed, and the way back is one tier at a time."""
    calm_us = None if calm_since_s is None else int(calm_since_s * SECOND)
    decision = decide(
        POLICY,
        ModeState(tier=tier, since_us=int(since_s * SECOND), calm_since_us=calm_us),
        sample({}, at_s=now_s),
        int(now_s * SECOND),
    )
    assert (decision.tier if decision else None) == expected
    assert decision is None or decision.trigger is None


def test_a_reason_names_trigger_level_and_customers() -> None:
    """What is committed with a flip can be read at three in the morning."""
    decision = decide(
        POLICY, ModeState(tier="normal", since_us=0), sample({"drawdown_velocity": "0.31"}), 0
    )
    assert decision is not None
    assert decision.reason.startswith(
        "run-on-the-bank: drawdown_velocity 0.310 reached 0.300. The hot wallets would be empty"
    )


@pytest.mark.parametrize(
    ("tier", "levels", "calm"),
    [
        ("protected", {"drawdown_velocity": "0.0799"}, True),
        ("protected", {"drawdown_velocity": "0.08"}, False),
        ("protected", {"signing_failures": "9"}, True),  # keeps the venue stressed, not protected
        ("stressed", {"drawdown_velocity": "0.0399"}, True),
        ("stressed", {"drawdown_velocity": "0.04"}, False),
        ("stressed", {"signing_failures": "1"}, False),
        ("stressed", {"queue_age_s": "5"}, False),
    ],
)
def test_calm_means_every_trigger_of_the_tier_and_worse_below_its_exit(
    tier: Tier, levels: dict[str, str], *, calm: bool
) -> None:
    """One trigger at its exit level breaks the calm off.

    The clock starts at the first calm sample.
    """
    before = ModeState(tier=tier, since_us=0, calm_since_us=5)
    assert watch(POLICY, before, sample(levels, at_s=1)).calm_since_us == (5 if calm else None)
    fresh = ModeState(tier=tier, since_us=0)
    assert watch(POLICY, fresh, sample(levels, at_s=1)).calm_since_us == (SECOND if calm else None)


LEVELS = st.fixed_dictionaries(
    {},
    optional={
        "drawdown_velocity": st.sampled_from(("0.05", "0.09", "0.2", "0.5")),
        "signing_failures": st.sampled_from(("1", "3")),
    },
)


@given(st.lists(st.tuples(st.integers(20, 3_000), LEVELS), max_size=60))
def test_no_tier_is_left_before_its_dwell_and_calm_always_leads_back(
    steps: list[tuple[int, dict[str, str]]],
) -> None:
    """Whatever happens, a tier lasts its dwell before a calmer one.

    Once all is quiet, normal returns within the sum of the bounds.
    """
    state, now = ModeState(tier="normal", since_us=0), 0

    def step(state: ModeState, now: int, levels: dict[str, str]) -> ModeState:
        seen = sample(levels, at_s=now / SECOND)
        state = watch(POLICY, state, seen)
        decision = decide(POLICY, state, seen, now)
        if decision is None:
            return state
        if TIERS.index(decision.tier) < TIERS.index(state.tier):
            assert TIERS.index(state.tier) - TIERS.index(decision.tier) == 1
            assert now - state.since_us >= POLICY.tiers.promise(state.tier).dwell_min * 1_000
        return ModeState(tier=decision.tier, since_us=now)

    for pause_ms, levels in steps:
        now += pause_ms * 1_000
        state = step(state, now, levels)
    bound_ms = sum(_leaving_ms(POLICY, tier) for tier in ("stressed", "protected"))
    for _ in range(bound_ms // 100 + 8):
        now += 100_000
        state = step(state, now, {})
    assert state.tier == "normal"


def _leaving_ms(policy: Policy, tier: Tier) -> int:
    promise = policy.tiers.promise(tier)
    return max(promise.dwell_min, promise.exit_after + 200)


@pytest.mark.parametrize(
    ("window", "dwell_min", "exit_after", "expected"),
    [(15_000, 30_000, 9_000, 30_000), (45_000, 30_000, 9_000, 45_000), (1, 2, 60_000, 60_000)],
)
def test_a_return_settles_after_the_longest_time_of_the_machine(
    window: int, dwell_min: int, exit_after: int, expected: int
) -> None:
    """A window that remembers, a stay, or a calm: whichever is longest, in milliseconds.

    No less than the 15 s after which a withdrawal that stands still is a backlog.
    """
    policy = policies.policy()
    protected = policy.tiers.protected.model_copy(
        update={"dwell_min": dwell_min, "exit_after": exit_after}
    )
    settings = policy.indicators["drawdown_velocity"].model_copy(update={"window": window})
    short = policy.tiers.stressed.model_copy(update={"dwell_min": 1, "exit_after": 1})
    changed = policy.model_copy(
        update={
            "tiers": policy.tiers.model_copy(update={"protected": protected, "stressed": short}),
            "indicators": dict.fromkeys(policy.indicators, settings),
        }
    )

    assert settling_ms(changed, left_normal=True) == expected
    assert settling_ms(changed, left_normal=False) == max(window, 15_000)


@pytest.mark.parametrize("left_normal", [True, False])
@pytest.mark.parametrize("name", ["production", "sandbox"])
def test_what_stands_still_since_before_a_return_shows_while_that_is_watched(
    name: str, left_normal: bool
) -> None:
    """By a flip, or because it is by then too old for a queue that is drained."""
    policy = load_policy(ROOT / "policies" / f"{name}.yaml")
    drained_ms = drained_age_ms(policy)
    assert drained_ms is not None
    ages = [each for each in policy.triggers if each.indicator.startswith("queue_age")]
    assert {each.name for each in ages} == {"queue-ageing", "promise-at-risk", "backlog"}

    settling = settling_ms(policy, left_normal=left_normal)

    assert settling >= max(min(int(each.enter_at * 1_000), drained_ms) for each in ages)
    # Also where no window happens to be as long.
    short = dict.fromkeys(policy.indicators, IndicatorSettings.model_construct(window=1))
    hasty = policy.model_copy(update={"indicators": short})
    assert settling_ms(hasty, left_normal=left_normal) >= drained_ms
