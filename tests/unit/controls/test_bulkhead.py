"""Each bucket spends its own share of the signing quota and no other's."""

from __future__ import annotations

import pytest

from seawall.controls.bulkhead import RateLimit, admit, rate_limit_of
from tests.testing import policies
from venue.settler import signing_routes
from venue.signer import provider

POLICY = policies.policy(durations="1/3")
LIMIT = RateLimit(interval_us=10_000, burst_us=30_000, wait_us_max=20_000)


def admitted(limit: RateLimit, at_us: list[int]) -> list[int | None]:
    """The wait of each request in turn."""
    arrival, waits = 0, []
    for now in at_us:
        answer = admit(limit, arrival_us=arrival, now_us=now)
        arrival = answer.arrival_us
        waits.append(answer.wait_us)
    return waits


def test_a_burst_is_admitted_at_once_then_waits_then_is_refused() -> None:
    """Four at once: three ahead and the one that is due; two more wait their turn.

    The rest are turned away.
    """
    assert admitted(LIMIT, [1_000_000] * 8) == [0, 0, 0, 0, 10_000, 20_000, None, None]


def test_a_refused_request_costs_its_bucket_nothing() -> None:
    waits = admitted(LIMIT, [1_000_000] * 8 + [1_010_000])
    assert waits[-1] == 20_000


def test_a_bucket_that_keeps_to_its_rate_never_waits() -> None:
    assert admitted(LIMIT, [1_000_000 + 10_000 * step for step in range(100)]) == [0] * 100


@pytest.mark.parametrize("rate", [7, 100, 1_000])
def test_over_a_minute_no_bucket_gets_more_than_its_share(rate: int) -> None:
    """However much is asked, what is admitted is the share and one burst."""
    limit = rate_limit_of(POLICY, "customer", operations_per_s=rate)
    seconds, step_us = 60, 500
    waits = admitted(limit, list(range(1_000_000, 1_000_000 + seconds * 1_000_000, step_us)))
    served = sum(wait is not None for wait in waits)
    share = float(POLICY.signing.shares["customer"]) * rate
    assert share * seconds * 0.97 <= served <= share * (seconds + 1) + 1


def test_shares_together_stay_within_the_quota() -> None:
    rates = [
        1_000_000 / rate_limit_of(POLICY, bucket, operations_per_s=1_000).interval_us
        for bucket in POLICY.signing.shares
    ]
    assert sum(rates) <= 1_000


def test_a_bucket_without_a_share_has_no_rate_limit() -> None:
    with pytest.raises(KeyError):
        rate_limit_of(POLICY, "nobody", operations_per_s=100)
    with pytest.raises(ValueError, match="no share of 0"):
        rate_limit_of(POLICY, "customer", operations_per_s=0)


def test_waiting_for_the_rate_limit_never_looks_like_a_dark_region() -> None:
    """The settler counts a signer's timeout as a failure of the region.

    The wait and both timeouts of the provider must leave time for the answer.
    """
    limit = rate_limit_of(POLICY, "customer", operations_per_s=100)
    assert limit.wait_us_max / 1_000_000 + 2 * provider.TIMEOUT_S < signing_routes.TIMEOUT_S
