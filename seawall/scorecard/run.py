"""A run directory as typed evidence; each file is read when a check first needs it.

A broken file makes every check UNKNOWN that needs it, and ``evidence.complete`` reads them all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seawall.conventions.evidence import Port
from seawall.errors import EvidenceError
from seawall.policy import Drill, Policy
from seawall.policy.drilling import CONTROL_DRILLS, NEIGHBOUR, SEGREGATION
from seawall.scorecard import chain_rows, one_control, promise_rows, rail_rows, rows
from seawall.scorecard.readers import (
    Document,
    Row,
    read_document,
    read_json,
    read_lines,
    read_table,
)

FILES = {
    "manifest": "manifest.json",
    "policy": "policy.json",
    "timeline": "timeline.jsonl",
    "arrivals": "arrivals.csv",
    "earlier": "earlier.csv",
    "requests": "requests.csv",
    "planned_reads": "planned_reads.csv",
    "reads": "reads.csv",
    "flood": "flood.json",
    "journal": "chaos-journal.json",
    "probes": "probes.jsonl",
    "pages": "pages.jsonl",
    "withdrawals": "records/withdrawals.csv",
    "slots": "records/slots.csv",
    "signatures": "records/sign_log.csv",
    "flips": "records/mode_log.csv",
    "lane_changes": "records/lane_log.csv",
    "sign_calls": "aws/sign_calls.csv",
    "flow": "records/flow.csv",
    "top_ups": "records/topups.csv",
    "surpluses": "records/surpluses.csv",
    "decisions": "records/journal.csv",
    "orders": "records/orders.csv",
    "promises": "records/promises.csv",
    "ledger": "records/ledger.csv",
    "ledger_faults": "records/ledger_faults.json",
    "payouts": "chain/payouts.csv",
    "failed_items": "chain/failed.csv",
    "unseen": "chain/unseen.csv",
    "statements": "rails/statements.csv",
    "instructions": "records/instructions.csv",
    "blocks": "chain/blocks.csv",
    "chain_balances": "chain/balances.csv",
    "lane_nonces": "chain/lanes.csv",
    "metrics": "metrics.json",
    "followed": "followed.csv",
}
"""Every file of evidence of a drill that the policy declares, by the property that holds it."""

CONTROL_FILES = {NEIGHBOUR: "neighbour", SEGREGATION: "segregation"}
"""By drill of one control: the property that holds its evidence."""

EVERY_FILE = FILES | {name: f"{drill}.json" for drill, name in CONTROL_FILES.items()}
"""Every file of evidence of any drill, by the property that holds it."""

PORTS: Mapping[Port, tuple[str, ...]] = {
    "withdrawals": ("withdrawals",),
    "payouts": ("payouts", "blocks", "unseen"),
    "numbered_payouts": ("failed_items",),
    "statements": ("statements",),
    "instructions": ("instructions",),
    "balances": ("chain_balances",),
    "key_counts": ("lane_nonces",),
    "ledger": ("ledger", "ledger_faults"),
    "mode_changes": ("flips",),
    "flow": ("flow",),
    "signatures": ("slots", "signatures", "lane_changes"),
    "aws_log": ("sign_calls",),
    "top_ups": ("top_ups",),
    "surpluses": ("surpluses",),
    "decisions": ("decisions",),
    "orders": ("orders",),
    "promises": ("promises",),
    "metrics": ("metrics",),
    "pages": ("pages",),
}
"""The properties that hold what a venue may offer; all others the kit itself writes, always."""

PORT_OF: Mapping[str, Port] = {FILES[name]: port for port, names in PORTS.items() for name in names}
"""By file of a run: the port that it comes from."""


OFFSET_S_MAX = 24 * 3600
_LENGTH_DIGITS_MAX = 15


def digests(run_dir: Path) -> dict[str, str]:
    """Length and SHA-256 (``1234:ab12...``) of every evidence file that is there, by its path.

    Paths are relative to ``run_dir``. The digests belong under ``files`` in the manifest, which is
    written last and is therefore not among them.
    """
    return {
        name: _digest((run_dir / name).read_bytes())
        for name in EVERY_FILE.values()
        if name != FILES["manifest"] and (run_dir / name).is_file()
    }


def _digest(content: bytes) -> str:
    return f"{len(content)}:{hashlib.sha256(content).hexdigest()}"


def _length_in(digest: str | None) -> int | None:
    """How many bytes of a file ``digest`` covers; None without a digest that says so."""
    length = (digest or "").partition(":")[0]
    return (
        int(length)
        if length.isascii() and length.isdecimal() and len(length) <= _LENGTH_DIGITS_MAX
        else None
    )


def _unchanged(path: Path, digest: str) -> bool:
    """Whether the file still is what ``digest`` was made of.

    Files of lines may have grown: pages and lease events may come after the digests were made.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return _digest(content[: _length_in(digest)] if path.suffix == ".jsonl" else content) == digest


