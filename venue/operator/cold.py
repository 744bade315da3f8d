"""Cold transfers as approvers see them: the treasury asks, they sign the custodian's own text.

The custodian takes no other word than theirs, so nothing here can make it move anything. The venue
keeps their signatures and hands them on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from seawall.conventions.components import OPERATOR_PROCESS
from seawall.errors import UsageError
from seawall.ethereum.keys import personal_message_hash
from seawall.formats.custody import TransferRequest
from venue.ledger.journal import append
from venue.operator.approvals import NotAllowedError, canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seawall.formats.venue_config import VenueConfig
    from seawall.policy import Policy
    from venue.database import Connection
    from venue.operator.access import Operator

_READ = """
    select c.id, c.network, c.asset, c.from_wallet, c.to_wallet, c.destination,
           c.amount::text as amount, c.state, c.needed, c.justification, c.reason, c.tx_hash,
           c.block_number, c.requested_at, c.expires_at,
           c.expires_at <= clock_timestamp() as expired,
           (select count(*) from cold_signatures s where s.transfer_id = c.id) as signatures
    from cold_transfers c"""
_LIST = f"{_READ} order by c.requested_at desc limit $1"
_FIND = f"{_READ} where c.id = $1"
_SIGN = """
    insert into cold_signatures (transfer_id, address, role, operator, signature)
    values ($1, $2, $3, $4, $5) on conflict do nothing returning true"""
_APPROVE = "select approve_cold_transfer($1)"


@dataclass(frozen=True, kw_only=True)
class ColdApprovals:
    """What approvers of ``policy`` sign of cold transfers; ``config`` has their addresses."""

    config: VenueConfig
    policy: Policy

    async def listed(self, connection: Connection, *, limit: int) -> list[dict[str, Any]]:
        """The last ``limit`` of them, newest first, each with the ``text`` that approvers sign.

        They sign it as a message (EIP-191), whose ``digest`` is shown beside it.
        """
        found = []
        for row in await connection.fetch(_LIST, limit):
            text = _text(dict(row))
            digest = "0x" + personal_message_hash(text).hex()
            found.append({**dict(row), "text": text, "digest": digest})
        return found

    async def sign(
        self,
        connection: Connection,
        transfer: UUID,
        *,
        signature: bytes,
        said: str,
        operator: Operator,
    ) -> bool:
        """Keep an approver's signature; whether the transfer is approved by it.

        Args:
            connection: As the operator api, not in a transaction.
            transfer: Which one.
            signature: Of its text: 65 bytes, or as a key service gives it (DER).
            said: Why.
            operator: Whose key must have made the signature.

        Raises :class:`NotAllowedError`, :class:`UsageError`.
        """
        row = await connection.fetchrow(_FIND, transfer)
        if row is None:
            raise UsageError(f"nothing has asked for cold transfer {transfer}")
        role = self._role_of(operator)
        if row["state"] != "requested" or row["expired"]:
            raise UsageError(f"it is {'expired' if row['expired'] else row['state']} already")
        kept = canonical(personal_message_hash(_text(dict(row))), signature, key=operator.key or "")
        async with connection.transaction():
            await append(
                connection,
                writer=OPERATOR_PROCESS,
                kind="cold transfer: approve",
                justification=said,
                body={"transfer": str(transfer), "operator": operator.name},
            )
            if not await connection.fetchval(
                _SIGN, transfer, operator.key, role, operator.name, kept
            ):
                raise UsageError(f"{operator.name} has signed that before")
            return bool(await connection.fetchval(_APPROVE, transfer))

    def _role_of(self, operator: Operator) -> str:
        """The role as which the key of ``operator`` counts with the custodian."""
        for role in self.policy.approvals.routine.approvers:
            if (self.config.approvers.get(role) or "").lower() == (operator.key or "none"):
                return role
        raise NotAllowedError(f"the key of {operator.name} is none of those that approve this")


def _text(row: Mapping[str, Any]) -> str:
    return TransferRequest(
        client_id=row["id"],
        network=row["network"],
        wallet=row["from_wallet"],
        asset=row["asset"],
        amount=row["amount"],
        destination=row["destination"],
        expires_at=int(row["expires_at"].timestamp()),
        approvals=(),
    ).text
