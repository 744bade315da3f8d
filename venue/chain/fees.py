"""What a transaction may cost.

No bumps yet, so the ceiling leaves room for a long run of full blocks.
"""

from __future__ import annotations

from venue.chain.transaction import Fees

PRIORITY_FEE_WEI = 10**9
MAX_FEE_FLOOR_WEI = 2 * 10**9
"""An idle chain's base fee falls to a few wei, from where a multiple of it leaves no room."""
BASE_FEE_HEADROOM = 50
"""33 full blocks in a row multiply the base fee by 50 (EIP-1559: at most one eighth per block)."""


def fees(*, base_fee_wei: int, gas_limit: int) -> Fees:
    """Fees for a transaction sent when the latest block's base fee is ``base_fee_wei``."""
    ceiling = max(BASE_FEE_HEADROOM * base_fee_wei, MAX_FEE_FLOOR_WEI)
    return Fees(
        gas_limit=gas_limit,
        max_fee_wei=ceiling + PRIORITY_FEE_WEI,
        priority_fee_wei=PRIORITY_FEE_WEI,
    )
