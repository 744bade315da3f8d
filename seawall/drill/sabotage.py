"""Which drill covers which control: with the control switched off, the drill must FAIL."""

from __future__ import annotations

from collections.abc import Sequence

from seawall.conventions import faults
from seawall.conventions import sabotage as names
from seawall.errors import UsageError
from seawall.formats.deployment import Deployment
from seawall.policy import Drill, Policy


def controls_of(drill: Drill) -> tuple[str, ...]:
    """The controls of the reference venue without which ``drill`` cannot pass.

    A fault that stops signing in the primary region needs the failover of signing, one that takes
    the first RPC endpoint of a network needs the move to the other, one that takes the first
    provider of a rail needs the change to its standby, protected mode needs the mode
    controller, a paused asset must rest instead of being held payment by payment, a customer who
    asks for far too much needs the limits of customers, and a ledger whose database is lost needs
    the stream of its log.
    """
    stops_signing = "failover_max" in drill.expects.targets
    takes_rpc = any(
        fault.fault == faults.RPC_DARK and fault.target.endswith(".primary")
        for fault in drill.faults
    )
    found = {
        names.SABOTAGE_FAILOVER: stops_signing,
        names.SABOTAGE_RPC_FAILOVER: takes_rpc,
        names.SABOTAGE_RAIL_FAILOVER: "rail_failover_max" in drill.expects.targets,
        names.SABOTAGE_MODE_CONTROLLER: "protected_max" in drill.expects.targets,
        names.SABOTAGE_ASSET_REST: any(
            fault.fault == faults.ASSET_PAUSED for fault in drill.faults
        ),
        names.SABOTAGE_CUSTOMER_LIMITS: drill.flood.storm is not None,
        names.SABOTAGE_WAL_STREAM: "database_rpo_max" in drill.expects.targets,
    }
    return tuple(control for control, covered in found.items() if covered)


def require_whole(deployment: Deployment, drill: str) -> None:
    """Raise :class:`UsageError` if a control is switched off, of which ``drill`` covers none."""
    if deployment.sabotage is not None:
        raise UsageError(
            f"the control {deployment.sabotage} is switched off on {deployment.stack}, and the"
            f" drill {drill} would pass without it",
            remedy="drill a stack with all its controls; `bin/seawall down` removes a sandbox",
        )


def require_covered(policy: Policy, drills: Sequence[str], control: str) -> None:
    """Raise :class:`UsageError` unless each of ``drills`` covers ``control``.

    A drill that does not would pass without it, which shows nothing.
    """
    for name in drills:
        covered = controls_of(policy.drills[name])
        if control in covered:
            continue
        able = [other for other, drill in policy.drills.items() if control in controls_of(drill)]
        raise UsageError(
            f"the drill {name} does not cover the control {control}, and would pass without it",
            remedy=f"drills that cover it: {', '.join(able) or 'none of this policy'}; {name}"
            f" covers {', '.join(covered) or 'none'}",
        )
