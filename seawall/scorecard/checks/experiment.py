"""Was the experiment itself sound?"""

from __future__ import annotations

from seawall.scorecard.facts import Facts
from seawall.scorecard.journal import problems_of_journal
from seawall.scorecard.outcome import Finding, check, failed, passed, unknown

_DEVIATED = "the steady state was not met after the method"


@check(
    "experiment.sound",
    question="Did the experiment run as planned, steady before and after, with every activity and rollback succeeded?",
    motivation="`chaos run` alone reports success when the shock was never applied or nothing was checked.",
    evidence=("chaos-journal.json",),
    remediation="Read the journal's failed activities; run `chaos run` by hand against a kept sandbox.",
)
def sound(facts: Facts) -> Finding:
    """FAIL if the venue did not return to its steady state, UNKNOWN if the experiment is not to be
    trusted.
    """
    target = "completed, steady before and after"
    problems = problems_of_journal(facts.run.journal)
    if not problems:
        return passed(
            measured="as planned",
            target=target,
            reason="completed, not deviated, all activities and rollbacks succeeded",
        )
    finding = failed if _DEVIATED in problems and not _unsound_before(problems) else unknown
    return finding(
        measured=f"{len(problems)} problems",
        target=target,
        reason=problems[0],
        details=problems[1:],
    )


_AFTER = (
    _DEVIATED,
    "steady state after",
    "the journal does not say that the steady state held",
    "the experiment ended as 'failed'",
)
"""How problems begin that follow from a steady state which did not come back.

Chaos Toolkit then ends as failed and deviated.
"""


def _unsound_before(problems: list[str]) -> bool:
    """Whether anything else was wrong: then the shock may not have been the planned one."""
    return not all(problem.startswith(_AFTER) for problem in problems)


CHECKS = (sound,)
