"""What providers of rails have ever paid, for checks that compare all of it with the records."""

from __future__ import annotations

from seawall.errors import EvidenceError
from seawall.scorecard.facts import Facts
from seawall.scorecard.rows import Payout
from seawall.scorecard.statements import alive, settled


def ever_settled(facts: Facts) -> tuple[Payout, ...]:
    """What they have paid, by their statements.

    Raises :class:`EvidenceError` if the records have withdrawals over a rail and nobody offers its
    statements.
    """
    if facts.offers("statements"):
        return tuple(settled(facts.run.statements))
    rails = facts.run.policy.paying_rails()
    if any(row.network in rails and row.state == "posted" for row in facts.run.withdrawals):
        raise EvidenceError("withdrawals were posted over a rail, and nobody offers its statements")
    return ()


def ever_alive(facts: Facts) -> tuple[Payout, ...]:
    """What they have paid or will, as far as statements are offered."""
    return tuple(alive(facts.run.statements)) if facts.offers("statements") else ()
