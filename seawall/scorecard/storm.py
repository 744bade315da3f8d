"""The storm of a flood: one customer who asks for far more than everybody else together."""

from __future__ import annotations

from collections import Counter

from seawall.scorecard.facts import Facts
from seawall.scorecard.rows import Arrival, LoggedRequest

Storm = tuple[tuple[Arrival, LoggedRequest], ...]


def storm_of(facts: Facts) -> Storm:
    """What the stormer sent in the run, with the answers; empty for a drill without a storm.

    That is the customer who asked most often: the plan gives no other so many requests.
    """
    if facts.run.drill.flood.storm is None:
        return ()
    run = [(arrival, request) for arrival, request in facts.sent if arrival.phase == "run"]
    if not run:
        return ()
    stormer = Counter(arrival.customer_id for arrival, _ in run).most_common(1)[0][0]
    return tuple(each for each in run if each[0].customer_id == stormer)
