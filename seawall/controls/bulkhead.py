"""The bulkhead between buckets at a signer: a rate limit for each bucket's signatures.

KMS has one quota of elliptic-curve operations for all keys of an account and region, so separate
keys do not separate buckets: the bucket with the most requests would use up the quota of all. The
signer therefore limits each bucket to its declared share before it calls KMS.

The rule is the generic cell rate algorithm (ITU-T I.371, annex A; the virtual scheduling form): a
bucket has a theoretical arrival time, each admitted request moves it by one interval, and a request
may come ahead of it by no more than the burst.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seawall.policy import Policy

_US_PER_S = 1_000_000


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """One operation per ``interval_us``, ``burst_us`` early at most, ``in_flight_max`` at once."""

    interval_us: int
    burst_us: int = 250_000
    """A quarter of a second.

    It lets a batch of payouts be signed at once, and keeps all bursts together within the quota of
    one second.
    """
    wait_us_max: int = 50_000
    """A request that would have to wait longer is refused.

    This wait and two timeouts of the provider must fit into the settler's timeout; otherwise a busy
    bucket would look like a dark region.
    """
    in_flight_max: int = 6
    """Bounds the threads and connections that hanging calls can hold."""


@dataclass(frozen=True, kw_only=True)
class RateDecision:
    """The answer to one request.

    ``wait_us`` is None if it is refused; ``arrival_us`` is the bucket's next theoretical arrival
    time.
    """

    wait_us: int | None
    arrival_us: int


def rate_limit_of(policy: Policy, bucket: str, *, operations_per_s: int) -> RateLimit:
    """The rate limit of ``bucket`` in a region whose quota is ``operations_per_s``.

    Raises:
        KeyError: the policy gives ``bucket`` no share.
        ValueError: its share of the quota is zero.
    """
    rate = policy.signing.shares[bucket] * operations_per_s
    if rate <= 0:
        raise ValueError(f"{bucket} has no share of {operations_per_s} operations a second")
    interval_us = -(-_US_PER_S // Fraction(rate))  # rounded up: shares never exceed the quota
    return RateLimit(interval_us=interval_us)


def admit(limit: RateLimit, *, arrival_us: int, now_us: int) -> RateDecision:
    """Admit, delay or refuse a request of one bucket at ``now_us``.

    ``arrival_us`` is the bucket's theoretical arrival time; 0 before its first request.
    """
    due = max(arrival_us, now_us)
    wait_us = max(0, due - limit.burst_us - now_us)
    if wait_us > limit.wait_us_max:
        return RateDecision(wait_us=None, arrival_us=arrival_us)
    return RateDecision(wait_us=wait_us, arrival_us=due + limit.interval_us)
