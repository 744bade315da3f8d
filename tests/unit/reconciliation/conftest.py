"""Reconciling a venue whose files and node are in a test's hands."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from seawall.reconciliation.result import Reconciliation
from seawall.reconciliation.run import reconcile
from tests.testing.reconciled_venue import ReconciledVenue

Reconciling = Callable[..., Reconciliation]


@pytest.fixture
def reconciling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reconciling:
    """Writes a venue's files and reconciles it; waiting takes no time.

    Keywords replace parts of the deployment file; ``spoil`` changes its folder first.
    """
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))

    def run(
        venue: ReconciledVenue, *, spoil: Callable[[Path], object] | None = None, **changes: Any
    ) -> Reconciliation:
        monkeypatch.setattr(httpx, "Client", venue.client)
        deployment = venue.write(tmp_path, **changes)
        if spoil is not None:
            spoil(tmp_path / "files")
        return reconcile(deployment, venue.policy, report=lambda _: None)

    return run
