"""The section about money that moves between the reserves of two networks, through a carrier."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from seawall.policy.quantities import Amount, Count, DurationMs, Ratio
from seawall.policy.sections import Name, Section, Url


class PriceBounds(Section):
    """Which prices count.

    Attributes:
        deviation_max: How far a price may be from the ratio of the reference prices, as a share.
        price_age_max: How old a price may be.
    """

    deviation_max: Ratio = Field(gt=0, lt=1)
    price_age_max: DurationMs = Field(gt=0)


class Congestion(Section):
    """From when on a network is too busy: its base fee in gwei, or transactions that wait."""

    base_fee_gwei_max: Ratio = Field(gt=0)
    pending_max: Count = Field(gt=0)


class Health(Section):
    """The levels of the health checks that have any; ``congestion`` is by network.

    Checks without a level: ``custody`` (the carrier says that it is well), ``mode`` (the tier is
    normal, by a mode controller that is alive) and ``books`` (the chain lacks nothing in either
    reserve).
    """

    congestion: dict[Name, Congestion]
    oracle: PriceBounds


class Rebalanced(Section):
    """The two reserves between which an asset moves; ``amount_min`` in whole units, at a time."""

    between: tuple[Name, Name]
    amount_min: Amount = Field(gt=Decimal(0))


class Rebalancing(Section):
    """Who carries money from the reserve of one network to that of another, and when.

    A reserve that holds less of an asset than ``to_below`` of its target is filled to its target
    with what the other one of ``assets`` holds above ``from_above`` of its own, as so many people
    as the routine lane of approvals needs have signed, while every health check is green.
    ``lead_time``: so long after the venue wants it, the money has arrived. ``credential_age_max``:
    the greatest age of the credentials with the carrier.
    """

    carrier: Name
    endpoint: Url
    assets: dict[Name, Rebalanced] = Field(min_length=1)
    from_above: Ratio
    to_below: Ratio
    lead_time: DurationMs = Field(gt=0)
    credential_age_max: DurationMs = Field(gt=0)
    health: Health
