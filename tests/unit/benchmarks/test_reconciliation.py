"""The bench of reconciliation measures histories that are explained whole."""

from __future__ import annotations

from benchmarks.reconciliation import measure


def test_a_history_is_explained_and_measured_beside_reading_its_files() -> None:
    found = measure(250)
    assert found.withdrawals == 250
    assert found.reconcile_s > found.read_s > 0
    assert found.ratio > 1
    assert found.peak_mib > 1
