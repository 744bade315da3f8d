"""The readiness checks, one question each, in files by topic.

:data:`ALL` is every one of them in the order of a report.
"""

from seawall.scorecard.checks import drill, evidence, experiment, floor, promises, safety, times
from seawall.scorecard.outcome import Check

COMPLETE = evidence.complete
"""Unless this one passes, no other finding counts, save a violation that is proven by its own rows.
"""

ALL: tuple[Check, ...] = (
    *evidence.CHECKS,
    *drill.CHECKS,
    *experiment.CHECKS,
    *times.CHECKS,
    *promises.CHECKS,
    *safety.CHECKS,
    *floor.CHECKS,
)
