"""The custodian's terms: what comes from cold moves something, and may be in time."""

from __future__ import annotations

from typing import Any

import pytest

from seawall.policy.custody import Custody
from seawall.policy.rules import relations_of
from tests.testing import policies

TERMS = {
    "custodian": "strongroom",
    "endpoint": "https://api.strongroom.example/v1",
    "opens": "06:00",
    "closes": "22:00",
    "delay": "15m",
    "lead_time": "4h",
    "credential_age_max": "90d",
}
HOUR_S = 3_600
RESERVE = "wallets.customer-aster-reserve.holdings.AST"


def problems(**changes: Any) -> list[tuple[str, str]]:
    """Where a policy with these terms is refused, and what is to be written."""
    own = {name: value for name, value in changes.items() if "." not in name}
    policy = policies.policy(
        {"custody": TERMS | own, **{key: value for key, value in changes.items() if "." in key}}
    )
    return [(each.path, each.remedy) for each in relations_of(policy)]


def test_terms_that_can_be_kept_are_accepted() -> None:
    assert problems() == []
    assert problems(**{f"{RESERVE}.minimum": "420"}) == []


@pytest.mark.parametrize(
    ("changes", "path", "remedy"),
    [
        ({"lead_time": "15m"}, "custody.lead_time", "more than the delay"),
        ({"lead_time": "13h"}, "custody.lead_time", "no more than that"),
        ({f"{RESERVE}.minimum": "1260"}, f"{RESERVE}.minimum", "less than the target"),
    ],
)
def test_terms_that_cannot_be_kept_are_refused(
    changes: dict[str, Any], path: str, remedy: str
) -> None:
    [(where, what)] = problems(**changes)
    assert where == path
    assert remedy in what


def test_a_custodian_without_a_cold_wallet_is_refused() -> None:
    tree = policies.tree()["wallets"]
    wallets = {name: each for name, each in tree.items() if each["class"] != "cold"}
    policy = policies.policy({"custody": TERMS, "wallets": wallets})
    assert [each.path for each in relations_of(policy)] == ["custody"]


@pytest.mark.parametrize(
    ("opens", "closes", "open_at"),
    [
        ("06:00", "22:00", {6, 21}),
        ("22:00", "06:00", {0, 5, 22, 23}),
        ("06:00", "06:00", {0, 5, 6, 21, 22, 23}),
    ],
)
def test_a_window_may_go_past_midnight_or_never_end(
    opens: str, closes: str, open_at: set[int]
) -> None:
    """On any day."""
    terms = Custody.model_validate(TERMS | {"opens": opens, "closes": closes})
    hours = (0, 5, 6, 21, 22, 23)
    assert {hour for hour in hours if terms.is_open((24 * 400 + hour) * HOUR_S)} == open_at


@pytest.mark.parametrize("opens", ["6:00", "24:00", "06:60", "06"])
def test_what_is_no_time_of_day_is_refused(opens: str) -> None:
    with pytest.raises(ValueError, match="opens"):
        Custody.model_validate(TERMS | {"opens": opens})


def test_durations_are_scaled_and_times_of_day_are_not() -> None:
    scaled = policies.policy({"custody": TERMS}, durations="1/3").custody
    assert scaled is not None
    assert (scaled.delay, scaled.lead_time) == (300_000, 4_800_000)
    assert (scaled.opens, scaled.closes) == ("06:00", "22:00")
