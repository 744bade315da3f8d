"""Who may settle while only trusted counterparties do: by what customers have settled before."""

from __future__ import annotations

import json
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

from seawall.controls.admission import Counterparty
from seawall.controls.allowance import Asked, window_us, within_window
from venue.clock import NOW_US, monotonic_us, read_clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from seawall.controls.steady import SteadyClock
    from seawall.policy import Policy
    from seawall.policy.marketplace import Marketplace
    from venue.database import Connection, Pool

# One key for each customer, apart from those in seawall/conventions/database.py.
_ALONE = "select pg_advisory_xact_lock(hashtextextended('settles ' || $1::bigint, 0))"
_SETTLED = f"""
    select (
        select count(distinct case b.seller_id when c.id then b.bidder_id else b.seller_id end)
        from bids b join unnest($2::text[], $3::numeric[]) as least (asset, amount)
             on least.asset = b.asset and b.amount >= least.amount
        where b.state = 'settled' and (b.seller_id = c.id or b.bidder_id = c.id)
    ) as settled_with, (
        select json_agg(json_build_array(
            (extract(epoch from b.ended_at) * 1000000)::bigint, b.asset, b.amount::text))
        from bids b
        where b.state = 'settled' and (b.seller_id = c.id or b.bidder_id = c.id)
          and b.ended_at > 'epoch'::timestamptz + $4::bigint * interval '1 microsecond'
    ) as lately, {NOW_US} as now_us
    from unnest($1::bigint[]) as c (id)"""
# Whoever of both sold; under the mode in force, however long ago.
_TOGETHER = """
    select asset, sum(amount)::text as amount from bids
    where state = 'settled' and settled_epoch = $3
      and ((seller_id, bidder_id) = ($1, $2) or (seller_id, bidder_id) = ($2, $1))
    group by asset"""
_BEYOND_LIMITS_MICRO = 2**63


async def alone(connection: Connection, bid: asyncpg.Record) -> None:
    """Until the transaction ends, nobody else decides about a settlement of either party.

    Others who do it hold no balance, so what customers withdraw does not wait for this.
    """
    for customer in sorted((bid["seller_id"], bid["bidder_id"])):
        await connection.execute(_ALONE, customer)


async def counterparties(
    connection: Connection | Pool,
    policy: Policy,
    market: Marketplace,
    bid: asyncpg.Record,
    *,
    clock: SteadyClock,
) -> list[Counterparty]:
    """Both parties of ``bid`` as they are if it is settled now.

    ``clock`` is the database's as this process has read it before; it is read here.
    """
    least = _least(policy, market)
    if not clock.was_read:
        await read_clock(connection, clock)
    asked_us = monotonic_us()
    rows = await connection.fetch(
        _SETTLED,
        [bid["seller_id"], bid["bidder_id"]],
        list(least),
        list(least.values()),
        clock.earliest_shown(asked_us - window_us(policy)),
    )
    answered_us = monotonic_us()
    now_us = clock.read(shown_us=rows[0]["now_us"], asked_us=asked_us, answered_us=answered_us)
    this = _value_micro(policy, bid["asset"], int(bid["amount"]))
    return [
        Counterparty(
            settled_with=row["settled_with"],
            settled_micro=this
            + sum(
                each.value_micro
                for each in within_window(policy, _lately(policy, row, clock), now_us=now_us)
            ),
        )
        for row in rows
    ]


async def together_micro(
    connection: Connection | Pool, policy: Policy, bid: asyncpg.Record, *, epoch: int
) -> int:
    """What both parties of ``bid`` have settled with each other in the mode ``epoch``, with it.

    In millionths of the unit of account. Windows are short beside a run on the bank, so what two
    may settle in each of them has no end; what is open between them when the mode begins does.
    """
    rows = await connection.fetch(_TOGETHER, bid["seller_id"], bid["bidder_id"], epoch)
    amounts = [(row["asset"], int(row["amount"])) for row in rows]
    return sum(
        _value_micro(policy, asset, amount)
        for asset, amount in [*amounts, (bid["asset"], int(bid["amount"]))]
    )


def _lately(policy: Policy, row: asyncpg.Record, clock: SteadyClock) -> Sequence[Asked]:
    return [
        Asked(at_us=clock.of(shown_us), value_micro=_value_micro(policy, asset, int(amount)))
        for shown_us, asset, amount in json.loads(row["lately"] or "[]")
    ]


def _least(policy: Policy, market: Marketplace) -> dict[str, int]:
    """The smallest amount of each asset that is worth enough to make anybody trusted."""
    return {
        asset: ceil(
            Fraction(market.trust_value_min)
            / Fraction(declared.reference_price)
            * 10**declared.decimals
        )
        for asset, declared in policy.assets.items()
        if declared.reference_price
    }


def _value_micro(policy: Policy, asset: str, amount: int) -> int:
    """What the policy has no price for any more is beyond every limit."""
    if asset not in policy.assets:
        return _BEYOND_LIMITS_MICRO
    return policy.value_micro(asset, amount)
