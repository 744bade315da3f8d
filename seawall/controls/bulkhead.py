"""The bulkhead between buckets at a signer.

How long a request waits for its own bucket's room, or that it is refused.

KMS has one quota of elliptic-curve operations for all keys of an account and region, so keys of
their own do not keep buckets apart: whoever asks most takes most. Each bucket therefore spends only
its declared share, on the caller's side, before KMS is asked.

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
class Room:
    """What a bucket may use.

    One operation each ``interval_us``, ``burst_us`` ahead of time, ``in_flight_max`` at once.
    """

    interval_us: int
    burst_us: int = 250_000
    """A quarter of a second.

    A batch of payouts goes out at once, and all bursts together stay within a second's quota.
    """
    wait_us_max: int = 50_000
    """A request that would wait longer is refused.

    With the provider's two time-outs on top, the settler's patience must not end, or a busy bucket
    would look like a dark region.
    """
    in_flight_max: int = 6
    """Threads and connections are shared as well.

    A bucket whose calls hang may hold only so many.
    """


@dataclass(frozen=True, kw_only=True)
class Admission:
    """The answer to one request: its wait, or None for refused.

    And the bucket's next theoretical arrival time.
    """

    wait_us: int | None
    arrival_us: int


def room_of(policy: Policy, bucket: str, *, operations_per_s: int) -> Room:
    """The room of ``bucket`` in a region whose quota is ``operations_per_s``.

    Raises KeyError for a bucket without a share.
    """
    rate = policy.signing.shares[bucket] * operations_per_s
    if rate <= 0:
        message = f"{bucket} has no share of {operations_per_s} operations a second"
        raise ValueError(message)
    return Room(
        interval_us=-(-_US_PER_S // Fraction(rate))
    )  # rounded up: shares never add to more than the quota


def admit(room: Room, *, arrival_us: int, now_us: int) -> Admission:
    """Judge a request at ``now_us`` of a bucket whose theoretical arrival time is ``arrival_us``
    (0: it never asked).
    """
    due = max(arrival_us, now_us)
    wait_us = max(0, due - room.burst_us - now_us)
    if wait_us > room.wait_us_max:
        return Admission(wait_us=None, arrival_us=arrival_us)
    return Admission(wait_us=wait_us, arrival_us=due + room.interval_us)
