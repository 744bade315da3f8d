"""Steps that several promises are made of, as terms in milliseconds."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from seawall.controls.breaker import BreakerSettings
from seawall.controls.timing import (
    CLAIM_POLL_MS,
    CLAIM_SPACING_MS,
    FOLLOW_EVERY_MS,
    RAIL_CLAIM_POLL_MS,
    RAIL_RETRY_MS,
    RAIL_STATEMENT_EVERY_MS,
    RAIL_TIMEOUT_MS,
    SIGNER_TIMEOUT_MS,
)
from seawall.feasibility.sums import Term, show

if TYPE_CHECKING:
    from seawall.policy.model import Policy


def ms(name: str, value: int, detail: str = "") -> Term:
    """A term of ``value`` milliseconds."""
    return Term(name=name, value=Fraction(value), detail=detail)


def span(milliseconds: int) -> str:
    """``1500`` -> ``1.5s``."""
    return show(Fraction(milliseconds), "ms")


def noticing(policy: Policy) -> tuple[Term, ...]:
    """From the moment that a level is reached until the page leaves the Alertmanager.

    Delivery by the provider is no term, because no bound is known for it (SNS has none in its
    service level agreement).
    """
    monitoring = policy.monitoring
    return (
        ms("scrape", monitoring.scrape_every),
        ms("evaluate", monitoring.evaluate_every),
        ms("for", monitoring.pending_for),
        ms("group wait", monitoring.group_wait),
    )


def claiming() -> Term:
    """From an accepted withdrawal to its slot."""
    return ms("claim", CLAIM_POLL_MS + CLAIM_SPACING_MS)


def switching() -> Term:
    """From the first signature that fails to a route over the standby."""
    count = BreakerSettings().failures_to_open
    return ms(
        "breaker opens", count * SIGNER_TIMEOUT_MS, f"{count} failures x {span(SIGNER_TIMEOUT_MS)}"
    )


def changing_rail() -> tuple[Term, ...]:
    """From a rail's primary provider gone dark to a withdrawal that its standby has accepted.

    If nothing is on its way, only the reading of its statement finds out. What the standby has
    accepted counts once its statement was read.
    """
    count = BreakerSettings().failures_to_open
    each_ms = RAIL_STATEMENT_EVERY_MS + RAIL_TIMEOUT_MS
    return (
        ms("breaker opens", count * each_ms, f"{count} failures x {span(each_ms)}"),
        ms("claim", RAIL_CLAIM_POLL_MS),
        ms("instruction", RAIL_RETRY_MS + RAIL_TIMEOUT_MS),
        ms("statement", RAIL_STATEMENT_EVERY_MS + RAIL_TIMEOUT_MS),
    )


def signing() -> Term:
    """One signature, just before its timeout."""
    return ms("signature", SIGNER_TIMEOUT_MS)


def becoming_final(policy: Policy, network: str) -> tuple[Term, Term]:
    """From a transaction in the pool to a payment that the ledger calls final.

    That takes its block, the blocks on top, and the settler's poll that sees them.
    """
    declared = policy.networks[network]
    blocks = declared.finality_depth_blocks + 1
    return (
        ms("blocks", blocks * declared.block_time, f"{blocks} x {span(declared.block_time)}"),
        ms("poll of the chain", FOLLOW_EVERY_MS),
    )


def refilling(policy: Policy) -> tuple[Term, Term]:
    """From a hot wallet below its level to a refill that it can spend."""
    return (
        ms("top-up every", policy.treasury.top_up_every),
        ms("refill lead time", policy.treasury.refill_lead_time),
    )
