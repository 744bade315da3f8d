"""Comparisons of ledger and chain: none, fresh, and too old."""

from __future__ import annotations

from venue.treasury.comparisons import Comparisons


def test_nothing_counts_until_every_network_was_compared() -> None:
    """One network alone says nothing of the other."""
    comparisons = Comparisons(every_s={"aster": 10, "birch": 20})
    comparisons.note("aster", {"AST": 0}, now_s=0)
    assert comparisons.drift(0) is None
    comparisons.note("birch", {"BIR": 2, "USDX": 3}, now_s=0)
    assert comparisons.drift(0) == 5


def test_a_result_older_than_three_periods_counts_no_longer() -> None:
    """A network that cannot be compared turns red by itself, after its own period, and green with the next result."""
    comparisons = Comparisons(every_s={"aster": 10, "birch": 20})
    comparisons.note("aster", {"AST": 0}, now_s=100)
    comparisons.note("birch", {"BIR": 0}, now_s=100)
    assert (comparisons.drift(130), comparisons.stale(130)) == (0, [])
    assert (comparisons.drift(131), comparisons.stale(131)) == (None, ["aster"])
    assert comparisons.assets("aster") == ["AST"]
    assert comparisons.stale(161) == ["aster", "birch"]
    comparisons.note("birch", {"BIR": 0}, now_s=161)
    comparisons.note("aster", {"AST": 0}, now_s=161)
    assert comparisons.drift(161) == 0


def test_only_changes_are_told() -> None:
    """A first result is told if it is not level; after that, each change, also the one back."""
    comparisons = Comparisons(every_s={"aster": 10})
    assert comparisons.note("aster", {"AST": 0, "USDX": 1}, now_s=0) == {"USDX": 1}
    assert comparisons.note("aster", {"AST": 0, "USDX": 1}, now_s=1) == {}
    assert comparisons.note("aster", {"AST": 0, "USDX": 0}, now_s=2) == {"USDX": 0}
