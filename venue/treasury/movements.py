"""What the chain shows of cold transfers: final blocks alone, under the id of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seawall.errors import ServiceError
from seawall.ethereum import values
from venue.contracts.calls import NATIVE, read_events
from venue.treasury.arrivals import moved_under

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from seawall.ethereum.rpc import ChainView
    from seawall.formats.venue_config import VenueConfig
    from seawall.policy import Policy
    from venue.treasury.arrivals import Moved


@dataclass(frozen=True, kw_only=True)
class Movements:
    """What contracts of cold wallets have paid, by the final blocks of their networks."""

    config: VenueConfig
    policy: Policy
    _seen: dict[UUID, int] = field(default_factory=dict)

    async def under(self, row: Mapping[str, Any], view: ChainView) -> list[Moved]:
        """What the cold wallet's contract has paid under the id of ``row``."""
        contract = self.config.holder_of(self.policy, row["from_wallet"])
        first = self._seen.get(row["id"], row["since_block"]) + 1
        found = await moved_under(view, row["id"], contract=contract, first=first)
        if not found:
            self._seen[row["id"]] = max(view.finalized.number, row["since_block"])
        return found

    def forget(self, transfer: UUID) -> None:
        """Look at all blocks again, for what a gap in an index has hidden."""
        self._seen.pop(transfer, None)

    def differs(self, row: Mapping[str, Any], moved: list[Moved]) -> str | None:
        """How ``moved`` differs from what was asked for; None if it does not."""
        if len(moved) > 1:
            return f"it was moved {len(moved)} times: {', '.join(each.tx_hash for each in moved)}"
        native = self.policy.networks[row["network"]].native
        tokens = self.config.networks[row["network"]].tokens
        token = NATIVE if row["asset"] == native else tokens[row["asset"]].lower()
        item = moved[0].item
        asked = (row["destination"], token, int(row["amount"]))
        if (item.to, item.token, item.amount) == asked:
            return None
        return (
            f"{item.amount} base units of {item.token} went to {item.to}, and asked for were"
            f" {asked[2]} of {asked[1]} to {asked[0]}"
        )

    async def not_paid(self, row: Mapping[str, Any], tx_hash: str | None, view: ChainView) -> bool:
        """Whether ``tx_hash`` is final in ``view`` and has failed to pay ``row``.

        It was reverted, or the contract says that it could not pay this id.

        Raises :class:`ServiceError`.
        """
        try:
            receipt = await view.receipt(values.word(tx_hash))
        except ValueError:  # the custodian names none
            return False
        if receipt is None:
            return False
        await view.confirm(receipt)
        contract = self.config.holder_of(self.policy, row["from_wallet"])
        try:
            events = read_events(receipt.logs, contract=contract)
        except ValueError as error:
            raise ServiceError(f"the receipt of {tx_hash} is none: {error}") from error
        return not receipt.succeeded or any(of == row["id"] for _, of in events.failed)
