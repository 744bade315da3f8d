"""Rows about what customers were told, as those of :mod:`seawall.scorecard.rows`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Promise:
    """Something on record that a customer was told, by its kind in `seawall.conventions.promises`.

    Withdrawals have a file of their own.
    """

    kind: str
    id: str
