"""CloudTrail's event history forgets, is late, and is sorted as AWS sorts it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from moto.core.exceptions import JsonRESTError

from localaws.emulator.services.event_history import KEPT, History, found, username

HERE = ("123456789012", "us-east-1")
ROLE = {
    "type": "AssumedRole",
    "accessKeyId": "ASIA1",
    "arn": "arn:aws:sts::123456789012:assumed-role/seawall-signer/signer-us-east-1",
}


def record(at: int, number: int = 0, **changes: Any) -> dict[str, Any]:
    """An event of a whole second."""
    return {
        "eventID": f"{at}-{number}",
        "eventName": "Sign",
        "eventSource": "kms.amazonaws.com",
        "eventTime": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "readOnly": True,
        "userIdentity": ROLE,
        "resources": [{"type": "AWS::KMS::Key", "ARN": "arn:aws:kms:us-east-1:1:key/mrk-1"}],
    } | changes


class Clock:
    """A clock that the test moves; Unix seconds."""

    now = 100.0

    def __call__(self) -> float:
        """What time it is."""
        return self.now


def test_an_event_is_there_once_it_is_late_enough_even_before_an_earlier_one() -> None:
    clock, late = Clock(), iter((4.0, 2.0))
    history = History(clock=clock, late_s=lambda: next(late))
    for at in (99, 100):
        history.add(record(at), account=HERE[0], region=HERE[1])

    clock.now = 101.9
    assert history.visible(*HERE) == []
    clock.now = 102.0
    assert [each.at_s for each in history.visible(*HERE)] == [100]
    clock.now = 104.0
    assert [each.at_s for each in history.visible(*HERE)] == [100, 99]


def test_events_of_one_second_come_in_reverse_order_and_regions_are_apart() -> None:
    history = History(clock=Clock(), late_s=lambda: 0.0)
    for number in range(3):
        history.add(record(50, number), account=HERE[0], region=HERE[1])
    history.add(record(51), account=HERE[0], region="us-west-2")

    assert [each.number for each in history.visible(*HERE)] == [3, 2, 1]
    assert [each.at_s for each in history.visible(HERE[0], "us-west-2")] == [51]


def test_the_oldest_are_forgotten_when_there_are_too_many() -> None:
    history = History(clock=Clock(), late_s=lambda: 0.0)
    for number in range(KEPT + 5):
        history.add(record(50, number), account=HERE[0], region=HERE[1])

    kept = history.visible(*HERE)
    assert (len(kept), kept[-1].number) == (KEPT, 6)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("AccessKeyId", "ASIA1"),
        ("EventId", "50-0"),
        ("EventName", "Sign"),
        ("EventSource", "kms.amazonaws.com"),
        ("ReadOnly", "true"),
        ("ResourceName", "arn:aws:kms:us-east-1:1:key/mrk-1"),
        ("ResourceType", "AWS::KMS::Key"),
        ("Username", "signer-us-east-1"),
    ],
)
def test_an_event_is_found_by_each_attribute(key: str, value: str) -> None:
    assert found(record(50), key, value)
    assert not found(record(50), key, "another")


def test_an_attribute_that_is_none_is_refused() -> None:
    with pytest.raises(JsonRESTError, match=r"Region is no lookup attribute"):
        found(record(50), "Region", "us-east-1")


def test_a_user_is_called_by_name() -> None:
    assert username({"type": "IAMUser", "userName": "alice", "arn": "arn:...:user/alice"}) == (
        "alice"
    )
