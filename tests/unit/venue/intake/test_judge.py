from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from seawall.formats.drill_contract import Refusal
from seawall.policy import MICRO
from tests.testing import policies
from venue.api.intake import Accept, Ask, Committed, Judgement, Replay, judge

POLICY = policies.policy(durations="1/3")
ACCOUNT = 7


def ask(
    number: int,
    amount: int,
    *,
    account: int = ACCOUNT,
    source: str = "aster",
    value: int | None = None,
) -> Ask:
    """A withdrawal of ``amount`` USDX base units on aster."""
    value_micro = amount if value is None else value * MICRO
    return Ask(
        id=UUID(int=number),
        customer_id=1,
        bucket="customer",
        source_network=source,
        network="aster",
        asset="USDX",
        amount=amount,
        value_micro=value_micro,
        size="small" if value_micro <= 1_000 * MICRO else "large",
        destination="0x" + "ab" * 20,
        source_account=account,
        source_clearing=1,
        clearing=2,
        reserved_account=3,
    )


def code(judgement: Judgement) -> str:
    """A judgement in one word."""
    match judgement:
        case Refusal():
            return judgement.code
        case Accept():
            return "deferred" if judgement.reason else "accepted"
        case Replay():
            return "replayed"


def test_a_batch_spends_a_balance_in_order_of_arrival() -> None:
    """What an earlier request took is gone for the later one.

    A smaller one after a refused one still fits.
    """
    asks = [ask(1, 60), ask(2, 50), ask(3, 40), ask(4, 1)]
    said = judge(POLICY, "normal", asks, committed={}, available={ACCOUNT: 100})
    assert [code(one) for one in said] == [
        "accepted",
        "insufficient_balance",
        "accepted",
        "insufficient_balance",
    ]


def test_replays_keep_the_first_outcome_even_when_the_tier_would_now_refuse() -> None:
    """A committed transfer is a replay in protected mode.

    The same id with another amount is not.
    """
    first = ask(1, 5, source="birch", value=5_000)
    known = Committed(seq=9, content=first.content, state="broadcast", size="large", deferred=False)
    again = judge(
        POLICY, "protected", [first, ask(1, 6)], committed={first.id: known}, available={}
    )
    assert again[0] == Replay(original=known)
    assert code(again[1]) == "id_reused"
    assert (
        code(judge(POLICY, "protected", [first], committed={}, available={ACCOUNT: 9})[0])
        == "suspended"
    )


def test_twins_within_a_batch_take_the_money_once() -> None:
    """The second is a replay of the first; of a refused first it is the same refusal."""
    said = judge(
        POLICY,
        "normal",
        [ask(1, 60), ask(1, 60), ask(2, 60), ask(2, 60)],
        committed={},
        available={ACCOUNT: 100},
    )
    assert [code(one) for one in said] == [
        "accepted",
        "replayed",
        "insufficient_balance",
        "insufficient_balance",
    ]


def test_large_ones_are_deferred_in_protected_mode_and_still_reserve() -> None:
    """Deferred money is set aside, so it cannot be asked for twice."""
    said = judge(
        POLICY,
        "protected",
        [ask(1, 60, value=1_001), ask(2, 60)],
        committed={},
        available={ACCOUNT: 100},
    )
    assert [code(one) for one in said] == ["deferred", "insufficient_balance"]


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
    asks = [ask(number, amount, account=account) for number, amount, account in rows]
    said = judge(POLICY, "normal", asks, committed={}, available={1: available, 2: available})
    taken: dict[int, int] = {}
    accepted: list[UUID] = []
    for one, judgement in zip(asks, said, strict=True):
        if isinstance(judgement, Accept):
            taken[one.source_account] = taken.get(one.source_account, 0) + one.amount
            accepted.append(one.id)
    assert all(total <= available for total in taken.values())
    assert set(taken) <= {1, 2}
    assert len(accepted) == len(set(accepted))
