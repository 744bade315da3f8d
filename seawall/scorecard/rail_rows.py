"""Rows about payouts over rails, as those of :mod:`seawall.scorecard.rows`."""

from __future__ import annotations

from dataclasses import dataclass

from seawall.scorecard.readers import Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class StatementLine:
    """A line of the statement of a rail's provider: a payout reached ``state`` ``at`` a moment.

    ``n`` counts the lines of a provider from 1. ``client_id`` is the venue's own id of the
    instruction. A payout that was cancelled unknown has no asset, amount and destination.
    """

    rail: str
    side: str
    n: int
    at: Instant
    client_id: str
    state: str
    asset: str | None
    amount: int | None
    destination: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Instruction:
    """What the venue instructed a provider to pay.

    ``accepted_at`` is when the venue had it on record that the provider has accepted it.
    """

    client_id: str
    withdrawal_id: str
    rail: str
    side: str
    accepted_at: Instant | None
