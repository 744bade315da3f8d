"""Evidence from the chains: what was paid, read from the nodes and never from the venue.

Only finalized blocks count.

This reader has its own JSON-RPC client and decodes events from their raw topics, although
`seawall.ethereum` and `venue/contracts` could do both. An observer that shares code with what it
judges shares its bugs: a mistake in the venue's client or decoder would repeat itself in the
evidence and stay unseen.
"""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from eth_utils.crypto import keccak

from seawall.errors import EvidenceError

PAID_TOPIC = "0x" + keccak(text="Paid(uint256,bytes16,address,address,uint256)").hex()
FAILED_TOPIC = "0x" + keccak(text="Failed(uint256,bytes16)").hex()
EXECUTED_TOPIC = "0x" + keccak(text="Executed(bytes16,uint256,address,address,uint256)").hex()
BALANCE_OF_SELECTOR = "0x" + keccak(text="balanceOf(address)")[:4].hex()
NATIVE = "0x" + "00" * 20
TRANSFER_TOPIC = "0x" + keccak(text="Transfer(address,address,uint256)").hex()
PAYOUT_COLUMNS = (
    *("network", "seq", "withdrawal_id", "to", "token", "asset", "amount", "tx_hash"),
    *("block_number", "block_timestamp", "from_address", "stranger"),
)
"""Of payouts.csv; ``stranger`` is the sender of a plain transfer that is none of the venue's."""
UNSEEN_COLUMNS = ("network", "to", "asset", "amount")
"""Of unseen.csv; ``to`` and ``amount`` are empty where not all was read in time."""
_BATCH = 200
_FINAL_EVERY_S = 0.5
_HELD_S_MAX = 60.0
"""For how long it is read what destinations of one network hold."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far networks had come at a moment.

    ``heads``: the newest block of each whose payouts are transfers; ``sent``: by network and
    wallet, how many transactions the signing key had sent.
    """

    heads: Mapping[str, int] = field(default_factory=dict)
    sent: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ChainSource:
    """What the export must know of one network.

    Its node, the addresses of its payout contracts and wallets by wallet name, the token addresses
    of its assets by asset name, the address that signs for each wallet (``lanes``), how many
    transactions of each there were before the drill (``sent_before``) and after the one before it
    on the same game day (``sent_earlier``), and the contract by which a carrier between networks
    pays.

    Payouts that are plain transfers come from ``senders``, or go to ``destinations`` whoever sends
    them (all lower case), and are read from ``first_block`` on; what goes to a sender or to one of
    ``own`` stays with the venue. The export waits for up to
    ``final_within_s`` until the newest block of now is final. In the end it is read what
    ``destinations`` hold, however payouts are seen.
    """

    network: str
    node_url: str = field(repr=False)
    assets: Mapping[str, str]
    payout_contracts: Mapping[str, str] = field(default_factory=dict)
    wallets: Mapping[str, str] = field(default_factory=dict)
    lanes: Mapping[str, str] = field(default_factory=dict)
    sent_before: Mapping[str, int] = field(default_factory=dict)
    sent_earlier: Mapping[str, int] = field(default_factory=dict)
    carrier: str | None = None
    senders: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    destinations: Collection[str] = ()
    first_block: int = 0
    final_within_s: float = 0.0


