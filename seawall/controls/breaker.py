"""The breaker between a primary signing route and its standby.

    closed --2 failures in a row--> open --a second--> half open --5 answers in a row--> closed
                                     ^                     |
                                     +------no answer------+

Closed: the primary signs. Open and half open: the standby signs; half open only means that probes
of the primary have begun to answer. Probes run every second, so a primary that answers now and then
never gets the route back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

_US_PER_MS = 1_000


@dataclass(frozen=True, kw_only=True)
class BreakerSettings:
    """How much failure opens, and how much health closes."""

    failures_to_open: int = 2
    """One failure may be a lost packet.

    Each costs the customer a whole time-out, so no more than two.
    """
    successes_to_close: int = 5
    probe_every_ms: int = 1_000


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """A state of the machine.

    ``count`` is failures in a row when closed, probes answered in a row otherwise. Unix
    microseconds.
    """

    phase: Literal["closed", "open", "half_open"] = "closed"
    count: int = 0
    opened_at_us: int | None = None
    probed_at_us: int | None = None

    @property
    def on_standby(self) -> bool:
        """Whether the standby signs."""
        return self.phase != "closed"


def opened(now_us: int) -> Breaker:
    """A breaker that starts open.

    A process that finds its lane on the standby must earn the way back.
    """
    return Breaker(phase="open", opened_at_us=now_us, probed_at_us=now_us)


def after_signing(
    breaker: Breaker, settings: BreakerSettings, *, answered: bool, now_us: int
) -> Breaker:
    """The state after the primary was asked to sign.

    What the standby does never moves this breaker.
    """
    if breaker.phase != "closed":
        return breaker
    if answered:
        return replace(breaker, count=0)
    if breaker.count + 1 < settings.failures_to_open:
        return replace(breaker, count=breaker.count + 1)
    return opened(now_us)


def probe_due(breaker: Breaker, settings: BreakerSettings, now_us: int) -> bool:
    """Whether the primary should be probed now."""
    if breaker.phase == "closed":
        return False
    return (
        breaker.probed_at_us is None
        or now_us - breaker.probed_at_us >= settings.probe_every_ms * _US_PER_MS
    )


def after_probe(
    breaker: Breaker, settings: BreakerSettings, *, answered: bool, now_us: int
) -> Breaker:
    """The state after a probe of the primary."""
    if breaker.phase == "closed":
        return breaker
    if not answered:
        return replace(breaker, phase="open", count=0, probed_at_us=now_us)
    if breaker.count + 1 >= settings.successes_to_close:
        return Breaker()
    return replace(breaker, phase="half_open", count=breaker.count + 1, probed_at_us=now_us)
