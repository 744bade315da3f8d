"""The breaker between a primary signing route and its standby.

    closed --2 failures in a row--> open --a second--> half open --5 answers in a row--> closed
                                     ^                     |
                                     +------no answer------+

Closed: the primary signs. Open and half open: the standby signs; half open only means that probes
of the primary have begun to answer. Probes run every second, so a primary that answers only now and
then does not get the route back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

_US_PER_MS = 1_000


@dataclass(frozen=True, kw_only=True)
class BreakerSettings:
    """How many failures open the breaker, and how many answers close it."""

    failures_to_open: int = 2
    """One failure may be a lost packet, and each costs the customer a whole timeout."""
    successes_to_close: int = 5
    probe_every_ms: int = 1_000


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """A state of the machine; times are Unix microseconds.

    ``count`` is failures in a row while closed, and answered probes in a row otherwise.
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
    """A breaker that starts open, for a process that finds its lane on the standby.

    The primary gets the route back only after enough answered probes.
    """
    return Breaker(phase="open", opened_at_us=now_us, probed_at_us=now_us)


def after_signing(
    breaker: Breaker, settings: BreakerSettings, *, answered: bool, now_us: int
) -> Breaker:
    """The state after a request to the primary; one to the standby never changes it."""
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
