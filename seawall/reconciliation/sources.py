"""Gathers what a deployment offers for a reconciliation, in the order that makes it exact.

1. Each network is pinned at its newest final block.
2. A statement of payments is read, if there is one.
3. The venue's records are read, at one instant. Whatever the pinned blocks and the statement
   contain was final before that, so the records must know it.
4. Each network is read up to its pinned block, and on to the newest final block, until everything
   that the records call posted was found, or must have been.

A source that cannot be read is missing, with its reason; the others are read all the same.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from seawall.conventions.evidence import Port
from seawall.errors import EvidenceError
from seawall.evidence.chain import Reach
from seawall.evidence.ports import (
    chain_sources,
    finality_s_max,
    offers_of,
    read_source,
    records_of,
    source_file,
)
from seawall.formats.deployment import Deployment, Source
from seawall.policy import Policy
from seawall.reconciliation.approvals import APPROVAL_STATES
from seawall.reconciliation.books import TOP_UP_STATES
from seawall.reconciliation.chain import PinnedNetwork
from seawall.reconciliation.cold import COLD_STATES, REBALANCE_STATES
from seawall.reconciliation.escrow import BID_STATES
from seawall.reconciliation.facts import (
    CARRIER,
    Approval,
    Bid,
    ColdTransfer,
    Holding,
    LedgerLine,
    Payment,
    Pin,
    PostingLine,
    Rebalance,
    Sight,
    Signature,
    Slot,
    Surplus,
    TopUp,
    Withdrawal,
)
from seawall.reconciliation.payouts import SLOT_STATES, STATES
from seawall.reconciliation.spool import Spool
from seawall.scorecard.chain_rows import Payout
from seawall.scorecard.readers import Instant, instant, read_document, read_table, stream_table
from seawall.scorecard.rows import LedgerFaults
from seawall.scorecard.run import FILES

POSTINGS_FILE = "records/ledger_by_posting.csv"
"""Beside the ledger's own file, where a venue's records say by what its balances came about."""
APPROVALS_FILE = "records/approvals.csv"
"""Beside the file of top-ups, of a venue whose approvers sign what moves out of a reserve."""
COLD_FILE = "records/cold_transfers.csv"
"""Likewise, of a venue whose custodian moves what approvers have signed out of a cold wallet."""
REBALANCES_FILE = "records/rebalances.csv"
"""Likewise, of a venue whose carrier moves what approvers have signed to another network."""
BIDS_FILE = "records/bids.csv"
"""Beside the ledger's own file, of a venue that holds bids in escrow."""
_RECORDS: tuple[Port, ...] = ("withdrawals", "signatures", "top_ups", "surpluses", "ledger")
_NODE_S_MAX = 20.0
_LOOK_EVERY_S = 0.5


@dataclass(kw_only=True)
class Gathered:
    """What was read, and what was not.

    Attributes:
        offers: What the deployment offers.
        missing: Why a kind of evidence that it offers could not be read.
        dark: Why a network could not be read.
        read_at: When the venue's records were read, in Unix seconds.
        pins: The blocks at which networks were read.
        sights: How far payments were seen, by network.
        on_chain: Base units in wallets at the pinned blocks.
        sent: Transactions of each lane's key by network and wallet, at the pinned blocks.
        ledger: The ledger's sums; None where they are not known.
        faults: What the venue counted over its ledger.
        postings: The ledger's sums by kind of posting; None where they are not known.
        bids: What customers have bid; None where that is not known.
        surpluses: Money from outside that was booked.
    """

    offers: frozenset[Port]
    missing: dict[Port, str] = field(default_factory=dict)
    dark: dict[str, str] = field(default_factory=dict)
    read_at: float = 0.0
    pins: dict[str, Pin] = field(default_factory=dict)
    sights: dict[str, Sight] = field(default_factory=dict)
    on_chain: dict[Holding, int] = field(default_factory=dict)
    sent: dict[tuple[str, str], int] = field(default_factory=dict)
    ledger: tuple[LedgerLine, ...] | None = None
    faults: LedgerFaults | None = None
    postings: tuple[PostingLine, ...] | None = None
    bids: tuple[Bid, ...] | None = None
    surpluses: tuple[Surplus, ...] = ()

    def has(self, *ports: Port) -> bool:
        """Whether all of ``ports`` were read."""
        return all(port in self.offers and port not in self.missing for port in ports)