class Node:
    """JSON-RPC of one node; every failure is an :class:`EvidenceError`."""

    def __init__(self, client: httpx.Client, source: ChainSource) -> None:
        self._client = client
        self._source = source

    def call(self, method: str, *params: Any) -> Any:
        """The result of one call."""
        return self.batch(method, [params])[0]

    def batch(self, method: str, calls: Iterable[Iterable[Any]]) -> list[Any]:
        """The results of calls of ``method``, by their parameters and in their order."""
        requests = [
            {"jsonrpc": "2.0", "id": index, "method": method, "params": list(params)}
            for index, params in enumerate(calls)
        ]
        results: list[Any] = []
        for start in range(0, len(requests), _BATCH):
            part = requests[start : start + _BATCH]
            try:
                answers = (
                    self._client.post(self._source.node_url, json=part).raise_for_status().json()
                )
                by_id = {answer["id"]: answer for answer in answers}
            except httpx.HTTPStatusError as error:  # its text has the address, perhaps with a key
                raise EvidenceError(
                    f"the node of {self._source.network} answered with HTTP"
                    f" {error.response.status_code}"
                ) from error
            except httpx.HTTPError as error:
                raise EvidenceError(
                    f"the node of {self._source.network} was not reached: {type(error).__name__}",
                    remedy=f"see networks.{self._source.network}.node of the deployment file",
                ) from error
            except (ValueError, TypeError, KeyError) as error:
                raise EvidenceError(
                    f"the node of {self._source.network} did not answer a batch of calls with one"
                    " of answers"
                ) from error
            for request in part:
                answer = by_id.get(request["id"], {})
                if answer.get("result") is None:
                    raise EvidenceError(
                        f"the chain {self._source.network} refused {method}: {answer.get('error')}"
                    )
                results.append(answer["result"])
        return results


