"""The kill switch, with its readings and its clock as ports."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from seawall.conventions import aws
from seawall.conventions import environment as environment_names
from seawall.errors import DrillError, UsageError
from seawall.kill_switch import (
    LOOK_EVERY_S,
    UNREADABLE_S_MAX,
    Look,
    SsmSwitch,
    SwitchWatch,
    switches_of,
)

ARMED, STOPPED = aws.KILL_SWITCH_ARMED, aws.KILL_SWITCH_STOPPED


class Regions:
    """A switch in two regions and a clock; None is a region that does not answer."""

    def __init__(self, primary: str | None = ARMED, standby: str | None = ARMED) -> None:
        self.values: dict[str, str | None] = {"primary": primary, "standby": standby}
        self.now_s = 1_000.0

    def look(self) -> Look:
        """What each region says now."""
        says = {region: value for region, value in self.values.items() if value is not None}
        return Look(
            says=says,
            unreadable={region: "no answer" for region in self.values if region not in says},
        )

    def watch(self) -> SwitchWatch:
        """Whoever obeys it."""
        return SwitchWatch(switches=[self], monotonic_s=lambda: self.now_s)

    def pass_s(self, watch: SwitchWatch, seconds: float) -> str | None:
        """Let time pass, with the looks that belong to it; what the watch says then."""
        for _ in range(round(seconds / LOOK_EVERY_S)):
            self.now_s += LOOK_EVERY_S
            watch.step()
        return watch()


@pytest.mark.parametrize(
    ("primary", "standby", "because"),
    [
        (STOPPED, ARMED, "the kill switch in primary says 'stopped'"),
        (ARMED, STOPPED, "the kill switch in standby says 'stopped'"),
        (ARMED, "ARMED", "the kill switch in standby says 'ARMED'"),
        (None, ARMED, "the kill switch in primary cannot be read: no answer"),
        (ARMED, None, "the kill switch in standby cannot be read: no answer"),
        (None, STOPPED, "the kill switch in standby says 'stopped'"),
    ],
)
def test_nothing_starts_unless_every_region_was_read_and_says_armed(
    primary: str | None, standby: str | None, because: str
) -> None:
    watch = Regions(primary, standby).watch()
    assert watch.refusal() == because
    with pytest.raises(DrillError, match="nobody stops what has no brake"):
        watch.require_armed()


def test_an_armed_switch_lets_a_drill_start_and_go_on() -> None:
    world = Regions()
    watch = world.watch()
    watch.require_armed()
    assert world.pass_s(watch, 3_600) is None


def test_one_region_that_says_stop_ends_the_drill_at_the_next_look_and_arming_again_does_not_revive_it() -> (
    None
):
    world = Regions()
    watch = world.watch()
    watch.require_armed()
    world.values["standby"] = STOPPED
    assert watch() is None
    assert world.pass_s(watch, LOOK_EVERY_S) == "the kill switch in standby says 'stopped'"
    world.values["standby"] = ARMED
    assert world.pass_s(watch, 60) == "the kill switch in standby says 'stopped'"


def test_the_loss_of_one_region_stops_nothing_because_the_drill_may_be_its_cause() -> None:
    world = Regions()
    watch = world.watch()
    watch.require_armed()
    world.values["primary"] = None
    assert world.pass_s(watch, 600) is None


def test_a_switch_that_no_region_can_read_ends_the_drill_after_its_bound_and_not_before() -> None:
    world = Regions()
    watch = world.watch()
    watch.require_armed()
    world.values = {"primary": None, "standby": None}
    assert world.pass_s(watch, UNREADABLE_S_MAX) is None
    assert (
        world.pass_s(watch, 1)
        == "the kill switch was not read for 10 s (primary: no answer; standby: no answer)"
    )


def test_a_look_that_never_returns_counts_as_unreadable() -> None:
    """Looking is done in a thread.

    Whoever asks is not held up by it, and sees that nothing was read.
    """
    world = Regions()
    watch = world.watch()
    watch.require_armed()
    world.now_s += UNREADABLE_S_MAX + 0.1
    assert str(watch()).startswith("the kill switch was not read for 10 s")


def test_a_bound_counts_from_the_first_question_if_nothing_was_ever_read() -> None:
    world = Regions(None, None)
    watch = world.watch()
    assert watch() is None
    assert world.pass_s(watch, UNREADABLE_S_MAX + 1) is not None


def test_all_switches_are_obeyed() -> None:
    one, other = Regions(), Regions(standby=STOPPED)
    assert (
        SwitchWatch(switches=[one, other]).refusal() == "the kill switch in standby says 'stopped'"
    )
    watch = SwitchWatch(switches=[one, other])
    watch.step()
    assert watch() == "the kill switch in standby says 'stopped'"


def test_without_a_switch_there_is_nothing_to_obey() -> None:
    watch = SwitchWatch(switches=[])
    watch.require_armed()
    assert watch.start()() is None


def test_the_switch_of_the_stack_that_scheduled_a_runner_comes_from_its_environment() -> None:
    told = {"parameter": "/seawall/v/gameday/kill-switch", "regions": ["us-east-1"]}
    [switch] = switches_of(None, {environment_names.KILL_SWITCH_VARIABLE: json.dumps(told)})
    assert isinstance(switch, SsmSwitch)
    assert (switch.site.parameter, switch.site.regions, switch.site.endpoint) == (
        told["parameter"],
        ("us-east-1",),
        None,
    )
    assert switches_of(None, {}) == []
    assert (
        len(switches_of(switch.site, {environment_names.KILL_SWITCH_VARIABLE: json.dumps(told)}))
        == 2
    )


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        '{"parameter": "/x"}',
        '{"parameter": "/x", "regions": []}',
        '{"parameter": "/x", "regions": ["a"], "region": "b"}',
    ],
)
def test_a_switch_that_is_written_wrongly_is_refused_and_not_left_out(text: str) -> None:
    environment: Mapping[str, str] = {environment_names.KILL_SWITCH_VARIABLE: text}
    with pytest.raises(
        UsageError, match=f"{environment_names.KILL_SWITCH_VARIABLE} names no kill switch"
    ):
        switches_of(None, environment)


def test_a_region_that_cannot_be_asked_is_unreadable_and_never_an_exception() -> None:
    told = {
        "parameter": "/x",
        "regions": ["us-east-1"],
        "endpoint": "http://127.0.0.1:1",
        "credentials": "/nonexistent",
    }
    [switch] = switches_of(None, {environment_names.KILL_SWITCH_VARIABLE: json.dumps(told)})
    look = switch.look()
    assert look.says == {}
    assert "FileNotFoundError" in look.unreadable["us-east-1"]
