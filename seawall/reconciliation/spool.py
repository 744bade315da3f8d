"""Facts on disk, sorted and joined there: a venue's whole history must not need to fit in memory.

A SQLite file that lives as long as one reconciliation. Facts are kept as JSON beside the columns
that they are joined by, because amounts and numbers may be longer than its integers.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from itertools import chain, groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import Any

from seawall.errors import EvidenceError
from seawall.reconciliation.facts import (
    Approval,
    ColdTransfer,
    Execution,
    Failure,
    Payment,
    Rebalance,
    Signature,
    Slot,
    TopUp,
    Withdrawal,
)
from seawall.reconciliation.payouts import Case, Recorded, Seen

_SCHEMA = """
    create table withdrawals (key text, number text, network text, state text, slot_id integer,
                              fact text);
    create table slots (id integer, network text, address text, nonce integer, state text,
                        tx_hash text, fact text);
    create table signatures (network text, address text, nonce integer, tx_hash text, fact text);
    create table payments (key text, paying integer, network text, sender text, nonce integer,
                           block integer, fact text);
    create table failures (key text, network text, fact text);
    create table top_ups (slot_id integer, state text, fact text);
    create table cold_transfers (key text, network text, state text, fact text);
    create table rebalances (key text, network text, state text, fact text);
    create table approvals (id text, network text, state text, slot_id integer, fact text);
    create table executions (id text, network text, sender text, nonce integer, fact text);
"""
_INDEXES = """
    create index withdrawals_by_key on withdrawals (key);
    create index withdrawals_by_number on withdrawals (number);
    create index slots_by_id on slots (id);
    create index slots_by_nonce on slots (network, address, nonce);
    create index signatures_by_nonce on signatures (network, address, nonce);
    create index payments_by_key on payments (paying, key, block);
    create index payments_by_nonce on payments (network, sender, nonce);
    create index failures_by_key on failures (key);
    create index top_ups_by_slot on top_ups (slot_id);
    create index cold_transfers_by_key on cold_transfers (key);
    create index rebalances_by_key on rebalances (key);
    create index approvals_by_id on approvals (id);
    create index executions_by_id on executions (id);
