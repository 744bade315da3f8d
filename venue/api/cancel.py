"""Cancelling: a withdrawal that no payment has begun for is voided, at its customer's word, by one
transaction.

A claim locks the rows that it slots, and so does this: whoever comes second finds the other's
outcome. A claim passes a row that is being cancelled (``skip locked``); a cancellation waits for a
claim and is then too late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seawall.conventions.database import FLOW_CHANNEL
from seawall.errors import InternalError
from seawall.formats.drill_contract import Refusal, Withdrawal
from venue.api.mode import holding_mode

if TYPE_CHECKING:
    from uuid import UUID

    from venue.database import Connection

REASON = "cancelled by its customer"
_TOO_LATE = Refusal(
    code="too_late",
    reason="Its payment has begun and can no longer be cancelled; follow the withdrawal instead.",
)
NOT_FOUND = Refusal(code="not_found", reason="You have made no withdrawal with this id.")

_HOLD = "select seq, state, reason from withdrawals where id = $1 and customer_id = $2 for no key update"
# Exactly what its reservation entered, the other way round, clearing included.
_VOID = """
    with voided as (
        update withdrawals set state = 'voided', reason = $2 where id = $1 and state = 'reserved'
        returning id, network, asset, size, value_micro
    ), posted as (
        insert into postings (kind, withdrawal_id) select 'void', id from voided returning id, withdrawal_id
    ), entered as (
        insert into entries (posting_id, account_id, amount)
        select p.id, e.account_id, -e.amount
        from posted p join postings r on r.withdrawal_id = p.withdrawal_id and r.kind = 'reserve' join entries e on e.posting_id = r.id
        returning account_id, amount
    ), given_back as (
        update balances b set available = b.available - e.amount from entered e where b.account_id = e.account_id returning 1
    ), counted as (
        insert into flow (kind, network, asset, size, count, value_micro)
        select 'voided', network, asset, size, 1, value_micro from voided
    )
    select (select count(*) from voided) as withdrawals, (select count(*) from given_back) as balances, pg_notify($3, '')"""


async def cancel_withdrawal(
    connection: Connection, customer_id: int, withdrawal_id: UUID
) -> Withdrawal | Refusal:
    """Void it while it is still reserved; a second call tells the same.

    The answer is valid once this returns: it has committed.

    Raises :class:`InternalError` if the ledger holds no reservation that could be reversed.
    """
    async with holding_mode(connection):
        row = await connection.fetchrow(_HOLD, withdrawal_id, customer_id)
        if row is None:
            return NOT_FOUND
        if row["state"] == "reserved":
            done = await connection.fetchrow(_VOID, withdrawal_id, REASON, FLOW_CHANNEL)
            if done is None or (done["withdrawals"], done["balances"]) != (1, 1):
                message = f"withdrawal {withdrawal_id} cannot be voided: the ledger would take {done and dict(done)}"
                raise InternalError(message)
        elif row["state"] != "voided":
            return _TOO_LATE
    reason = REASON if row["state"] == "reserved" else row["reason"]
    return Withdrawal(id=withdrawal_id, seq=row["seq"], state="voided", reason=reason, tx_hash=None)
