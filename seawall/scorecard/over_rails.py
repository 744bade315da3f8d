"""What providers of rails have ever paid, for checks that compare all of it with the records.

The rails that were used are those of a withdrawal on record, whatever became of it: of each of them
somebody must offer the statements.
"""

from __future__ import annotations

from seawall.scorecard.chain_rows import Payout
from seawall.scorecard.facts import Facts
from seawall.scorecard.sources import Doubts


def ever_settled(facts: Facts, doubts: Doubts) -> tuple[Payout, ...]:
    """What they have surely paid, by their statements; ``doubts`` gets why that may not be all."""
    _ask(facts, doubts)
    return facts.stated.settled()


def ever_alive(facts: Facts, doubts: Doubts) -> tuple[Payout, ...]:
    """What they have surely paid or will, likewise."""
    _ask(facts, doubts)
    return facts.stated.alive()


def used_rails(facts: Facts) -> frozenset[str]:
    """The rails of withdrawals on record. Raises :class:`EvidenceError` without the records."""
    used = {row.network for row in facts.run.withdrawals} if facts.offers("withdrawals") else set()
    return frozenset(used & facts.run.policy.paying_rails().keys())


def _ask(facts: Facts, doubts: Doubts) -> None:
    doubts.reasons += [doubt.said for doubt in facts.stated.doubts]
    doubts.ask(lambda: facts.require_stated(used_rails(facts)))
