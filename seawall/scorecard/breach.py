"""The breach: the moment from which protected mode was called for.

Pure over :class:`Facts`.
"""

from __future__ import annotations

from seawall import indicators
from seawall.errors import EvidenceError
from seawall.policy import Trigger
from seawall.scorecard.facts import Facts, format_s


def breach(facts: Facts) -> tuple[Trigger, indicators.Crossing]:
    """The trigger of protected mode that was reached first, and the committed row that did it.

    Rows from the start of the calm on count towards the trigger's window. Raises
    :class:`EvidenceError` if no trigger was reached, or if one was reached before the run.
    """
    policy = facts.run.policy
    flow = [
        indicators.FlowRow(
            id=row.id,
            kind=row.kind,
            count=row.count,
            value_micro=row.value_micro,
            committed_at_us=row.committed_at,
        )
        for row in facts.run.flow
        if row.committed_at >= facts.calm_starts
    ]
    found: list[tuple[Trigger, indicators.Crossing]] = []
    for trigger in policy.triggers:
        if trigger.tier == "protected" and policy.indicators[trigger.indicator].window is not None:
            crossing = indicators.first_crossing(flow, trigger, policy)
            if crossing is not None:
                found.append((trigger, crossing))
    if not found:
        raise EvidenceError(
            "no committed row ever reached a trigger of protected mode, so protection "
            "was not called for"
        )
    trigger, crossing = min(found, key=lambda pair: pair[1].at_us)
    if crossing.at_us < facts.run_starts:
        raise EvidenceError(
            f"the trigger {trigger.name} was reached "
            f"{format_s(facts.run_starts - crossing.at_us)} before the run began"
        )
    return trigger, crossing
