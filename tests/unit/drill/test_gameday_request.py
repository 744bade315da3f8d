"""What `seawall gameday --sabotage` takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from seawall.drill.gameday import Request, make_request
from seawall.errors import UsageError

ROOT = Path(__file__).resolve().parents[3]


def request(sabotage: str | None) -> Request:
    return make_request(
        root=ROOT,
        policy_path=ROOT / "policies" / "sandbox.yaml",
        name=None,
        seed=1,
        sabotage=sabotage,
        keep=False,
    )


def test_an_old_spelling_means_the_control_as_it_is_called_now(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert request("guard").sabotage == "mode-controller"
    assert (
        capsys.readouterr().err
        == "--sabotage guard is an old spelling of --sabotage mode-controller\n"
    )


def test_the_present_spelling_is_taken_without_a_notice(capsys: pytest.CaptureFixture[str]) -> None:
    assert request("mode-controller").sabotage == "mode-controller"
    assert capsys.readouterr().err == ""


def test_a_control_that_no_game_day_covers_is_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match="one of: failover, mode-controller"):
        request("bulkhead")
