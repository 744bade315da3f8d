"""The venue's own account of the drill: tables exported as CSV with commit times as evidence.

Commit times come from ``pg_xact_commit_timestamp(xmin)`` of rows that are inserted once and never
updated, so they say when a fact became true for everyone, not when some process believed it. Read
in one repeatable-read transaction: one instant. The sign log is in another database and read just
after it; what was recorded in between for nonces that came later is left out. A slot that is
admitted anew just then may show with another digest than was signed; the next export has both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from adapters.reference_venue.signed import read_signed
from seawall.errors import EvidenceError
from seawall.formats.venue_records import VenueState

_COMMITTED = "extract(epoch from pg_xact_commit_timestamp({row}.xmin))"
_AT = "extract(epoch from {column})"


def _committed(row: str) -> str:
    return _COMMITTED.format(row=row)


def _event(state: str) -> str:
    return (
        f"(select {_committed('e')} from slot_events e"
        f" where e.slot_id = s.id and e.state = '{state}')"
    )


EXPORTS: dict[str, str] = {
    "withdrawals": f"""
        select w.id, w.seq, w.customer_id, w.network, w.source_network, w.asset, w.amount,
               w.value_micro, w.size, coalesce(w.paid_to, w.destination) as destination,
               w.state, w.reason, w.slot_id,
               {_AT.format(column="w.requested_at")} as requested_at,
               {_committed("r")} as reserved_at, {_committed("p")} as resolved_at
        from withdrawals w
        left join postings r on r.withdrawal_id = w.id and r.kind = 'reserve'
        left join postings p on p.withdrawal_id = w.id and p.kind in ('post', 'void')
        order by w.seq""",
    "slots": f"""
        select s.id, s.chain_id, l.network, l.wallet, s.address, s.nonce, s.epoch, s.mode_epoch,
               s.purpose, s.state, s.signer_region,
               coalesce(s.mined_hash, s.tx_hash) as tx_hash, s.block_number,
               encode(s.digest, 'hex') as digest,
               {_event("open")} as opened_at, {_event("signed")} as signed_at,
               {_event("broadcast")} as broadcast_at, {_event("included")} as included_at,
               {_event("final")} as final_at, encode(sha256(s.data), 'hex') as payload_digest
        from slots s join lanes l on (l.chain_id, l.address) = (s.chain_id, s.address)
        order by s.id""",
    "mode_log": f"""
        select m.epoch, m.previous, m.tier, m.reason, m.trigger_name, m.indicators,
               m.sample_flow_id, {_AT.format(column="m.sampled_at")} as sampled_at,
               {_committed("m")} as committed_at
        from mode_log m order by m.epoch""",
    "lane_log": f"""
        select l.network, l.wallet, g.address, g.epoch, g.holder, g.signer_region, g.reason,
               {_AT.format(column="g.detected_at")} as detected_at,
               {_committed("g")} as committed_at
        from lane_log g join lanes l on (l.chain_id, l.address) = (g.chain_id, g.address)
        order by committed_at, g.epoch""",
    "journal": """
        select j.writer, j.n, j.kind, j.justification, j.body::text as body,
               encode(j.previous_hash, 'hex') as previous_hash, encode(j.hash, 'hex') as hash
        from journal j order by j.writer, j.n""",
    "flow": f"""
        select f.id, f.kind, f.network, f.asset, f.size, f.count, f.value_micro,
               {_AT.format(column="f.reserved_at")} as reserved_at,
               {_committed("f")} as committed_at
        from flow f order by committed_at, f.id""",
    "topups": f"""
        select t.id, t.network, t.asset, t.from_wallet, t.to_wallet, t.amount, t.state,
               t.justification, t.slot_id, {_AT.format(column="t.requested_at")} as requested_at,
               {_committed("p")} as posted_at
        from topups t left join postings p on p.topup_id = t.id
        order by t.requested_at""",
    # What approvers were asked to sign, with the slot that carries it out or has done so.
    "approvals": """
        select r.id, r.kind, r.network, r.from_wallet, r.to_wallet, r.to_address, r.asset, r.amount,
               case when c.outcome = 'done' then 'executed' when c.slot_id is not null
                    then 'slotted' else 'open' end as state, c.slot_id, r.to_class
        from approval_requests r
        left join lateral (
            select slot_id, outcome from approval_calls
            where (request_id, call) = (r.id, 'execute') and coalesce(outcome, 'done') = 'done'
            order by outcome is null, slot_id desc limit 1
        ) c on true
        order by r.at, r.id""",
    # What was to come from cold wallets. A custodian has moved it, so it has no slot here.
    "cold_transfers": """
        select c.id, c.network, c.from_wallet, c.to_wallet, c.destination as to_address, c.asset,
               c.amount, c.state, c.tx_hash, c.block_number
        from cold_transfers c order by c.requested_at, c.id""",
    "bids": """
        select b.id, b.listing_id, b.seller_id, b.bidder_id, b.network, b.asset, b.amount, b.state,
               b.mode_epoch, b.settled_epoch
        from bids b order by b.at, b.id""",
    # What the venue had instructed, and when it had read that its provider accepted it.
    "instructions": f"""
        select i.client_id, i.withdrawal_id, i.attempt, i.rail, i.side, i.asset, i.amount,
               i.destination, i.state, {_AT.format(column="i.recorded_at")} as recorded_at,
               (select {_committed("l")} from rail_lines l
                where (l.rail, l.side, l.client_id, l.state)
                    = (i.rail, i.side, i.client_id, 'accepted')
                order by l.n limit 1) as accepted_at
        from rail_instructions i order by i.id""",
    # What goes between networks. A carrier pays it on the second one, so it has no slot there.
    "rebalances": """
        select b.id, b.from_network, b.from_wallet, b.to_network as network, b.to_wallet,
               b.destination as to_address, b.asset, b.amount, b.state,
               has_left(b.id)::int as left, b.tx_hash, b.block_number
        from rebalances b order by b.requested_at, b.id""",
    "surpluses": f"""
        select s.bucket, s.network, s.wallet, s.asset, s.amount, s.block_number,
               {_committed("p")} as booked_at
        from surpluses s join postings p on p.surplus_id = s.id and p.kind = 'surplus'
        order by s.id""",
    # What operators ordered; claims and the mode controller act on a row once it is committed.
    "orders": f"""
        select o.id, o.kind, o.network, o.tier, o.operator, o.justification,
               {_committed("o")} as made_at, {_AT.format(column="o.ends_at")} as ends_at,
               {_committed("e")} as ended_at, e.operator as ended_by
        from orders o left join order_endings e on e.order_id = o.id
        order by o.id""",
    # What else customers were told, by the ids that they know; a settled bid is one as well.
    "promises": """
        select 'cancellation' as kind, w.id::text as id from withdrawals w
        where w.state = 'voided'
              or exists (select 1 from resolutions r
                         where (r.withdrawal_id, r.decision) = (w.id, 'void'))
        union all select 'swap', s.id::text from swaps s
        union all select 'listing', l.id::text from listings l
        union all select 'bid', b.id::text from bids b
        union all select case b.state when 'settled' then 'settlement' else 'refund' end, b.id::text
                  from bids b where b.state <> 'open'
        union all select 'ticket', t.id::text from tickets t
        order by kind, id""",
    "ledger": """
        select a.bucket, a.network, a.asset, a.kind, sum(e.amount) as balance
        from entries e join accounts a on a.id = e.account_id
        group by a.bucket, a.network, a.asset, a.kind
        order by a.bucket, a.network, a.asset, a.kind""",
    # By what each balance came about: opening funds, reservations, payouts, top-ups, surpluses.
    "ledger_by_posting": """
        select a.bucket, a.network, a.asset, a.kind, p.kind as posting, sum(e.amount) as amount
        from entries e
        join accounts a on a.id = e.account_id
        join postings p on p.id = e.posting_id
        group by a.bucket, a.network, a.asset, a.kind, p.kind
        order by a.bucket, a.network, a.asset, a.kind, p.kind""",
}
"""By file name: the query whose rows become ``<name>.csv``."""
SIGN_LOG = f"""
    with bounds (chain_id, address, bound) as (
        select * from unnest($4::bigint[], $5::text[], $6::bigint[])
    )
    select g.chain_id, g.address, g.nonce,
           coalesce(own.digest, encode(g.digest, 'hex')) as digest, g.region, g.signed_by,
           coalesce(own.tx_hash, g.tx_hash) as tx_hash,
           {_AT.format(column="g.requested_at")} as requested_at,
           {_AT.format(column="g.signed_at")} as signed_at
    from (
        select chain_id, address, nonce, digest, region, signed_by, tx_hash, raw, requested_at,
               signed_at
        from sign_log
        union all
        select r.chain_id, r.address, r.nonce, f.digest, r.region, r.signed_by, r.tx_hash,
               r.raw, r.requested_at, r.signed_at
        from sign_log_replacements r join sign_log f using (chain_id, address, nonce)
    ) g
    join bounds using (chain_id, address)
    left join unnest($1::bytea[], $2::text[], $3::text[]) as own (of_bytes, digest, tx_hash)
         on own.of_bytes = sha256(g.raw)
    where g.nonce < bound
    order by g.chain_id, g.address, g.nonce, g.requested_at"""
"""As :data:`EXPORTS`, of the signers' own database.

