"""What the simulation sees of a run: edges that were taken, and the books for the invariants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from seawall.invariants import (
    OPEN_STATES,
    Books,
    Claim,
    Payment,
    Posting,
    UsedNonce,
    Violation,
    Withdrawal,
    violations,
)
from tests.simulation.chain import Block, Chain
from tests.simulation.chain import Transaction as Sent
from tests.simulation.setting import NETWORK, Setting
from tests.simulation.store import Database, Stored, Transaction
from tests.simulation.trace import Trace
from venue.chain.transaction import Intent

Changes = Mapping[str, Mapping[Any, tuple[Stored | None, Stored | None]]]
_WITH_STATES = {
    "withdrawals": "withdrawal",
    "slots": "slot",
    "resolutions": "resolution",
    "topups": "top-up",
}


@dataclass(kw_only=True)
class Observer:
    """Watches one run; ``found`` are the violations so far, each once."""

    setting: Setting
    trace: Trace
    found: dict[str, Violation] = field(default_factory=dict)
    acknowledged: list[Hashable] = field(default_factory=list)
    paid_to: dict[Hashable, set[str]] = field(default_factory=lambda: defaultdict(set))
    database: Database = field(init=False)
    chain: Chain = field(init=False)
    _claims: list[Claim] = field(default_factory=list)
    _below_floor: list[str] = field(default_factory=list)
    _sent: dict[tuple[str, int, bytes, str, bool], None] = field(default_factory=dict)
    _modes: list[tuple[float, int]] = field(default_factory=list)

    def committed(self, tx: Transaction, changes: Changes) -> None:
        """A transaction has committed: note what moved, and what it was allowed by."""
        for table, rows in changes.items():
            name = _WITH_STATES.get(table)
            if name is None:
                continue
            for key, (old, new) in rows.items():
                before = "none" if old is None else old["state"]
                after = "none" if new is None else new["state"]
                if before != after or (table == "slots" and old is not None):
                    self.trace.reach(f"{name}: {before} -> {after}")
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
        self._recorded(tx, changes)

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
            if mode["tier"] == "protected" or new["purpose"] != "payout":
                continue
            for (wallet, asset), (_, left) in changes.get("floats", {}).items():
                floor = self.setting.policy.wallets[wallet].holdings[asset].minimum
                if left is not None and left["available"] < self.setting.policy.base_units(
                    asset, floor
                ):
                    self._below_floor.append(f"slot {number} left {left['available']} {asset}")

    def _recorded(self, tx: Transaction, changes: Changes) -> None:
        """A digest: the mode may have flipped while it was being recorded (decision 0029)."""
        for key, (old, new) in changes.get("sign_log", {}).items():
            if old is not None or new is None:
                continue
            chain_id, address, nonce = key
            slot = next(
                each
                for each in self.database.tables["slots"].values()
                if (each["chain_id"], each["address"], each["nonce"]) == key
            )
            since = max((epoch for at, epoch in self._modes if at <= tx.began_s), default=0)
            admitted = slot["admitted_epoch"]
            lane = self.database.tables["lanes"][chain_id, address]
            self._claims.append(
                Claim(
                    what=f"nonce {nonce} of {address} was recorded to be signed",
                    epochs=(admitted, new["epoch"]),
                    in_force=(max(admitted, since), lane["epoch"]),
                )
            )

    def offered(self, tx: Sent) -> None:
        """A node was given bytes: they must be on record by now."""
        on_record = any(row["raw"] == tx.raw for row in self.database.tables["slots"].values())
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
        own = {self.setting.contract(wallet) for wallet in (self.setting.hot, self.setting.reserve)}
        assets = {token: asset for asset, token in self.setting.tokens.items()}
        amounts: dict[int, list[tuple[str, str, int]]] = defaultdict(list)
        for row in tables["entries"].values():
            _, network, asset, *_ = row["account"]
            amounts[row["posting_id"]].append((network, asset, row["amount"]))
        available: dict[Hashable, int] = {
            key: row["available"]
            for table in ("floats", "balances")
            for key, row in tables[table].items()
        }
        return Books(
            withdrawals={
                key: Withdrawal(
                    state=row["state"],
                    asset=row["asset"],
                    amount=row["amount"],
                    destinations=frozenset(self.paid_to[key]),
                )
                for key, row in tables["withdrawals"].items()
            },
            postings=[
                Posting(
                    kind=row["kind"],
                    of=row["withdrawal_id"] or row["topup_id"] or number,
                    amounts=tuple(amounts[number]),
                )
                for number, row in tables["postings"].items()
            ],
            available=available,
            nonces=[
                UsedNonce(
                    lane=row["address"],
                    nonce=row["nonce"],
                    state=row["state"],
                    digest=row["digest"],
                    tx_hash=row["tx_hash"],
                )
                for row in tables["slots"].values()
            ],
            next_nonces={key[1]: row["next_nonce"] for key, row in tables["lanes"].items()},
            signed={
                (key[1], key[2]): (row["digest"], row["tx_hash"])
                for key, row in tables["sign_log"].items()
            },
            sent=tuple(self._sent),
            payments=[
                Payment(
                    destination=item.to,
                    asset=assets[item.token],
                    amount=item.amount,
                    final=block.number <= final,
                )
                for block, _, item in chain.paid_until(chain.tip)
                if item.to not in own
            ],
            moved=self._moved(chain.tip),
            claims=self._claims,
            below_floor=self._below_floor,
            floats=self._floats(chain.tip) if settled else {},
            acknowledged=self.acknowledged,
            late=late,
            settled=settled,
        )

    def _moved(self, tip: Block) -> dict[str, tuple[int, int]]:
        """Top-ups by asset: how many moved, and how many there are on record."""
        hot = self.setting.contract(self.setting.hot)
        moved = [item.token for _, _, item in self.chain.paid_until(tip) if item.to == hot]
        asked = [row["asset"] for row in self.database.tables["topups"].values()]
        return {
            asset: (moved.count(token), asked.count(asset))
            for asset, token in self.setting.tokens.items()
        }

    def _floats(self, tip: Block) -> dict[Hashable, tuple[int, int]]:
        """What the hot wallet may pay, by float and by ledger, and what it holds on the chain."""
        tables, hot = self.database.tables, self.setting.hot
        booked: dict[str, int] = defaultdict(int)
        for row in tables["entries"].values():
            bucket, network, asset, kind, _ = row["account"]
            if (bucket, network, kind) == (self.setting.bucket, NETWORK, "hot"):
                booked[asset] += row["amount"]
        found: dict[Hashable, tuple[int, int]] = {}
        for asset, token in self.setting.tokens.items():
            true = tip.state.held.get((token, self.setting.contract(hot)), 0)
            found[f"the float of {hot} in {asset}"] = (
                tables["floats"][hot, asset]["available"],
                true,
            )
            found[f"the ledger's {hot} in {asset}"] = (booked[asset], true)
        return found

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
            if row["state"] != "posted"
        ]
        found += [
            f"slot {key} (nonce {row['nonce']}, {row['purpose']}) is {row['state']}"
            for key, row in tables["slots"].items()
            if row["state"] != "final"
        ]
        return found
