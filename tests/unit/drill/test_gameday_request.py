"""What `seawall gameday` and `seawall drill` take, and what they say of several drills."""

from __future__ import annotations

from pathlib import Path

import pytest

from seawall.drill.gameday import Request, make_request
from seawall.errors import PolicyError, UsageError
from tests.testing.policies import tree, write

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.usefixtures("programs_asked_once")


def request(
    sabotage: str | None = None, *, name: str | None = None, drills: tuple[str, ...] = ()
) -> Request:
    return make_request(
        root=ROOT,
        policy_path=ROOT / "policies" / "sandbox.yaml",
        name=name,
        drills=drills,
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


def test_a_game_day_is_its_drills_in_their_order() -> None:
    """The command that is shown replays it."""
    found = request(name="one-after-another", sabotage="failover")

    assert found.drills == (
        "signing-region-dark",
        "calm",
        "rpc-dark",
        "api-killed",
        "settler-frozen",
    )
    assert found.replay == (
        "bin/seawall gameday --seed 1 --gameday one-after-another --policy policies/sandbox.yaml"
        " --sabotage failover"
    )
    with pytest.raises(UsageError, match=r"no game day called 'never' \(one of: run-with-dark"):
        request(name="never")


def test_drills_are_taken_by_name_and_in_the_order_that_is_asked_for() -> None:
    found = request(drills=("rpc-dark", "calm"))

    assert (found.gameday, found.drills) == (None, ("rpc-dark", "calm"))
    assert found.replay == (
        "bin/seawall drill rpc-dark calm --seed 1 --policy policies/sandbox.yaml"
    )
    with pytest.raises(UsageError, match=r"no drill called 'rpc' \(one of: signing-region-dark, "):
        request(drills=("calm", "rpc"))


def test_a_drill_whose_fault_does_not_exist_is_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    """The faults that there are come from the program that applies them."""
    changed = tree({"drills.signing-region-dark.faults.0.fault": "kms-gone"})

    with pytest.raises(PolicyError, match=r"faults\.0\.fault: found 'kms-gone'; name one of kms-"):
        make_request(
            root=ROOT,
            policy_path=write(tmp_path, changed),
            name=None,
            seed=1,
            sabotage=None,
            keep=False,
        )
