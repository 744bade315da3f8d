"""What died is started again after a while that grows with its deaths, up to a bound."""

from __future__ import annotations

import pytest

from sandbox.restarts import CAP_S, FIRST_S, HEALTHY_S, Restarts


def waited(lives_s: list[float]) -> list[float]:
    """How long each restart waits for a process that lives so long each time."""
    restarts, at, found = Restarts(), 100.0, []
    restarts.cover("settler", started_at=at)
    for lived_s in lives_s:
        restarts.started("settler", at=at)
        at += lived_s
        restarts.died("settler", at=at)
        delay_s = next(
            step / 8 for step in range(8 * 3_600) if restarts.due(at=at + step / 8) == ("settler",)
        )
        found.append(delay_s)
        at += delay_s
    return found


@pytest.mark.parametrize(
    ("lives_s", "delays_s"),
    [
        pytest.param([1.0], [FIRST_S], id="once"),
        pytest.param([1.0] * 7, [0.5, 1, 2, 4, 8, CAP_S, CAP_S], id="twice as long, up to a bound"),
        pytest.param([1.0, 1.0, HEALTHY_S, 1.0], [0.5, 1, 0.5, 1], id="anew after a healthy while"),
        pytest.param([1.0, HEALTHY_S - 1], [0.5, 1], id="not quite so long"),
    ],
)
def test_the_wait_grows_with_the_deaths(lives_s: list[float], delays_s: list[float]) -> None:
    assert waited(lives_s) == delays_s


def test_only_what_died_is_due_and_only_once_for_a_death() -> None:
    restarts = Restarts()
    for name in ("settler", "api", "signer"):
        restarts.cover(name, started_at=0.0)
    restarts.died("signer", at=1.0)
    restarts.died("settler", at=1.0)
    restarts.died("settler", at=1.0)  # told twice
    restarts.started("postgres", at=0.0)  # not one that is started again
    restarts.died("postgres", at=1.0)

    assert restarts.due(at=1.0) == ()
    assert restarts.due(at=1.5) == ("settler", "signer")
    restarts.started("signer", at=1.5)
    assert restarts.due(at=9.0) == ("settler",)
