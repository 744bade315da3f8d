"""What `seawall gameday` and `seawall drill` take, and what they say of several drills."""

from __future__ import annotations

from pathlib import Path

import pytest

from seawall.conventions.sabotage import GAMEDAY_SABOTAGES
from seawall.drill.gameday import Request, make_request
from seawall.drill.sabotage import controls_of
from seawall.errors import PolicyError, UsageError
from seawall.scorecard import SABOTAGE_FAILS
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
    with pytest.raises(
        UsageError,
        match="one of: failover, rpc-failover, rail-failover, mode-controller, asset-rest",
    ):
        request("bulkhead")


def test_a_control_that_one_of_the_drills_does_not_cover_is_refused() -> None:
    """Such a drill would pass without it, and seem to say something."""
    found = request("rpc-failover", drills=("rpc-dark",))

    assert found.replay.endswith(" --sabotage rpc-failover")
    with pytest.raises(
        UsageError,
        match=r"drill calm does not cover the control rpc-failover.* \(drills that cover it:"
        r" rpc-dark; calm covers none\)",
    ):
        request("rpc-failover", drills=("rpc-dark", "calm"))


def test_what_a_drill_covers_follows_from_what_it_declares() -> None:
    """A drill of a fault that no control answers, or of none, covers none."""
    drills = request().policy.drills

    covered = {name: controls_of(drill) for name, drill in drills.items()}

    assert covered == {
        "signing-region-dark": ("failover", "mode-controller"),
        "calm": (),
        "slow-bleed": (),
        "one-customer": ("customer-limits",),
        "rpc-dark": ("rpc-failover",),
        "exchange-dark": ("rail-failover",),
        "processor-dark": ("rail-failover",),
        "signing-throttled": ("failover",),
        "signing-denied": ("failover",),
        "api-killed": (),
        "settler-frozen": (),
        "asset-paused": ("asset-rest",),
        "one-wei": (),
        "fee-spike": (),
        "client-frozen": ("mode-controller",),
        "database-lost": ("wal-stream",),
        "prometheus-dark": ("mode-controller",),
    }


def test_what_the_gate_wants_is_drilled_on_some_game_day() -> None:
    """Else it would be stale for ever, unless somebody thought of it."""
    policy = request().policy
    scheduled = {drill for day in policy.gamedays for drill in day.drills}

    assert {required.drill for required in policy.readiness} <= scheduled


def test_a_game_day_is_its_drills_in_their_order() -> None:
    """The command that is shown replays it."""
    found = request(name="one-after-another")

    assert found.drills[:3] == ("signing-region-dark", "calm", "rpc-dark")
    assert found.replay == (
        "bin/seawall gameday --seed 1 --gameday one-after-another --policy policies/sandbox.yaml"
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


def test_drills_that_cannot_follow_one_another_are_refused_as_in_a_game_day() -> None:
    """One sandbox has money for one whole run on the bank, which must find it untouched."""
    with pytest.raises(PolicyError, match=r"seawall drill\.1: found 'signing-region-dark'; put it"):
        request(drills=("calm", "signing-region-dark"))
    with pytest.raises(
        PolicyError, match=r"floods that ask for 7\.36 times the hot targets .* in two game days"
    ):
        request(drills=("signing-region-dark", "prometheus-dark", "prometheus-dark"))


def test_a_drill_whose_fault_does_not_exist_is_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    """The faults that there are come from the program that applies them."""
    changed = tree({"drills.signing-region-dark.faults.0.fault": "kms-gone"})

    with pytest.raises(
        PolicyError, match=r"faults\.0\.fault: found 'kms-gone'; name one of asset-"
    ):
        make_request(
            root=ROOT,
            policy_path=write(tmp_path, changed),
            name=None,
            seed=1,
            sabotage=None,
            keep=False,
        )


def test_the_page_about_drills_names_every_control_with_the_checks_that_fail_without_it() -> None:
    text = (ROOT / "docs" / "drills.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    named = {
        cells[1].strip(" `"): frozenset(cells[4].replace("`", "").replace(" ", "").split(","))
        for cells in rows
        if cells[1].strip(" `") in GAMEDAY_SABOTAGES
    }

    assert named == SABOTAGE_FAILS
    assert set(named) == set(GAMEDAY_SABOTAGES)
