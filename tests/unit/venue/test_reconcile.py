"""Results of comparing ledger and chain: none yet, recent, and too old."""

from __future__ import annotations

from venue.treasury.reconcile import Comparisons

ASTER, BIRCH = ("aster", "customer"), ("birch", "customer")
BOTH = (ASTER, BIRCH)


def test_there_is_no_drift_to_report_until_every_network_was_compared() -> None:
    """The result of one network says nothing about another."""
    comparisons = Comparisons(every_s={ASTER: 10, BIRCH: 20})
    comparisons.note(ASTER, {"AST": 0}, now_s=0)
    assert comparisons.drift(0, BOTH) is None
    comparisons.note(BIRCH, {"BIR": 2, "USDX": 3}, now_s=0)
    assert comparisons.drift(0, BOTH) == 5


def test_a_result_older_than_three_periods_counts_no_longer() -> None:
    """A network that cannot be compared becomes stale after its own period.

    The next result makes it count again.
    """
    comparisons = Comparisons(every_s={ASTER: 10, BIRCH: 20})
    comparisons.note(ASTER, {"AST": 0}, now_s=100)
    comparisons.note(BIRCH, {"BIR": 0}, now_s=100)
    assert (comparisons.drift(130, BOTH), comparisons.stale(130)) == (0, [])
    assert (comparisons.drift(131, BOTH), comparisons.stale(131)) == (None, [ASTER])
    assert comparisons.assets(ASTER) == ["AST"]
    assert comparisons.stale(161) == [ASTER, BIRCH]
    comparisons.note(BIRCH, {"BIR": 0}, now_s=161)
    comparisons.note(ASTER, {"AST": 0}, now_s=161)
    assert comparisons.drift(161, BOTH) == 0


def test_other_buckets_do_not_stop_top_ups() -> None:
    """This holds for a drift of another bucket and for a missing comparison of it.

    Customers must not wait for their money because of it.
    """
    escrow = ("aster", "escrow")
    comparisons = Comparisons(every_s={ASTER: 10, escrow: 10})
    comparisons.note(ASTER, {"AST": 0}, now_s=0)
    assert comparisons.drift(0, [ASTER]) == 0
    comparisons.note(escrow, {"AST": 7}, now_s=0)
    assert (comparisons.drift(0, [ASTER]), comparisons.drift(0, [ASTER, escrow])) == (0, 7)


def test_only_changes_are_returned() -> None:
    """A first result counts as a change if it is not zero; later each change, also back to zero."""
    comparisons = Comparisons(every_s={ASTER: 10})
    assert comparisons.note(ASTER, {"AST": 0, "USDX": 1}, now_s=0) == {"USDX": 1}
    assert comparisons.note(ASTER, {"AST": 0, "USDX": 1}, now_s=1) == {}
    assert comparisons.note(ASTER, {"AST": 0, "USDX": 0}, now_s=2) == {"USDX": 0}
