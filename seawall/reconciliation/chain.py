"""A network at one final block: what was paid up to it, what wallets hold, what keys have sent.

Read from a node of the kit's own with the kit's own decoder (`seawall.evidence.chain`), never from
the venue. State is asked for by the block's hash (EIP-1898), so that all of it is of one block.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx

from seawall.errors import EvidenceError
from seawall.evidence.chain import (
    BALANCE_OF_SELECTOR,
    EXECUTED_TOPIC,
    FAILED_TOPIC,
    NATIVE,
    PAID_TOPIC,
    ChainSource,
    Node,
    decoding,
    executed_item,
    failed_item,
    paid_item,
    transfers_until,
)
from seawall.reconciliation.facts import CARRIER, Execution, Failure, Holding, Payment, Pin

RECIPIENT_KIND = 2
"""The kind of approval that names a new recipient, as in the reserve's contract."""
_SPAN_FIRST = 1_000
_SPAN_MAX = 50_000
"""Blocks that are asked for at once; a node that refuses, or takes too long, is asked for fewer."""
_TRANSFER_SPAN = 200
"""Whole blocks are read there, with all their transactions."""


@dataclass(frozen=True, kw_only=True)
class Activity:
    """What happened in some blocks, in their order."""

    payments: Sequence[Payment]
    failures: Sequence[Failure] = ()
    executions: Sequence[Execution] = ()