The first three arrays are the SHA-256 of all signed bytes, and beside each the digest and the hash
that follow from these bytes: what the venue stores beside the bytes is its word, and counts only
for what was recorded and never signed. The others are, by lane, the first nonce that is left out.
"""
_SIGNED = """
    select raw from sign_log where raw is not null
    union all select raw from sign_log_replacements where raw is not null"""
_LOGGED = "select chain_id, address, max(nonce) + 1 as bound from sign_log group by 1, 2"
_GIVEN_OUT = "select chain_id, address, next_nonce as bound from lanes"

_UNBALANCED = """
    select count(*) from (
        select 1 from entries e join accounts a on a.id = e.account_id
        group by e.posting_id, a.network, a.asset having sum(e.amount) <> 0) faults"""
_NEGATIVE = "select count(*) from balances where available < 0"
_MISMATCHED = """
    select count(*) from balances b
    where b.available is distinct from (
        select -coalesce(sum(e.amount), 0) from entries e where e.account_id = b.account_id)"""
_UNDER_WAY = """
    select (select count(*) from withdrawals where state in ('reserved', 'slotted', 'instructed'))
         + (select count(*) from slots where state <> 'final')
         + (select count(*) from resolutions where state in ('requested', 'slotted'))"""
_STATE = """
    select (select tier from mode) as tier,
           (select count(*) from withdrawals
            where state in ('reserved', 'slotted', 'instructed')) as open,
           (select coalesce(extract(epoch from clock_timestamp() - min(queued_at)), 0)
            from withdrawals where state in ('reserved', 'slotted', 'unknown')) as oldest_s,
           (select count(*) from postings where kind = 'post') as posted,
           (select string_agg(distinct l.signer_region, ' and ') from lanes l) as regions"""
_STATE_S_MAX = 2.0


@asynccontextmanager
async def _auditing(auditor_url: str, *, timeout_s: float) -> AsyncIterator[asyncpg.Connection]:
    """A connection as auditor. Raises :class:`EvidenceError` for whatever goes wrong on it."""
    try:
        connection = await asyncpg.connect(auditor_url, timeout=timeout_s)
        try:
            yield connection
        finally:
            await connection.close(timeout=5)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        message = f"the venue's records cannot be read: {error}"
        raise EvidenceError(message) from error


async def export_records(auditor_url: str, sign_log_url: str, *, into: Path) -> None:
    """Write ``<table>.csv`` for every export and ``ledger_faults.json`` under ``into``.

    The URLs are the auditor's, of the venue's database and of the signers' own.

    Raises :class:`EvidenceError` when the database cannot be read to the end: half an export is no
    evidence.
    """
    into.mkdir(parents=True, exist_ok=True)
    async with (
        _auditing(auditor_url, timeout_s=10) as connection,
        _auditing(sign_log_url, timeout_s=10) as sign_log,
    ):
        known = await sign_log.fetch(_LOGGED, timeout=60)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            known += await connection.fetch(_GIVEN_OUT)
            await _export_sign_log(sign_log, known, into / "sign_log.csv")
            await _export_venue(connection, into)


async def _export_sign_log(
    sign_log: asyncpg.Connection, known: Iterable[asyncpg.Record], output: Path
) -> None:
    """Write the log below the highest nonce by lane that is ``known``."""
    bounds: dict[tuple[int, str], int] = {}
    for chain_id, address, bound in known:
        bounds[chain_id, address] = max(bound, bounds.get((chain_id, address), 0))
    async with sign_log.transaction(isolation="repeatable_read", readonly=True):
        await sign_log.copy_from_query(
            SIGN_LOG,
            *await _of_bytes(sign_log),
            [chain_id for chain_id, _ in bounds],
            [address for _, address in bounds],
            list(bounds.values()),
            output=output,
            format="csv",
            header=True,
            timeout=60,
        )


async def _export_venue(connection: asyncpg.Connection, into: Path) -> None:
    for name, query in EXPORTS.items():
        await connection.copy_from_query(
            query, output=into / f"{name}.csv", format="csv", header=True, timeout=60
        )
    faults = {
        "unbalanced_postings": await connection.fetchval(_UNBALANCED),
        "negative_balances": await connection.fetchval(_NEGATIVE),
        "balance_mismatches": await connection.fetchval(_MISMATCHED),
    }
    (into / "ledger_faults.json").write_text(json.dumps(faults, indent=1) + "\n", encoding="utf-8")


async def _of_bytes(connection: asyncpg.Connection) -> tuple[list[bytes], list[str], list[str]]:
    """By SHA-256 of signed bytes: the digest and the hash of the transaction that they are.

    Raises :class:`EvidenceError` for bytes that are none.
    """
    read = {}
    async for row in connection.cursor(_SIGNED, prefetch=200, timeout=60):
        raw = bytes(row["raw"])
        read[hashlib.sha256(raw).digest()] = read_signed(raw)
    found = read.values()
    return [*read], [each.digest for each in found], [each.tx_hash for each in found]


async def under_way(auditor_url: str) -> int:
    """How many withdrawals and transactions have not reached their final state.

    Nothing new comes once the clients are gone.

    Raises :class:`EvidenceError` when the database does not answer.
    """
    async with _auditing(auditor_url, timeout_s=5) as connection:
        return int(await connection.fetchval(_UNDER_WAY, timeout=5))


async def read_state(auditor_url: str) -> VenueState | None:
    """The venue at this instant; None when the database does not answer within seconds."""
    try:
        connection = await asyncpg.connect(auditor_url, timeout=_STATE_S_MAX)
        try:
            row = await connection.fetchrow(_STATE, timeout=_STATE_S_MAX)
        finally:
            await connection.close(timeout=_STATE_S_MAX)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return None
    if row is None:
        return None
    return VenueState(
        tier=row["tier"],
        open_withdrawals=row["open"],
        oldest_s=float(row["oldest_s"]),
        posted=row["posted"],
        signing_region=row["regions"],
    )
