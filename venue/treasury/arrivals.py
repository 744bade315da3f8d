"""What a contract of somebody else's has paid under an id of the venue's, as one view shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seawall.errors import ServiceError
from seawall.ethereum import values
from venue.contracts.calls import Item, paid_filter, read_events

if TYPE_CHECKING:
    from uuid import UUID

    from seawall.ethereum.rpc import ChainView
    from seawall.ethereum.values import Receipt

BLOCKS_AT_ONCE = 1_000
"""Blocks of whose events a node is asked at once."""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What a final block shows under the id of a transfer."""

    tx_hash: str
    receipt: Receipt
    item: Item

    @property
    def block_number(self) -> int:
        """The block that contains it."""
        return self.receipt.block_number


async def moved_under(view: ChainView, identity: UUID, *, contract: str, first: int) -> list[Moved]:
    """What ``contract`` has paid under ``identity``, from block ``first`` to the final one.

    Raises :class:`ServiceError` if that is not known.
    """
    hashes: list[str] = []
    for start in range(first, view.finalized.number + 1, BLOCKS_AT_ONCE):
        until = min(start + BLOCKS_AT_ONCE - 1, view.finalized.number)
        wanted = {
            "address": contract,
            "fromBlock": hex(start),
            "toBlock": hex(until),
            "topics": paid_filter(identity),
        }
        hashes += await view.ask(_transactions, "eth_getLogs", wanted)
    found = []
    for tx_hash in dict.fromkeys(hashes):
        receipt = await view.receipt(tx_hash)
        if receipt is None:
            raise ServiceError(f"{tx_hash} has events, and no receipt")
        await view.confirm(receipt)
        try:
            events = read_events(receipt.logs, contract=contract)
        except ValueError as error:
            raise ServiceError(f"the receipt of {tx_hash} is none: {error}") from error
        found += [
            Moved(tx_hash=tx_hash, receipt=receipt, item=item)
            for item in events.paid.values()
            if item.id == identity
        ]
    return found


def _transactions(logs: Any) -> list[str]:
    """The transactions of events. Raises ValueError."""
    if not isinstance(logs, list) or not all(isinstance(log, dict) for log in logs):
        raise ValueError(f"{logs!r} are no events")
    if any(log.get("removed") for log in logs):
        raise ValueError("an event that a reorganisation removed")
    return [values.word(log.get("transactionHash")) for log in logs]
