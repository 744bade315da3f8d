"""The section about the marketplace: where bids lie in escrow, and who is trusted."""

from __future__ import annotations

from pydantic import Field

from seawall.policy.quantities import Amount, Count, Ratio
from seawall.policy.sections import Name, Section


class Marketplace(Section):
    """Where customers bid for what other customers offer.

    Attributes:
        escrow: The bucket that owes what is bid until it is settled or given back. Its own money
            lies in its wallets against that, so no more can be in escrow than they hold.
        share_max: The most that one customer's open bids are together, of each asset on each
            network, as a share of the targets of the bucket's wallets there.
        trusted_after: With how many different counterparties a customer has settled before others
            may trust it. No factor scales it, because it counts people.
        trust_value_min: The least value of a settlement that counts for that.
        trusted_value_max: The most that a customer may settle within the window of the limits, on
            either side, in a tier in which those who are trusted settle alone; and the most that
            two of them may settle with each other until that tier is left.
    """

    escrow: Name
    share_max: Ratio = Field(gt=0, lt=1)
    trusted_after: Count = Field(gt=0)
    trust_value_min: Amount = Field(gt=0)
    trusted_value_max: Amount = Field(gt=0)