@contextmanager
def decoding(network: str) -> Iterator[None]:
    """What does not decode is nonsense of the node: evidence that is missing, and no crash."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise EvidenceError(
            f"the node of {network} answered what no node can say ({type(error).__name__})"
        ) from error


def export_chain(
    sources: Iterable[ChainSource], *, observed: Mapping[tuple[str, int], float], into: Path
) -> Mapping[str, Mapping[str, int]]:
    """Write payouts.csv, unseen.csv and blocks.csv under ``into``.

    Also lanes.csv if any network has payout contracts, and failed.csv and balances.csv if all have.
    Returns by network and wallet how many transactions each key had sent at the block that was read
    last.

    ``observed`` maps (network, block number) to the Unix time at which the prober first saw the
    block.
    """
    into.mkdir(parents=True, exist_ok=True)
    read = list(sources)
    payouts: list[list[Any]] = []
    failed: list[list[Any]] = []
    unseen: list[list[Any]] = []
    blocks: list[list[Any]] = []
    balances: list[list[Any]] = []
    lanes: list[list[Any]] = []
    sent: dict[str, Mapping[str, int]] = {}
    with httpx.Client(timeout=20, trust_env=False) as client:
        for source in read:
            node = Node(client, source)
            with decoding(source.network):
                head = _final_head(node, source)
                stamps = _blocks(node, source, head, observed, blocks)
                paid, not_paid = _events(node, source, head, stamps)
                paid += _transfers(node, source, head, stamps)
                payouts += paid
                unseen += _unseen(node, source, head, paid)
                failed += not_paid
                _balances(node, source, head, balances)
                sent[source.network] = _sent(node, source, hex(head))
                lanes += [
                    [
                        *(source.network, wallet, source.lanes[wallet].lower(), count),
                        source.sent_before.get(wallet, ""),
                        source.sent_earlier.get(wallet, ""),
                    ]
                    for wallet, count in sent[source.network].items()
                ]
    _write(into / "payouts.csv", ",".join(PAYOUT_COLUMNS), payouts)
    _write(into / "unseen.csv", ",".join(UNSEEN_COLUMNS), unseen)
    _write(into / "blocks.csv", "network,number,timestamp,observed_at", blocks)
    if not any(source.senders for source in read):
        _write(into / "failed.csv", "network,seq,tx_hash,block_number", failed)
        _write(into / "balances.csv", "network,wallet,address,asset,balance,nonce", balances)
    if not all(source.senders for source in read):
        columns = "network,wallet,address,nonce,nonce_before,nonce_earlier"
        _write(into / "lanes.csv", columns, lanes)
    return sent


def sent_by(source: ChainSource, *, chain_id: int) -> dict[str, int]:
    """How many transactions each signing key has sent, by wallet, those in no block yet included.

    Raises :class:`EvidenceError` if the node is not to be had, or is one of another chain.
    """
    with httpx.Client(timeout=20, trust_env=False) as client, decoding(source.network):
        node = Node(client, source)
        _require_chain(node, source.network, chain_id)
        return _sent(node, source, "pending")


def _sent(node: Node, source: ChainSource, block: str) -> dict[str, int]:
    counts = node.batch(
        "eth_getTransactionCount", ([address, block] for address in source.lanes.values())
    )
    return {wallet: int(count, 16) for wallet, count in zip(source.lanes, counts, strict=True)}


def head_of(network: str, node_url: str, *, chain_id: int) -> int:
    """The number of the newest block of ``network``.

    Raises :class:`EvidenceError` if the node is not to be had, or is one of another chain.
    """
    with httpx.Client(timeout=20, trust_env=False) as client, decoding(network):
        node = Node(client, ChainSource(network=network, node_url=node_url, assets={}))
        _require_chain(node, network, chain_id)
        return int(node.call("eth_blockNumber"), 16)


def _require_chain(node: Node, network: str, chain_id: int) -> None:
    found = int(node.call("eth_chainId"), 16)
    if found != chain_id:
        raise EvidenceError(
            f"the node of {network} is one of the chain {found}, and {chain_id} is declared",
            remedy=f"see networks.{network} of the deployment file",
        )


def _final_head(node: Node, source: ChainSource) -> int:
    """The newest final block; where it is waited for, once the newest block of now is final."""
    newest = int(node.call("eth_blockNumber"), 16) if source.final_within_s else 0
    deadline = time.monotonic() + source.final_within_s
    while True:
        head = int(_final(node)["number"], 16)
        if head >= newest:
            return head
        if time.monotonic() >= deadline:
            raise EvidenceError(
                f"block {newest} of {source.network} was not final within"
                f" {source.final_within_s:g} s, so not all payouts can be read"
            )
        time.sleep(_FINAL_EVERY_S)


def _final(node: Node) -> Any:
    """The newest final block."""
    return node.call("eth_getBlockByNumber", "finalized", False)


def _transfers(
    node: Node, source: ChainSource, head: int, stamps: Mapping[int, int]
) -> list[list[Any]]:
    """Rows of every transfer of the native asset and of the tokens that is read.

    Those of the venue's own addresses, and all that arrive at a destination of the drill: a second
    payment may come from another wallet of the venue. A transfer of nothing pays nobody: strangers
    send such to whoever was paid, so that their addresses stand beside true ones.
    """
    if not source.senders:
        return []
    found = _native_transfers(node, source, head, stamps)
    asset_of = {address.lower(): asset for asset, address in source.assets.items()}
    for asset, token in source.assets.items():
        if token == NATIVE:
            continue
        logs = node.call(
            "eth_getLogs",
            {
                "address": token,
                "fromBlock": hex(source.first_block),
                "toBlock": hex(head),
                "topics": [TRANSFER_TOPIC],
            },
        )
        for log in logs:
            sender, receiver = ("0x" + topic[-40:].lower() for topic in log["topics"][1:3])
            amount = int(log["data"], 16)
            if not amount or not _is_payout(source, sender, receiver):
                continue
            number = int(log["blockNumber"], 16)
            found.append(
                [
                    source.network,
                    "",
                    "",
                    receiver,
                    token.lower(),
                    asset_of.get(log["address"].lower(), asset),
                    amount,
                    log["transactionHash"],
                    number,
                    stamps[number],
                    sender,
                    _stranger(source, sender),
                ]
            )
    return found


def _native_transfers(
    node: Node, source: ChainSource, head: int, stamps: Mapping[int, int]
) -> list[list[Any]]:
    native = next(asset for asset, token in source.assets.items() if token == NATIVE)
    sent = [
        transaction
        for block in node.batch(
            "eth_getBlockByNumber",
            ([hex(number), True] for number in range(source.first_block, head + 1)),
        )
        for transaction in block["transactions"]
        if int(transaction["value"], 16)
        and _is_payout(source, transaction["from"].lower(), (transaction["to"] or "").lower())
    ]
    receipts = node.batch("eth_getTransactionReceipt", ([each["hash"]] for each in sent))
    return [
        [
            source.network,
            "",
            "",
            (transaction["to"] or NATIVE).lower(),
            NATIVE,
            native,
            int(transaction["value"], 16),
            transaction["hash"],
            int(transaction["blockNumber"], 16),
            stamps[int(transaction["blockNumber"], 16)],
            transaction["from"].lower(),
            _stranger(source, transaction["from"].lower()),
        ]
        for transaction, receipt in zip(sent, receipts, strict=True)
        if int(receipt["status"], 16) == 1
    ]


def _is_payout(source: ChainSource, sender: str, receiver: str) -> bool:
    """Whether a transfer pays anybody: what stays between the venue's own addresses does not."""
    if receiver in source.destinations:
        return True
    return sender in source.senders and receiver not in {*source.senders, *source.own}


