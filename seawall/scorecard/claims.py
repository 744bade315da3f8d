"""What can be claimed of a drill on a deployment: which checks have the evidence that they need.

A check whose evidence the deployment does not offer is not claimed, nor is one about an operation
that the venue does not have. It is listed with what it would need, and it never counts as a PASS.
The floor is claimed in any case, and so is what the drill's policy demands; without its evidence
such a check is UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from seawall.conventions.evidence import Port
from seawall.policy import Drill, Policy
from seawall.policy.drilling import DrillTarget
from seawall.scorecard.checks import ALL, FLOOR
from seawall.scorecard.outcome import Check

OF_TARGETS: Mapping[DrillTarget, tuple[str, ...]] = {
    "failover_max": ("failover.time",),
    "protected_max": ("protection.time",),
    "page_max": ("page.failover", "page.protection"),
    "recovery_max": ("recovery.time",),
    "small_withdrawals_completed_min": ("stress.small_completed",),
    "rail_failover_max": ("failover.rails",),
    "database_rpo_max": ("database.rpo",),
    "database_rto_max": ("database.rto",),
}
"""The checks by which each target of a drill is measured."""
PLAY_MONEY = "play_money"
"""What a deployment lacks where nothing may be tried in earnest."""
EVERYTHING = "all"
"""The word of a policy that demands every claim of a drill."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A check that belongs to a drill, and the ports and operations that a deployment lacks for it.

    ``demanded``: there is no PASS without it.
    """

    check: Check
    missing: tuple[str, ...]
    demanded: bool

    @property
    def made(self) -> bool:
        """Whether it is claimed: it is then PASS, FAIL or UNKNOWN."""
        return self.demanded or not self.missing


def claims_of(
    policy: Policy,
    drill: Drill,
    *,
    offers: Collection[Port],
    operations: Collection[str] | None,
    checks: Sequence[Check] = ALL,
) -> tuple[Claim, ...]:
    """Every check that belongs to a drill of ``policy``, in the order of a report.

    ``operations`` are those that the venue can be asked; all of the contract if None.
    """
    return tuple(
        Claim(
            check=check,
            missing=(
                *(port for port in check.needs if port not in offers),
                *(
                    (check.operation,)
                    if check.operation is not None
                    and operations is not None
                    and check.operation not in operations
                    else ()
                ),
            ),
            demanded=is_demanded(check, drill),
        )
        for check in checks
        if check.belongs(drill)
        # No tier guarantees what normal does not.
        and (check.function is None or check.function in policy.tiers.normal.guarantees)
    )


def claims_of_control(checks: Sequence[Check], *, play_money: bool) -> tuple[Claim, ...]:
    """Every check of a drill of one control; ``play_money``: whether all money is play money."""
    return tuple(
        Claim(
            check=check,
            missing=(PLAY_MONEY,) if check.play_money and not play_money else (),
            demanded=False,
        )
        for check in checks
    )


def is_demanded(check: Check, drill: Drill) -> bool:
    """Whether ``drill`` has no PASS without ``check``: it is of the floor, claimed, or expected."""
    expected = {each for target in drill.expects.targets for each in OF_TARGETS[target]}
    if drill.expects.reaches or drill.expects.avoids:
        expected |= {"tiers.reached", "tiers.avoided"}
    return (
        check.id in FLOOR
        or check.id in expected
        or any(word in (EVERYTHING, check.id, check.category) for word in drill.claims)
    )


def unknown_words(drill: Drill, checks: Sequence[Check] = ALL) -> tuple[str, ...]:
    """The words in ``drill.claims`` that are no check that belongs to it, and no part of one."""
    own = [check for check in checks if check.belongs(drill)]
    known = {EVERYTHING, *(check.id for check in own), *(check.category for check in own)}
    return tuple(word for word in drill.claims if word not in known)
