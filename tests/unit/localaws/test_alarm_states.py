"""Alarm states follow the worked tables of the CloudWatch user guide.

"Configuring how CloudWatch alarms treat missing data".
"""

from __future__ import annotations

import pytest

from localaws.emulator.services.alarm_states import Condition, Sample, next_state, statistic

KEPT = "the state before"
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
THREE_OF_THREE = {
    "0 - X - X": ("OK", "OK", "OK", "OK"),
    "- - - - 0": ("OK", "OK", "OK", "OK"),
    "- - - - -": ("INSUFFICIENT_DATA", KEPT, "ALARM", "OK"),
    "0 X X - X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "- - X - -": ("ALARM", KEPT, "ALARM", "OK"),
}
TWO_OF_THREE = {
    "0 - X - X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "0 0 X 0 X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "0 - X - -": ("OK", "OK", "ALARM", "OK"),
    "- - - - 0": ("OK", "OK", "ALARM", "OK"),
    "- - - X -": ("ALARM", KEPT, "ALARM", "OK"),
}
CASES = [
    (enough, points, treatment, state)
    for enough, table in ((3, THREE_OF_THREE), (2, TWO_OF_THREE))
    for points, states in table.items()
    for treatment, state in zip(TREATMENTS, states, strict=True)
]


@pytest.mark.parametrize(("enough", "points", "treatment", "state"), CASES)
def test_an_example_of_the_guide(enough: int, points: str, treatment: str, state: str) -> None:
    """``0`` within the threshold, ``X`` beyond it, ``-`` missing; oldest first."""
    condition = Condition(
        comparison="GreaterThanThreshold",
        threshold=1,
        evaluation_periods=3,
        datapoints_to_alarm=enough,
        missing=treatment,
    )
    read = [{"0": 0.0, "X": 2.0, "-": None}[point] for point in points.split()]
    assert next_state(condition, read, current=KEPT) == state


def test_a_first_breach_is_no_alarm_before_it_is_as_old_as_what_is_asked_for() -> None:
    condition = Condition(
        comparison="GreaterThanThreshold",
        threshold=1,
        evaluation_periods=3,
        datapoints_to_alarm=3,
        missing="missing",
    )
    assert (
        next_state(condition, [None, None, None, None, 2.0], current="INSUFFICIENT_DATA")
        == "INSUFFICIENT_DATA"
    )


@pytest.mark.parametrize(
    ("comparison", "beyond", "within"),
    [
        ("GreaterThanOrEqualToThreshold", 5.0, 4.9),
        ("GreaterThanThreshold", 5.1, 5.0),
        ("LessThanThreshold", 4.9, 5.0),
        ("LessThanOrEqualToThreshold", 5.0, 5.1),
    ],
)
def test_a_comparison_includes_the_threshold_if_its_name_says_so(
    comparison: str, beyond: float, within: float
) -> None:
    condition = Condition(
        comparison=comparison, threshold=5, evaluation_periods=1, datapoints_to_alarm=1
    )
    assert next_state(condition, [beyond], current="OK") == "ALARM"
    assert next_state(condition, [within], current="ALARM") == "OK"


def one(value: float) -> Sample:
    return Sample(minimum=value, maximum=value, total=value, count=1, values=(value,))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Sum", 10.0),
        ("Average", 2.5),
        ("Minimum", 1.0),
        ("Maximum", 4.0),
        ("SampleCount", 4.0),
        ("p50", 2.0),
        ("p99.9", 4.0),
        ("p0", 1.0),
    ],
)
def test_a_data_point_is_the_statistic_of_its_period(name: str, value: float) -> None:
    assert statistic(name, [one(3), one(1), one(4), one(2)]) == value


def test_a_period_without_samples_has_no_data_point() -> None:
    assert statistic("Sum", []) is None


def test_samples_put_as_statistics_have_no_percentile() -> None:
    summary = Sample(minimum=1, maximum=9, total=20, count=4)
    assert statistic("Average", [summary]) == 5
    assert statistic("p99", [summary]) is None
