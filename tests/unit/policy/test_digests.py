"""Which edits of a policy change the identity that resources carry, and which do not."""

from __future__ import annotations

import pytest

from tests.testing.policies import policy

DRILL = "drills.signing-region-dark"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (f"{DRILL}.title", "another"),
        (f"{DRILL}.smallest.payouts", 1),
        ("gamedays.0.schedule", "cron(0 11 ? * TUE#1 *)"),
        ("readiness.0.within", "3d"),
        ("probing.answer_within", "2s"),
    ],
)
def test_editing_a_drill_touches_no_resource(place: str, value: object) -> None:
    """Evidence names the whole policy, resources only what they are made from."""
    edited = policy({place: value})

    assert edited.infrastructure_digest == policy().infrastructure_digest
    assert edited.digest != policy().digest


def test_editing_anything_else_touches_them() -> None:
    edited = policy({"backup.keep": "91d"})

    assert edited.infrastructure_digest != policy().infrastructure_digest
    assert edited.digest != policy().digest
