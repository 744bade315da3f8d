"""What was seen of a fault, and which tier was in force when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seawall.policy import PlannedFault
from seawall.scorecard.readers import Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultSeen:
    """A planned fault with the moments that the timeline has of it; None for one that is missing.

    Attributes:
        planned: As the policy declares it.
        applied: When the injector acted.
        effective: When the fault's own observer first saw it in force.
        reverted: When the injector had undone it.
        cleared: When the observer saw it gone.
        held: What the observer counted in between: samples, and how many showed the fault.
        held_until: When it had counted, just before the undo began.
    """

    planned: PlannedFault
    applied: Instant | None
    effective: Instant | None
    reverted: Instant | None
    cleared: Instant | None
    held: Mapping[str, Any] | None
    held_until: Instant | None

    @property
    def name(self) -> str:
        """For people: the fault and its target."""
        return f"{self.planned.fault} of {self.planned.target}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TierSpan:
    """A time in which a tier was in force, by commit times; the last one has no end."""

    tier: str
    epoch: int
    starts: Instant
    ends: Instant
