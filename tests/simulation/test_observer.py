"""The observer of the simulation says what the code under test did, and makes nothing up."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.simulation.loop import VirtualLoop
from tests.simulation.observer import steps
from tests.simulation.store import Database, Transaction
from tests.simulation.trace import Trace
from tests.simulation.weather import Weather

TABLE = "rail_instructions"
_Steps = list[tuple[str, str]]


def _seen(*states: str, before: str | None = None, undone: tuple[str, ...] = ()) -> _Steps:
    """The edges of an instruction that is written in each of ``states`` in one transaction.

    It was in ``before`` before that, or did not exist. What is ``undone`` is written within a
    savepoint first.
    """
    found: _Steps = []

    def committed(tx: Transaction, changes: dict[str, Any]) -> None:
        [(key, (old, _))] = changes[TABLE].items()
        written = [row for *where, row in tx.written if where == [TABLE, key]]
        found.extend(steps(TABLE, old, written))

    loop = VirtualLoop()
    database = Database(
        trace=Trace(now=loop.time),
        weather=Weather(draw=lambda: 0.4),
        clock=loop.time,
        rules={},
        committed=committed,
    )
    if before is not None:
        database.tables[TABLE][1] = {"state": before}

    async def main() -> None:
        await asyncio.sleep(0)
        tx = database.transaction()
        savepoint = tx.savepoint()
        for state in undone:
            tx.put(TABLE, 1, {"state": state})
        tx.back_to(savepoint)
        for state in states:
            tx.put(TABLE, 1, {"state": state})
        tx.commit()

    loop.run(main())
    return found


def test_what_one_transaction_passes_is_seen() -> None:
    """Two lines of a statement at once, and what a lost ledger had instructed."""
    assert _seen("accepted", "settled", before="recorded") == [
        ("recorded", "accepted"),
        ("accepted", "settled"),
    ]
    assert _seen("recorded", "accepted", "returned") == [
        ("none", "recorded"),
        ("recorded", "accepted"),
        ("accepted", "returned"),
    ]


def test_what_was_left_out_is_not_made_up() -> None:
    """An edge that is on no list makes a campaign UNKNOWN."""
    assert _seen("settled", before="recorded") == [("recorded", "settled")]
    assert _seen("settled") == [("none", "settled")]


def test_what_was_undone_never_was() -> None:
    """As far as a savepoint: the same line is applied again, or another one."""
    assert _seen("cancelled", before="recorded", undone=("accepted", "settled")) == [
        ("recorded", "cancelled")
    ]
