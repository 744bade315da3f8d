"""What became of a call about an approval is read as payouts are: no node decides alone.

It is read through one view of the chain. What did not simply succeed is read from another endpoint
as well, at the same block hash; two that disagree are read again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

import pytest

from tests.testing.nodes import Answered, FakeChain, error, receipt, result
from tests.unit.venue.test_follower import TX, Bench, Spoil
from venue.contracts.approvals import State
from venue.settler.approvals import Call, Outcome
from venue.settler.lanes import Slot

DARK: Spoil = lambda _method, _params: error(-32005, "limit exceeded")  # noqa: E731
DONE, REVERTED = Outcome(outcome="done"), Outcome(outcome="reverted")


class _Approvals:
    """Takes the place of the database: what the slot is for, and what became of it."""

    def __init__(self) -> None:
        self.posted: list[Outcome] = []

    async def call_of(self, slot: Slot) -> Call:
        return Call(approval=UUID(int=1), name="execute", moves={"USDX": 5})

    async def post(self, slot: Slot, call: Call, found: Outcome) -> bool:
        self.posted.append(found)
        return True


class Desk(Bench):
    """A follower of one execution, which is in a block; each node says what became of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        self.approvals = _Approvals()
        self._follower.approvals = cast("Any", self.approvals)
        self.slot.purpose = "approval"
        self.read_at: list[str] = []
        self.pay()

    def says(self, state: State, *, reverted: bool = False) -> Spoil:
        """The word of a node: the approval's state at the block, and the receipt of the call."""
        status = {"status": "0x0"} if reverted else {}
        number = self.chain.blocks[TX]

        def spoil(method: str, params: list[Any]) -> Callable[[int], Answered] | None:
            if method == "eth_getTransactionReceipt":
                return result(receipt(TX, number, []) | status)
            if method != "eth_call":
                return None
            self.read_at.append(params[1]["blockHash"])
            return result(f"0x{state.value:064x}")

        return spoil


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


async def test_what_simply_succeeded_needs_no_second_word(desk: Desk) -> None:
    """Else an endpoint that is wrong for long would stop what people have signed."""
    desk.primary.spoil, desk.standby.spoil = desk.says(State.EXECUTED), DARK
    await desk.blocks(2)
    assert desk.approvals.posted == [DONE]


async def test_one_node_that_says_it_reverted_is_not_believed_against_another(desk: Desk) -> None:
    """It moved. Taken for reverted it would be in no account, and be tried again in vain."""
    desk.primary.spoil = desk.says(State.PROPOSED, reverted=True)
    desk.standby.spoil = desk.says(State.EXECUTED)
    await desk.blocks(2)
    assert desk.approvals.posted == []
    assert len(desk.read_at) == 2
    assert set(desk.read_at) == {FakeChain.hash(desk.chain.newest - 2)}
    await desk.turns(1)  # the standby is asked first by now
    assert desk.approvals.posted == [DONE]


async def test_what_both_nodes_say_is_believed(desk: Desk) -> None:
    desk.primary.spoil = desk.standby.spoil = desk.says(State.PROPOSED, reverted=True)
    await desk.blocks(2)
    assert desk.approvals.posted == [REVERTED]
    assert len(desk.read_at) == 2


async def test_while_one_node_is_dark_the_other_must_do(desk: Desk) -> None:
    """As for payouts: the contract carries an approval out once, whatever was believed."""
    desk.primary.spoil, desk.standby.spoil = DARK, desk.says(State.VETOED, reverted=True)
    await desk.blocks(2)
    assert desk.approvals.posted == [Outcome(outcome="vetoed")]


async def test_a_state_that_fits_no_receipt_is_read_again(desk: Desk) -> None:
    desk.primary.spoil = desk.standby.spoil = desk.says(State.UNUSED)
    await desk.blocks(2)
    assert desk.approvals.posted == []
    desk.primary.spoil = desk.standby.spoil = desk.says(State.EXECUTED)
    await desk.turns(1)
    assert desk.approvals.posted == [DONE]