def _stranger(source: ChainSource, sender: str) -> str:
    """The sender if it is none of the venue's addresses, else nothing."""
    return "" if sender in {*source.senders, *source.own} else sender


def _unseen(
    node: Node, source: ChainSource, head: int, paid: Iterable[list[Any]]
) -> list[list[Any]]:
    """Rows of what destinations of the drill hold beyond what was ``paid`` to them.

    A payment has many forms, and a balance shows all of them: one from a key or a contract that
    nobody named, or by a call within a transaction.
    """
    seen: Counter[tuple[str, str]] = Counter()
    for row in paid:
        named = dict(zip(PAYOUT_COLUMNS, row, strict=True))
        seen[named["to"], named["asset"]] += named["amount"]
    found: list[list[Any]] = []
    destinations = sorted(source.destinations)
    deadline = time.monotonic() + _HELD_S_MAX
    for asset, token in source.assets.items():
        for start in range(0, len(destinations), _BATCH):
            if time.monotonic() > deadline:
                return [*found, [source.network, "", asset, ""]]
            part = destinations[start : start + _BATCH]
            for to, held in zip(part, _held(node, token, part, hex(head)), strict=True):
                if (more := int(held, 16) - seen[to, asset]) > 0:
                    found.append([source.network, to, asset, more])
    return found


def _held(node: Node, token: str, addresses: list[str], block: str) -> list[Any]:
    """What each of ``addresses`` holds, as the node says it."""
    if token == NATIVE:
        return node.batch("eth_getBalance", ([address, block] for address in addresses))
    return node.batch(
        "eth_call",
        (
            [{"to": token, "data": BALANCE_OF_SELECTOR + address[2:].rjust(64, "0")}, block]
            for address in addresses
        ),
    )


def _blocks(
    node: Node,
    source: ChainSource,
    head: int,
    observed: Mapping[tuple[str, int], float],
    rows: list[list[Any]],
) -> dict[int, int]:
    stamps: dict[int, int] = {}
    for block in node.batch(
        "eth_getBlockByNumber",
        ([hex(number), False] for number in range(source.first_block, head + 1)),
    ):
        number = int(block["number"], 16)
        stamps[number] = int(block["timestamp"], 16)
        seen = observed.get((source.network, number))
        rows.append([source.network, number, stamps[number], "" if seen is None else f"{seen:.6f}"])
    return stamps


