"""Rules for game days: at least one, names are unique, and each fault ends under load."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from seawall.errors import Problem

if TYPE_CHECKING:
    from seawall.policy.model import Policy


def drills(policy: Policy) -> Iterator[Problem]:
    """Every fault of the declared game days."""
    names: set[str] = set()
    for index, day in enumerate(policy.gamedays):
        if day.name in names:
            yield Problem(
                path=f"gamedays.{index}.name",
                found=repr(day.name),
                remedy="give every game day its own name",
            )
        names.add(day.name)
        if day.dark_after + day.dark > day.flood:
            yield Problem(
                path=f"gamedays.{index}",
                found=f"dark until {day.dark_after + day.dark} ms of a flood of {day.flood} ms",
                remedy="end the fault before the flood ends, so that failover is seen under load",
            )
    if not policy.gamedays:
        yield Problem(
            path="gamedays",
            found="none",
            remedy="declare at least one; what is not drilled is not proven",
        )
