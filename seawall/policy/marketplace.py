"""The section about the marketplace: where bids lie in escrow, and who is trusted."""

from __future__ import annotations

from pydantic import Field

from seawall.policy.quantities import Count
from seawall.policy.sections import Name, Section


class Marketplace(Section):
    """Where customers bid for what other customers offer.

    Attributes:
        escrow: The bucket that owes what is bid until it is settled or given back. Its own money
            lies in its wallets against that, so no more can be in escrow than they hold.
        trusted_after: With how many different counterparties a customer has settled before others
            may trust it. No factor scales it, because it counts people.
    """

    escrow: Name
    trusted_after: Count = Field(gt=0)
