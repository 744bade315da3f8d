"""What hot wallets held and could pay, where a sweep took some of it back to the reserve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from seawall.scorecard.checks.journal import journal_chain
from seawall.scorecard.checks.safety import floor_held
from seawall.scorecard.facts import Facts
from seawall.scorecard.hot_wallets import hot_at, moves, swept_from
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.readers import Instant
from seawall.scorecard.rows import JournalEntry
from seawall.scorecard.run import Run
from tests.testing.scorecard.spoiling import us
from tests.testing.scorecard.story import decisions

HOT, RESERVE = "customer-aster-hot", "customer-aster-reserve"


@pytest.fixture
def swept(good_run: Run, altered: Callable[..., Run]) -> Run:
    """The good run, in which five base units went back at the time of the first top-up."""
    first = next(row for row in good_run.top_ups if (row.to_wallet, row.asset) == (HOT, "USDX"))
    slot = next(each for each in good_run.slots if each.id == first.slot_id)
    row = replace(first, id="swept", to_wallet=RESERVE, amount=5, slot_id=999_999)
    own = replace(slot, id=999_999, wallet=HOT, purpose="sweep", tx_hash="0xswept")
    return altered(top_ups=(*good_run.top_ups, row), slots=(*good_run.slots, own))


def test_before_a_sweep_the_wallet_held_so_much_more(good_run: Run, swept: Run) -> None:
    """After it, as much as without one: the end is what the chain says."""
    for moment, more in ((Instant(0), 5), (us(90), 0)):
        before, after = (dict(hot_at(Facts(run), moment).whole()) for run in (good_run, swept))
        assert after == before | {(HOT, "USDX"): before[HOT, "USDX"] + more}


def test_a_sweep_takes_from_what_may_be_paid_as_soon_as_it_is_claimed(swept: Run) -> None:
    [move] = [each for each in moves(Facts(swept)) if each.claim and each.claim.id == 999_999]
    assert (move.wallet, move.amounts) == (HOT, {"USDX": -5})
    assert move.claim is not None
    assert move.at == move.claim.opened_at
    assert floor_held.answer(Facts(swept)).outcome is Outcome.PASS


def test_a_sweep_must_leave_the_floor(swept: Run, altered: Callable[..., Run]) -> None:
    rows = [replace(row, amount=10**13) if row.id == "swept" else row for row in swept.top_ups]
    emptied = altered(top_ups=tuple(rows), slots=swept.slots)
    hot = [row.wallet == HOT and row.asset == "USDX" for row in emptied.chain_balances]
    assert any(hot)
    # What it took is missing at the end, too, so that the wallet held no more at first.
    emptied.__dict__["chain_balances"] = tuple(
        replace(row, balance=row.balance - 10**13) if own else row
        for own, row in zip(hot, emptied.chain_balances, strict=True)
    )
    assert floor_held.answer(Facts(emptied)).outcome is Outcome.FAIL


def test_each_sweep_has_its_entry_in_the_journal(swept: Run, altered: Callable[..., Run]) -> None:
    finding = journal_chain.answer(Facts(swept))
    assert finding.outcome is Outcome.FAIL
    assert finding.details == (
        "first: sweep swept of 5 USDX to customer-aster-reserve is not in the journal",
    )

    rows = decisions(
        flips=[(flip.epoch, flip.tier) for flip in swept.flips],
        top_ups=[
            {
                "sweep" if swept_from(swept.policy, row) else "topup": row.id,
                "amount": str(row.amount),
                "asset": row.asset,
                "to": row.to_wallet,
            }
            for row in swept.top_ups
        ],
        surpluses=[
            {
                "amount": str(row.amount),
                "asset": row.asset,
                "wallet": row.wallet,
                "block": row.block_number,
            }
            for row in swept.surpluses
        ],
        orders=[],
    )
    written = altered(
        top_ups=swept.top_ups,
        slots=swept.slots,
        orders=(),
        decisions=tuple(JournalEntry(**row) for row in rows),
    )
    assert journal_chain.answer(Facts(written)).outcome is Outcome.PASS