class Gathering:
    """One reading of a deployment, into ``spool`` and files below ``folder``.

    ``report`` gets lines for people.
    """

    def __init__(
        self,
        deployment: Deployment,
        policy: Policy,
        *,
        spool: Spool,
        folder: Path,
        report: Callable[[str], None],
    ) -> None:
        self._deployment, self._policy = deployment, policy
        self._spool, self._folder, self._report = spool, folder, report
        self._found = Gathered(offers=frozenset(offers_of(deployment, policy)))
        self._statement_at = self._records_at = 0.0

    def gather(self) -> Gathered:
        """Read everything. Raises :class:`UsageError` for a deployment file that makes no sense."""
        found = self._found
        with httpx.Client(timeout=_NODE_S_MAX, trust_env=False) as client:
            networks = {
                source.network: PinnedNetwork(
                    client, source, chain_id=self._deployment.networks[source.network].chain_id
                )
                for source in chain_sources(self._deployment, self._policy, Reach())
            }
            for name, network in networks.items():
                try:
                    found.pins[name] = network.pin()
                except EvidenceError as error:
                    found.dark[name] = str(error)
            self._report("reading the venue's records")
            self._export()
            statement = self._statement() if "payouts" in self._deployment.evidence else None
            self._pair(statement)
            self._load_records()
            if statement is not None:
                self._load_statement(statement)
            for name, pin in list(found.pins.items()):
                self._report(f"reading {name} up to block {pin.number}")
                self._each(name, partial(self._read, networks[name], name, pin))
            self._spool.index()
            for name, pin in list(found.pins.items()):
                self._each(name, partial(self._look_further, networks[name], name, pin))
        return found

    # --- records
    def _export(self) -> None:
        found, records = self._found, records_of(self._deployment)
        self._statement_at = self._as_of("payouts")
        self._read_source("payouts")
        self._records_at = self._as_of("withdrawals")
        found.read_at = time.time()
        if records is not None:
            try:
                records.export(self._folder / "records")
            except EvidenceError as error:
                found.missing |= dict.fromkeys(records.offers, str(error))
        for port in _RECORDS:
            self._read_source(port)

    def _read_source(self, port: Port) -> None:
        """Read one kind of evidence, if the deployment file says where it comes from."""
        source = self._deployment.evidence.get(port)
        if source is None:
            return
        try:
            read_source(
                port,
                source,
                folder=self._deployment.folder or self._deployment.path.parent,
                into=self._folder,
                started_at=0.0,
                ended_at=time.time(),
                of_drill=False,
            )
            if port == "ledger":
                for name in (POSTINGS_FILE, BIDS_FILE):
                    self._copy_beside(source, port, name)
            if port == "top_ups":
                for name in (APPROVALS_FILE, COLD_FILE, REBALANCES_FILE):
                    self._copy_beside(source, port, name)
        except EvidenceError as error:
            self._found.missing[port] = str(error)

    def _as_of(self, port: Port) -> float:
        """Of which moment what is read now is, in Unix seconds: a file is as old as it is."""
        source = self._deployment.evidence.get(port)
        if source is None or source.file is None:
            return time.time()
        try:
            return source_file(source, FILES[port]).stat().st_mtime
        except OSError:
            return time.time()  # reading it fails as well, and says why

    def _copy_beside(self, source: Source, port: Port, name: str) -> None:
        """A file that lies beside that of ``port``, and may be left out."""
        if source.file is None:
            return
        beside = source_file(source, FILES[port]).with_name(Path(name).name)
        if not beside.exists():
            return
        try:
            shutil.copyfile(beside, self._folder / name)
        except OSError as error:
            raise EvidenceError(f"{beside} cannot be read: {error.strerror}") from error

    def _load_records(self) -> None:
        spool, found = self._spool, self._found
        network_of = {each.chain_id: name for name, each in self._deployment.networks.items()}
        self._load("withdrawals", lambda: spool.withdrawals(self._withdrawals()))
        self._load("signatures", lambda: self._load_signatures(network_of))
        self._load("top_ups", self._load_top_ups)
        self._load("surpluses", self._load_surpluses)
        self._load("ledger", self._load_ledger)
        if "signatures" in found.missing:
            found.missing.setdefault("top_ups", found.missing["signatures"])

    def _load(self, port: Port, load: Callable[[], None]) -> None:
        if self._found.has(port):
            try:
                load()
            except EvidenceError as error:
                self._found.missing[port] = str(error)

    def _withdrawals(self) -> Iterator[Withdrawal]:
        for each in self._stream("withdrawals", Withdrawal):
            _require_state(f"withdrawal {each.id}", each.state, STATES)
            yield replace(each, destination=each.destination.lower())

    def _slots(self) -> Iterator[Slot]:
        for each in self._stream("slots", Slot):
            _require_state(f"slot {each.id}", each.state, SLOT_STATES)
            tx_hash = None if each.tx_hash is None else each.tx_hash.lower()
            yield replace(each, address=each.address.lower(), tx_hash=tx_hash)

    def _load_signatures(self, network_of: dict[int, str]) -> None:
        self._spool.slots(self._slots())
        signatures = self._stream("signatures", Signature)
        self._spool.signatures(
            (replace(each, address=each.address.lower()) for each in signatures),
            network_of=network_of,
        )

    def _load_top_ups(self) -> None:
        self._spool.top_ups(self._top_ups())
        if (self._folder / APPROVALS_FILE).exists():
            self._spool.approvals(self._approvals())
        if (self._folder / COLD_FILE).exists():
            self._spool.cold_transfers(self._cold_transfers())
        if (self._folder / REBALANCES_FILE).exists():
            self._spool.rebalances(self._rebalances())

    def _rebalances(self) -> Iterator[Rebalance]:
        for each in stream_table(self._folder / REBALANCES_FILE, Rebalance):
            _require_state(f"rebalance {each.id}", each.state, REBALANCE_STATES)
            for wallet in (each.from_wallet, each.to_wallet):
                self._require_wallet(wallet, REBALANCES_FILE)
            yield replace(each, id=each.id.lower(), to_address=each.to_address.lower())

    def _cold_transfers(self) -> Iterator[ColdTransfer]:
        for each in stream_table(self._folder / COLD_FILE, ColdTransfer):
            _require_state(f"cold transfer {each.id}", each.state, COLD_STATES)
            for wallet in (each.from_wallet, each.to_wallet):
                self._require_wallet(wallet, COLD_FILE)
            yield replace(each, id=each.id.lower(), to_address=each.to_address.lower())

    def _approvals(self) -> Iterator[Approval]:
        for each in stream_table(self._folder / APPROVALS_FILE, Approval):
            _require_state(f"approval {each.id}", each.state, APPROVAL_STATES)
            for wallet in (each.from_wallet, each.to_wallet):
                self._require_wallet(wallet, APPROVALS_FILE)
            yield replace(each, id=each.id.lower(), to_address=each.to_address.lower())

    def _top_ups(self) -> Iterator[TopUp]:
        for each in self._stream("top_ups", TopUp):
            _require_state(f"top-up {each.id}", each.state, TOP_UP_STATES)
            self._require_wallet(each.to_wallet, FILES["top_ups"])
            yield each

    def _load_surpluses(self) -> None:
        rows = read_table(self._folder / FILES["surpluses"], Surplus)
        for each in rows:
            self._require_wallet(each.wallet, FILES["surpluses"])
        self._found.surpluses = rows

    def _require_wallet(self, wallet: str, file: str) -> None:
        if wallet not in self._policy.wallets:
            raise EvidenceError(f"{file} names the wallet {wallet!r}, which the policy does not")

    def _load_ledger(self) -> None:
        found = self._found
        found.ledger = read_table(self._folder / FILES["ledger"], LedgerLine)
        found.faults = read_document(self._folder / FILES["ledger_faults"], LedgerFaults)
        postings = self._folder / POSTINGS_FILE
        if postings.exists():
            found.postings = read_table(postings, PostingLine)
        bids = self._folder / BIDS_FILE
        if bids.exists():
            found.bids = read_table(bids, Bid)
            for each in found.bids:
                _require_state(f"bid {each.id}", each.state, BID_STATES)

    def _stream(self, name: str, kind: Callable[..., Any]) -> Iterator[Any]:
        assert isinstance(kind, type)
        return stream_table(self._folder / FILES[name], kind)

    def _pair(self, statement: Mapping[str, Sight] | None) -> None:
        """Say by what payments belong to withdrawals: what all of them carry."""
        if statement is None:
            contracts = {name for name, each in self._deployment.networks.items() if each.payouts}
            self._spool.pair(by_id=contracts, by_number=())
            return
        named = numbered = True
        for row in stream_table(self._folder / FILES["payouts"], Payout):
            named = named and row.withdrawal_id is not None
            numbered = numbered and row.seq is not None
        self._spool.pair(by_id=statement if named else (), by_number=statement if numbered else ())

    # --- a statement of payments, instead of networks
    def _statement(self) -> dict[str, Sight] | None:
        """How far a statement goes, by network; None if it cannot be read."""
        if "payouts" in self._found.missing:
            return None
        newest = Instant(0)
        try:
            for row in stream_table(self._folder / FILES["payouts"], Payout):
                _known(row.network, self._policy.networks)
                newest = max(newest, row.block_timestamp)
        except EvidenceError as error:
            self._found.missing["payouts"] = str(error)
            return None
        sight = Sight(
            pinned=None,
            until=None,
            complete=True,
            statement_until=self._statement_end(newest),
            records_at=instant(self._records_at),
        )
        return dict.fromkeys(self._policy.networks, sight)

    def _statement_end(self, newest: Instant) -> Instant:
        """Up to which moment every payment is on the statement, whose newest line is ``newest``.

        A file may have been copied or touched long after it was written, so one that does not say
        how far it goes goes no further than its newest line.
        """
        source = self._deployment.evidence["payouts"]
        if source.until is not None:
            return instant(source.until.timestamp())
        settled = instant(max(0.0, self._statement_at - source.settles_s))
        return settled if source.file is None else min(settled, newest)

    def _load_statement(self, sights: Mapping[str, Sight]) -> None:
        rows = stream_table(self._folder / FILES["payouts"], Payout)
        self._spool.payments(
            (
                Payment(
                    network=row.network,
                    wallet=None,
                    seq=row.seq,
                    to=row.to.lower(),
                    asset=row.asset,
                    amount=row.amount,
                    tx_hash=row.tx_hash,
                    block_number=row.block_number,
                    withdrawal=row.withdrawal_id,
                    at=row.block_timestamp,
                )
                for row in rows
            ),
            paying=lambda _: True,
        )
        self._found.sights |= sights

    # --- networks
    def _each(self, name: str, read: Callable[[], None]) -> None:
        """Read a network, or forget what was read of it and say why."""
        try:
            read()
        except EvidenceError as error:
            self._found.dark[name] = str(error)
            self._found.pins.pop(name, None)
            self._found.sights.pop(name, None)
            self._spool.forget(name)

    def _read(self, network: PinnedNetwork, name: str, pin: Pin) -> None:
        self._keep(network, 0, pin.number)
        self._found.on_chain |= network.holdings(pin)
        self._found.sent |= {(name, lane): sent for lane, sent in network.nonces(pin).items()}

    def _look_further(self, network: PinnedNetwork, name: str, pin: Pin) -> None:
        """Read on until everything that is posted was seen, or must have been."""
        newest, until = network.newest(), pin.number
        deadline = time.monotonic() + finality_s_max(self._policy, name)
        while True:
            later = network.pin().number
            if later > until:
                self._keep(network, until + 1, later)
                until = later
            if until >= newest or not self._spool.unseen(name):
                break
            if time.monotonic() >= deadline:
                break
            time.sleep(_LOOK_EVERY_S)
        network.require(pin)
        self._found.sights[name] = Sight(pinned=pin.number, until=until, complete=until >= newest)

    def _keep(self, network: PinnedNetwork, first: int, last: int) -> None:
        contracts = {
            wallet
            for each in self._deployment.networks.values()
            if each.payouts is not None
            for wallet in each.payouts.contracts
        }
        for activity in network.activity(first, last):
            self._spool.payments(
                (each for each in activity.payments if self._ours(each)),
                paying=lambda each: each.wallet is None or each.wallet in contracts,
            )
            self._spool.failures(activity.failures)
            self._spool.executions(activity.executions)

    def _ours(self, payment: Payment) -> bool:
        """Whether a payment is any of the venue's business: a carrier pays others as well."""
        return payment.wallet != CARRIER or self._spool.is_rebalance(payment.withdrawal or "")


def _require_state(what: str, state: str, known: Collection[str]) -> None:
    if state not in known:
        raise EvidenceError(f"{what} is on record as {state!r}, which is no state that it can have")


def _known(network: str, networks: Collection[str]) -> None:
    if network not in networks:
        raise EvidenceError(f"{FILES['payouts']} names {network!r}, which is no network")


def new_spool(folder: Path) -> Spool:
    """An empty spool in ``folder``."""
    return Spool(folder / "facts.sqlite")
