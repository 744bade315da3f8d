"""Faults by name; a fault is one file, with ``apply``, ``undo`` and ``observe``."""

from __future__ import annotations

from collections.abc import Callable

from chaos.faults.base import Fault, Observation
from chaos.faults.kms_dark import KmsDark
from chaos.faults.noop import Noop
from seawall.errors import UsageError
from seawall.formats.deployment import Deployment
from seawall.policy import GameDay

__all__ = ["FAULTS", "Fault", "Observation", "make_fault"]

FAULTS: dict[str, Callable[[Deployment], Fault]] = {KmsDark.name: KmsDark, Noop.name: Noop}


def make_fault(name: str, *, deployment: Deployment, gameday: GameDay) -> Fault:
    """The fault called ``name``, for ``deployment``.

    Raises:
        UsageError: There is no such fault, it does not fit the deployment, or it would reach beyond
            the blast radius of ``gameday``.
    """
    if name not in FAULTS:
        raise UsageError(
            f"there is no fault {name}", remedy=f"name one of {', '.join(sorted(FAULTS))}"
        )
    fault = FAULTS[name](deployment)
    beyond = [target for target in fault.reaches if target not in gameday.blast_radius]
    if beyond:
        allowed = ", ".join(gameday.blast_radius) or "nothing"
        raise UsageError(
            f"the fault {name} reaches {', '.join(beyond)}, which is outside the blast radius of "
            f"the game day {gameday.name}",
            remedy=f"it may touch {allowed}; change the policy, not the fault",
        )
    return fault
