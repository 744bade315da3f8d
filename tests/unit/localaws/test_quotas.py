"""The elliptic-curve quota is a bucket per account and Region that holds one second's worth.

The clock is the test's.
"""

from __future__ import annotations

from localaws.emulator.quota import RequestQuota
from localaws.emulator.services.kms import Crowding

SECOND = 1_000_000_000


class Clock:
    """A clock that the test moves; nanoseconds."""

    def __init__(self) -> None:
        self.now = 5 * SECOND

    def __call__(self) -> int:
        """What time it is."""
        return self.now


def test_without_a_quota_nothing_is_refused() -> None:
    quota = RequestQuota(Clock())
    assert all(quota.take("1", "here") for _ in range(10_000))
    assert quota.throttled == 0


def test_a_seconds_worth_passes_at_once_and_then_as_fast_as_it_fills() -> None:
    clock = Clock()
    quota = RequestQuota(clock)
    quota.set(10)
    assert [quota.take("1", "here") for _ in range(12)] == [True] * 10 + [False] * 2
    clock.now += SECOND // 10 - 1
    assert not quota.take("1", "here")
    clock.now += 1
    assert quota.take("1", "here")
    clock.now += 60 * SECOND
    assert [quota.take("1", "here") for _ in range(12)].count(True) == 10, (
        "no more than a second's worth is saved up"
    )
    assert quota.throttled == 5


def test_accounts_and_regions_have_buckets_of_their_own() -> None:
    quota = RequestQuota(Clock())
    quota.set(1)
    assert quota.take("1", "here")
    assert not quota.take("1", "here")
    assert quota.take("1", "there")
    assert quota.take("2", "here")


def test_another_quota_starts_with_full_buckets() -> None:
    quota = RequestQuota(Clock())
    quota.set(1)
    assert quota.take("1", "here")
    quota.set(2)
    assert [quota.take("1", "here") for _ in range(3)] == [True, True, False]
    quota.set(None)
    assert quota.take("1", "here")


def test_a_crowded_region_refuses_its_share_and_no_other_region_does() -> None:
    draws = iter([0.0, 0.89, 0.9, 0.99])
    crowding = Crowding(lambda: next(draws))
    assert not crowding.refuses("here")
    assert crowding.set("here", 0.9)
    assert [crowding.refuses("here") for _ in range(4)] == [True, True, False, False]
    assert not crowding.refuses("there")
    assert (crowding.set("here", None), crowding.set("here", None)) == (True, False)
    assert not crowding.refuses("here")
