"""What a game day knows of its drills so far, so that nothing between two of them goes unseen.

Each drill is judged from its own run alone. What comes when a drill is over is in none, unless the
next one looks back: a second payment of its requests, a transaction of a key, a signature.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from seawall.errors import EvidenceError
from seawall.evidence.chain import Reach
from seawall.scorecard.checks.customers import REFUNDED
from seawall.scorecard.facts import Facts
from seawall.scorecard.rows import Key
from seawall.scorecard.run import FILES, Run

COLUMNS = ("run", "network", "asset", "destination", "amount", "asked", "paid")
"""Of earlier.csv."""
_SEEN_BY_NUMBER = frozenset({"numbered_payouts", "withdrawals"})
"""With both, `safety.paid_once` and `safety.nothing_voided_paid` judge all that was ever paid."""


@dataclass(kw_only=True)
class Earlier:
    """The drills of a game day that are over.

    Attributes:
        heads: By network whose payouts are transfers: the newest block when the day began.
        sent: By network and wallet: how many transactions its key had sent after the last drill.
        logged_until: Up to when AWS's own log is read for the last drill, in Unix seconds.
    """

    heads: dict[str, int] = field(default_factory=dict)
    sent: dict[str, Mapping[str, int]] = field(default_factory=dict)
    logged_until: float | None = None
    _before: Reach = field(default_factory=Reach)
    _asked: dict[tuple[str, Key], int] = field(default_factory=dict)
    _paid: Counter[Key] = field(default_factory=Counter)

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs whose requests are still watched."""
        return tuple(dict.fromkeys(run for run, _ in self._asked))

    @property
    def destinations(self) -> frozenset[str]:
        """Where these requests were to be paid, in lower case."""
        return frozenset(destination for _, (_, _, destination, _) in self._asked)

    def logged_from(self, started_at: float) -> float:
        """From when AWS's own log is read for a drill that began at ``started_at``."""
        return started_at if self.logged_until is None else min(started_at, self.logged_until)

    def since(self, before: Reach | None) -> Reach:
        """How far the networks had come ``before`` a drill, as far as that is known.

        Transfers are read from the beginning of the day on: of an earlier drill's requests it must
        be known how often they were paid in all.
        """
        self._before = Reach() if before is None else before
        for network, head in self._before.heads.items():
            # A development node that began anew has a lower one.
            self.heads[network] = min(head, self.heads.get(network, head))
        return Reach(heads={**self.heads}, sent=self._before.sent)

    def add(self, run_dir: Path, *, ended_at: float, report: Callable[[str], None]) -> None:
        """Take in the drill in ``run_dir``, which went to its end and has its manifest.

        If its evidence does not say what it asked for, and what was paid of all, its own verdict
        says why, and nobody watches its requests any more.
        """
        self.logged_until = ended_at
        for network, counts in self._before.sent.items():
            self.sent.setdefault(network, counts)
        try:
            self._add(Facts(Run(run_dir)), run_dir.name)
        except EvidenceError as error:
            report(f"later drills do not watch the requests of {run_dir.name}: {error}")

    def _add(self, facts: Facts, run: str) -> None:
        if {*facts.run.manifest.offers} >= _SEEN_BY_NUMBER:
            return
        asked: Counter[Key] = Counter()
        for demand in facts.demands:
            told = facts.followed_by_id.get(demand.id)
            asked[demand.key] += told is None or told.state != REFUNDED
        ours = self.destinations | {destination for _, _, destination, _ in asked}
        self._paid = Counter(
            payout.key
            for payout in (*facts.run.payouts, *facts.stated.alive())
            if payout.to.lower() in ours
        )
        self._asked |= {(run, key): count for key, count in asked.items()}

    def write(self, run_dir: Path) -> None:
        """Write earlier.csv into the run directory of the next drill; nothing if none is watched.

        A payout that was paid and never asked for has a row of the last run.
        """
        if not self._asked:
            return
        *_, last = self.runs
        unasked = self._paid.keys() - {key for _, key in self._asked}
        rows = {**self._asked, **{(last, key): 0 for key in sorted(unasked)}}
        with (run_dir / FILES["earlier"]).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for (run, (network, asset, destination, amount)), count in rows.items():
                paid = self._paid[network, asset, destination, amount]
                writer.writerow([run, network, asset, destination, amount, count, paid])
