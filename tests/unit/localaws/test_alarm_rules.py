"""The rule of a composite alarm is read as CloudWatch reads it."""

from __future__ import annotations

import pytest

from localaws.emulator.services.alarm_states import AlarmRuleError, alarms_in, holds

STATES = {"red": "ALARM", "green": "OK", "grey": "INSUFFICIENT_DATA", "a b": "ALARM"}


@pytest.mark.parametrize(
    ("rule", "true"),
    [
        ("ALARM(red)", True),
        ('ALARM("a b")', True),
        ("OK(red)", False),
        ("INSUFFICIENT_DATA(grey)", True),
        ("ALARM(red) AND ALARM(green)", False),
        ("ALARM(red) OR ALARM(green)", True),
        ("NOT ALARM(green) AND OK(green)", True),
        ("ALARM(red) OR ALARM(green) AND ALARM(green)", True),
        ("(ALARM(red) OR ALARM(green)) AND ALARM(green)", False),
        ("NOT (ALARM(red) OR FALSE)", False),
        ("  TRUE  ", True),
    ],
)
def test_a_rule_holds_by_the_states_of_its_alarms(rule: str, true: bool) -> None:
    assert holds(rule, STATES.__getitem__) is true


def test_the_alarms_of_a_rule_are_those_it_asks_about() -> None:
    assert alarms_in('ALARM(red) AND NOT (OK("a b") OR TRUE)') == ["red", "a b"]


@pytest.mark.parametrize(
    "rule",
    ["", "ALARM(red", "ALARM(red) ALARM(green)", "AND ALARM(red)", "(TRUE", "MAYBE(red)", "NOT"],
)
def test_what_is_no_rule_is_refused(rule: str) -> None:
    with pytest.raises(AlarmRuleError):
        holds(rule, STATES.__getitem__)
