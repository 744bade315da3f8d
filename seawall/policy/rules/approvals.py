"""Rules for approvals: enough distinct people, and an emergency lane that may move less.

The emergency lane may be faster only because its cap is lower.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from seawall.errors import Problem

if TYPE_CHECKING:
    from seawall.policy.model import ApprovalLane, Policy


def approvals(policy: Policy) -> Iterator[Problem]:
    """Every fault of the two lanes."""
    routine, emergency = policy.approvals.routine, policy.approvals.emergency
    yield from _lane(policy, "routine", routine)
    yield from _lane(policy, "emergency", emergency)
    path = "approvals.emergency"
    if emergency.value_max >= routine.value_max:
        yield Problem(
            path=f"{path}.value_max",
            found=f"{emergency.value_max}, routine {routine.value_max}",
            remedy=(
                "cap it below the routine lane: who may move as much with less is never routine "
                "again"
            ),
        )
    if emergency.cooling > routine.cooling:
        yield Problem(
            path=f"{path}.cooling",
            found=f"{emergency.cooling} ms, routine {routine.cooling} ms",
            remedy="keep it at or below the routine delay, else it is no fast lane",
        )


def _lane(policy: Policy, name: str, lane: ApprovalLane) -> Iterator[Problem]:
    path = f"approvals.{name}"
    people: dict[str, str] = {}
    for role in lane.approvers:
        email = policy.roles[role].email.lower() if role in policy.roles else role
        other = people.setdefault(email, role)
        if other != role or lane.approvers.count(role) > 1:
            yield Problem(
                path=f"{path}.approvers",
                found=f"{role}, the same person as {other}"
                if other != role
                else f"{role} more than once",
                remedy="name distinct people: one person's two signatures are one",
            )
    if lane.needed > len(people):
        yield Problem(
            path=f"{path}.needed",
            found=f"{lane.needed} of {len(people)}",
            remedy="name more approvers or need fewer: this quorum can never be reached",
        )
