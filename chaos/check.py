"""Check what the drills of a policy say about faults, and list the faults that there are.

    python -m chaos.check --policy FILE [--deployment FILE]

Prints a :mod:`seawall.drill_report`; each fault has summary, targets and parameters.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from chaos.faults import Fault, known_faults, make_fault
from seawall.conventions import faults
from seawall.drill_report import DrillReport, main
from seawall.errors import Problem, UsageError
from seawall.formats.deployment import Deployment
from seawall.formats.documents import model_problems
from seawall.policy import Drill, PlannedFault, Policy


def problems_of(policy: Policy) -> list[Problem]:
    """Every fault, target, parameter and word of a blast radius that does not exist."""
    return [
        problem
        for name, drill in policy.drills.items()
        for problem in _of_drill(f"drills.{name}", drill, policy)
    ]


def _of_drill(path: str, drill: Drill, policy: Policy) -> Iterator[Problem]:
    for index, planned in enumerate(drill.faults):
        yield from _problems(f"{path}.faults.{index}", planned, policy)
    words = sorted({word for fault in known_faults().values() for word in fault.targets(policy)})
    for index, word in enumerate(drill.blast_radius):
        if word not in words:
            yield Problem(
                path=f"{path}.blast_radius.{index}",
                found=repr(word),
                remedy=f"no fault reaches it; the words are {', '.join(words)}",
            )
    first = next(iter(drill.faults), None)
    stops = (
        first is not None and first.fault in faults.STOP_SIGNING and first.target == "kms.primary"
    )
    for target in ("database_rpo_max", "database_rto_max"):
        if target in drill.expects.targets and (
            first is None or first.fault != faults.DATABASE_LOST
        ):
            yield Problem(
                path=f"{path}.expects.targets",
                found=target,
                remedy=f"it is measured from {faults.DATABASE_LOST}; plan it as the first fault",
            )
    if "rail_failover_max" in drill.expects.targets and not _changes_a_rail(drill, policy):
        yield Problem(
            path=f"{path}.expects.targets",
            found="rail_failover_max",
            remedy=f"it is measured from {faults.COUNTERPARTY_DARK} of a primary; plan it as the"
            " first fault, and let the flood go over its rail",
        )
    if "failover_max" in drill.expects.targets and not stops:
        yield Problem(
            path=f"{path}.expects.targets",
            found="failover_max",
            remedy=f"failover is measured from {' or '.join(faults.STOP_SIGNING)} of kms.primary;"
            " plan it as the first fault",
        )


def _changes_a_rail(drill: Drill, policy: Policy) -> bool:
    """Whether the first fault takes the primary of a rail that the flood goes over."""
    for fault in drill.faults[:1]:
        kind, _, side = fault.target.partition(".")
        return (fault.fault, side) == (faults.COUNTERPARTY_DARK, "primary") and any(
            share > 0 and rail in policy.rails and policy.rails[rail].kind == kind
            for rail, share in drill.flood.rails.items()
        )
    return False


def _problems(path: str, planned: PlannedFault, policy: Policy) -> Iterator[Problem]:
    known = known_faults()
    if planned.fault not in known:
        yield Problem(
            path=f"{path}.fault",
            found=repr(planned.fault),
            remedy=f"name one of {', '.join(sorted(known))}",
        )
        return
    fault = known[planned.fault]
    targets = fault.targets(policy)
    if planned.target not in targets:
        yield Problem(
            path=f"{path}.target",
            found=repr(planned.target),
            remedy=f"{fault.name} can be aimed at {', '.join(targets)}",
        )
    try:
        fault.parameters_type.model_validate(dict(planned.parameters))
    except ValidationError as error:
        for problem in model_problems(error):
            yield Problem(
                path=f"{path}.parameters.{problem.path}", found=problem.found, remedy=problem.remedy
            )


def described(fault: type[Fault], policy: Policy) -> dict[str, Any]:
    """What a fault is, for people and for `seawall list`."""
    return {
        "summary": (fault.__doc__ or "").partition("\n")[0],
        "targets": list(fault.targets(policy)),
        "parameters": fault.parameters_type.model_json_schema().get("properties", {}),
    }


def problems_on(deployment: Deployment, policy: Policy) -> list[Problem]:
    """Every planned fault that ``deployment`` has no handle for."""
    found = []
    for name, drill in policy.drills.items():
        for index, planned in enumerate(drill.faults):
            try:
                make_fault(
                    planned.fault,
                    target=planned.target,
                    parameters=planned.parameters,
                    deployment=deployment,
                    blast_radius=drill.blast_radius,
                )
            except UsageError as error:
                path = f"drills.{name}.faults.{index}"
                found.append(Problem(path=path, found=str(error.args[0]), remedy=error.remedy))
    return found


def report(
    policy: Policy, deployment: Deployment | None = None, drills: Sequence[str] = ()
) -> DrillReport:
    """The faults that there are, and what is wrong with those that drills plan.

    They are the same in any order of drills.
    """
    del drills
    problems = problems_of(policy)
    if deployment is not None and not problems:
        problems = problems_on(deployment, policy)
    return DrillReport(
        known={name: described(fault, policy) for name, fault in known_faults().items()},
        problems=problems,
    )


if __name__ == "__main__":
    sys.exit(main(__doc__, report))
