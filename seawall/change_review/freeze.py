"""Change freeze: no change while an incident is open or the tier is not normal; pure.

An override can let a change pass. A fact that is not known makes the judgement UNKNOWN instead of
refused. A stack without a venue has no tier; a person must say so (`--no-venue`), because a venue
that does not answer looks the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from seawall.policy import Tier

State = Literal["clear", "frozen", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One fact about whether changes are frozen: what was asked, and its answer."""

    name: str
    state: State
    says: str


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """All facts together: frozen beats unknown beats clear."""

    sources: tuple[Source, ...]

    @property
    def state(self) -> State:
        """The state over all sources; without any source it is unknown."""
        states = {source.state for source in self.sources}
        if "frozen" in states:
            return "frozen"
        return "unknown" if "unknown" in states or not states else "clear"

    @property
    def reasons(self) -> list[str]:
        """Why the state is not clear, as phrases."""
        return [source.says for source in self.sources if source.state != "clear"] or (
            [] if self.sources else ["neither the tier nor an incident was asked for"]
        )


def tier_known(tier: Tier, *, reason: str | None) -> Source:
    """Build the source for a venue that answered with its tier."""
    says = f"the tier is {tier}" + (f" ({reason})" if reason and tier != "normal" else "")
    return Source(name="tier", state="clear" if tier == "normal" else "frozen", says=says)


def tier_unknown(why: str) -> Source:
    """Build the source for a venue that did not answer, or that was not named."""
    return Source(name="tier", state="unknown", says=f"the tier is not known: {why}")


def tier_absent() -> Source:
    """Build the source for a stack that has no venue, as a person says."""
    return Source(name="tier", state="clear", says="no venue runs on this stack (--no-venue)")


def incident_open(summary: str) -> Source:
    """Build the source for an incident marker that exists."""
    return Source(name="incident", state="frozen", says=f"an incident is open: {summary}")


def no_incident(where: str) -> Source:
    """Build the source for an incident marker that does not exist."""
    return Source(name="incident", state="clear", says=f"no incident is open ({where})")
