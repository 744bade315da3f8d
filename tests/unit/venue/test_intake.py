"""Intake decides each request of a batch: accepted, deferred, replayed or refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.formats.drill_contract import Refusal, WithdrawalRequest
from seawall.policy_file import load_policy
from tests.testing.reservations import ACCOUNT, reservation
from venue.api.directory import HouseAccounts
from venue.api.intake import (
    Accept,
    Committed,
    IntakeDecision,
    Replay,
    Reservation,
    decide,
    reservation_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from venue.api.directory import Directory

POLICY = load_policy(Path(__file__).parents[3] / "policies" / "sandbox.yaml")


class _Directory:
    """Every asset is paid on every network, from one account."""

    def house(self, _network: str, _asset: str) -> HouseAccounts:
        return HouseAccounts(bucket="customer", reserved=3, clearing=2, inventory=None, house=None)

    async def accounts_of(self, _customer: int) -> Mapping[tuple[str, str], int]:
        return {(network, asset): ACCOUNT for network in POLICY.networks for asset in POLICY.assets}


async def asked(
    destination: str = "0x" + "ab" * 20, *, asset: str = "USDX", amount: int = 10**6
) -> Reservation | Refusal:
    """What intake makes of a request; by default one to pay one whole USDX."""
    request = WithdrawalRequest(
        id=UUID(int=1), network="aster", asset=asset, amount=str(amount), destination=destination
    )
    return await reservation_of(POLICY, cast("Directory", _Directory()), frozenset(), 1, request)


@pytest.mark.parametrize("wrong", ["{}\n", "\n{}", " {}", "{}00", "{}\u0660"])
async def test_a_destination_is_an_address_and_nothing_else(wrong: str) -> None:
    """What the database would refuse must not get into a batch with others."""
    address = "0x" + "ab" * 20
    assert isinstance(await asked(address), Reservation)
    refused = await asked(wrong.format(address))
    assert isinstance(refused, Refusal)
    assert refused.code == "bad_address"


@pytest.mark.parametrize(
    ("asset", "least", "words"),
    [("USDX", 10**6, "1 USDX"), ("AST", 5 * 10**14, "0.0005 AST"), ("BIR", 2 * 10**15, "0.002")],
)
async def test_a_withdrawal_that_carries_less_than_it_costs_is_refused(
    asset: str, least: int, words: str
) -> None:
    """One wei takes as much gas as any other payout; the customer is told what is enough."""
    assert isinstance(await asked(asset=asset, amount=least), Reservation)
    for amount in (1, least - 1):
        refused = await asked(asset=asset, amount=amount)
        assert isinstance(refused, Refusal)
        assert refused.code == "below_minimum"
        assert refused.reason.startswith(f"The smallest withdrawal of {asset} is {words}")


def code(decision: IntakeDecision) -> str:
    """A decision in one word."""
    match decision:
        case Refusal():
            return decision.code
        case Accept():
            return "deferred" if decision.reason else "accepted"
        case Replay():
            return "replayed"


def test_a_batch_spends_a_balance_in_order_of_arrival() -> None:
    """What an earlier request took is gone for the later one.

    A smaller one after a refused one still fits.
    """
    reservations = [reservation(1, 60), reservation(2, 50), reservation(3, 40), reservation(4, 1)]
    decisions = decide(POLICY, "normal", reservations, committed={}, available={ACCOUNT: 100})
    assert [code(one) for one in decisions] == [
        "accepted",
        "insufficient_balance",
        "accepted",
        "insufficient_balance",
    ]


def test_replays_keep_the_first_outcome_even_when_the_tier_would_now_refuse() -> None:
    """A committed transfer is a replay in protected mode.

    The same id with another amount is not.
    """
    first = reservation(1, 5, source="birch", value=5_000)
    known = Committed(seq=9, content=first.content, state="broadcast", size="large", deferred=False)
    again = decide(
        POLICY, "protected", [first, reservation(1, 6)], committed={first.id: known}, available={}
    )
    assert again[0] == Replay(original=known)
    assert code(again[1]) == "id_reused"
    assert (
        code(decide(POLICY, "protected", [first], committed={}, available={ACCOUNT: 9})[0])
        == "suspended"
    )


def test_two_requests_with_one_id_in_a_batch_take_the_money_once() -> None:
    """The second is a replay of the first; of a refused first it is the same refusal."""
    decisions = decide(
        POLICY,
        "normal",
        [reservation(1, 60), reservation(1, 60), reservation(2, 60), reservation(2, 60)],
        committed={},
        available={ACCOUNT: 100},
    )
    assert [code(one) for one in decisions] == [
        "accepted",
        "replayed",
        "insufficient_balance",
        "insufficient_balance",
    ]


def test_large_withdrawals_are_deferred_in_protected_mode_and_still_reserved() -> None:
    """Deferred money is reserved, so it cannot be withdrawn twice."""
    decisions = decide(
        POLICY,
        "protected",
        [reservation(1, 60, value=1_001), reservation(2, 60)],
        committed={},
        available={ACCOUNT: 100},
    )
    assert [code(one) for one in decisions] == ["deferred", "insufficient_balance"]


@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 50), st.integers(1, 3))),
    st.integers(0, 120),
)
def test_no_batch_ever_overdraws_an_account(
    rows: list[tuple[int, int, int]], available: int
) -> None:
    """Whatever is asked, in whatever order, with whatever ids.

    What is accepted fits, and each id is accepted at most once.
    """
    reservations = [
        reservation(number, amount, account=account) for number, amount, account in rows
    ]
    decisions = decide(
        POLICY, "normal", reservations, committed={}, available={1: available, 2: available}
    )
    taken: dict[int, int] = {}
    accepted: list[UUID] = []
    for one, decision in zip(reservations, decisions, strict=True):
        if isinstance(decision, Accept):
            taken[one.source_account] = taken.get(one.source_account, 0) + one.amount
            accepted.append(one.id)
    assert all(total <= available for total in taken.values())
    assert set(taken) <= {1, 2}
    assert len(accepted) == len(set(accepted))
