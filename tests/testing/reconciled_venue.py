"""A small venue whose money is all explained: its records as files, its chains in memory.

Every stage of a withdrawal and of a top-up is there once, all on one network; on the other one
money lies untouched. Tests change one fact and reconcile.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from seawall.cache import repository_root
from seawall.evidence.chain import EXECUTED_TOPIC, FAILED_TOPIC, NATIVE, PAID_TOPIC
from seawall.formats.deployment import Deployment, load_deployment
from seawall.policy import Policy
from seawall.policy_file import load_policy
from tests.testing.deployments import write_deployment
from tests.testing.reconciled_bids import add_bids

Row = dict[str, Any]
NETWORK, CHAIN_ID, TOKEN = "aster", 73311, "0x" + "70" * 20
QUIET, QUIET_CHAIN_ID, QUIET_BLOCK = "birch", 73312, 7
"""The network on which nothing happens, and its newest block."""
PINNED, UNTIL = 10, 13
HOT, RESERVE = "customer-aster-hot", "customer-aster-reserve"
HOUSE = "treasury-aster-hot"
HOT_KEY, RESERVE_KEY = "0x" + "a1" * 20, "0x" + "a2" * 20
_KEYS = {HOT: HOT_KEY, RESERVE: RESERVE_KEY}
STRANGER = "0x" + "99" * 20
_CLIENT = httpx.Client


def withdrawal_id(number: int) -> str:
    """Of the withdrawal with this number, as its events name it."""
    return str(UUID(int=number))


def top_up_id(number: int) -> str:
    """Of a top-up."""
    return str(UUID(int=0x7000 + number))


def approval_id(number: int) -> str:
    """Of what approvers were asked to sign."""
    return str(UUID(int=0xA000 + number))


def block_hash(number: int) -> str:
    """Of the block ``number``."""
    return f"0x{number:064x}"


def tx_hash(number: int) -> str:
    """Of the transaction of slot ``number``."""
    return f"0x{0xF000 + number:064x}"


def destination(number: int) -> str:
    """Where the withdrawal ``number`` is to be paid."""
    return f"0x{0xD000 + number:040x}"


def key_of(wallet: str, wallets: dict[str, str]) -> str:
    """Address of the key that signs for ``wallet``; only two keys have ever sent anything."""
    return _KEYS.get(wallet, wallets[wallet])


def _word(value: int | str) -> str:
    return f"{int(value, 16) if isinstance(value, str) else value:064x}"


def _topic_of(identity: str) -> str:
    """16 bytes as an indexed topic has them: first, and the rest is zero."""
    return "0x" + UUID(identity).hex + "0" * 32


@dataclass(kw_only=True)
class ReconciledVenue:
    """Records by name, the chain's events and state, and how a deployment reads them."""

    policy: Policy
    addresses: dict[str, str]
    withdrawals: list[Row] = field(default_factory=list)
    slots: list[Row] = field(default_factory=list)
    sign_log: list[Row] = field(default_factory=list)
    topups: list[Row] = field(default_factory=list)
    approvals: list[Row] = field(default_factory=list)
    cold_transfers: list[Row] = field(default_factory=list)
    bids: list[Row] = field(default_factory=list)
    rebalances: list[Row] = field(default_factory=list)
    surpluses: list[Row] = field(default_factory=list)
    ledger_by_posting: list[Row] = field(default_factory=list)
    ledger_faults: dict[str, int] = field(default_factory=dict)
    logs: list[Row] = field(default_factory=list)
    transactions: dict[str, Row] = field(default_factory=dict)
    balances: Counter[tuple[str, str]] = field(default_factory=Counter)
    sent: dict[str, int] = field(default_factory=dict)
    finalized: list[int] = field(default_factory=lambda: [PINNED, UNTIL])
    newest: int = UNTIL
    spans: list[tuple[int, int]] = field(default_factory=list)
    span_max: int = 10**9
    slow: bool = False
    chain_id: int = CHAIN_ID
    dark: bool = False
    forked: bool = False
    carrier: str | None = None

    # --- making it
    def slot(
        self, number: int, *, nonce: int, state: str, block: int | None, purpose: str = "payout"
    ) -> None:
        """A slot of the hot wallet, or for another ``purpose`` of its reserve's.

        Signed unless it is open.
        """
        reserve = purpose != "payout"
        key, payload = (RESERVE_KEY if reserve else HOT_KEY), f"payload {number}".encode()
        signed = state != "open"
        self.slots.append(
            {
                "id": number,
                "network": NETWORK,
                "chain_id": CHAIN_ID,
                "wallet": RESERVE if reserve else HOT,
                "address": key,
                "nonce": nonce,
                "purpose": purpose,
                "state": state,
                "tx_hash": tx_hash(number) if signed else "",
                "block_number": "" if block is None else block,
                "digest": f"{number:064x}",
                "payload_digest": hashlib.sha256(payload).hexdigest(),
            }
        )
        if signed:
            self.sign_log.append(
                {
                    "chain_id": CHAIN_ID,
                    "address": key,
                    "nonce": nonce,
                    "digest": f"{number:064x}",
                    "tx_hash": tx_hash(number),
                }
            )
        self.transactions[tx_hash(number)] = {
            "hash": tx_hash(number),
            "from": key,
            "nonce": hex(nonce),
            "input": "0x" + payload.hex(),
        }

    def unrecorded(self, number: int, *, like: int) -> None:
        """A transaction of the same key as that of slot ``like``, with a nonce of no slot."""
        changes = {"hash": tx_hash(number), "nonce": hex(99)}
        self.transactions[tx_hash(number)] = {**self.transactions[tx_hash(like)], **changes}

    def withdrawal(
        self, number: int, amount: int, state: str, *, slot: int | None = None, asset: str = "AST"
    ) -> None:
        """A withdrawal on record; its number is ``number``."""
        self.withdrawals.append(
            {
                "id": withdrawal_id(number),
                "seq": number,
                "network": NETWORK,
                "asset": asset,
                "amount": amount,
                "destination": destination(number),
                "state": state,
                "reason": "as the customer is told" if state in ("unknown", "voided") else "",
                "slot_id": "" if slot is None else slot,
                "resolved_at": "1700000000.5" if state in ("posted", "voided") else "",
            }
        )

    def paid(
        self,
        seq: int,
        amount: int,
        *,
        block: int,
        slot: int,
        to: str | None = None,
        asset: str = "AST",
        wallet: str = HOT,
        of: str | None = None,
    ) -> None:
        """A payment on the chain; what is at or below the pinned block is taken off its wallet."""
        receiver = to or destination(seq)
        self.logs.append(
            {
                "address": self.addresses[wallet],
                "topics": [
                    PAID_TOPIC,
                    "0x" + _word(seq),
                    _topic_of(of or withdrawal_id(seq)),
                    "0x" + _word(receiver),
                ],
                "data": "0x" + _word(NATIVE if asset == "AST" else TOKEN) + _word(amount),
                "transactionHash": tx_hash(slot),
                "blockNumber": hex(block),
            }
        )
        if block <= PINNED:
            self.balances[wallet, asset] -= amount
            for name, address in self.addresses.items():
                if address == receiver:
                    self.balances[name, asset] += amount

    def failed(self, seq: int, *, block: int, slot: int) -> None:
        """A payment that the contract could not make."""
        self.logs.append(
            {
                "address": self.addresses[HOT],
                "topics": [FAILED_TOPIC, "0x" + _word(seq), _topic_of(withdrawal_id(seq))],
                "data": "0x",
                "transactionHash": tx_hash(slot),
                "blockNumber": hex(block),
            }
        )

    def executed(
        self, number: int, amount: int, *, block: int, slot: int, to: str | None = None
    ) -> None:
        """What a reserve did under an approval; without an ``amount`` it is a new recipient."""
        receiver = to or self.addresses[HOUSE]
        self.logs.append(
            {
                "address": self.addresses[RESERVE],
                "topics": [EXECUTED_TOPIC, _topic_of(approval_id(number)), "0x" + _word(receiver)],
                "data": "0x" + _word(1 if amount else 2) + _word(NATIVE) + _word(amount),
                "transactionHash": tx_hash(slot),
                "blockNumber": hex(block),
            }
        )
        if block <= PINNED:
            self.balances[RESERVE, "AST"] -= amount
            for name, address in self.addresses.items():
                if address == receiver:
                    self.balances[name, "AST"] += amount

    def posting(self, posting: str, kind: str, amount: int, asset: str = "AST") -> None:
        """Entries of the bucket that pays customers."""
        self.entry("customer", posting, kind, asset, amount)

    def entry(
        self,
        bucket: str,
        posting: str,
        kind: str,
        asset: str,
        amount: int,
        *,
        network: str = NETWORK,
    ) -> None:
        """The sum of entries of a bucket."""
        self.ledger_by_posting.append(
            {
                "bucket": bucket,
                "network": network,
                "asset": asset,
                "kind": kind,
                "posting": posting,
                "amount": amount,
            }
        )

    def one(self, table: str, **wanted: Any) -> Row:
        """The only row of ``table`` with these values, to be changed."""
        [found] = [
            row for row in getattr(self, table) if all(row[k] == v for k, v in wanted.items())
        ]
        row: Row = found
        return row

    # --- reading it
    def ledger(self) -> list[Row]:
        """The ledger's sums, from its postings."""
        sums: Counter[tuple[str, ...]] = Counter()
        names = ("bucket", "network", "asset", "kind")
        for row in self.ledger_by_posting:
            sums[tuple(row[name] for name in names)] += row["amount"]
        return [
            {**dict(zip(names, place, strict=True)), "balance": total}
            for place, total in sums.items()
        ]

    def networks(self) -> dict[str, Any]:
        """How a deployment file names both networks, with every wallet, token and key."""
        found: dict[str, Any] = {}
        for network, chain_id in ((NETWORK, CHAIN_ID), (QUIET, QUIET_CHAIN_ID)):
            wallets = self._wallets_of(network)
            found[network] = {
                "chain_id": chain_id,
                "node": f"http://127.0.0.1:1/{network}",
                "payouts": {
                    "contracts": {
                        name: address
                        for name, address in wallets.items()
                        if name in self.policy.payout_wallets()
                    },
                    "wallets": wallets,
                    "tokens": {"USDX": TOKEN},
                    "carrier": self.carrier if network == NETWORK else None,
                    "signers": {
                        name: key_of(name, wallets)
                        for name in self.policy.signing_wallets()
                        if name in wallets
                    },
                },
            }
        return found

    def _wallets_of(self, network: str) -> dict[str, str]:
        return {
            name: address
            for name, address in self.addresses.items()
            if self.policy.wallets[name].network == network
        }

    def evidence(self) -> dict[str, Any]:
        """Where a deployment file finds the records, below its folder."""
        return {
            "withdrawals": {"file": "files/withdrawals.csv"},
            "signatures": {"file": "files"},
            "top_ups": {"file": "files/topups.csv"},
            "surpluses": {"file": "files/surpluses.csv"},
            "ledger": {"file": "files"},
        }

    def write(self, folder: Path, **changes: Any) -> Deployment:
        """Write all files below ``folder``; ``changes`` replace parts of the deployment file."""
        records = folder / "files"
        records.mkdir()
        for name in ("withdrawals", "slots", "sign_log", "topups", "approvals", "surpluses"):
            _write(records / f"{name}.csv", getattr(self, name))
        if self.cold_transfers:
            _write(records / "cold_transfers.csv", self.cold_transfers)
        if self.bids:
            _write(records / "bids.csv", self.bids)
        if self.rebalances:
            _write(records / "rebalances.csv", self.rebalances)
        _write(records / "lane_log.csv", [{"network": NETWORK}])
        _write(records / "lanes.csv", [{"network": NETWORK}])
        _write(records / "ledger.csv", self.ledger())
        _write(records / "ledger_by_posting.csv", self.ledger_by_posting)
        (records / "ledger_faults.json").write_text(json.dumps(self.ledger_faults))
        fields: dict[str, Any] = {"networks": self.networks(), "evidence": self.evidence()}
        return load_deployment(write_deployment(folder, **(fields | changes)))

    def client(self, **_: Any) -> httpx.Client:
        """A client whose every request reaches the node in memory."""
        return _CLIENT(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.dark:
            raise httpx.ConnectError("the node is dark")
        quiet = request.url.path.endswith(QUIET)
        answers = []
        for call in json.loads(request.content):
            answer = self._quiet if quiet else self._result
            result = answer(call["method"], call["params"])
            error = {"error": {"message": "too many blocks"}} if result is None else {}
            answers.append({"id": call["id"], "result": result, **error})
        return httpx.Response(200, json=answers)

    def _result(self, method: str, params: list[Any]) -> Any:
        answers: dict[str, Callable[[], Any]] = {
            "eth_chainId": lambda: hex(self.chain_id),
            "eth_blockNumber": lambda: hex(self.newest),
            "eth_getBlockByNumber": lambda: self._block(params[0]),
            "eth_getLogs": lambda: self._logs(params[0]),
            "eth_getTransactionByHash": lambda: self.transactions[params[0]],
            **self._state(params, PINNED, "AST"),
        }
        return answers[method]()

    def _quiet(self, method: str, params: list[Any]) -> Any:
        """The other network's node: its newest block is final, and nothing ever happened."""
        block = {"number": hex(QUIET_BLOCK), "hash": block_hash(QUIET_BLOCK)}
        answers: dict[str, Callable[[], Any]] = {
            "eth_chainId": lambda: hex(QUIET_CHAIN_ID),
            "eth_blockNumber": lambda: hex(QUIET_BLOCK),
            "eth_getBlockByNumber": lambda: block,
            "eth_getLogs": list,
            **self._state(params, QUIET_BLOCK, self.policy.networks[QUIET].native),
        }
        return answers[method]()

    def _state(self, params: list[Any], pinned: int, native: str) -> dict[str, Callable[[], Any]]:
        """State counts only in the block by whose hash it is asked for."""

        def of() -> str:
            assert params[1] == {"blockHash": block_hash(pinned), "requireCanonical": True}
            return str(params[0])

        def of_token() -> str:
            assert params[1] == {"blockHash": block_hash(pinned), "requireCanonical": True}
            assert params[0]["to"] == TOKEN
            return "0x" + _word(self._held("0x" + params[0]["data"][-40:], "USDX"))

        return {
            "eth_getTransactionCount": lambda: hex(self.sent.get(of(), 0)),
            "eth_getBalance": lambda: hex(self._held(of(), native)),
            "eth_call": of_token,
        }

    def _block(self, name: str) -> Row:
        if name == "finalized":
            number = self.finalized.pop(0) if len(self.finalized) > 1 else self.finalized[0]
        else:
            number = int(name, 16)
        of = number + 1_000 if self.forked and name != "finalized" else number
        return {"number": hex(number), "hash": block_hash(of)}

    def _logs(self, wanted: Row) -> list[Row] | None:
        first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
        if last - first >= self.span_max:
            if self.slow:
                message = "so many blocks take longer than anybody waits"
                raise httpx.ReadTimeout(message)
            return None
        self.spans.append((first, last))
        return [
            log
            for log in self.logs
            if first <= int(log["blockNumber"], 16) <= last
            and log["address"] in wanted["address"]
            and log["topics"][0] in wanted["topics"][0]
        ]

    def _held(self, address: str, asset: str) -> int:
        [wallet] = [name for name, each in self.addresses.items() if each == address]
        return self.balances[wallet, asset]


def _write(path: Path, rows: list[Row]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")


def reconciled_venue() -> ReconciledVenue:
    """The venue: at block 10 everything is explained, and a payment is in block 12."""
    policy = load_policy(repository_root() / "policies" / "sandbox.yaml")
    wallets = policy.wallets
    venue = ReconciledVenue(
        policy=policy,
        addresses={name: f"0x{0xC000 + index:040x}" for index, name in enumerate(wallets)},
        ledger_faults={"unbalanced_postings": 0, "negative_balances": 0, "balance_mismatches": 0},
    )
    for name, wallet in wallets.items():
        for asset, holding in wallet.holdings.items():
            amount = policy.base_units(asset, holding.target)
            owed = "customer" if wallet.bucket == "customer" else "own"
            at = {"network": wallet.network}
            venue.entry(wallet.bucket, "fund", wallet.wallet_class, asset, amount, **at)
            venue.entry(wallet.bucket, "fund", owed, asset, -amount, **at)
            venue.balances[name, asset] += amount
    for number, nonce, state, block in (
        (1, 0, "final", 5),
        (2, 1, "included", 8),
        (3, 2, "final", 12),
        (4, 3, "broadcast", None),
        (5, 4, "signed", None),
        (6, 5, "open", None),
    ):
        venue.slot(number, nonce=nonce, state=state, block=block)
    for number, amount, state, slot, asset in (
        (1, 1_001, "posted", 1, "AST"),
        (2, 2_002, "posted", 1, "USDX"),
        (3, 3_003, "unknown", 1, "AST"),
        (4, 4_004, "slotted", 2, "AST"),
        (5, 5_005, "slotted", 2, "AST"),
        (6, 6_006, "posted", 3, "AST"),
        (7, 7_007, "slotted", 4, "AST"),
        (8, 8_008, "slotted", 5, "AST"),
        (9, 9_009, "slotted", 6, "AST"),
        (10, 10_010, "reserved", None, "AST"),
        (11, 11_011, "voided", None, "AST"),
    ):
        venue.withdrawal(number, amount, state, slot=slot, asset=asset)
        venue.posting("reserve", "customer", amount, asset)
        venue.posting("reserve", "reserved", -amount, asset)
        if state == "posted":
            venue.posting("post", "reserved", amount, asset)
            venue.posting("post", "hot", -amount, asset)
        if state == "voided":
            venue.posting("void", "customer", -amount, asset)
            venue.posting("void", "reserved", amount, asset)
    venue.paid(1, 1_001, block=5, slot=1)
    venue.paid(2, 2_002, block=5, slot=1, asset="USDX")
    venue.failed(3, block=5, slot=1)
    venue.paid(4, 4_004, block=8, slot=2)
    venue.failed(5, block=8, slot=2)
    venue.paid(6, 6_006, block=12, slot=3)
    dearer = venue.one("sign_log", address=HOT_KEY, nonce=3) | {"tx_hash": tx_hash(40)}
    # It replaces the transaction of slot 4, with higher fees; two more were asked for in vain.
    venue.sign_log += [dearer, *[dearer | {"tx_hash": ""}] * 2]
    _top_ups(venue)
    _approvals(venue)
    add_bids(venue)
    venue.surpluses.append({"wallet": HOT, "asset": "AST", "amount": 70, "block_number": 6})
    venue.posting("surplus", "hot", 70)
    venue.posting("surplus", "unidentified", -70)
    venue.balances[HOT, "AST"] += 70
    venue.sent = {HOT_KEY: 2, RESERVE_KEY: 3}
    return venue


def _top_ups(venue: ReconciledVenue) -> None:
    venue.slot(21, nonce=0, state="final", block=4, purpose="topup")
    venue.slot(22, nonce=3, state="signed", block=None, purpose="topup")
    for number, amount, state, slot in (
        (1, 500, "posted", 21),
        (2, 600, "slotted", 22),
        (3, 700, "requested", ""),
    ):
        venue.topups.append(
            {
                "id": top_up_id(number),
                "network": NETWORK,
                "asset": "AST",
                "from_wallet": RESERVE,
                "to_wallet": HOT,
                "amount": amount,
                "state": state,
                "slot_id": slot,
            }
        )
    to_hot = {"to": venue.addresses[HOT], "wallet": RESERVE}
    venue.paid(0, 500, block=4, slot=21, of=top_up_id(1), **to_hot)
    venue.posting("topup", "reserve", -500)
    venue.posting("topup", "hot", 500)


def _approvals(venue: ReconciledVenue) -> None:
    """A transfer and a new recipient that are carried out, one on its way, and one that waits."""
    venue.slot(31, nonce=1, state="final", block=6, purpose="approval")
    venue.slot(32, nonce=2, state="final", block=7, purpose="approval")
    venue.slot(33, nonce=4, state="signed", block=None, purpose="approval")
    for number, amount, state, slot in (
        (1, 50, "executed", 31),
        (2, 0, "executed", 32),
        (3, 60, "slotted", 33),
        (4, 70, "open", ""),
    ):
        venue.approvals.append(
            {
                "id": approval_id(number),
                "network": NETWORK,
                "from_wallet": RESERVE,
                "to_wallet": HOUSE if amount else HOT,
                "to_address": venue.addresses[HOUSE] if amount else STRANGER,
                "amount": amount,
                "state": state,
                "asset": "AST" if amount else "",
                "slot_id": slot,
            }
        )
    venue.executed(1, 50, block=6, slot=31)
    venue.executed(2, 0, block=7, slot=32, to=STRANGER)
    venue.posting("transfer", "reserve", -50)
    venue.entry("treasury", "transfer", "hot", "AST", 50)


def swept(venue: ReconciledVenue) -> None:
    """The hot wallet gave 90 back to its reserve, by its own contract."""
    venue.slot(41, nonce=6, state="final", block=7)
    venue.one("slots", id=41)["purpose"] = "sweep"
    venue.topups.append(
        {
            "id": top_up_id(4),
            "network": NETWORK,
            "asset": "AST",
            "from_wallet": HOT,
            "to_wallet": RESERVE,
            "amount": 90,
            "state": "posted",
            "slot_id": 41,
        }
    )
    venue.paid(1 << 39, 90, block=7, slot=41, of=top_up_id(4), to=venue.addresses[RESERVE])
    venue.posting("sweep", "hot", -90)
    venue.posting("sweep", "reserve", 90)