"""
_SLOT_OF_NONCE = """(select s.fact from slots s where (s.network, s.address, s.nonce)
                     = ({of}.network, {of}.{address}, {of}.nonce) limit 1)"""
_RECORDED = """
    select w.key, w.fact, s.fact,
           (select g.fact from signatures g
            where (g.network, g.address, g.nonce) = (s.network, s.address, s.nonce) limit 1)
    from withdrawals w
    left join slots s on s.rowid = (select min(x.rowid) from slots x where x.id = w.slot_id)
    order by w.key"""
_SEEN = f"""
    select p.key, p.fact, {_SLOT_OF_NONCE.format(of="p", address="sender")}
    from payments p where p.paying = 1 order by p.key, p.block"""
_FAILURES = "select key, fact from failures order by key"
_UNPAID = """
    select count(*) from withdrawals w
    where (w.network, w.state) = (?, 'posted') and not exists (
        select 1 from payments p where p.paying = 1 and p.key = w.key)"""
_UNMOVED = """
    select count(*) from top_ups t join slots s on s.id = t.slot_id
    where s.network = ? and t.state = 'posted' and not exists (
        select 1 from payments p
        where (p.network, p.sender, p.nonce) = (s.network, s.address, s.nonce))"""
_SIGNATURES = f"""
    select g.network, g.fact, {_SLOT_OF_NONCE.format(of="g", address="address")}
    from signatures g order by g.network, g.address, g.nonce"""
# What was recorded and never signed explains no transaction, nor does the signature of another one.
_UNLOGGED = """
    select s.fact from slots s where s.state <> 'open' and not exists (
        select 1 from signatures g
        where (g.network, g.address, g.nonce) = (s.network, s.address, s.nonce)
          and g.tx_hash = coalesce(s.tx_hash, g.tx_hash))
    order by s.network, s.address, s.nonce"""
_SLOTS_TWICE = """
    select network, address, nonce, count(*) from slots
    group by network, address, nonce having count(*) > 1 order by network, address, nonce"""
# A transaction with higher fees is signed for a nonce that has one already, with the same digest.
_SIGNED_TWICE = """
    select network, address, nonce, count(*) from signatures where tx_hash is not null
    group by network, address, nonce, tx_hash having count(*) > 1
    order by network, address, nonce"""
_NUMBERS_TWICE = """
    select fact from withdrawals where number in (
        select number from withdrawals where number is not null
        group by number having count(*) > 1)
    order by number, rowid"""
_LANE = """
    select (select min(nonce) from slots where (network, address) = (?1, ?2)),
           (select count(distinct nonce) from slots
            where (network, address) = (?1, ?2) and nonce < ?3)"""
_TOP_UPS = """
    select t.fact, (select s.fact from slots s where s.id = t.slot_id limit 1)
    from top_ups t order by t.rowid"""
_MOVEMENTS = """
    select fact from payments
    where paying = 0 and (network, sender, nonce) = (?, ?, ?) order by rowid"""
# A hot wallet's contract pays its reserve as it pays anybody: what is on record says which it was.
_SWEPT = """
    update payments set paying = 0 where paying = 1 and exists (
        select 1 from slots s join top_ups t on t.slot_id = s.id
        where (s.network, s.address, s.nonce)
            = (payments.network, payments.sender, payments.nonce))"""
# What a custodian moves is known by the id in its event: its nonces are its own.
_UNARRIVED = """
    select count(*) from cold_transfers c where (c.network, c.state) = (?, 'arrived')
    and not exists (select 1 from payments p where p.paying = 0 and p.key = c.key)"""
_UNCARRIED = _UNARRIVED.replace("cold_transfers", "rebalances")
_REBALANCES = "select key, fact from rebalances order by rowid"
_IS_REBALANCE = "select exists (select 1 from rebalances where key = ?)"
_COLD = "select key, fact from cold_transfers order by rowid"
_FROM_COLD = "select fact from payments where paying = 0 and key = ? order by rowid"
_UNASKED = """
    select p.fact from payments p where p.paying = 0 and not exists (
        select 1 from slots s join top_ups t on t.slot_id = s.id
        where (s.network, s.address, s.nonce) = (p.network, p.sender, p.nonce))
    and not exists (select 1 from cold_transfers c where c.key = p.key)
    and not exists (select 1 from rebalances b where b.key = p.key)
    order by p.rowid"""
_UNEXECUTED = """
    select count(*) from approvals a where (a.network, a.state) = (?, 'executed')
    and not exists (select 1 from executions e where e.id = a.id)"""
_APPROVALS = """
    select a.fact, (select s.fact from slots s where s.id = a.slot_id limit 1)
    from approvals a order by a.rowid"""
_EXECUTIONS = f"""
    select e.fact, {_SLOT_OF_NONCE.format(of="e", address="sender")} from executions e
    where e.id = ? order by e.rowid"""
_UNAPPROVED = f"""
    select e.fact, {_SLOT_OF_NONCE.format(of="e", address="sender")} from executions e
    where not exists (select 1 from approvals a where a.id = e.id) order by e.rowid"""
_CHUNK = 5_000
_CACHE_KIB = 32_768
_NAMES: dict[type, tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind))
    for kind in (
        Withdrawal,
        Slot,
        Signature,
        Payment,
        Failure,
        TopUp,
        ColdTransfer,
        Rebalance,
        Approval,
        Execution,
    )
}


class Spool:
    """Facts of one reconciliation, in the new file ``path``."""

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path, isolation_level=None)
        # It is thrown away afterwards, so it need not survive anything.
        for pragma in ("journal_mode = memory", "synchronous = off", f"cache_size = -{_CACHE_KIB}"):
            self._file.execute(f"pragma {pragma}")
        self._file.executescript(_SCHEMA)
        self._by_id: frozenset[str] = frozenset()
        self._by_number: frozenset[str] = frozenset()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def pair(self, *, by_id: Iterable[str], by_number: Iterable[str]) -> None:
        """Say on which networks payments carry the venue's ids, and on which its numbers alone.

        On the others they are recognised by destination and amount. Before any fact is added.
        """
        self._by_id, self._by_number = frozenset(by_id), frozenset(by_number)

    # --- adding facts
    def withdrawals(self, facts: Iterable[Withdrawal]) -> None:
        """Add what the venue has on record."""
        self._insert(
            "withdrawals",
            facts,
            lambda each: (
                self._key(
                    each.network, each.id, each.seq, (each.asset, each.destination, each.amount)
                ),
                str(each.seq) if each.network in self._by_id | self._by_number else None,
                each.network,
                each.state,
                each.slot_id,
            ),
        )

    def slots(self, facts: Iterable[Slot]) -> None:
        """Add nonces on record."""
        self._insert(
            "slots",
            facts,
            lambda each: (
                each.id,
                each.network,
                each.address,
                each.nonce,
                each.state,
                _lower(each.tx_hash),
            ),
        )

    def signatures(self, facts: Iterable[Signature], *, network_of: dict[int, str]) -> None:
        """Add the signer's log; ``network_of`` is by chain id."""
        self._insert(
            "signatures",
            facts,
            lambda each: (
                network_of.get(each.chain_id, f"chain {each.chain_id}"),
                each.address,
                each.nonce,
                _lower(each.tx_hash),
            ),
        )

    def payments(self, facts: Iterable[Payment], *, paying: Callable[[Payment], bool]) -> None:
        """Add payments that were seen.

        Those of which ``paying`` says no moved money between wallets.
        """
        self._insert(
            "payments",
            facts,
            lambda each: (
                self._key(
                    each.network, each.withdrawal, each.seq, (each.asset, each.to, each.amount)
                ),
                int(paying(each)),
                each.network,
                each.sender,
                each.nonce,
                each.block_number,
            ),
        )

    def failures(self, facts: Iterable[Failure]) -> None:
        """Add payments that contracts could not make."""
        self._insert(
            "failures",
            facts,
            lambda each: (self._key(each.network, each.withdrawal, each.seq, ()), each.network),
        )

    def top_ups(self, facts: Iterable[TopUp]) -> None:
        """Add refills on record."""
        self._insert("top_ups", facts, lambda each: (each.slot_id, each.state))

    def cold_transfers(self, facts: Iterable[ColdTransfer]) -> None:
        """Add what was to come from cold wallets."""
        self._insert(
            "cold_transfers",
            facts,
            lambda each: (f"id/{each.id.lower()}", each.network, each.state),
        )

    def rebalances(self, facts: Iterable[Rebalance]) -> None:
        """Add what goes between networks."""
        self._insert(
            "rebalances", facts, lambda each: (f"id/{each.id.lower()}", each.network, each.state)
        )

    def is_rebalance(self, identity: str) -> bool:
        """Whether something on record goes between networks under ``identity``."""
        row = self._file.execute(_IS_REBALANCE, (f"id/{identity.lower()}",)).fetchone()
        return bool(row[0])

    def approvals(self, facts: Iterable[Approval]) -> None:
        """Add what approvers were asked to sign."""
        self._insert(
            "approvals", facts, lambda each: (each.id, each.network, each.state, each.slot_id)
        )

    def executions(self, facts: Iterable[Execution]) -> None:
        """Add what reserves were seen doing because approvers had signed it."""
        self._insert(
            "executions", facts, lambda each: (each.approval, each.network, each.sender, each.nonce)
        )

    def forget(self, network: str) -> None:
        """Drop what was seen of a network that could not be read to the end."""
        for table in ("payments", "failures", "executions"):
            self._file.execute(f"delete from {table} where network = ?", (network,))

    def index(self) -> None:
        """Make it fast to read; facts may still be added."""
        self._file.executescript(_INDEXES)

    def tell_sweeps(self) -> None:
        """Take what hot wallets paid by slots of sweeps for movements between wallets."""
        self._file.execute(_SWEPT)

    # --- reading them
    def unseen(self, network: str) -> int:
        """How much is posted on ``network`` without what moved it."""
        return sum(
            int(self._file.execute(query, (network,)).fetchone()[0])
            for query in (_UNPAID, _UNMOVED, _UNARRIVED, _UNCARRIED, _UNEXECUTED)
        )

    def cases(self) -> Iterator[Case]:
        """Withdrawals, payments and failures that belong together, one after another."""
        streams = (
            (
                (
                    key,
                    Recorded(
                        withdrawal=_fact(Withdrawal, withdrawal),
                        slot=_optional(Slot, slot),
                        signature=_optional(Signature, signature),
                    ),
                )
                for key, withdrawal, slot, signature in self._file.execute(_RECORDED)
            ),
            (
                (key, Seen(payment=_fact(Payment, payment), slot=_optional(Slot, slot)))
                for key, payment, slot in self._file.execute(_SEEN)
            ),
            ((key, _fact(Failure, failure)) for key, failure in self._file.execute(_FAILURES)),
        )
        merged = heapq.merge(*streams, key=lambda each: each[0])
        for _, group in groupby(merged, key=lambda each: each[0]):
            recorded: list[Recorded] = []
            seen: list[Seen] = []
            failures: list[Failure] = []
            for _, each in group:
                if isinstance(each, Recorded):
                    recorded.append(each)
                elif isinstance(each, Seen):
                    seen.append(each)
                else:
                    failures.append(each)
            yield Case(recorded=recorded, seen=seen, failures=failures)

    def all_signatures(self) -> Iterator[tuple[str, Signature, Slot | None]]:
        """Every row of the signer's log with its network and the slot of its nonce."""
        for network, signature, slot in self._file.execute(_SIGNATURES):
            yield network, _fact(Signature, signature), _optional(Slot, slot)

    def unlogged(self) -> Iterator[Slot]:
        """Slots that are signed, and their transaction is not in the signer's log as signed."""
        return (_fact(Slot, slot) for (slot,) in self._file.execute(_UNLOGGED))

    def slots_twice(self) -> Iterator[tuple[str, str, int, int]]:
        """Network, address, nonce and count of nonces that are of several slots."""
        yield from self._file.execute(_SLOTS_TWICE)

    def signed_twice(self) -> Iterator[tuple[str, str, int, int]]:
        """The same of nonces for which one transaction is in the signer's log several times."""
        yield from self._file.execute(_SIGNED_TWICE)

    def numbers_twice(self) -> Iterator[Withdrawal]:
        """Withdrawals that share their number with others."""
        return (_fact(Withdrawal, each) for (each,) in self._file.execute(_NUMBERS_TWICE))

    def lane(self, network: str, address: str, sent: int) -> tuple[int | None, int]:
        """The lowest nonce of a key on record, and how many from there to below ``sent``."""
        first, recorded = self._file.execute(_LANE, (network, address, sent)).fetchone()
        return first, int(recorded)

    def all_approvals(
        self,
    ) -> Iterator[tuple[Approval, Slot | None, list[tuple[Execution, Slot | None]]]]:
        """Every approval with its slot, and with what was done under its id."""
        for fact, slot in self._file.execute(_APPROVALS):
            approval: Approval = _fact(Approval, fact)
            yield approval, _optional(Slot, slot), self._executions(_EXECUTIONS, approval.id)

    def unapproved(self) -> list[tuple[Execution, Slot | None]]:
        """What was done under an id that is on no record, with the slot of its nonce."""
        return self._executions(_UNAPPROVED)

    def _executions(self, query: str, *values: str) -> list[tuple[Execution, Slot | None]]:
        rows = self._file.execute(query, values)
        return [(_fact(Execution, fact), _optional(Slot, slot)) for fact, slot in rows]

    def all_top_ups(self) -> Iterator[tuple[TopUp, Slot | None, list[Payment]]]:
        """Every top-up with its slot, and with what that slot's transaction moved."""
        for fact, slot_fact in self._file.execute(_TOP_UPS):
            slot = _optional(Slot, slot_fact)
            moved = (
                []
                if slot is None
                else self._file.execute(_MOVEMENTS, (slot.network, slot.address, slot.nonce))
            )
            yield _fact(TopUp, fact), slot, [_fact(Payment, each) for (each,) in moved]

    def all_cold_transfers(self) -> Iterator[tuple[ColdTransfer, list[Payment]]]:
        """Every cold transfer with what was moved under its id."""
        for key, fact in self._file.execute(_COLD).fetchall():
            moved = self._file.execute(_FROM_COLD, (key,))
            yield _fact(ColdTransfer, fact), [_fact(Payment, each) for (each,) in moved]

    def all_rebalances(self) -> Iterator[tuple[Rebalance, list[Payment]]]:
        """Everything that goes between networks, with what the carrier has paid under its id."""
        for key, fact in self._file.execute(_REBALANCES).fetchall():
            paid = self._file.execute(_FROM_COLD, (key,))
            yield _fact(Rebalance, fact), [_fact(Payment, each) for (each,) in paid]

    def unasked(self) -> Iterator[Payment]:
        """Movements between wallets, or out of them, for which there is no top-up."""
        return (_fact(Payment, each) for (each,) in self._file.execute(_UNASKED))

    def _key(
        self, network: str, identity: str | None, seq: int | None, alike: tuple[Any, ...]
    ) -> str:
        """What payments and withdrawals that belong together have in common.

        An id and a number count on all networks: they must be paid on one of them alone.
        """
        if network in self._by_id:
            return f"id/{str(identity).lower()}"
        if network in self._by_number:
            return f"{seq:078d}"
        return "/".join(map(str, (network, *alike)))

    def _insert(
        self, table: str, facts: Iterable[Any], columns: Callable[[Any], tuple[Any, ...]]
    ) -> None:
        each_fact = iter(facts)
        one = next(each_fact, None)
        if one is None:
            return
        values = attrgetter(*_NAMES[type(one)])  # several times faster than `asdict`
        rows = ((*columns(each), json.dumps(values(each))) for each in chain([one], each_fact))
        try:
            with self._transaction():
                while chunk := list(islice(rows, _CHUNK)):
                    marks = ", ".join("?" * len(chunk[0]))
                    self._file.executemany(f"insert into {table} values ({marks})", chunk)
        except (sqlite3.Error, OverflowError, TypeError, ValueError) as error:
            raise EvidenceError(f"{table} cannot be kept for reading: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of a kind of facts, or none: half of one would explain the other half wrongly."""
        self._file.execute("begin")
        try:
            yield
        except BaseException:
            self._file.execute("rollback")
            raise
        self._file.execute("commit")


def _lower(tx_hash: str | None) -> str | None:
    return None if tx_hash is None else tx_hash.lower()


def _fact(kind: type[Any], text: str) -> Any:
    return kind(**dict(zip(_NAMES[kind], json.loads(text), strict=True)))


def _optional(kind: type[Any], text: str | None) -> Any:
    return None if text is None else _fact(kind, text)
