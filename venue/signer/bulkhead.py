"""The bulkhead of a signer: each bucket has its own share of the signing quota.

A request waits for its turn within its bucket's share, or is refused as throttled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from seawall.controls.bulkhead import RateLimit, admit, rate_limit_of
from seawall.conventions import sabotage
from seawall.policy import Policy
from venue.signer.protocol import SigningRefusedError

_US_PER_S = 1_000_000


def _now_us() -> int:
    return time.monotonic_ns() // 1_000


@dataclass(kw_only=True)
class _Queue:
    """The requests of one bucket."""

    limit: RateLimit
    arrival_us: int = 0
    inside: int = 0


@dataclass(kw_only=True)
class Bulkhead:
    """Limits by bucket, and the bucket of each wallet. One per process; not thread-safe."""

    limits: Mapping[str, RateLimit]
    buckets: Mapping[str, str]
    now_us: Callable[[], int] = _now_us
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _queues: dict[str, _Queue] = field(init=False)

    def __post_init__(self) -> None:
        self._queues = {bucket: _Queue(limit=limit) for bucket, limit in self.limits.items()}

    @classmethod
    def of_policy(
        cls, policy: Policy, wallets: Iterable[str], *, operations_per_s: int
    ) -> Bulkhead:
        """The bulkhead of a signer for ``wallets``.

        Each of their buckets has its declared share of ``operations_per_s``.
        """
        buckets = {wallet: policy.wallets[wallet].bucket for wallet in wallets}
        limits = {
            bucket: rate_limit_of(policy, bucket, operations_per_s=operations_per_s)
            for bucket in buckets.values()
        }
        return cls(limits=limits, buckets=buckets)

    @property
    def in_flight_max(self) -> int:
        """Signatures in flight at once over all buckets; threads and connections must suffice."""
        return sum(limit.in_flight_max for limit in self.limits.values())

    @asynccontextmanager
    async def inside(self, wallet: str) -> AsyncIterator[None]:
        """Wait for a place in the share of ``wallet``'s bucket, and hold it.

        Raises :class:`SigningRefusedError` (``throttled``).
        """
        if sabotage.sabotaged(sabotage.SABOTAGE_BULKHEAD):
            yield
            return
        bucket = self.buckets[wallet]
        queue = self._queues[bucket]
        if queue.inside >= queue.limit.in_flight_max:
            raise SigningRefusedError(
                "throttled",
                f"{bucket} has {queue.inside} signatures under way, which is all that it may have",
            )
        answer = admit(queue.limit, arrival_us=queue.arrival_us, now_us=self.now_us())
        if answer.wait_us is None:
            raise SigningRefusedError(
                "throttled", f"{bucket} has used up its share of the signing quota for the moment"
            )
        queue.arrival_us = answer.arrival_us
        queue.inside += 1
        try:
            if answer.wait_us:
                await self.sleep(answer.wait_us / _US_PER_S)
            yield
        finally:
            queue.inside -= 1
