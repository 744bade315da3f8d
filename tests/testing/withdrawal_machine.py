"""A machine that does to a venue what customers and its settler may do, and compares with a model.

Steps and their parameters are drawn by hypothesis; all else follows from them, and no step waits
for time to pass. No step has a precondition, because hypothesis wants the same draws to allow the
same steps, and what a step leaves behind may depend on how busy the machine is: a step that finds
nothing to be done to does nothing. The machine runs in a thread of its own, and what it does to the
venue on the loop of the test.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from seawall.formats.drill_contract import (
    Balances,
    Credentials,
    Refusal,
    SwapReceipt,
    SwapRequest,
    Withdrawal,
    WithdrawalReceipt,
    WithdrawalRequest,
)
from tests.testing.books import faults
from tests.testing.venue_harness import HANGS_AFTER_S
from tests.testing.withdrawal_bench import Bench, Benches, said_of, who
from tests.testing.withdrawal_model import SMALL_MAX, Known, Model, Swapped, bought, units
from venue.settler.lanes import Slot

_Answer = TypeVar("_Answer")
_ON_RECORD = "select id, customer_id, seq, state from withdrawals where customer_id = any($1)"
_DESTINATIONS = ("0x" + "ab" * 20, "0x" + "cd" * 20)
_ROUTES = (
    (None, "aster", "USDX"),
    (None, "birch", "USDX"),
    (None, "aster", "AST"),
    (None, "birch", "BIR"),
    ("aster", "birch", "USDX"),
    ("birch", "aster", "USDX"),
    ("aster", "birch", "AST"),
)
_PAID = tuple(map(Fraction, ("1", "3", "40", "1200", "7", "25")))
_VALUES = (*_PAID, *map(Fraction, ("0.5", "60000", "150000")))
"""Of withdrawals: those that are paid if they are covered, too little, an overdraft, too much."""
_SOLD = tuple(map(Fraction, ("20", "3", "0.0000001", "90000")))
PICKS, ROUTES, VALUES = st.integers(0, 60), st.sampled_from(_ROUTES), st.sampled_from(_VALUES)
CUSTOMERS, NETWORKS = st.integers(0, 1), st.sampled_from(("aster", "birch"))


@dataclass(frozen=True)
class Outcomes:
    """What the chain says of the payments of a slot, and of the cancellations, in turn."""

    paying: list[str]
    cancelling: list[str]


OUTCOMES = st.builds(
    Outcomes,
    paying=st.just(["untried"])  # the whole transaction reverted
    | st.lists(st.sampled_from(("paid", "failed", "unclear")), min_size=1, max_size=3),
    cancelling=st.lists(
        st.sampled_from(("cancelled", "paid", "untried", "disputed")), min_size=1, max_size=3
    ),
)
_ENDING = Outcomes(paying=["paid"], cancelling=["cancelled"])


@dataclass(kw_only=True)
class Course:
    """What all runs of a test share: where they run, and what they have reached."""

    benches: Benches
    loop: asyncio.AbstractEventLoop
    reached: Counter[str] = field(default_factory=Counter)
    ids: int = 0

    def do(self, work: Coroutine[Any, Any, _Answer]) -> _Answer:
        """Do ``work`` on the loop of the test, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(HANGS_AFTER_S)

    def new_id(self) -> uuid.UUID:
        """An id that no request had before."""
        self.ids += 1
        return uuid.UUID(int=self.ids, version=4)


