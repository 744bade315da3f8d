"""Results of comparing ledger and chain: none yet, recent, and too old; and what differs."""

from __future__ import annotations

from venue.treasury.reconcile import ChainCut, Comparison, Comparisons

ASTER, BIRCH = ("aster", "customer"), ("birch", "customer")
HOT, RESERVE = ("aster-hot", "AST"), ("aster-reserve", "AST")


def test_nothing_is_known_of_a_book_that_was_not_compared() -> None:
    """The result of one network says nothing about another, and none is missing at another."""
    comparisons = Comparisons(every_s={ASTER: 10, BIRCH: 20})
    comparisons.note(ASTER, {HOT: 2}, now_s=0)
    assert comparisons.deficits(ASTER, now_s=0) == {HOT: 2}
    assert comparisons.deficits(BIRCH, now_s=0) is None


def test_a_result_older_than_three_periods_counts_no_longer() -> None:
    """A network that cannot be compared becomes stale after its own period.

    The next result makes it count again.
    """
    comparisons = Comparisons(every_s={ASTER: 10, BIRCH: 20})
    comparisons.note(ASTER, {HOT: 0}, now_s=100)
    comparisons.note(BIRCH, {}, now_s=100)
    assert (comparisons.deficits(ASTER, now_s=130), comparisons.stale(130)) == ({HOT: 0}, [])
    assert (comparisons.deficits(ASTER, now_s=131), comparisons.stale(131)) == (None, [ASTER])
    assert comparisons.deficits(BIRCH, now_s=131) == {}
    assert comparisons.holdings(ASTER) == [HOT]
    assert comparisons.stale(161) == [ASTER, BIRCH]
    comparisons.note(ASTER, {HOT: 0}, now_s=161)
    assert comparisons.deficits(ASTER, now_s=161) == {HOT: 0}


def test_a_deficit_is_unrecorded_until_the_journal_has_it() -> None:
    """A first result counts as a change if it is not zero; later each change, also back to zero."""
    comparisons = Comparisons(every_s={ASTER: 10})
    comparisons.note(ASTER, {HOT: 0, RESERVE: 1}, now_s=0)
    assert comparisons.unrecorded(ASTER) == {RESERVE: 1}
    comparisons.note(ASTER, {HOT: 0, RESERVE: 1}, now_s=1)  # the journal could not be written
    assert comparisons.unrecorded(ASTER) == {RESERVE: 1}
    comparisons.record(ASTER, RESERVE, 1)
    assert comparisons.unrecorded(ASTER) == {}
    comparisons.note(ASTER, {HOT: 0, RESERVE: 0}, now_s=2)
    assert comparisons.unrecorded(ASTER) == {RESERVE: 0}


def test_deficits_and_surpluses_of_two_wallets_stand_apart() -> None:
    """What one wallet holds too much hides nothing of what another one lacks."""
    found = Comparison(cut=ChainCut(block=7, nonces={}, held={}), differences={HOT: 5, RESERVE: -5})
    assert found.deficits == {HOT: 0, RESERVE: 5}
    assert found.surpluses == {HOT: 5}
