"""What the statements about refills of gas money do."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from tests.simulation.store import Row, Stored, Transaction, statement
from venue.settler import posting, refills


def _due(tx: Transaction, network: str, wallet: str) -> list[Stored]:
    """Requests of other wallets' keys, oldest first."""
    return [
        row
        for row in tx.rows("gas_refills")
        if (row["network"], row["state"]) == (network, "requested") and row["wallet"] != wallet
    ]


@statement(refills._ANY_DUE)
async def any_refill(tx: Transaction, network: str, wallet: str) -> Iterable[Row]:
    return [Row(due=bool(_due(tx, network, wallet)))]


@statement(refills._DUE)
async def next_refill(tx: Transaction, network: str, wallet: str) -> Iterable[Row]:
    for row in _due(tx, network, wallet):
        if not tx.is_locked_by_another("gas_refills", row["id"]):
            await tx.lock(("gas_refills", row["id"]))
            return [Row(id=row["id"], address=row["address"])]
    return ()


@statement(refills._SLOT)
async def slot_refill(tx: Transaction, slot: int, refill: UUID) -> Iterable[Row]:
    await tx.update("gas_refills", refill, state="slotted", slot_id=slot)
    return ()


@statement(posting._END_REFILL)
async def end_refill(tx: Transaction, slot: int) -> Iterable[Row]:
    for row in tx.rows("gas_refills"):
        if (row["slot_id"], row["state"]) == (slot, "slotted"):
            await tx.update("gas_refills", row["id"], state="done")
    return ()
