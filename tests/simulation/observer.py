"""What the simulation sees of a run: edges that were taken, and the books for the invariants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import UUID

from seawall.invariants import (
    OPEN_STATES,
    Books,
    Claim,
    Execution,
    Payment,
    UsedNonce,
    Violation,
    Withdrawal,
    violations,
)
from tests.simulation.chain import Block, Chain
from tests.simulation.chain import Transaction as Sent
from tests.simulation.made import Made, Postings
from tests.simulation.setting import HOUSE, HOUSE_ADDRESS, Setting
from tests.simulation.sql.approving import standing
from tests.simulation.store import Database, Stored, Transaction
from tests.simulation.trace import Trace
from venue.chain.transaction import Intent

if TYPE_CHECKING:
    from tests.simulation.rails import Rails

Changes = Mapping[str, Mapping[Any, tuple[Stored | None, Stored | None]]]
_WITH_STATES = {
    "withdrawals": "withdrawal",
    "slots": "slot",
    "resolutions": "resolution",
    "topups": "top-up",
    "rail_instructions": "instruction",
}


def _used(_key: Hashable, row: Stored) -> UsedNonce:
    return UsedNonce(
        lane=row["address"],
        nonce=row["nonce"],
        state=row["state"],
        digest=row["digest"],
        tx_hash=row["tx_hash"],
    )


def steps(
    table: str, old: Stored | None, written: Sequence[Stored | None]
) -> list[tuple[str, str]]:
    """The edges that a row took in a transaction, by the versions that were ``written`` of it.

    One transaction may take several, and none that was not written: what several lines of a
    statement move at once passes each state, or the code has left one out.
    """
    way = ["none" if old is None else old["state"]]
    for row in written:
        state = "none" if row is None else row["state"]
        if state != way[-1]:
            way.append(state)
    if len(way) == 1 and table == "slots" and old is not None:
        way *= 2  # something else of it has changed
    return [*pairwise(way)]


@dataclass(kw_only=True)
class Observer:
    """Watches one run; ``found`` are the violations so far, each once."""

    setting: Setting
    trace: Trace
    found: dict[str, Violation] = field(default_factory=dict)
    acknowledged: list[Hashable] = field(default_factory=list)
    paid_to: dict[Hashable, set[str]] = field(default_factory=lambda: defaultdict(set))
    rails: Rails | None = None
    database: Database = field(init=False)
    sign_log: Database = field(init=False)
    chain: Chain = field(init=False)
    _claims: list[Claim] = field(default_factory=list)
    _below_floor: list[str] = field(default_factory=list)
    _sent: dict[tuple[str, int, bytes, str, bool], None] = field(default_factory=dict)
    _modes: list[tuple[float, int]] = field(default_factory=list)
    _withdrawals: Made[Withdrawal] = field(init=False)
    _nonces: Made[UsedNonce] = field(default_factory=lambda: Made(make=_used))
    _postings: Postings = field(default_factory=Postings)

    def __post_init__(self) -> None:
        self._withdrawals = Made(make=self._withdrawal)

    def _withdrawal(self, key: Hashable, row: Stored) -> Withdrawal:
        # `committed` adds to `paid_to` only what a new version of the row says.
        return Withdrawal(
            state=row["state"],
            asset=row["asset"],
            amount=row["amount"],
            destinations=frozenset(self.paid_to[key]),
        )

    @cached_property
    def _own(self) -> frozenset[str]:
        """The contracts that are the venue's."""
        it = self.setting
        return frozenset(it.contract(wallet) for wallet in (it.hot, it.reserve))

    @cached_property
    def _assets(self) -> dict[str, str]:
        """By token."""
        return {token: asset for asset, token in self.setting.tokens.items()}

    def committed(self, tx: Transaction, changes: Changes) -> None:
        """A transaction has committed: note what moved, and what it was allowed by."""
        written: dict[tuple[str, Any], list[Stored | None]] = defaultdict(list)
        for table, key, row in tx.written:
            if table in _WITH_STATES:
                written[table, key].append(row)
        for table, rows in changes.items():
            name = _WITH_STATES.get(table)
            if name is None:
                continue
            for key, (old, _) in rows.items():
                for before, after in steps(table, old, written[table, key]):
                    self.trace.reach(f"{name}: {before} -> {after}")
                    self.trace.note(key)
        for key, (_, new) in changes.get("approval_calls", {}).items():
            assert new is not None
            self.trace.reach(f"approval: {new['call']} {new['outcome'] or 'under way'}")
            self.trace.note(key)
        for _, new in changes.get("mode", {}).values():
            assert new is not None
            self._modes.append((self.database.clock(), new["epoch"]))
        for key, (_, new) in changes.get("asset_pauses", {}).items():
            self.trace.reach(f"asset {'moves again' if new is None else 'rests'}")
            self.trace.note(key)
        for key, (_, new) in changes.get("withdrawals", {}).items():
            assert new is not None
            self.paid_to[key] |= {new["destination"], new["paid_to"] or new["destination"]}
        self._claimed(tx, changes)
        self._offered(tx, changes)
        if self.rails is not None:
            self._instructed(changes)

    def _instructed(self, changes: Changes) -> None:
        """Something was claimed over a rail, or a rail has moved, or was opened."""
        assert self.rails is not None
        if any(old is None for old, _ in changes.get("withdrawals", {}).values()):
            self.rails.keep()
        for _, new in changes.get("rail_log", {}).values():
            assert new is not None
            self.trace.reach(f"rail: moved to {new['side']}")
        for key, (_, new) in changes.get("rail_providers", {}).items():
            assert new is not None
            self.trace.reach("rail: opened")
            self.trace.note(key)
        told = {new["client_id"] for _, new in changes.get("rail_lines", {}).values() if new}
        for old, new in changes.get("rail_instructions", {}).values():
            if old is not None or new is None or new["client_id"] in told:
                continue  # what a lost ledger had claimed is adopted
            epoch = self.database.tables["mode"]["only"]["epoch"]
            self._claims.append(
                Claim(
                    what=f"{new['client_id']} was claimed",
                    epochs=(new["mode_epoch"], 0),
                    in_force=(epoch, 0),
                )
            )

    def _claimed(self, tx: Transaction, changes: Changes) -> None:
        mode = self.database.tables["mode"]["only"]
        for number, (old, new) in changes.get("slots", {}).items():
            if old is not None or new is None:
                continue
            lane = self.database.tables["lanes"][new["chain_id"], new["address"]]
            own = tx.life is None or str(lane["holder"]).startswith(tx.life.process)
            self._claims.append(
                Claim(
                    what=f"slot {number} was claimed while {lane['holder']} held its lane",
                    epochs=(new["mode_epoch"], new["epoch"]),
                    in_force=(mode["epoch"], lane["epoch"] if own else -1),
                )
            )
            if mode["tier"] == "protected" or new["purpose"] not in ("payout", "sweep"):
                continue
            for (wallet, asset), (_, left) in changes.get("floats", {}).items():
                holding = self.setting.policy.wallets[wallet].holdings[asset]
                floor = holding.maximum if new["purpose"] == "sweep" else holding.minimum
                if left is not None and left["available"] < self.setting.policy.base_units(
                    asset, floor
                ):
                    self._below_floor.append(f"slot {number} left {left['available']} {asset}")

    def _offered(self, tx: Transaction, changes: Changes) -> None:
        """A slot may be signed: the mode may have flipped meanwhile (decision 0029)."""
        for old, new in changes.get("slots", {}).values():
            if old is None or new is None or old["offered_epoch"] == new["offered_epoch"]:
                continue
            since = max((epoch for at, epoch in self._modes if at <= tx.began_s), default=0)
            admitted = new["admitted_epoch"]
            lane = self.database.tables["lanes"][new["chain_id"], new["address"]]
            self._claims.append(
                Claim(
                    what=f"nonce {new['nonce']} of {new['address']} was offered to be signed",
                    epochs=(admitted, new["offered_epoch"]),
                    in_force=(max(admitted, since), lane["epoch"]),
                )
            )

    def offered(self, tx: Sent) -> None:
        """A node was given bytes: they must be on record by now."""
        on_record = any(
            row["raw"] == tx.raw
            for table in ("slots", "replacements")
            for row in self.database.tables[table].values()
        )
        intent = Intent(
            chain_id=self.setting.chain_id,
            sender=tx.sender,
            nonce=tx.nonce,
            to=tx.to,
            value=0,
            data=tx.data,
        )
        self._sent[tx.sender, tx.nonce, intent.digest, tx.hash, on_record] = None
        self.trace.note("offered", tx.hash)

    def ended(self, name: str, error: BaseException) -> None:
        """A process ended by an error that nothing from outside explains."""
        what = f"{name} ended by {type(error).__name__}: {error}"
        self._note(Violation(invariant="own error", seen=what))

    def look(self, *, late: list[str] | None = None, settled: bool = False) -> None:
        """Check all invariants now."""
        for each in violations(self.books(late=late or [], settled=settled)):
            self._note(each)

    def _note(self, violation: Violation) -> None:
        if str(violation) not in self.found:
            self.found[str(violation)] = violation
            self.trace.note("VIOLATION", violation)

    def books(self, *, late: list[str], settled: bool) -> Books:
        """The books of this moment."""
        tables, chain = self.database.tables, self.chain
        final = chain.tip.number - 3
        own, assets = self._own, self._assets
        available: dict[Hashable, int] = {
            key: row["available"]
            for table in ("floats", "balances")
            for key, row in tables[table].items()
        }
        return Books(
            withdrawals=self._withdrawals.of(tables["withdrawals"]),
            postings=self._postings.of(tables),
            available=available,
            nonces=list(self._nonces.of(tables["slots"]).values()),
            next_nonces={key[1]: row["next_nonce"] for key, row in tables["lanes"].items()},
            signed={
                (key[1], key[2]): (row["digest"], row["tx_hash"])
                for key, row in self.sign_log.tables["sign_log"].items()
            },
            sent=tuple(self._sent),
            payments=[
                Payment(
                    destination=item.to,
                    asset=assets[item.token],
                    amount=item.amount,
                    final=block.number <= final,
                )
                for block, _, item in chain.tip.paid_so_far
                if item.to not in own
            ]
            + ([] if self.rails is None else [*self.rails.payments()]),
            moved=self._moved(chain.tip),
            executions=self._executions(final),
            approved={
                key: (row["to_address"], row["asset"], row["amount"])
                for key, row in tables["approval_requests"].items()
            },
            transferred={
                row["request_id"]
                for row in tables["postings"].values()
                if row["kind"] == "transfer"
            },
            claims=self._claims,
            below_floor=self._below_floor,
            floats=self._floats(chain.tip) if settled else {},
            statements={} if self.rails is None else self.rails.statements(),
            acknowledged=self.acknowledged,
            late=late,
            settled=settled,
        )

    def _moved(self, tip: Block) -> dict[str, tuple[int, int]]:
        """Top-ups and sweeps by asset: how many moved, and how many there are on record."""
        moved = [item.token for _, _, item in tip.paid_so_far if item.to in self._own]
        asked = [row["asset"] for row in self.database.tables["topups"].values()]
        return {
            asset: (moved.count(token), asked.count(asset))
            for asset, token in self.setting.tokens.items()
        }

    def _executions(self, final: int) -> list[Execution]:
        """What was carried out because approvers had signed it, on the canonical chain."""
        rules = self.chain.contracts[self.setting.contract(self.setting.reserve)].approving
        found = []
        for block, each in self.chain.tip.executed_so_far:
            assert rules is not None
            lane = rules.lanes[each.lane]
            found.append(
                Execution(
                    approval=UUID(int=each.approval),
                    to=each.to,
                    asset=self._assets[each.token],
                    amount=each.amount,
                    at_s=each.at_s,
                    may_from_s=each.may_from_s,
                    window=(each.lane, each.at_s // lane.window_s),
                    cap=lane.caps[each.token],
                    final=block.number <= final,
                )
            )
        return found

    def _floats(self, tip: Block) -> dict[Hashable, tuple[int, int]]:
        """What wallets hold by ledger and by the float of the hot one, and on the chain."""
        tables, it = self.database.tables, self.setting
        booked: dict[tuple[str, str, str], int] = defaultdict(int)
        for row in tables["entries"].values():
            bucket, _, asset, kind, _ = row["account"]
            booked[bucket, kind, asset] += row["amount"]
        house = it.policy.wallets[HOUSE].bucket
        found: dict[Hashable, tuple[int, int]] = {}
        for asset, token in it.tokens.items():
            for wallet, bucket, kind, address in (
                (it.hot, it.bucket, "hot", it.contract(it.hot)),
                (it.reserve, it.bucket, "reserve", it.contract(it.reserve)),
                (HOUSE, house, "hot", HOUSE_ADDRESS),
            ):
                true = tip.state.held.get((token, address), 0)
                found[f"the ledger's {wallet} in {asset}"] = (booked[bucket, kind, asset], true)
                if wallet == it.hot:
                    said = tables["floats"][wallet, asset]["available"]
                    found[f"the float of {wallet} in {asset}"] = (said, true)
        return found if self.rails is None else found | dict(self.rails.funds())

    def open(self) -> list[str]:
        """What is not in a final state yet, as sentences."""
        tables = self.database.tables
        found = [
            f"withdrawal {key} is {row['state']} ({row['reason']})"
            for key, row in tables["withdrawals"].items()
            if row["state"] in OPEN_STATES
        ]
        found += [
            f"top-up {key} is {row['state']}"
            for key, row in tables["topups"].items()
            if row["state"] not in ("posted", "taken_back")
        ]
        found += [
            f"refill {key} is {row['state']}"
            for key, row in tables["gas_refills"].items()
            if row["state"] != "done"
        ]
        found += [
            f"slot {key} (nonce {row['nonce']}, {row['purpose']}) is {row['state']}"
            for key, row in tables["slots"].items()
            if row["state"] != "final"
        ]
        found += [
            f"approval {key} is to be handed in: {call}"
            for key, row in tables["approval_requests"].items()
            if (call := self._still_due(row)) is not None
        ]
        return found if self.rails is None else found + self.rails.open()

    def _still_due(self, request: Stored) -> str | None:
        """What is due of an approval now, or will be after its delay."""
        tables, now_s = self.database.tables, self.database.clock()
        at = standing(
            request,
            tables["approval_signatures"].values(),
            tables["approval_calls"].values(),
            approved=True,
        )
        waits = request["expires"] > now_s and "execute" not in at.done and not at.vetoed
        return at.due(request, now_s) or ("execute" if waits else None)
