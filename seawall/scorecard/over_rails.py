"""What providers of rails have ever paid, for checks that compare all of it with the records.

Each raises :class:`EvidenceError` if a withdrawal on record, whatever became of it, is over a rail
of which nobody offers the statements.
"""

from __future__ import annotations

from seawall.scorecard.facts import Facts
from seawall.scorecard.rail_rows import StatementLine
from seawall.scorecard.rows import Payout
from seawall.scorecard.statements import alive, require_stated, settled


def ever_settled(facts: Facts) -> tuple[Payout, ...]:
    """What they have paid, by their statements."""
    return tuple(settled(_statements(facts)))


def ever_alive(facts: Facts) -> tuple[Payout, ...]:
    """What they have paid or will."""
    return tuple(alive(_statements(facts)))


def _statements(facts: Facts) -> tuple[StatementLine, ...]:
    used = {row.network for row in facts.run.withdrawals} if facts.offers("withdrawals") else set()
    require_stated(used & facts.run.policy.paying_rails().keys(), facts.statements)
    return facts.statements
