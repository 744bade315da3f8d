"""Intake decides each request of a batch: accepted, deferred, replayed or refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.controls.allowance import Asked
from seawall.formats.drill_contract import Refusal, WithdrawalRequest
from seawall.policy import MICRO
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
    from collections.abc import Mapping, Sequence

    from seawall.policy import Tier
    from venue.api.directory import Directory

POLICY = load_policy(Path(__file__).parents[3] / "policies" / "sandbox.yaml")
SECOND = 1_000_000


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


def decided(
    tier: Tier,
    *reservations: Reservation,
    committed: Mapping[UUID, Committed] | None = None,
    available: Mapping[int, int] | None = None,
    asked: Mapping[int, Sequence[Asked]] | None = None,
) -> list[IntakeDecision]:
    """The decisions of a batch at 20 s; by default of customers who hold enough."""
    return decide(
        POLICY,
        tier,
        reservations,
        committed=committed or {},
        available={ACCOUNT: 10**30} if available is None else available,
        asked=asked or {},
        now_us=20 * SECOND,
    )


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
    decisions = decided("normal", *reservations, available={ACCOUNT: 100})
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
    again = decided("protected", first, reservation(1, 6), committed={first.id: known})
    assert again[0] == Replay(original=known)
    assert code(again[1]) == "id_reused"
    assert code(decided("protected", first)[0]) == "suspended"


def test_two_requests_with_one_id_in_a_batch_take_the_money_once() -> None:
    """The second is a replay of the first; of a refused first it is the same refusal."""
    decisions = decided(
        "normal",
        *(reservation(1, 60), reservation(1, 60), reservation(2, 60), reservation(2, 60)),
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
    decisions = decided(
        "protected",
        reservation(1, 60, value=1_001),
        reservation(2, 60, customer=2),
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
    decisions = decided("normal", *reservations, available={1: available, 2: available})
    taken: dict[int, int] = {}
    accepted: list[UUID] = []
    for one, decision in zip(reservations, decisions, strict=True):
        if isinstance(decision, Accept):
            taken[one.source_account] = taken.get(one.source_account, 0) + one.amount
            accepted.append(one.id)
    assert all(total <= available for total in taken.values())
    assert set(taken) <= {1, 2}
    assert len(accepted) == len(set(accepted))


def test_a_whale_in_pieces_is_large() -> None:
    """Each piece is judged with all that its customer withdraws within the window."""
    pieces = [reservation(number, 1, value=400) for number in range(1, 5)]
    decisions = decided("protected", *pieces, reservation(9, 1, value=400, customer=2))

    assert [code(one) for one in decisions] == [
        *("accepted", "accepted", "deferred", "deferred"),
        "accepted",
    ]
    assert [one.size for one in decisions if isinstance(one, Accept)] == [
        *("small", "small", "large", "large"),
        "small",
    ]


def test_what_was_cancelled_or_has_left_the_window_makes_nothing_large() -> None:
    """A customer who took the wrong address cancels, and asks again for a small withdrawal."""
    lately = [
        Asked(at_us=5 * SECOND, value_micro=900 * MICRO),
        Asked(at_us=15 * SECOND, value_micro=900 * MICRO, cancelled=True),
    ]
    again = reservation(1, 1, value=900)

    assert code(decided("protected", again, asked={1: lately})[0]) == "accepted"
    lately[0] = Asked(at_us=5 * SECOND + 1, value_micro=900 * MICRO)
    assert code(decided("protected", again, asked={1: lately})[0]) == "deferred"


def test_transfers_between_networks_in_pieces_are_large_too() -> None:
    """Just below the bound each, and above it together: the second one is suspended."""
    pieces = [
        reservation(number, 1, source="birch", value=999, customer=2) for number in range(1, 4)
    ]
    at_home = Asked(at_us=19 * SECOND, value_micro=999 * MICRO)

    decisions = decided("protected", *pieces, asked={2: [at_home]})
    assert [code(one) for one in decisions] == ["deferred", "suspended", "suspended"]
    assert {code(one) for one in decided("stressed", *pieces)} == {"accepted"}


def test_one_customer_has_one_limit_of_value_and_is_told_when_there_is_room() -> None:
    """The rest of its batch, and other customers, are served."""
    lately = {1: [Asked(at_us=8 * SECOND, value_micro=60_000 * MICRO, cancelled=True)]}
    decisions = decided(
        "normal",
        *(reservation(1, 1, value=40_001), reservation(2, 1, value=40_000)),
        *(reservation(3, 1, value=1), reservation(4, 1, value=100_000, customer=2)),
        asked=lately,
    )

    assert [code(one) for one in decisions] == [
        *("value_limit_reached", "accepted", "value_limit_reached", "accepted")
    ]
    assert isinstance(decisions[2], Refusal)
    assert decisions[2].reason == (
        "Your withdrawals within 15 s may be worth 100000 USD together, cancelled ones included, "
        "and that is used up; there is room for this request in 3 s."
    )


def test_one_customer_may_ask_so_often_and_is_told_when_again() -> None:
    """Reserving and cancelling without end is a lot of work, and moves nothing."""
    lately = [Asked(at_us=10 * SECOND, value_micro=1, cancelled=True)] * 119
    first, second = decided("normal", reservation(1, 1), reservation(2, 1), asked={1: lately})

    assert code(first) == "accepted"
    assert isinstance(second, Refusal)
    assert second == Refusal(
        code="number_limit_reached",
        reason=(
            "You may ask for 120 withdrawals within 15 s, cancelled ones included, and have; "
            "there is room for this request in 5 s."
        ),
    )


def test_what_is_refused_uses_up_nothing() -> None:
    """Neither a balance that does not cover it, nor a limit, keeps a later request out."""
    decisions = decided(
        "normal",
        *(reservation(1, 6, value=90_000), reservation(2, 5, value=90_000)),
        *(reservation(3, 1, value=90_000), reservation(4, 0, value=10_000)),
        available={ACCOUNT: 5},
    )
    assert [code(one) for one in decisions] == [
        *("insufficient_balance", "accepted", "value_limit_reached", "accepted")
    ]


async def test_one_request_for_more_than_the_limit_never_has_room() -> None:
    refused = await asked(amount=100_001 * 10**6)
    assert isinstance(refused, Refusal)
    assert refused.code == "over_limit"
    assert refused.reason == (
        "Your withdrawals within 15 s may be worth 100000 USD together, cancelled ones included; "
        "ask for less."
    )
