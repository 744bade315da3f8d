"""What the chain says of the numbers of held withdrawals, for every combination."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal
from uuid import UUID

import pytest

from venue.contracts.calls import Events, Item
from venue.settler.held import Cancellation, cancellation_of

ITEM = Item(seq=7, id=UUID(int=7), to="0x" + "ab" * 20, token="0x" + "00" * 20, amount=5)
NOTHING = Events(paid={}, failed=frozenset())
PAID = Events(paid={7: ITEM}, failed=frozenset())
ELSEWHERE = Events(paid={7: replace(ITEM, to="0x" + "cd" * 20)}, failed=frozenset())
BURNT = Events(paid={}, failed=frozenset(), cancelled=frozenset({ITEM.number}))
OTHERS = Events(paid={}, failed=frozenset(), cancelled=frozenset({(7, UUID(int=8))}))
Where = Literal["cancelled", "paid", "untried", "disputed"]


@pytest.mark.parametrize(
    ("bit", "own", "earlier", "where"),
    [
        pytest.param(True, True, [], "cancelled", id="cancelled by this transaction"),
        pytest.param(False, False, [], "untried", id="reverted: the number is free"),
        pytest.param(True, False, [PAID], "paid", id="the transaction that held it had paid it"),
        pytest.param(True, False, [NOTHING, BURNT], "cancelled", id="cancelled by an earlier try"),
        pytest.param(True, False, [], "disputed", id="used up, and nothing says by what"),
        pytest.param(True, False, [NOTHING], "disputed", id="used up, and not by what could have"),
        pytest.param(True, False, [ELSEWHERE], "disputed", id="paid to somebody else"),
        pytest.param(True, False, [OTHERS], "disputed", id="cancelled for another withdrawal"),
        pytest.param(True, True, [PAID], "disputed", id="both cancelled and paid"),
        pytest.param(False, True, [], "disputed", id="an event without its bit"),
        pytest.param(False, False, [PAID], "disputed", id="paid without its bit"),
        pytest.param(False, False, [BURNT], "disputed", id="cancelled before without its bit"),
    ],
)
def test_money_moves_again_only_if_event_and_bit_agree(
    bit: bool, own: bool, earlier: list[Events], where: Where
) -> None:
    """Whatever contradicts itself stays held."""
    found = cancellation_of(
        [ITEM],
        bits={7: bit},
        cancelled=frozenset({ITEM.number} if own else ()),
        earlier={7: earlier},
    )
    nowhere = {"cancelled": (), "paid": (), "untried": (), "disputed": ()}
    assert found == Cancellation(**nowhere | {where: (7,)})
