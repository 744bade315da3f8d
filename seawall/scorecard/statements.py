"""Payouts over rails, by the statements of the providers that made them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from seawall.scorecard.rail_rows import StatementLine
from seawall.scorecard.rows import Payout

_CLIENT_ID = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-[0-9]+")


def settled(lines: Iterable[StatementLine]) -> Iterator[Payout]:
    """What was paid: each line that says so, as often as it says it."""
    return _payouts(lines, ("settled",))


def alive(lines: Iterable[StatementLine]) -> Iterator[Payout]:
    """What was paid or will be: accepted once, and neither returned nor cancelled since."""
    last: dict[tuple[str, str, str], StatementLine] = {}
    paid = []
    for line in lines:
        payout = (line.rail, line.side, line.client_id)
        if payout in last and last[payout].state == "settled":  # a second one of the same id
            paid.append(last[payout])
        last[payout] = line
    return _payouts((*paid, *last.values()), ("accepted", "settled"))


def _payouts(lines: Iterable[StatementLine], states: Collection[str]) -> Iterator[Payout]:
    for line in lines:
        if line.state in states and None not in (line.asset, line.amount, line.destination):
            yield Payout(
                network=line.rail,
                seq=None,
                to=line.destination or "",
                token="",
                asset=line.asset or "",
                amount=line.amount or 0,
                tx_hash=line.client_id,
                block_number=None,
                block_timestamp=line.at,
                withdrawal_id=withdrawal_of(line.client_id),
            )


def withdrawal_of(client_id: str) -> str | None:
    """The withdrawal that an id of the reference venue names; None for another one."""
    found = _CLIENT_ID.fullmatch(client_id)
    return None if found is None else found[1]
