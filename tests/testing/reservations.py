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
    customer: int = 1,
) -> Reservation:
    """A withdrawal of ``amount`` USDX base units on aster."""
    return Reservation(
        id=UUID(int=number),
        customer_id=customer,
        bucket="customer",
        source_network=source,
        network="aster",
        asset="USDX",
        amount=amount,
        value_micro=amount if value is None else value * MICRO,
        destination="0x" + "ab" * 20,
        customer_account=ACCOUNT,
        source_account=account,
        source_clearing=1,
        clearing=2,
        reserved_account=3,
    )
