"""Orders of people during a drill: what one may have caused says nothing of the venue's controls.

A tier that a person ordered looks like one that the mode controller reached, and payouts that a
person halted look like payouts that were deferred.
"""

from __future__ import annotations

from dataclasses import replace

from seawall.scorecard.facts import Facts, format_s, once
from seawall.scorecard.outcome import Finding, Outcome, unknown
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import Order

NOT_SEEN = "whether people gave orders meanwhile is not seen"
"""What is said beside a PASS of a venue that does not offer its orders."""


def but_for_orders(facts: Facts, finding: Finding) -> Finding:
    """``finding`` of a check that an order could have steered, as far as it is the venue's own.

    UNKNOWN, with the first order, if one was in force at any time of the drill.
    """
    if not facts.offers("orders"):
        if finding.outcome is not Outcome.PASS:
            return finding
        return replace(finding, reason=f"{finding.reason}; {NOT_SEEN}")
    orders = in_force(facts)
    if not orders:
        return finding
    return unknown(
        target=finding.target,
        measured=finding.measured,
        reason=f"{orders[0]}, and may have caused what was seen",
        details=(
            *orders[1:],
            f"{finding.outcome} by what was seen: {finding.reason}",
            *finding.details,
        ),
    )


@once
def in_force(facts: Facts) -> tuple[str, ...]:
    """A sentence per order that was in force at any time of the drill, oldest first.

    Raises :class:`EvidenceError` if the venue does not offer its orders.
    """
    manifest = facts.run.manifest
    starts = Instant(round(manifest.started_at * SECOND))
    orders = [
        order
        for order in facts.run.orders
        if order.end >= starts and order.made_at <= round(manifest.ended_at * SECOND)
    ]
    return tuple(_said(order, starts) for order in sorted(orders, key=lambda each: each.made_at))


def _said(order: Order, starts: Instant) -> str:
    what = order.kind if order.tier is None else f"{order.kind} {order.tier}"
    where = "" if order.network is None else f" on {order.network}"
    made_us = order.made_at - starts
    since = f"{format_s(made_us)} into" if made_us >= 0 else f"{format_s(-made_us)} before"
    return (
        f"order {order.id} of {order.operator} ({what}{where}), made {since} the drill, was in"
        f" force until {format_s(order.end - starts)}"
    )
