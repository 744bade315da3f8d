"""The noisy-neighbour drill: PASS with a bulkhead, FAIL without, UNKNOWN if nothing was tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.parts.services import KMS_ECC_PER_S
from seawall.controls.bulkhead import admit, rate_limit_of
from seawall.drill.neighbour.plan import QUIET_PER_S, plan
from seawall.policy_file import load_policy
from seawall.scorecard.checks.neighbour import CALM_S, CHECKS, FLOOD_S
from seawall.scorecard.facts import Facts
from seawall.scorecard.one_control import Answer, Flooded
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.run import Run

POLICY = load_policy(Path(__file__).resolve().parents[3] / "policies" / "sandbox.yaml")
QUOTA = 100
GOOD = {
    "neighbour.calm": Outcome.PASS,
    "neighbour.pressed": Outcome.PASS,
    "neighbour.generator": Outcome.PASS,
    "neighbour.quiet_completed": Outcome.PASS,
    "neighbour.noisy_share": Outcome.PASS,
}


def answered() -> list[Answer]:
    """What a signer with a bulkhead makes of the plan.

    The quiet one is served, the noisy one gets its share.
    """
    answers, signed_of_second = [], dict.fromkeys(range(int(CALM_S + FLOOD_S) + 1), 0)
    for ask in plan(operations_per_s=QUOTA, seed=1):
        outcome = "signed"
        if ask.who == "noisy":
            signed_of_second[int(ask.at_s)] += 1
            outcome = "signed" if signed_of_second[int(ask.at_s)] <= QUOTA * 0.6 else "throttled"
        answers.append(Answer(at_s=ask.at_s, who=ask.who, lag_ms=1, latency_ms=30, outcome=outcome))
    return answers


def outcomes(answers: list[Answer]) -> dict[str, Outcome]:
    run = Run(Path())
    vars(run)["policy"] = POLICY
    vars(run)["neighbour"] = Flooded(
        region="us-east-1",
        operations_per_s=QUOTA,
        noisy="customer",
        quiet="escrow",
        answers=tuple(answers),
    )
    return {check.id: check.answer(Facts(run)).outcome for check in CHECKS}


def test_a_bulkhead_that_holds_passes() -> None:
    assert outcomes(answered()) == GOOD


@pytest.mark.parametrize("seed", range(50))
def test_the_quiet_bucket_never_asks_for_more_than_its_own_room(seed: int) -> None:
    room, arrival_us = rate_limit_of(POLICY, "escrow", operations_per_s=KMS_ECC_PER_S), 0
    asks = [ask for ask in plan(operations_per_s=KMS_ECC_PER_S, seed=seed) if ask.who == "quiet"]
    assert len(asks) == int((CALM_S + FLOOD_S) * QUIET_PER_S)
    for ask in asks:
        answer = admit(room, arrival_us=arrival_us, now_us=int(ask.at_s * 1_000_000))
        assert answer.wait_us == 0, ask
        arrival_us = answer.arrival_us


def _of(
    who: str, change: Callable[[Answer], Answer], *, calm: bool = False
) -> Callable[[list[Answer]], list[Answer]]:
    def spoil(answers: list[Answer]) -> list[Answer]:
        return [
            change(answer) if answer.who == who and (answer.at_s < CALM_S) is calm else answer
            for answer in answers
        ]

    return spoil


@pytest.mark.parametrize(
    ("spoil", "changed"),
    [
        pytest.param(
            _of("quiet", lambda answer: replace(answer, outcome="provider_unavailable")),
            {"neighbour.quiet_completed": Outcome.FAIL},
            id="the quiet bucket is starved",
        ),
        pytest.param(
            _of("quiet", lambda answer: replace(answer, latency_ms=2_000)),
            {"neighbour.quiet_completed": Outcome.FAIL},
            id="the quiet bucket is served too late",
        ),
        pytest.param(
            _of("quiet", lambda answer: replace(answer, outcome="timeout"), calm=True),
            {"neighbour.calm": Outcome.UNKNOWN},
            id="it was not well before the flood",
        ),
        pytest.param(
            lambda answers: [replace(answer, latency_ms=2_000) for answer in answers],
            {"neighbour.calm": Outcome.UNKNOWN, "neighbour.quiet_completed": Outcome.UNKNOWN},
            id="it was as slow before the flood as beside it",
        ),
        pytest.param(
            lambda answers: [
                replace(answer, lag_ms=500, latency_ms=2_000) if answer.at_s >= CALM_S else answer
                for answer in answers
            ],
            {"neighbour.generator": Outcome.UNKNOWN, "neighbour.quiet_completed": Outcome.UNKNOWN},
            id="the answers were late because the generator was",
        ),
        pytest.param(
            _of("noisy", lambda answer: replace(answer, outcome="signed")),
            {"neighbour.pressed": Outcome.UNKNOWN, "neighbour.noisy_share": Outcome.FAIL},
            id="everything was served: no bulkhead, or no quota",
        ),
        pytest.param(
            _of("noisy", lambda answer: replace(answer, outcome="throttled")),
            {"neighbour.noisy_share": Outcome.FAIL},
            id="the noisy bucket lost its own share",
        ),
        pytest.param(
            _of("noisy", lambda answer: replace(answer, outcome="throttled", lag_ms=500)),
            {"neighbour.generator": Outcome.UNKNOWN, "neighbour.noisy_share": Outcome.UNKNOWN},
            id="the noisy bucket got less on a machine that was late",
        ),
        pytest.param(
            _of("noisy", lambda answer: replace(answer, outcome="signed", lag_ms=500)),
            {
                "neighbour.pressed": Outcome.UNKNOWN,
                "neighbour.generator": Outcome.UNKNOWN,
                "neighbour.noisy_share": Outcome.FAIL,
            },
            id="it got more than its share on a machine that was late",
        ),
        pytest.param(
            lambda answers: [replace(answer, lag_ms=500) for answer in answers],
            {"neighbour.generator": Outcome.UNKNOWN},
            id="the generator was late",
        ),
        pytest.param(
            lambda answers: [answer for answer in answers if answer.who == "noisy"],
            {"neighbour.calm": Outcome.UNKNOWN, "neighbour.quiet_completed": Outcome.UNKNOWN},
            id="nobody asked for the quiet bucket",
        ),
        pytest.param(
            lambda answers: [answer for answer in answers if answer.who == "quiet"],
            {"neighbour.pressed": Outcome.UNKNOWN, "neighbour.noisy_share": Outcome.FAIL},
            id="there was no flood",
        ),
    ],
)
def test_every_check_fails_or_is_unknown_for_some_answers(
    spoil: Callable[[list[Answer]], list[Answer]], changed: dict[str, Outcome]
) -> None:
    assert outcomes(spoil(answered())) == GOOD | changed


def test_no_answers_prove_nothing() -> None:
    assert Outcome.PASS not in outcomes([]).values()


def test_a_plan_is_its_seed_and_presses_above_the_quota() -> None:
    asks = plan(operations_per_s=QUOTA, seed=7)
    assert asks == plan(operations_per_s=QUOTA, seed=7) != plan(operations_per_s=QUOTA, seed=8)
    noisy = [ask for ask in asks if ask.who == "noisy"]
    assert all(CALM_S <= ask.at_s < CALM_S + FLOOD_S for ask in noisy)
    assert len(noisy) / FLOOD_S > 2 * QUOTA