@dataclass(frozen=True)
class Run:
    """The evidence of one run.

    Every property raises :class:`EvidenceError` if its file is missing, truncated or wrong.
    """

    directory: Path

    def _path(self, name: str) -> Path:
        return self.directory / EVERY_FILE[name]

    def _length(self, name: str) -> int | None:
        """How many bytes of the file are evidence: those that its digest covers.

        None (all of them) where there is no digest, which ``evidence.complete`` reports.
        """
        try:
            return _length_in(self.manifest.files.get(EVERY_FILE[name]))
        except EvidenceError:
            return None

    def _document(self, name: str, model: type[Document]) -> Document:
        return read_document(self._path(name), model, length=self._length(name))

    def _json(self, name: str) -> Any:
        return read_json(self._path(name), length=self._length(name))

    def _lines(self, name: str, row_type: type[Row]) -> tuple[Row, ...]:
        return read_lines(self._path(name), row_type, length=self._length(name))

    def _table(self, name: str, row_type: type[Row]) -> tuple[Row, ...]:
        return read_table(self._path(name), row_type, length=self._length(name))

    def changed_files(self) -> list[str]:
        """A sentence per file that has no digest, or is not what its digest was made of."""
        found = []
        for name in map(EVERY_FILE.__getitem__, self.expected):
            digest = self.manifest.files.get(name)
            if digest is None and name != FILES["manifest"]:
                found.append(
                    f"{name} has no digest in manifest.json, "
                    "so that a file cut off between two lines would look whole"
                )
            elif digest is not None and not _unchanged(self.directory / name, digest):
                found.append(f"{name} is not the file that the run wrote")
        return found

    @property
    def expected(self) -> tuple[str, ...]:
        """Names of the files that must be there: the kit's own, and those of what is offered."""
        if self.control is not None:
            return ("manifest", "policy", CONTROL_FILES[self.control])
        offers = self.manifest.offers
        missing = {name for port, names in PORTS.items() if port not in offers for name in names}
        if not self.manifest.earlier:
            missing.add("earlier")
        return tuple(name for name in FILES if name not in missing)

    @cached_property
    def control(self) -> str | None:
        """The drill of one control that was run; None for another drill, or if it is not known.

        By what the manifest says, be it whole or not.
        """
        try:
            document = self._json("manifest")
        except EvidenceError:
            return None
        drill = document.get("drill") if isinstance(document, dict) else None
        return drill if drill in CONTROL_DRILLS else None

    @cached_property
    def manifest(self) -> rows.Manifest:
        """What was run."""
        return read_document(self._path("manifest"), rows.Manifest)

    @cached_property
    def policy(self) -> Policy:
        """The policy in force; its digest must be the one in the manifest."""
        try:
            policy = Policy.from_dump(self._json("policy"))
        except ValidationError as error:
            fault = error.errors()[0]
            raise EvidenceError(
                f"policy.json: {'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            ) from error
        if policy.digest != self.manifest.policy_digest:
            raise EvidenceError(
                f"policy.json has digest {policy.digest[:12]}, manifest.json names "
                f"{self.manifest.policy_digest[:12]}"
            )
        return policy

    @cached_property
    def drill(self) -> Drill:
        """The drill that was run, as the policy declares it."""
        try:
            return self.policy.drills[self.manifest.drill]
        except KeyError as error:
            raise EvidenceError(
                f"manifest.json names the drill {self.manifest.drill!r}, which policy.json does"
                " not declare"
            ) from error

    @cached_property
    def timeline(self) -> tuple[rows.Event, ...]:
        """Events in order of time."""
        return tuple(sorted(self._lines("timeline", rows.Event), key=lambda event: event.at))

    @cached_property
    def arrivals(self) -> tuple[rows.Arrival, ...]:
        """The schedule."""
        arrivals = self._table("arrivals", rows.Arrival)
        if any(not 0 <= arrival.offset_s <= OFFSET_S_MAX for arrival in arrivals):
            raise EvidenceError(
                "arrivals.csv plans an arrival that is not within a day of the flood's zero"
            )
        return arrivals

    @cached_property
    def earlier(self) -> tuple[rows.EarlierDemand, ...]:
        """What earlier drills of the game day asked for; nothing if none is watched any more."""
        return self._table("earlier", rows.EarlierDemand) if self.manifest.earlier else ()

    @cached_property
    def requests(self) -> tuple[rows.LoggedRequest, ...]:
        """The generator's log."""
        return self._table("requests", rows.LoggedRequest)

    @cached_property
    def planned_reads(self) -> tuple[rows.PlannedRead, ...]:
        """What customers were to look at beside their requests."""
        planned = self._table("planned_reads", rows.PlannedRead)
        if any(not 0 <= read.offset_s <= OFFSET_S_MAX for read in planned):
            raise EvidenceError(
                "planned_reads.csv plans a read that is not within a day of the flood's zero"
            )
        return planned

    @cached_property
    def reads(self) -> tuple[rows.LoggedRead, ...]:
        """The generator's log of that."""
        return self._table("reads", rows.LoggedRead)

    @cached_property
    def flood(self) -> rows.Flood:
        """The generator's own summary."""
        return self._document("flood", rows.Flood)

    @cached_property
    def journal(self) -> dict[str, Any]:
        """Chaos Toolkit's journal."""
        journal = self._json("journal")
        if not isinstance(journal, dict):
            raise EvidenceError("chaos-journal.json: not an object")
        return journal

    @cached_property
    def probes(self) -> dict[str, tuple[rows.ProbeSample, ...]]:
        """Samples of the black-box prober by probe, in order of time."""
        by_name: dict[str, list[rows.ProbeSample]] = {}
        for sample in self._lines("probes", rows.ProbeSample):
            by_name.setdefault(sample.probe, []).append(sample)
        return {
            name: tuple(sorted(samples, key=lambda sample: sample.at))
            for name, samples in by_name.items()
        }

    @cached_property
    def pages(self) -> tuple[rows.Page, ...]:
        """Notifications in order of receipt."""
        return tuple(sorted(self._lines("pages", rows.Page), key=lambda page: page.received_at))

    @cached_property
    def withdrawals(self) -> tuple[rows.Withdrawal, ...]:
        """Every withdrawal on record."""
        return self._table("withdrawals", rows.Withdrawal)

    @cached_property
    def slots(self) -> tuple[rows.Slot, ...]:
        """Every nonce on record."""
        return self._table("slots", rows.Slot)

    @cached_property
    def signatures(self) -> tuple[rows.Signature, ...]:
        """The signer's memory."""
        return self._table("signatures", rows.Signature)

    @cached_property
    def flips(self) -> tuple[rows.Flip, ...]:
        """Changes of the mode, by epoch."""
        return tuple(sorted(self._table("flips", rows.Flip), key=lambda flip: flip.epoch))

    @cached_property
    def lane_changes(self) -> tuple[rows.LaneChange, ...]:
        """Changes of lanes in order of commit."""
        return tuple(
            sorted(
                self._table("lane_changes", rows.LaneChange), key=lambda change: change.committed_at
            )
        )

    @cached_property
    def sign_calls(self) -> tuple[rows.SignCall, ...]:
        """AWS's own log of signatures in order of time, each event once."""
        calls = {call.event_id: call for call in self._table("sign_calls", rows.SignCall)}
        return tuple(sorted(calls.values(), key=lambda call: call.at))

    @cached_property
    def flow(self) -> tuple[rows.FlowRow, ...]:
        """Counters in order of commit."""
        return tuple(
            sorted(self._table("flow", rows.FlowRow), key=lambda row: (row.committed_at, row.id))
        )

    @cached_property
    def top_ups(self) -> tuple[rows.TopUp, ...]:
        """Refills."""
        return self._table("top_ups", rows.TopUp)

    @cached_property
    def surpluses(self) -> tuple[rows.Surplus, ...]:
        """Money from outside that was booked."""
        return self._table("surpluses", rows.Surplus)

    @cached_property
    def decisions(self) -> tuple[rows.JournalEntry, ...]:
        """The venue's journal, by writer and number."""
        return tuple(
            sorted(self._table("decisions", rows.JournalEntry), key=lambda row: (row.writer, row.n))
        )

    @cached_property
    def orders(self) -> tuple[rows.Order, ...]:
        """What people ordered of payouts and tiers, whenever that was."""
        return self._table("orders", rows.Order)

    @cached_property
    def promises(self) -> tuple[promise_rows.Promise, ...]:
        """What else customers were told, as the venue has it on record."""
        return self._table("promises", promise_rows.Promise)

    @cached_property
    def ledger(self) -> tuple[rows.LedgerLine, ...]:
        """Balances of the ledger at the end."""
        return self._table("ledger", rows.LedgerLine)

    @cached_property
    def ledger_faults(self) -> rows.LedgerFaults:
        """What the database counted over its own rows."""
        return self._document("ledger_faults", rows.LedgerFaults)

    @cached_property
    def payouts(self) -> tuple[chain_rows.Payout, ...]:
        """Every finalized payout on any chain."""
        return self._table("payouts", chain_rows.Payout)

    @cached_property
    def unseen(self) -> tuple[chain_rows.Unseen, ...]:
        """What destinations hold beyond the payouts that were seen."""
        return self._table("unseen", chain_rows.Unseen)

    @cached_property
    def failed_items(self) -> tuple[chain_rows.FailedItem, ...]:
        """Every finalized payout that the contract could not make."""
        return self._table("failed_items", chain_rows.FailedItem)

    @cached_property
    def statements(self) -> tuple[rail_rows.StatementLine, ...]:
        """What the providers of rails say of payouts."""
        return self._table("statements", rail_rows.StatementLine)

    @cached_property
    def instructions(self) -> tuple[rail_rows.Instruction, ...]:
        """What the venue instructed them to pay."""
        return self._table("instructions", rail_rows.Instruction)

    @cached_property
    def blocks(self) -> tuple[chain_rows.Block, ...]:
        """Every block."""
        return self._table("blocks", chain_rows.Block)

    @cached_property
    def chain_balances(self) -> tuple[chain_rows.ChainBalance, ...]:
        """What the chains say wallets hold at the end."""
        return self._table("chain_balances", chain_rows.ChainBalance)

    @cached_property
    def lane_nonces(self) -> tuple[chain_rows.LaneNonce, ...]:
        """How many transactions each lane has sent, as the chains say."""
        return self._table("lane_nonces", chain_rows.LaneNonce)

    @cached_property
    def followed(self) -> tuple[rows.Followed, ...]:
        """What the venue said at the end about each request that it had acknowledged."""
        return self._table("followed", rows.Followed)

    @cached_property
    def segregation(self) -> one_control.Tried:
        """What the principals of a stack could do with its keys."""
        found = self._document("segregation", one_control.SegregationEvidence)
        return one_control.tried(self.policy, found, stack=self.manifest.stack)

    @cached_property
    def neighbour(self) -> one_control.Flooded:
        """How one bucket was served beside the flood of another."""
        found = self._document("neighbour", one_control.NeighbourEvidence)
        return one_control.flooded(self.policy, found)

    @cached_property
    def metrics(self) -> rows.Metrics:
        """What Prometheus recorded."""
        return self._document("metrics", rows.Metrics)
