"""Faults by name: one file each, with ``apply``, an idempotent ``revert``, and ``observe`` as proof
from outside.
"""

from __future__ import annotations

from collections.abc import Callable

from chaos.deployment import Targets
from chaos.faults.base import Fault, Observation
from chaos.faults.kms_dark import KmsDark
from chaos.faults.noop import Noop
from seawall.errors import UsageError
from seawall.policy import GameDay

__all__ = ["FAULTS", "Fault", "Observation", "make_fault"]

FAULTS: dict[str, Callable[[Targets], Fault]] = {KmsDark.name: KmsDark, Noop.name: Noop}


def make_fault(name: str, *, targets: Targets, gameday: GameDay) -> Fault:
    """The fault called ``name``.

    Raises :class:`UsageError` if there is none or it would reach beyond the game day's blast
    radius.
    """
    if name not in FAULTS:
        message = f"there is no fault {name}"
        raise UsageError(message, remedy=f"name one of {', '.join(sorted(FAULTS))}")
    fault = FAULTS[name](targets)
    beyond = [target for target in fault.reaches if target not in gameday.blast_radius]
    if beyond:
        message = f"the fault {name} reaches {', '.join(beyond)}, which is outside the blast radius of the game day {gameday.name}"
        raise UsageError(
            message,
            remedy=f"it may touch {', '.join(gameday.blast_radius) or 'nothing'}; change the policy, not the fault",
        )
    return fault
