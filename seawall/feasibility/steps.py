"""Chains of steps that more than one promise rests on, as terms in milliseconds."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from seawall.controls.breaker import BreakerSettings
from seawall.controls.pace import (
    CLAIM_LOOK_MS,
    CLAIM_SPACING_MS,
    FOLLOW_EVERY_MS,
    SIGNER_PATIENCE_MS,
)
from seawall.feasibility.sums import Term, show

if TYPE_CHECKING:
    from seawall.policy.model import Policy


def ms(name: str, value: int, detail: str = "") -> Term:
    """A term of so many milliseconds."""
    return Term(name=name, value=Fraction(value), detail=detail)


def span(milliseconds: int) -> str:
    """``1500`` -> ``1.5s``."""
    return show(Fraction(milliseconds), "ms")


def noticing(policy: Policy) -> tuple[Term, ...]:
    """From a level that is reached to a page that leaves the Alertmanager.

    What a provider takes to deliver it is no term: nobody states a bound (SNS has none in its
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
    """From a withdrawal that is accepted to its slot."""
    return ms("claim", CLAIM_LOOK_MS + CLAIM_SPACING_MS)


def switching() -> Term:
    """From the first signature that does not come to a route over the standby."""
    count = BreakerSettings().failures_to_open
    return ms(
        "breaker opens",
        count * SIGNER_PATIENCE_MS,
        f"{count} failures x {span(SIGNER_PATIENCE_MS)}",
    )


def signing() -> Term:
    """One signature that comes at the last moment."""
    return ms("signature", SIGNER_PATIENCE_MS)


def becoming_final(policy: Policy, network: str) -> tuple[Term, Term]:
    """From a transaction in the pool to a payment that the ledger calls final.

    Its block, the blocks on top, and a look at them.
    """
    declared = policy.networks[network]
    blocks = declared.finality_depth_blocks + 1
    return (
        ms("blocks", blocks * declared.block_time, f"{blocks} x {span(declared.block_time)}"),
        ms("look at the chain", FOLLOW_EVERY_MS),
    )


def refilling(policy: Policy) -> tuple[Term, Term]:
    """From a hot wallet that runs low to the refill that it may spend."""
    return (
        ms("top-up every", policy.treasury.top_up_every),
        ms("refill lead time", policy.treasury.refill_lead_time),
    )
