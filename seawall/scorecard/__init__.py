"""The scorecard: a run directory in; a verdict, a scorecard, a JUnit file and a report out.

Nothing but the run directory is read, so anyone can repeat a verdict from its evidence alone.
"""

from seawall.scorecard.checks import SABOTAGE_FAILS, fails_without
from seawall.scorecard.files import write
from seawall.scorecard.judgement import judge
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.report.terminal import terminal_summary
from seawall.scorecard.run import digests
from seawall.scorecard.verdict import Verdict

__all__ = [
    "SABOTAGE_FAILS",
    "Outcome",
    "Verdict",
    "digests",
    "fails_without",
    "judge",
    "terminal_summary",
    "write",
]
