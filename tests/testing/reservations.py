"""Withdrawal requests as intake decides on them, for tests."""

from __future__ import annotations

from uuid import UUID

from seawall.policy import MICRO
from venue.api.intake import Reservation

ACCOUNT = 7


def reservation(
    number: int,
    amount: int,
    *,
    account: int = ACCOUNT,
    source: str = "aster",
    value: int | None = None,
) -> Reservation:
    """A withdrawal of ``amount`` USDX base units on aster."""
    value_micro = amount if value is None else value * MICRO
    return Reservation(
        id=UUID(int=number),
        customer_id=1,
        bucket="customer",
        source_network=source,
        network="aster",
        asset="USDX",
        amount=amount,
        value_micro=value_micro,
        size="small" if value_micro <= 1_000 * MICRO else "large",
        destination="0x" + "ab" * 20,
        source_account=account,
        source_clearing=1,
        clearing=2,
        reserved_account=3,
    )
