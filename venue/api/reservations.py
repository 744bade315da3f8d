"""Reservations: a batch of withdrawals is reserved, or one withdrawal is cancelled.

Each is one transaction under the mode lock.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from seawall.controls.allowance import Asked, window_us
from seawall.conventions import sabotage
from seawall.conventions.database import FLOW_CHANNEL, WITHDRAWAL_CHANNEL
from seawall.errors import InternalError
from seawall.formats.drill_contract import Refusal, Withdrawal, WithdrawalReceipt
from venue.api import metrics
from venue.api.intake import Accept, Committed, IntakeDecision, Replay, Reservation, decide
from venue.api.mode import READ_MODE, confirm, holding_mode, mode_of
from venue.clock import NOW_US, monotonic_us, read_clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import asyncpg

    from seawall.controls.steady import SteadyClock
    from seawall.policy import Policy
    from venue.database import Connection


Answer = WithdrawalReceipt | Refusal

# The state that a customer is shown: a slotted withdrawal has the state of its slot, and one that
# is paid over a rail is on its way (broadcast) once its provider has accepted it.
STATE = """
    case when w.state = 'instructed'
              then case when exists (select 1 from rail_instructions i
                                     where i.id = w.instruction_id and i.state = 'recorded')
                        then 'slotted' else 'broadcast' end
         when w.state <> 'slotted' then w.state
         when s.state = 'open' then 'slotted'
         when s.state = 'final' then 'included'
         else s.state end"""
# In order of id, so that two batches never deadlock; the lock returns their newest version.
_LOCK_BALANCES = """
    select account_id, available from balances
    where account_id = any($1::bigint[]) order by account_id for update"""
# A statement after the lock, because each statement has a snapshot of its own: the lock may have
# waited for a batch with the same ids or customers, which is not in the snapshot of the statement
# that waited.
_READ = f"""
    select mode.*,
           (select json_agg(json_build_array(
                w.id, w.seq, w.customer_id, w.source_network, w.network, w.asset, w.amount::text,
                w.destination, w.size, w.reason, {STATE}))
            from withdrawals w left join slots s on s.id = w.slot_id
            where w.id = any($1::uuid[])) as known,
           (select json_agg(json_build_array(
                w.customer_id, (extract(epoch from w.requested_at) * 1000000)::bigint,
                w.value_micro, w.source_network <> w.network, w.state = 'voided'))
            from withdrawals w
            where w.customer_id = any($2::bigint[])
              and w.requested_at > 'epoch'::timestamptz + $3::bigint * interval '1 microsecond')
               as asked,
           {NOW_US} as now_us
    from ({READ_MODE}) mode"""
_RESERVE = """
    with asked as (
        select * from unnest(
            $1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[],
            $7::numeric[], $8::bigint[], $9::text[], $10::text[], $11::text[],
            $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[])
        with ordinality as t (
            id, customer_id, bucket, source_network, network, asset,
            amount, value_micro, size, destination, reason,
            source_account, source_clearing, clearing, reserved_account, ord)
    ), made as (
        insert into withdrawals (id, customer_id, bucket, source_network, network, asset, amount,
                                 value_micro, size, destination, state, reason)
        select id, customer_id, bucket, source_network, network, asset, amount,
               value_micro, size, destination, 'reserved', reason
        from asked order by ord
        on conflict (id) do nothing
        returning id, seq
    ), posted as (
        insert into postings (kind, withdrawal_id)
        select 'reserve', id from made order by seq returning id as posting_id, withdrawal_id
    ), booked as (
        select a.*, m.seq, p.posting_id
        from asked a join made m on m.id = a.id join posted p on p.withdrawal_id = a.id
    ), entered as (
        insert into entries (posting_id, account_id, amount)
        select posting_id, source_account, amount from booked
        union all select posting_id, reserved_account, -amount from booked
        union all
        select posting_id, source_clearing, -amount from booked where source_network <> network
        union all
        select posting_id, clearing, amount from booked where source_network <> network
    ), charged as (
        update balances b set available = b.available - t.total
        from (select source_account, sum(amount) as total from booked group by source_account) t
        where b.account_id = t.source_account
    ), counted as (
        insert into flow (kind, network, asset, size, count, value_micro)
        select 'reserved', network, asset, size, count(*), sum(value_micro)::bigint
        from booked group by network, asset, size
    )
    select id, seq, pg_notify($16, ''), pg_notify($17, '') from booked"""


async def commit_batch(
    connection: Connection,
    policy: Policy,
    reservations: Sequence[Reservation],
    *,
    clock: SteadyClock,
) -> list[Answer | None]:
    """Reserve what may be reserved, in one transaction; it has committed when this returns.

    Tier and admission are those of the mode epoch under which the transaction committed, and what
    customers have asked for is what had committed then.

    Args:
        connection: To the database, as the api.
        policy: The policy in force.
        reservations: The batch, in order of arrival.
        clock: The database's clock as this process has read it before; it is read here.

    Returns:
        One answer per request, in order. None: another worker has just committed the same id for
        other accounts, so that no lock was shared; submit the request again, and it is decided
        with that outcome in view.
    """
    async with holding_mode(connection):
        available = {
            row["account_id"]: row["available"]
            for row in await connection.fetch(_LOCK_BALANCES, _accounts_of(reservations))
        }
        if not clock.was_read:
            await read_clock(connection, clock)
        asked_us = monotonic_us()
        seen = await connection.fetchrow(
            _READ,
            [reservation.id for reservation in reservations],
            list({reservation.customer_id for reservation in reservations}),
            clock.earliest_shown(asked_us - window_us(policy)),
        )
        if seen is None:
            raise InternalError("the venue has no mode row: genesis has not run")
        now_us = clock.read(shown_us=seen["now_us"], asked_us=asked_us, answered_us=monotonic_us())
        decisions = decide(
            policy,
            mode_of(seen).tier,
            reservations,
            committed=dict(map(_original, json.loads(seen["known"] or "[]"))),
            available=available,
            asked=_asked(json.loads(seen["asked"] or "[]"), clock),
            now_us=now_us,
        )
        accepted = [
            (reservation, verdict)
            for reservation, verdict in zip(reservations, decisions, strict=True)
            if isinstance(verdict, Accept)
        ]
        seqs = await _reserve(connection, accepted) if accepted else {}
        if any(isinstance(each, Replay) and each.original is not None for each in decisions):
            await confirm(connection)
    return _answers(reservations, decisions, seqs)


def _accounts_of(reservations: Sequence[Reservation]) -> list[int]:
    """The accounts to be locked, in order: those that pay, and the first one of each customer."""
    paying = {reservation.source_account for reservation in reservations}
    return sorted(paying | {reservation.customer_account for reservation in reservations})


def _asked(rows: Sequence[Sequence[Any]], clock: SteadyClock) -> Mapping[int, Sequence[Asked]]:
    """What each customer has asked for lately, by rows of `asked`.

    With the control switched off, nobody has asked for anything.
    """
    found: dict[int, list[Asked]] = {}
    if sabotage.sabotaged(sabotage.SABOTAGE_CUSTOMER_LIMITS):
        return found
    for customer, shown_us, value_micro, cross_rail, cancelled in rows:
        found.setdefault(customer, []).append(
            Asked(
                at_us=clock.of(shown_us),
                value_micro=value_micro,
                cross_rail=cross_rail,
                cancelled=cancelled,
            )
        )
    return found


async def _reserve(
    connection: Connection, accepted: Sequence[tuple[Reservation, Accept]]
) -> dict[UUID, int]:
    columns = zip(
        *(
            (
                reservation.id,
                reservation.customer_id,
                reservation.bucket,
                reservation.source_network,
                reservation.network,
                reservation.asset,
                reservation.amount,
                reservation.value_micro,
                verdict.size,
                reservation.destination,
                verdict.reason,
                reservation.source_account,
                reservation.source_clearing,
                reservation.clearing,
                reservation.reserved_account,
            )
            for reservation, verdict in accepted
        ),
        strict=True,
    )
    rows = await connection.fetch(_RESERVE, *map(list, columns), FLOW_CHANNEL, WITHDRAWAL_CHANNEL)
    return {row["id"]: row["seq"] for row in rows}


def _original(fields: Sequence[Any]) -> tuple[UUID, Committed]:
    """A row of `known`: its id, and the rest."""
    withdrawal, seq, customer, source, network, asset, amount, destination, size, reason, state = (
        fields
    )
    content = (customer, source, network, asset, int(amount), destination)
    deferred = state == "reserved" and reason is not None
    return UUID(withdrawal), Committed(
        seq=seq, content=content, state=state, size=size, deferred=deferred
    )


def _answers(
    reservations: Sequence[Reservation], decisions: Sequence[IntakeDecision], seqs: dict[UUID, int]
) -> list[Answer | None]:
    answers: list[Answer | None] = []
    first: dict[UUID, Accept] = {}
    for reservation, decision in zip(reservations, decisions, strict=True):
        match decision:
            case Refusal():
                answers.append(decision)
            case Accept():
                first[reservation.id] = decision
                answers.append(_receipt(reservation, decision, seqs, outcome="accepted"))
            case Replay(original=None):
                answers.append(
                    _receipt(reservation, first[reservation.id], seqs, outcome="replayed")
                )
            case Replay(original=Committed() as original):
                answers.append(
                    WithdrawalReceipt(
                        id=reservation.id,
                        seq=original.seq,
                        state=original.state,
                        size=original.size,
                        outcome="replayed",
                        deferred=original.deferred,
                    )
                )
            case _:
                raise InternalError(f"no answer to {decision!r}")
    return answers


def _receipt(
    reservation: Reservation,
    verdict: Accept,
    seqs: dict[UUID, int],
    *,
    outcome: Literal["accepted", "replayed"],
) -> WithdrawalReceipt | None:
    seq = seqs.get(reservation.id)
    if seq is None:
        return None
    return WithdrawalReceipt.model_construct(
        id=reservation.id,
        seq=seq,
        state="reserved",
        size=verdict.size,
        outcome=outcome,
        deferred=verdict.reason is not None,
    )


REASON = "cancelled by its customer"
_TOO_LATE = Refusal(
    code="too_late",
    reason="Its payment has begun and can no longer be cancelled; follow the withdrawal instead.",
)
_NOT_YET = Refusal(
    code="unavailable",
    reason=(
        "After an outage it is not known yet whether this withdrawal was paid. "
        "Follow it, or cancel it again in some minutes."
    ),
)
NOT_FOUND = Refusal(code="not_found", reason="You have made no withdrawal with this id.")

_LOCK = """
    select seq, state, reason, network from withdrawals
    where id = $1 and customer_id = $2 for no key update"""
_TRIED = "select max(slot_id) from attempts where withdrawal_id = $1"
_MAY_YET_BE_PAID = "select may_yet_be_paid($1, $2)"
_HOLD = """
    update withdrawals set state = 'unknown', held_because = 'refused', slot_id = $2, reason = $3
    where id = $1 and state = 'reserved'"""
# The entries are those of the reservation with the opposite sign, clearing included.
_VOID = """
    with voided as (
        update withdrawals set state = 'voided', reason = $2 where id = $1 and state = 'reserved'
        returning id, network, asset, size, value_micro
    ), posted as (
        insert into postings (kind, withdrawal_id)
        select 'void', id from voided returning id, withdrawal_id
    ), entered as (
        insert into entries (posting_id, account_id, amount)
        select p.id, e.account_id, -e.amount
        from posted p
        join postings r on r.withdrawal_id = p.withdrawal_id and r.kind = 'reserve'
        join entries e on e.posting_id = r.id
        returning account_id, amount
    ), given_back as (
        update balances b set available = b.available - e.amount
        from entered e where b.account_id = e.account_id returning 1
    ), counted as (
        insert into flow (kind, network, asset, size, count, value_micro, reserved_at)
        select 'voided', v.network, v.asset, v.size, 1, v.value_micro,
               pg_xact_commit_timestamp(r.xmin)
        from voided v join postings r on r.withdrawal_id = v.id and r.kind = 'reserve'
        returning network, asset, size, value_micro,
                  (extract(epoch from clock_timestamp() - reserved_at) * 1000)::bigint as age_ms
    )
    select (select count(*) from voided) as withdrawals,
           (select count(*) from given_back) as balances,
           counted.*, pg_notify($3, '')
    from (values (1)) as always left join counted on true"""


# Whoever holds the row decides, so a resolution cannot appear or end between the two statements.
_OPEN_RESOLUTION = """
    select decision from resolutions
    where withdrawal_id = $1 and state in ('requested', 'slotted')"""
_ASK_BACK = """
    with asked as (
        insert into resolutions (withdrawal_id, seq, decision, actor, justification)
        values ($1, $2, 'void', 'customer', $3) returning 1
    ), told as (
        update withdrawals set reason = $4 where id = $1 returning 1
    )
    select (select count(*) from asked), (select count(*) from told), pg_notify($5, '')"""
ASKED_BACK = (
    "Cancelled by its customer. The amount is back in the balance as soon as the network confirms "
    "that this payment can no longer be made."
)


async def cancel_withdrawal(
    connection: Connection, policy: Policy, customer_id: int, withdrawal_id: UUID
) -> Withdrawal | Refusal:
    """Void a withdrawal that is still reserved; it has committed when this returns.

    Its value counts no longer in the drawdown velocity, which is lower from then on. One that is
    held, or that a slot was to pay once, is ``unknown`` until its number is cancelled on the chain,
    which is asked for here. After a restore nothing is voided at once before it is known that no
    payment which the lost ledger had signed can be made any more.

    A claim locks the rows that it slots, and so does this. A claim skips a row that is being
    cancelled (``skip locked``); a cancellation waits for a claim and is then too late. A second
    cancellation gets the same answer.

    Raises :class:`InternalError` if the ledger holds no reservation that could be reversed.
    """
    done = None
    async with holding_mode(connection):
        row = await connection.fetchrow(_LOCK, withdrawal_id, customer_id)
        if row is None:
            return NOT_FOUND
        tried = await connection.fetchval(_TRIED, withdrawal_id)
        if row["state"] == "reserved" and tried is None:
            if await connection.fetchval(_MAY_YET_BE_PAID, row["seq"], row["network"]):
                return _NOT_YET
            done = await connection.fetchrow(_VOID, withdrawal_id, REASON, FLOW_CHANNEL)
            if done is None or (done["withdrawals"], done["balances"]) != (1, 1):
                raise InternalError(
                    f"withdrawal {withdrawal_id} cannot be voided: "
                    f"the ledger would take {done and dict(done)}"
                )
        elif row["state"] in ("reserved", "unknown"):
            if row["state"] == "reserved":
                await connection.execute(_HOLD, withdrawal_id, tried, ASKED_BACK)
            decision = await connection.fetchval(_OPEN_RESOLUTION, withdrawal_id)
            if decision == "pay":  # an operator has it paid anew
                return _TOO_LATE
            if decision is None:
                await connection.execute(
                    _ASK_BACK, withdrawal_id, row["seq"], REASON, ASKED_BACK, WITHDRAWAL_CHANNEL
                )
            else:
                await confirm(connection)
            return Withdrawal(
                id=withdrawal_id, seq=row["seq"], state="unknown", reason=ASKED_BACK, tx_hash=None
            )
        elif row["state"] == "voided":
            await confirm(connection)
        else:
            return _TOO_LATE
    if done is not None:
        _count_voided(policy, done)
    reason = REASON if row["state"] == "reserved" else row["reason"]
    return Withdrawal(id=withdrawal_id, seq=row["seq"], state="voided", reason=reason, tx_hash=None)


def _count_voided(policy: Policy, done: asyncpg.Record) -> None:
    """Count what was voided, if Prometheus still counts its reservation.

    Otherwise customers who cancel old withdrawals would hide as much of a run from the alerts.
    """
    window_ms = policy.indicators["drawdown_velocity"].window
    if window_ms is not None and done["age_ms"] is not None and done["age_ms"] < window_ms:
        metrics.VOIDED_VALUE.labels(done["network"], done["asset"], done["size"]).inc(
            done["value_micro"]
        )
