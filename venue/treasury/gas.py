"""Gas money: when the key of a lane has little left, have it refilled.

A contract of the operational treasury pays it, which knows the keys and how much each gets
(`venue/contracts/gas.vy`, decision 0046). The treasury looks and asks, and the lane of the
network's other key calls the contract. None of that money is in the ledger: it was spent when the
contract was filled.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from seawall.ethereum.values import uint256
from venue.contracts.calls import refillable
from venue.ledger.journal import append
from venue.treasury.topups import WRITER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seawall.ethereum.rpc import AsyncRpcClient
    from seawall.formats.venue_config import VenueConfig
    from seawall.policy import Policy
    from venue.database import Connection

_OPEN = """
    select exists (select 1 from gas_refills
                   where wallet = $1 and state in ('requested', 'slotted'))"""
_IS_OF_LANE = """
    select exists (select 1 from lanes where (network, wallet, address) = ($1, $2, $3))"""
_REQUEST = """
    insert into gas_refills (id, network, wallet, address, state, justification)
    values ($1, $2, $3, $4, 'requested', $5)"""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Due:
    """The key of ``wallet`` has ``held_wei``, and would get ``amount_wei`` more now."""

    wallet: str
    address: str
    held_wei: int
    amount_wei: int


@dataclass(frozen=True, kw_only=True)
class Gas:
    """Gas money on one network: ``tank`` pays it to a key that has less than ``minimum_wei``."""

    network: str
    native: str
    tank: str
    minimum_wei: int

    @classmethod
    def of(cls, config: VenueConfig, policy: Policy, network: str) -> Gas | None:
        """That of ``network``; None if the policy, or the configuration, names none."""
        declared, tank = policy.treasury.gas.get(network), config.networks[network].gas_tank
        if declared is None or tank is None:
            return None
        native = policy.networks[network].native
        return cls(
            network=network,
            native=native,
            tank=tank.lower(),
            minimum_wei=policy.base_units(native, declared.minimum),
        )

    async def due(self, rpc: AsyncRpcClient, keys: Mapping[str, str]) -> list[Due]:
        """Which of ``keys`` (address by wallet) would be refilled now, and by how much.

        One that has too little and would get nothing is in the log: its cap is used up, or the
        contract is empty, and people are paged before the key has nothing left.
        """
        found = []
        for wallet, address in keys.items():
            held_wei = await rpc.balance(address)
            if held_wei >= self.minimum_wei:
                continue
            amount_wei = await rpc.read(self.tank, refillable(address), uint256)
            if amount_wei:
                found.append(
                    Due(
                        wallet=wallet,
                        address=address.lower(),
                        held_wei=held_wei,
                        amount_wei=amount_wei,
                    )
                )
            else:
                _log.error(
                    "the key of %s has %d wei for gas, and %s gives it no more at present",
                    wallet,
                    held_wei,
                    self.tank,
                )
        return found

    async def request(self, connection: Connection, due: Sequence[Due]) -> None:
        """Ask for each refill, with its reason in the journal, unless one is asked for already.

        Only of keys of lanes: nobody else carries out anything with another one.

        Args:
            connection: Not in a transaction.
            due: What is to be refilled.
        """
        for each in due:
            if await connection.fetchval(_OPEN, each.wallet):
                continue
            place = (self.network, each.wallet, each.address)
            if not await connection.fetchval(_IS_OF_LANE, *place):
                _log.error("no lane of %s has the key %s: it is not refilled", *place[1:])
                continue
            refill = uuid4()
            why = (
                f"the key of {each.wallet} has {each.held_wei} wei for gas, below"
                f" {self.minimum_wei}; refilled by {each.amount_wei} from {self.tank}"
            )
            body: dict[str, str | int | None] = {
                "refill": str(refill),
                "key": each.address,
                "asset": self.native,
                "amount": str(each.amount_wei),
            }
            async with connection.transaction():
                await append(connection, writer=WRITER, kind="gas", justification=why, body=body)
                await connection.execute(_REQUEST, refill, *place, why)
            _log.info("%s", why)
