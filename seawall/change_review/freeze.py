"""Change freeze: while an incident is open or the tier is not normal, nothing is changed without an
override; pure.

What is not known counts as frozen, but is told apart: it makes the judgement UNKNOWN, not refused.
A stack without a venue has no tier, which must be said by a person, never concluded from silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from seawall.policy import Tier

State = Literal["clear", "frozen", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One fact about whether changes are frozen: what was asked, what it said."""

    name: str
    state: State
    says: str


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """All facts together: frozen beats unknown beats clear."""

    sources: tuple[Source, ...]

    @property
    def state(self) -> State:
        """What holds, over all sources; nothing asked is not known."""
        states = {source.state for source in self.sources}
        if "frozen" in states:
            return "frozen"
        return "unknown" if "unknown" in states or not states else "clear"

    @property
    def reasons(self) -> list[str]:
        """Why it is not clear, as phrases."""
        return [source.says for source in self.sources if source.state != "clear"] or (
            [] if self.sources else ["neither the tier nor an incident was asked for"]
        )


def tier_known(tier: Tier, *, reason: str) -> Source:
    """The venue said which tier it is in."""
    says = f"the tier is {tier}" + (f" ({reason})" if reason and tier != "normal" else "")
    return Source(name="tier", state="clear" if tier == "normal" else "frozen", says=says)


def tier_unknown(why: str) -> Source:
    """The venue did not say, or there is nobody to ask."""
    return Source(name="tier", state="unknown", says=f"the tier is not known: {why}")


def tier_absent() -> Source:
    """A person says that no venue runs on this stack."""
    return Source(name="tier", state="clear", says="no venue runs on this stack (--no-venue)")


def incident_open(summary: str) -> Source:
    """The marker of an open incident is there."""
    return Source(name="incident", state="frozen", says=f"an incident is open: {summary}")


def no_incident(where: str) -> Source:
    """No marker where one would be."""
    return Source(name="incident", state="clear", says=f"no incident is open ({where})")