class WithdrawalMachine(RuleBasedStateMachine):
    """Two customers of a venue, and its settler. ``course`` is set before the first run."""

    course: ClassVar[Course]
    bench: Bench
    numbers: list[int]
    slots: list[Slot]
    model: Model

    @initialize()
    def begin(self) -> None:
        """Two customers whom nobody has used, each with a withdrawal."""
        self.bench, self.numbers = self.course.do(self.course.benches.with_customers(2))
        self.slots = []
        self.model = Model(balances={number: self._balances(number) for number in self.numbers})
        for number in self.numbers:
            request = self._request(_ROUTES[0], _PAID[0])
            self._asked(number, request, [self._withdraw(number, request)])

    # What customers do.

    @rule(customer=CUSTOMERS, route=ROUTES, value=VALUES, times=st.integers(1, 3))
    def reserve(
        self, customer: int, route: tuple[str | None, str, str], value: Fraction, times: int
    ) -> None:
        """Ask for a withdrawal with a new id, perhaps several times at once: one is the first."""
        number, request = self.numbers[customer], self._request(route, value)

        async def together() -> list[WithdrawalReceipt | Refusal]:
            asking = (self.bench.client.withdraw(who(number), request) for _ in range(times))
            return list(await asyncio.gather(*asking))

        self._asked(number, request, self.course.do(together()))

    @rule(customer=CUSTOMERS, route=ROUTES, value=st.sampled_from(_PAID))
    def reserve_and_hang_up(
        self, customer: int, route: tuple[str | None, str, str], value: Fraction
    ) -> None:
        """Nobody is there for the answer; asked again, the customer gets one that is true."""
        number, request = self.numbers[customer], self._request(route, value)
        self.course.do(self.bench.send_and_hang_up(who(number), request))
        answer = self._withdraw(number, request)
        if isinstance(answer, WithdrawalReceipt):
            answer = answer.model_copy(update={"outcome": "accepted"})
        self._asked(number, request, [answer])

    @rule(pick=PICKS)
    def replay(self, pick: int) -> None:
        """The same request again: its first outcome, and the state of today."""
        known = self._pick(pick)
        assert self._withdraw(known.customer, known.request) == self.model.replay(known)
        self.course.reached[f"replay of {known.state}"] += 1

    @rule(pick=PICKS, change=st.sampled_from(("amount", "destination", "customer", "network")))
    def reuse_the_id(self, pick: int, change: str) -> None:
        """The same id for anything else is refused, whatever became of the first."""
        known = self._pick(pick)
        customer, request = known.customer, known.request
        match change:
            case "amount":
                request = request.model_copy(update={"amount": str(int(request.amount) + 1)})
            case "destination":
                other = _DESTINATIONS[request.destination == _DESTINATIONS[0]]
                request = request.model_copy(update={"destination": other})
            case "customer":
                customer = self._other(known)
            case _:
                other = "USDX" if request.asset != "USDX" else self._native(request.network)
                amount = str(units(other, Fraction(40)))
                changes = {"asset": other, "source_network": None, "amount": amount}
                request = request.model_copy(update=changes)
        assert _code(self._withdraw(customer, request)) == "id_reused"
        self.course.reached[f"{change} under a used id"] += 1

    @rule(pick=PICKS)
    def follow(self, pick: int) -> None:
        """Its customer finds it in its state; the other customer finds nothing to see or cancel."""
        known = self._pick(pick)
        self._follow(known)
        answer = self.course.do(self.bench.client.cancel(who(self._other(known)), known.request.id))
        assert _code(answer) == "not_found"

    @rule(pick=PICKS, times=st.integers(1, 3))
    def cancel(self, pick: int, times: int) -> None:
        """Once, or several times at once: all are told the same."""
        known = self._pick(pick)
        was, tried = known.state, known.tried
        told = self.model.cancelled(known)
        for answer in self._together(self.bench.client.cancel, [known] * times):
            if told is None:
                assert _code(answer) == "too_late"
            else:
                assert isinstance(answer, Withdrawal)
                assert (answer.id, answer.state) == (known.request.id, told)
                assert answer.reason
        self.course.reached[f"cancel of {was}{', tried' if tried else ''}"] += 1

    @rule(pick=PICKS)
    def cancel_beside_a_replay(self, pick: int) -> None:
        """Side by side: the replay is told one of the two states, and the money is back once."""
        waiting = self._waiting()
        if not waiting:
            return
        known = waiting[pick % len(waiting)]
        customer = who(known.customer)

        async def together() -> tuple[Withdrawal | Refusal, WithdrawalReceipt | Refusal]:
            return await asyncio.gather(
                self.bench.client.cancel(customer, known.request.id),
                self.bench.client.withdraw(customer, known.request),
            )

        before = self.model.replay(known)
        cancelled, replayed = self.course.do(together())
        assert isinstance(cancelled, Withdrawal)
        assert cancelled.state == self.model.cancelled(known)
        assert replayed in (before, self.model.replay(known))

    @rule(customer=CUSTOMERS, network=NETWORKS, value=st.sampled_from(_SOLD), up=st.booleans())
    def swap(self, customer: int, network: str, value: Fraction, up: bool) -> None:
        """Sell for the network's coin, or the coin; and the same request again."""
        number, native = self.numbers[customer], self._native(network)
        sell, buy = ("USDX", native) if up else (native, "USDX")
        amount = max(units(sell, value), 1)
        request = SwapRequest(
            id=self.course.new_id(), network=network, sell=sell, buy=buy, amount=str(amount)
        )
        expected = self.model.swap_refusal(number, network, sell, buy, amount)
        answer = self._swap(number, request)
        if expected is not None:
            assert _code(answer) == expected
            return
        gotten = bought(sell, buy, amount)
        assert answer == SwapReceipt(id=request.id, buy_amount=str(gotten))
        swapped = Swapped(
            customer=number, network=network, sell=sell, buy=buy, sold=amount, bought=gotten
        )
        self.model.swapped(request.id, swapped)
        self.course.reached["swap"] += 1

    @rule(pick=PICKS, more=st.integers(0, 1))
    def swap_again(self, pick: int, more: int) -> None:
        """The same swap gets the first answer; another amount under its id is refused."""
        if not self.model.swaps:
            return
        identity = list(self.model.swaps)[pick % len(self.model.swaps)]
        known = self.model.swaps[identity]
        request = SwapRequest(
            id=identity,
            network=known.network,
            sell=known.sell,
            buy=known.buy,
            amount=str(known.sold + more),
        )
        answer = self._swap(known.customer, request)
        if more:
            assert _code(answer) == "id_reused"
        else:
            assert answer == SwapReceipt(id=identity, buy_amount=str(known.bought))

    # What the settler does.

    @rule()
    def claim(self) -> None:
        """What waits is slotted: each of these has no other slot, and was waiting."""
        for network in self.bench.lanes:
            slot = self.course.do(self.bench.claim(network, held=False))
            if slot is None:
                continue
            self.slots.append(slot)
            for known in self._own(slot):
                assert known.state == "reserved"
                assert known.request.network == network
                known.state, known.tried, known.slot_state = "slotted", True, "open"

    @rule()
    def claim_held(self) -> None:
        """The numbers of what is held, and asked back, are to be cancelled."""
        for network in self.bench.lanes:
            slot = self.course.do(self.bench.claim(network, held=True))
            if slot is None:
                continue
            self.slots.append(slot)
            assert all(known.state == "unknown" and known.asked_back for known in self._own(slot))

    @rule(outcomes=OUTCOMES)
    def settle_all(self, outcomes: Outcomes) -> None:
        """All that waits, or is held and asked back, is claimed and comes to its end."""
        self.claim()
        self.claim_held()
        while self.slots:
            self._step(self.slots[0], outcomes)

    @rule(pick=PICKS, outcomes=OUTCOMES, steps=st.integers(1, 4))
    def advance(self, pick: int, outcomes: Outcomes, steps: int) -> None:
        """A slot, a new one if there is none, takes its next steps.

        At its end the chain says what became of each payment.
        """
        if not self.slots:
            self.claim()
        if not self.slots:
            return
        slot = self.slots[pick % len(self.slots)]
        for _ in range(steps):
            if slot in self.slots:
                self._step(slot, outcomes)

    # What must hold.

    @invariant()
    def what_was_acknowledged_is_on_record_and_the_books_hold(self) -> None:
        """Every withdrawal is there in its state and no other; nobody lost or won anything."""
        owner, client = self.bench.owner, self.bench.client

        async def read() -> tuple[list[Any], list[str], list[Balances | Refusal]]:
            balances = asyncio.gather(*(client.balances(who(number)) for number in self.numbers))
            rows = await owner.fetch(_ON_RECORD, self.numbers)
            return rows, await faults(owner, self.model.withdrawals), await balances

        rows, wrong, balances = self.course.do(read())
        assert {row["id"]: (row["customer_id"], row["seq"], row["state"]) for row in rows} == {
            identity: (known.customer, known.receipt.seq, known.state)
            for identity, known in self.model.withdrawals.items()
        }
        assert wrong == []
        assert dict(zip(self.numbers, map(_held, balances), strict=True)) == self.model.balances

    def teardown(self) -> None:
        """Everything comes to an end: what is on its way is paid, all else is given back."""
        if sys.exc_info()[0] is not None or not hasattr(self, "model"):
            return  # a step has failed: what follows from it would only hide it
        self._end_slots()
        open_ones = [
            known
            for known in self.model.withdrawals.values()
            if known.state in ("reserved", "unknown")
        ]
        told = [self.model.cancelled(known) for known in open_ones]
        answers = self._together(self.bench.client.cancel, open_ones)
        assert [each.state for each in answers if isinstance(each, Withdrawal)] == told
        self.claim_held()
        self._end_slots()
        self.what_was_acknowledged_is_on_record_and_the_books_hold()
        all_of_them = list(self.model.withdrawals.values())
        for known, found in zip(
            all_of_them, self._together(self.bench.client.withdrawal, all_of_them), strict=True
        ):
            assert known.state in ("posted", "voided")
            assert isinstance(found, Withdrawal)
            assert (found.id, found.seq, found.state) == (
                known.request.id,
                known.receipt.seq,
                known.state,
            )
            self.course.reached[f"ended {known.state}"] += 1

    # How.

    def _request(self, route: tuple[str | None, str, str], value: Fraction) -> WithdrawalRequest:
        source, network, asset = route
        return WithdrawalRequest(
            id=self.course.new_id(),
            source_network=source,
            network=network,
            asset=asset,
            amount=str(units(asset, value)),
            destination=_DESTINATIONS[0],
        )

    def _asked(
        self,
        customer: int,
        request: WithdrawalRequest,
        answers: Sequence[WithdrawalReceipt | Refusal],
    ) -> None:
        """Compare all answers to one new request with the model, which then knows it."""
        expected = self.model.refusal(customer, request)
        if expected is not None:
            assert [_code(answer) for answer in answers] == [expected] * len(answers)
            self.course.reached[expected] += 1
            return
        receipts = [answer for answer in answers if isinstance(answer, WithdrawalReceipt)]
        assert len(receipts) == len(answers), answers
        first = next(receipt for receipt in receipts if receipt.outcome == "accepted")
        assert (first.id, first.state, first.deferred) == (request.id, "reserved", False)
        assert first.size == "large" or int(request.amount) <= units(
            request.asset, Fraction(SMALL_MAX)
        )
        known = self.model.reserved(customer, request, first)
        receipts.remove(first)
        assert receipts == [self.model.replay(known)] * len(receipts)
        self.course.reached["reserved"] += 1

    def _step(self, slot: Slot, outcomes: Outcomes) -> None:
        if slot.state != "included":
            self.course.do(self.bench.advance(slot))
            for known in self._own(slot) if slot.purpose == "payout" else ():
                known.slot_state = slot.state
            return
        items = self.course.do(self.bench.items(slot))
        kinds = outcomes.cancelling if slot.purpose == "cancel" else outcomes.paying
        said = {identity: kinds[n % len(kinds)] for n, identity in enumerate(items)}
        self.course.do(self.bench.settle(slot, said_of(items, said)))
        self.slots.remove(slot)
        for identity, kind in said.items():
            if identity in self.model.withdrawals:
                self.model.settled(self.model.withdrawals[identity], kind)
                self.course.reached[f"{slot.purpose} {kind}"] += 1

    def _follow(self, known: Known) -> None:
        found = self.course.do(self.bench.client.withdrawal(who(known.customer), known.request.id))
        assert isinstance(found, Withdrawal)
        assert (found.id, found.seq, found.state) == (
            known.request.id,
            known.receipt.seq,
            known.shown,
        )
        stranger = who(self._other(known))
        assert _code(self.course.do(self.bench.client.withdrawal(stranger, known.request.id))) == (
            "not_found"
        )

    def _balances(self, number: int) -> dict[tuple[str, str], int]:
        return _held(self.course.do(self.bench.client.balances(who(number))))

    def _withdraw(self, number: int, request: WithdrawalRequest) -> WithdrawalReceipt | Refusal:
        return self.course.do(self.bench.client.withdraw(who(number), request))

    def _swap(self, number: int, request: SwapRequest) -> SwapReceipt | Refusal:
        return self.course.do(self.bench.client.swap(who(number), request))

    def _pick(self, pick: int) -> Known:
        return list(self.model.withdrawals.values())[pick % len(self.model.withdrawals)]

    def _end_slots(self) -> None:
        while self.slots:
            self._step(self.slots[0], _ENDING)

    def _together(
        self,
        ask: Callable[[Credentials, uuid.UUID], Awaitable[Withdrawal | Refusal]],
        about: Sequence[Known],
    ) -> list[Withdrawal | Refusal]:
        """The answers to what their customers ask about withdrawals, all at once."""

        async def together() -> list[Withdrawal | Refusal]:
            return list(
                await asyncio.gather(*(ask(who(each.customer), each.request.id) for each in about))
            )

        return self.course.do(together())

    def _waiting(self) -> list[Known]:
        return [
            known
            for known in self.model.withdrawals.values()
            if known.state == "reserved" and not known.tried
        ]

    def _own(self, slot: Slot) -> list[Known]:
        """Those of ``slot`` that this run knows: a run that failed may have left others behind."""
        items = self.course.do(self.bench.items(slot))
        return [self.model.withdrawals[each] for each in items if each in self.model.withdrawals]

    def _other(self, known: Known) -> int:
        return next(number for number in self.numbers if number != known.customer)

    def _native(self, network: str) -> str:
        return str(self.bench.policy.networks[network].native)


def _held(answer: Balances | Refusal) -> dict[tuple[str, str], int]:
    assert isinstance(answer, Balances)
    return {(each.network, each.asset): int(each.available) for each in answer.balances}


def _code(answer: object) -> str:
    """The code of a refusal, or what was answered instead."""
    return answer.code if isinstance(answer, Refusal) else repr(answer)