def _events(
    node: Node, source: ChainSource, head: int, stamps: Mapping[int, int]
) -> tuple[list[list[Any]], list[list[Any]]]:
    """Rows of every Paid and every Failed event of the payout contracts.

    What goes to another wallet of the venue stays with it, and pays nobody.
    """
    payouts: list[list[Any]] = []
    failed: list[list[Any]] = []
    asset_of = {address: asset for asset, address in source.assets.items()}
    own = {address.lower() for address in source.wallets.values()}
    for contract in source.payout_contracts.values():
        span = {"address": contract, "fromBlock": "0x0", "toBlock": hex(head)}
        logs = node.call("eth_getLogs", {**span, "topics": [PAID_TOPIC]})
        hashes = sorted({log["transactionHash"] for log in logs})
        transactions = node.batch("eth_getTransactionByHash", ([tx] for tx in hashes))
        sender = {tx["hash"]: tx["from"].lower() for tx in transactions}
        for log in logs:
            paid, number = paid_item(log), int(log["blockNumber"], 16)
            if paid.to in own:
                continue
            payouts.append(
                [
                    source.network,
                    paid.seq,
                    paid.withdrawal,
                    paid.to,
                    paid.token,
                    asset_of.get(paid.token, ""),
                    paid.amount,
                    log["transactionHash"],
                    number,
                    stamps[number],
                    sender[log["transactionHash"]],
                    "",
                ]
            )
        failed += [
            [
                source.network,
                int(log["topics"][1], 16),
                log["transactionHash"],
                int(log["blockNumber"], 16),
            ]
            for log in node.call("eth_getLogs", {**span, "topics": [FAILED_TOPIC]})
        ]
    return payouts, failed


@dataclass(frozen=True, kw_only=True)
class PaidItem:
    """What a ``Paid`` event says; addresses are lower case, ``amount`` is in base units."""

    seq: int
    withdrawal: str
    to: str
    token: str
    amount: int


def paid_item(log: Mapping[str, Any]) -> PaidItem:
    """The payment that ``log``, a node's of :data:`PAID_TOPIC`, says was made."""
    return PaidItem(
        seq=int(log["topics"][1], 16),
        withdrawal=_id(log["topics"][2]),
        to="0x" + log["topics"][3][-40:].lower(),
        token="0x" + log["data"][2:66][-40:].lower(),
        amount=int(log["data"][66:130], 16),
    )


@dataclass(frozen=True, kw_only=True)
class FailedItem:
    """What a ``Failed`` event says: the number and the withdrawal that could not be paid."""

    seq: int
    withdrawal: str


def failed_item(log: Mapping[str, Any]) -> FailedItem:
    """The payment that ``log``, a node's of :data:`FAILED_TOPIC`, says was not made."""
    return FailedItem(seq=int(log["topics"][1], 16), withdrawal=_id(log["topics"][2]))


@dataclass(frozen=True, kw_only=True)
class ExecutedItem:
    """What an ``Executed`` event says: what a reserve did because approvers had signed it.

    ``kind`` is the contract's number; a new recipient (2) moves nothing. Addresses are lower case.
    """

    approval: str
    kind: int
    to: str
    token: str
    amount: int


def executed_item(log: Mapping[str, Any]) -> ExecutedItem:
    """What ``log``, a node's of :data:`EXECUTED_TOPIC`, says was done."""
    return ExecutedItem(
        approval=_id(log["topics"][1]),
        kind=int(log["data"][2:66], 16),
        to="0x" + log["topics"][2][-40:].lower(),
        token="0x" + log["data"][66:130][-40:].lower(),
        amount=int(log["data"][130:194], 16),
    )


def _id(topic: str) -> str:
    """The UUID in the first half of a topic. Raises ValueError if there is more."""
    digits = topic.removeprefix("0x")
    if digits[32:] != "0" * 32:
        raise ValueError(f"{topic} is no id of 16 bytes")
    return str(UUID(hex=digits[:32]))


def transfers_until(node: Node, source: ChainSource, last: int) -> list[dict[str, Any]]:
    """Payouts of ``source`` that are plain transfers, from its first block to ``last``.

    By the columns of payouts.csv.
    """
    rows = _transfers(node, source, last, _blocks(node, source, last, {}, []))
    return [dict(zip(PAYOUT_COLUMNS, row, strict=True)) for row in rows]


def _balances(node: Node, source: ChainSource, head: int, rows: list[list[Any]]) -> None:
    for wallet, address in source.wallets.items():
        nonce = int(node.call("eth_getTransactionCount", address, hex(head)), 16)
        for asset, token in source.assets.items():
            [held] = _held(node, token, [address], hex(head))
            rows.append([source.network, wallet, address, asset, int(held, 16), nonce])


def _write(path: Path, header: str, rows: list[list[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header.split(","))
        writer.writerows(rows)
