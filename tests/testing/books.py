"""What must hold of a venue's books in its database at any moment, and what is in its tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable
from uuid import UUID

from seawall.invariants import Bid, Books, Posting, Withdrawal, violations
from venue.database import Connection

_FAULTS = {
    "a balance is not what its entries say": """
        select b.account_id, b.available, -coalesce(sum(e.amount), 0)
        from balances b left join entries e on e.account_id = b.account_id
        group by 1, 2 having b.available <> -coalesce(sum(e.amount), 0)""",
    "a customer owes the venue": """
        select a.id, sum(e.amount) from entries e join accounts a on a.id = e.account_id
        where a.kind = 'customer' group by 1 having sum(e.amount) > 0""",
    "what is reserved is not what is open": """
        select network, asset, sum(amount) from (
            select w.network, w.asset, w.amount from withdrawals w
            where w.state in ('reserved', 'slotted', 'instructed', 'unknown')
            union all
            select a.network, a.asset, e.amount
            from entries e join accounts a on a.id = e.account_id where a.kind = 'reserved')
            both_sides
        group by 1, 2 having sum(amount) <> 0""",
    "a withdrawal is not reserved once, or not resolved as its state says": """
        select w.id, w.state, array_agg(p.kind order by p.id)
        from withdrawals w left join postings p on p.withdrawal_id = w.id group by 1, 2
        having array_agg(p.kind order by p.id) <> case w.state
            when 'posted' then array['reserve', 'post'] when 'voided' then array['reserve', 'void']
            else array['reserve'] end""",
    "a swap is not booked once": """
        select s.id, count(p.id) from swaps s left join postings p on p.swap_id = s.id
        group by 1 having count(p.id) <> 1""",
}
"""By what is wrong, a query for the rows that show it; about what only a ledger of accounts has."""
_WITHDRAWALS = "select id, state, asset, amount, destination from withdrawals"
_AVAILABLE = """
    select 'balance of ' || account_id as what, available from balances
    union all select wallet || ' ' || asset, available from floats"""
_POSTINGS = """
    select p.id, p.kind, coalesce(p.withdrawal_id, p.topup_id, p.swap_id, p.bid_id) as event,
           a.network, a.asset, sum(e.amount) as amount
    from postings p join entries e on e.posting_id = p.id join accounts a on a.id = e.account_id
    group by 1, 2, 3, 4, 5"""
_BIDS = "select id, network, asset, amount, state from bids"
_ESCROW = """
    select a.network, a.asset, -sum(e.amount) as owed
    from entries e join accounts a on a.id = e.account_id where a.kind = 'escrow' group by 1, 2"""
_WITHOUT_CHAIN = {"I1", "I2", "I8", "I11", "I14"}
"""The invariants that can be told of a database alone."""
_TABLES = """
    select tablename from pg_tables where schemaname = 'public'
    and tablename <> 'mode_controller_lease'  -- the heartbeat goes on
    order by 1"""


async def faults(owner: Connection, acknowledged: Collection[UUID] = ()) -> list[str]:
    """What is wrong with the books, each with the first rows that show it.

    ``acknowledged`` are ids of withdrawals that must be on record.
    """
    found = [
        str(violation)
        for violation in violations(await _books(owner, acknowledged))
        if violation.invariant in _WITHOUT_CHAIN
    ]
    for fault, query in _FAULTS.items():
        rows = await owner.fetch(query)
        if rows:
            found.append(f"{fault}: {[tuple(row) for row in rows[:3]]}")
    return found


async def withdrawals(owner: Connection) -> dict[Hashable, Withdrawal]:
    """All that are on record, by id."""
    return {
        row["id"]: Withdrawal(
            state=row["state"],
            asset=row["asset"],
            amount=row["amount"],
            destinations=frozenset({row["destination"]}),
        )
        for row in await owner.fetch(_WITHDRAWALS)
    }


async def postings(owner: Connection) -> list[Posting]:
    """All events of the ledger, with their entries."""
    amounts: dict[tuple[int, str, object], list[tuple[str, str, int]]] = defaultdict(list)
    for row in await owner.fetch(_POSTINGS):
        event = (row["id"], row["kind"], row["event"] or row["id"])
        amounts[event].append((row["network"], row["asset"], row["amount"]))
    return [
        Posting(kind=kind, of=event, amounts=tuple(entries))
        for (_, kind, event), entries in amounts.items()
    ]


async def _books(owner: Connection, acknowledged: Collection[UUID]) -> Books:
    return Books(
        withdrawals=await withdrawals(owner),
        postings=await postings(owner),
        available={row["what"]: row["available"] for row in await owner.fetch(_AVAILABLE)},
        escrow={
            (row["network"], row["asset"]): int(row["owed"]) for row in await owner.fetch(_ESCROW)
        },
        bids={
            row["id"]: Bid(
                network=row["network"],
                asset=row["asset"],
                amount=int(row["amount"]),
                state=row["state"],
            )
            for row in await owner.fetch(_BIDS)
        },
        acknowledged=acknowledged,
    )


async def contents(owner: Connection) -> dict[str, str]:
    """A digest of all rows of each table but the heartbeat's."""
    tables = [row["tablename"] for row in await owner.fetch(_TABLES)]
    digest = "md5(coalesce(string_agg(t::text, ' ' order by t::text), ''))"
    return {
        table: await owner.fetchval(f"select count(*) || ' rows ' || {digest} from {table} t")
        for table in tables
    }
