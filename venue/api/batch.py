"""One intake batch as one transaction.

Mode lock, mode, replays, locked balances, then everything written by one statement.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from seawall.conventions.database import FLOW_CHANNEL, WITHDRAWAL_CHANNEL
from seawall.errors import InternalError
from seawall.formats.drill_contract import Refusal, WithdrawalReceipt
from venue.api.intake import Accept, Ask, Committed, Judgement, Replay, judge
from venue.api.mode import READ_MODE, holding_mode, mode_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seawall.policy import Policy
    from venue.database import Connection

Answer = WithdrawalReceipt | Refusal

# A withdrawal that is slotted is where its slot is.
STATE = "case when w.state = 'slotted' then case s.state when 'open' then 'slotted' when 'final' then 'included' else s.state end else w.state end"
# Balances are locked in order of id, so that two batches never wait for each other in a circle;
# what is locked is the newest
# version. A withdrawal that commits during that wait is not among `known`, but its id is refused by
# the insert.
_LOOK = f"""
    with locked as materialized (
        select account_id, available from balances where account_id = any($1::bigint[]) order by account_id for update
    )
    select mode.*,
           array(select account_id from locked) as accounts, array(select available::text from locked) as available,
           (select json_agg(json_build_array(w.id, w.seq, w.customer_id, w.source_network, w.network, w.asset, w.amount::text, w.destination,
                                             w.size, w.reason, {STATE}))
            from withdrawals w left join slots s on s.id = w.slot_id where w.id = any($2::uuid[])) as known
    from ({READ_MODE}) mode"""
_RESERVE = """
    with asked as (
        select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::numeric[], $8::bigint[],
                             $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[])
        with ordinality as t (id, customer_id, bucket, source_network, network, asset, amount, value_micro,
                              size, destination, reason, source_account, source_clearing, clearing, reserved_account, ord)
    ), made as (
        insert into withdrawals (id, customer_id, bucket, source_network, network, asset, amount, value_micro, size, destination, state, reason)
        select id, customer_id, bucket, source_network, network, asset, amount, value_micro, size, destination, 'reserved', reason
        from asked order by ord
        on conflict (id) do nothing
        returning id, seq
    ), posted as (
        insert into postings (kind, withdrawal_id) select 'reserve', id from made order by seq returning id as posting_id, withdrawal_id
    ), booked as (
        select a.*, m.seq, p.posting_id from asked a join made m on m.id = a.id join posted p on p.withdrawal_id = a.id
    ), entered as (
        insert into entries (posting_id, account_id, amount)
        select posting_id, source_account, amount from booked
        union all select posting_id, reserved_account, -amount from booked
        union all select posting_id, source_clearing, -amount from booked where source_network <> network
        union all select posting_id, clearing, amount from booked where source_network <> network
    ), charged as (
        update balances b set available = b.available - t.total
        from (select source_account, sum(amount) as total from booked group by source_account) t where b.account_id = t.source_account
    ), counted as (
        insert into flow (kind, network, asset, size, count, value_micro)
        select 'reserved', network, asset, size, count(*), sum(value_micro)::bigint from booked group by network, asset, size
    )
    select id, seq, pg_notify($16, ''), pg_notify($17, network) from booked"""


async def commit_batch(
    connection: Connection, policy: Policy, asks: Sequence[Ask]
) -> list[Answer | None]:
    """Reserve what may be reserved.

    One answer per request, in order, valid once this returns, because it has committed.

    None: another worker committed the same id meanwhile; ask again and it is a replay. Tier and
    admission are those of the mode epoch under which the transaction committed.
    """
    async with holding_mode(connection):
        seen = await connection.fetchrow(
            _LOOK, sorted({ask.source_account for ask in asks}), [ask.id for ask in asks]
        )
        if seen is None:
            raise InternalError("the venue has no mode row: genesis has not run")
        mode = mode_of(seen)
        available = dict(zip(seen["accounts"], map(int, seen["available"]), strict=True))
        committed = dict(map(_original, json.loads(seen["known"] or "[]")))
        judgements = judge(policy, mode.tier, asks, committed=committed, available=available)
        accepted = [
            (ask, verdict)
            for ask, verdict in zip(asks, judgements, strict=True)
            if isinstance(verdict, Accept)
        ]
        seqs = await _reserve(connection, accepted) if accepted else {}
    return _answers(asks, judgements, seqs)


async def _reserve(
    connection: Connection, accepted: Sequence[tuple[Ask, Accept]]
) -> dict[UUID, int]:
    columns = zip(
        *(
            (
                ask.id,
                ask.customer_id,
                ask.bucket,
                ask.source_network,
                ask.network,
                ask.asset,
                ask.amount,
                ask.value_micro,
                ask.size,
                ask.destination,
                verdict.reason,
                ask.source_account,
                ask.source_clearing,
                ask.clearing,
                ask.reserved_account,
            )
            for ask, verdict in accepted
        ),
        strict=True,
    )
    rows = await connection.fetch(_RESERVE, *map(list, columns), FLOW_CHANNEL, WITHDRAWAL_CHANNEL)
    return {row["id"]: row["seq"] for row in rows}


def _original(fields: Sequence[Any]) -> tuple[UUID, Committed]:
    """A row of `known`, by its id."""
    withdrawal, seq, customer, source, network, asset, amount, destination, size, reason, state = (
        fields
    )
    content = (customer, source, network, asset, int(amount), destination)
    deferred = state == "reserved" and reason is not None
    return UUID(withdrawal), Committed(
        seq=seq, content=content, state=state, size=size, deferred=deferred
    )


def _answers(
    asks: Sequence[Ask], judgements: Sequence[Judgement], seqs: dict[UUID, int]
) -> list[Answer | None]:
    answers: list[Answer | None] = []
    first: dict[UUID, Accept] = {}
    for ask, judgement in zip(asks, judgements, strict=True):
        match judgement:
            case Refusal():
                answers.append(judgement)
            case Accept():
                first[ask.id] = judgement
                answers.append(_receipt(ask, judgement, seqs, outcome="accepted"))
            case Replay(original=None):
                answers.append(_receipt(ask, first[ask.id], seqs, outcome="replayed"))
            case Replay(original=Committed() as original):
                answers.append(
                    WithdrawalReceipt(
                        id=ask.id,
                        seq=original.seq,
                        state=original.state,
                        size=original.size,
                        outcome="replayed",
                        deferred=original.deferred,
                    )
                )
            case _:
                message = f"no answer to {judgement!r}"
                raise InternalError(message)
    return answers


def _receipt(
    ask: Ask, verdict: Accept, seqs: dict[UUID, int], *, outcome: Literal["accepted", "replayed"]
) -> WithdrawalReceipt | None:
    seq = seqs.get(ask.id)
    if seq is None:
        return None
    return WithdrawalReceipt.model_construct(
        id=ask.id,
        seq=seq,
        state="reserved",
        size=ask.size,
        outcome=outcome,
        deferred=verdict.reason is not None,
    )