class PinnedNetwork:
    """One network, read through ``client``; every method raises :class:`EvidenceError`."""

    def __init__(self, client: httpx.Client, source: ChainSource, *, chain_id: int) -> None:
        self._source = source
        self._node = Node(client, source)
        self._chain_id = chain_id
        self._asset_of = {token.lower(): asset for asset, token in source.assets.items()}
        self._wallet_of = {
            address.lower(): wallet
            for wallet, address in {**source.wallets, **source.payout_contracts}.items()
        }
        if source.carrier is not None:
            self._wallet_of[source.carrier.lower()] = CARRIER

    def pin(self) -> Pin:
        """The newest final block, of the chain that the deployment file names."""
        with decoding(self._source.network):
            found = int(self._node.call("eth_chainId"), 16)
            if found != self._chain_id:
                raise EvidenceError(
                    f"the node of {self._source.network} is one of the chain {found}, and"
                    f" {self._chain_id} is declared",
                    remedy=f"see networks.{self._source.network} of the deployment file",
                )
            block = self._node.call("eth_getBlockByNumber", "finalized", False)
            return Pin(
                network=self._source.network,
                number=int(block["number"], 16),
                hash=str(block["hash"]).lower(),
            )

    def newest(self) -> int:
        """The newest block, final or not."""
        with decoding(self._source.network):
            return int(self._node.call("eth_blockNumber"), 16)

    def require(self, pin: Pin) -> None:
        """Raises :class:`EvidenceError` if the block of ``pin`` is no longer on the chain."""
        with decoding(self._source.network):
            self._block_of(pin)

    def made_at(self, pin: Pin) -> int:
        """When the block of ``pin`` was made, in Unix seconds, as the block says."""
        with decoding(self._source.network):
            return int(self._block_of(pin)["timestamp"], 16)

    def _block_of(self, pin: Pin) -> Mapping[str, Any]:
        block: Mapping[str, Any] = self._node.call("eth_getBlockByNumber", hex(pin.number), False)
        if str(block["hash"]).lower() != pin.hash:
            raise EvidenceError(
                f"block {pin.number} of {pin.network} was {pin.hash} and final, and is"
                f" {block['hash']} now: the node contradicts itself"
            )
        return block

    def activity(self, first: int, last: int) -> Iterator[Activity]:
        """What happened in the blocks from ``first`` to ``last``, a span after another."""
        with decoding(self._source.network):
            if self._source.senders:
                yield from self._transfers(max(first, self._source.first_block), last)
                return
            span = _SPAN_FIRST
            while first <= last:
                until = min(last, first + span - 1)
                try:
                    logs = self._logs(first, until)
                except EvidenceError as error:
                    cause = error.__cause__
                    slow = isinstance(cause, httpx.ReadTimeout)
                    if span == 1 or (isinstance(cause, httpx.TransportError) and not slow):
                        raise
                    span = max(1, span // 4)
                    continue
                yield self._of_logs(logs)
                first, span = until + 1, min(2 * span, _SPAN_MAX)

    def holdings(self, pin: Pin) -> dict[Holding, int]:
        """Base units of every asset of the network in every wallet, in the block of ``pin``."""
        found: dict[Holding, int] = {}
        block = {"blockHash": pin.hash, "requireCanonical": True}
        with decoding(self._source.network):
            for wallet, address in self._source.wallets.items():
                for asset, token in self._source.assets.items():
                    if token == NATIVE:
                        held = self._node.call("eth_getBalance", address, block)
                    else:
                        data = BALANCE_OF_SELECTOR + address.removeprefix("0x").rjust(64, "0")
                        held = self._node.call("eth_call", {"to": token, "data": data}, block)
                    found[wallet, asset] = int(held, 16)
        return found

    def nonces(self, pin: Pin) -> dict[str, int]:
        """How many transactions the key of each lane has sent up to the block of ``pin``."""
        block = {"blockHash": pin.hash, "requireCanonical": True}
        with decoding(self._source.network):
            return {
                wallet: int(self._node.call("eth_getTransactionCount", address, block), 16)
                for wallet, address in self._source.lanes.items()
            }

    def _logs(self, first: int, last: int) -> list[Mapping[str, Any]]:
        logs: list[Mapping[str, Any]] = self._node.call(
            "eth_getLogs",
            {
                "address": sorted(self._wallet_of),
                "fromBlock": hex(first),
                "toBlock": hex(last),
                "topics": [[PAID_TOPIC, FAILED_TOPIC, EXECUTED_TOPIC]],
            },
        )
        outside = [log for log in logs if not first <= int(log["blockNumber"], 16) <= last]
        if outside or any(log.get("removed") for log in logs):
            raise ValueError("events of other blocks, or of none")
        return logs

    def _of_logs(self, logs: Sequence[Mapping[str, Any]]) -> Activity:
        hashes = sorted({log["transactionHash"] for log in logs})
        found = self._node.batch("eth_getTransactionByHash", ([each] for each in hashes))
        transactions = {each["hash"]: each for each in found}
        payments: list[Payment] = []
        failures: list[Failure] = []
        executions: list[Execution] = []
        for log in logs:
            transaction = transactions[log["transactionHash"]]
            of_transaction: dict[str, Any] = {
                "network": self._source.network,
                "tx_hash": str(log["transactionHash"]).lower(),
                "block_number": int(log["blockNumber"], 16),
                "sender": transaction["from"].lower(),
                "nonce": int(transaction["nonce"], 16),
            }
            if log["topics"][0] == FAILED_TOPIC:
                failed = failed_item(log)
                failures.append(
                    Failure(seq=failed.seq, withdrawal=failed.withdrawal, **of_transaction)
                )
                continue
            wallet = self._wallet_of[log["address"].lower()]
            payload = bytes.fromhex(transaction["input"].removeprefix("0x"))
            of_transaction["payload_digest"] = hashlib.sha256(payload).hexdigest()
            if log["topics"][0] == EXECUTED_TOPIC:
                done = executed_item(log)
                moves = done.kind != RECIPIENT_KIND
                executions.append(
                    Execution(
                        wallet=wallet,
                        approval=done.approval,
                        to=done.to,
                        asset=self._asset_of.get(done.token, "") if moves else None,
                        amount=done.amount,
                        **of_transaction,
                    )
                )
                continue
            item = paid_item(log)
            payments.append(
                Payment(
                    wallet=wallet,
                    seq=item.seq,
                    to=item.to,
                    asset=self._asset_of.get(item.token, ""),
                    amount=item.amount,
                    withdrawal=item.withdrawal,
                    **of_transaction,
                )
            )
        return Activity(payments=payments, failures=failures, executions=executions)

    def _transfers(self, first: int, last: int) -> Iterator[Activity]:
        for start in range(first, last + 1, _TRANSFER_SPAN):
            until = min(last, start + _TRANSFER_SPAN - 1)
            rows = transfers_until(self._node, replace(self._source, first_block=start), until)
            yield Activity(
                payments=[
                    Payment(
                        network=row["network"],
                        wallet=None,
                        seq=None,
                        to=row["to"],
                        asset=row["asset"],
                        amount=row["amount"],
                        tx_hash=str(row["tx_hash"]).lower(),
                        block_number=row["block_number"],
                        sender=row["from_address"],
                    )
                    for row in rows
                ]
            )
