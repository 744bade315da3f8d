"""A carrier: what it was paid on one network, it pays on another.

Usage: ``SEAWALL_CARRIER_KEY=0x... python -m sandbox.counterparties.carrier --config FILE
--state FILE --port N``; what it answers is in `seawall.formats.carrier`. On each network it has a
contract like a hot wallet's, which takes and pays. It keeps records as a custodian does, and pays
nothing before a final block shows that it was paid: it believes the reserve's contract and the
token, not the venue.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from pydantic import BaseModel

from sandbox.counterparties.custodian import Counterparty, Keeper, options_of, secret_of, serve
from sandbox.counterparties.vault import Held, KeptWallet, RefusedError, Vault
from seawall.errors import SeawallError
from seawall.ethereum import values
from seawall.ethereum.keys import event_topic
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.ethereum.values import Receipt
from seawall.formats.carrier import Carriage, CarriageRequest
from seawall.formats.documents import read_json_model

KEY_VARIABLE = "SEAWALL_CARRIER_KEY"
_SCHEMA = """
    create table if not exists deposits (client_id text primary key, tx_hash text not null)"""
_EXECUTED = event_topic("Executed(bytes16,uint256,address,address,uint256)")
_TRANSFER = event_topic("Transfer(address,address,uint256)")
_WORD = 64
"""Hexadecimal digits of a word."""


class Config(Keeper):
    """The carrier's configuration; addresses are by network.

    ``contracts`` are its own, ``customers`` the contracts of the venue's reserves, which alone pay
    it and are paid by it.
    """

    contracts: dict[str, str]
    customers: dict[str, list[str]]

    def terms(self) -> CarrierTerms:
        """What was agreed with the venue."""
        return CarrierTerms(
            wallets={
                network: KeptWallet(
                    network=network,
                    contract=contract.lower(),
                    tokens={
                        asset: token.lower()
                        for asset, token in self.networks[network].tokens.items()
                    },
                )
                for network, contract in self.contracts.items()
            },
            customers={
                network: frozenset(address.lower() for address in addresses)
                for network, addresses in self.customers.items()
            },
            delay_s=self.delay_s,
        )


@dataclass(frozen=True, kw_only=True)
class CarrierTerms:
    """What was agreed with the venue: between whom it carries, both by network; it never closes."""

    wallets: Mapping[str, KeptWallet]
    customers: Mapping[str, frozenset[str]]
    delay_s: float
    opens_s: int = 0

    def is_open(self, now_s: float) -> bool:
        """It always is."""
        del now_s
        return True

    def wallet_of(self, request: CarriageRequest) -> KeptWallet:
        """The wallet that pays it."""
        return self.wallets[request.network]

    def ends_at(self, request: CarriageRequest) -> float:
        """Never: what is paid to it, it pays, however late."""
        del request
        return math.inf

    def check(self, request: CarriageRequest) -> None:
        """Raises :class:`RefusedError` for what was not agreed."""
        if request.network == request.from_network:
            raise RefusedError(422, "bad_request", "it carries between two networks")
        for network in (request.from_network, request.network):
            if network not in self.wallets:
                raise RefusedError(422, "unknown_wallet", f"it has no wallet on {network}")
            if request.asset not in self.wallets[network].tokens:
                reason = f"it carries no {request.asset} on {network}"
                raise RefusedError(422, "unknown_asset", reason)
        for network, who in (
            (request.from_network, request.deposit_by),
            (request.network, request.destination),
        ):
            if who not in self.customers.get(network, frozenset()):
                reason = f"{who} on {network} is no wallet of the venue that was agreed on"
                raise RefusedError(403, "destination_not_allowed", reason)


class Desk(Vault):
    """The carrier's records: a request waits for its deposit before anything else."""

    asks: type[BaseModel] = CarriageRequest
    shows: type[BaseModel] = Carriage

    def __init__(self, path: Path, terms: CarrierTerms) -> None:
        super().__init__(path, terms)
        self._file.executescript(_SCHEMA)

    def unpaid(self) -> list[Held]:
        """Requests whose deposit was not seen yet."""
        waiting = self._all("state = 'accepted' order by n")
        return [each for each in waiting if self._deposit(each) is None]

    def note_deposit(self, of: Held, tx_hash: str) -> None:
        """Keep which transaction has paid for it."""
        self._file.execute(
            "insert or ignore into deposits values (?, ?)", (str(of.request.client_id), tx_hash)
        )

    def _deposit(self, held: Held) -> str | None:
        row = self._file.execute(
            "select tx_hash from deposits where client_id = ?", (str(held.request.client_id),)
        ).fetchone()
        return None if row is None else str(row["tx_hash"])

    def _waits_for(self, held: Held, now_s: float) -> str:
        if self._deposit(held) is None:
            return f"its deposit on {held.request.from_network}"
        return super()._waits_for(held, now_s)


@dataclass(frozen=True, kw_only=True)
class Carrier(Counterparty):
    """Answers requests, and pays what it was paid."""

    config: Config
    vault: Desk

    async def turn(self, network: str) -> None:
        """Look for what came in on ``network``, then pay there what came in elsewhere.

        Raises :class:`ServiceError`.
        """
        for held in self.vault.unpaid():
            if held.request.from_network == network:
                tx_hash = await self._paid_by(held)
                if tx_hash is not None:
                    self.vault.note_deposit(held, tx_hash)
        await super().turn(network)

    async def _paid_by(self, held: Held) -> str | None:
        """The final transaction that has paid for ``held``, by its reserve's and token's events."""
        request, rpc = held.request, self.rpcs[held.request.from_network]
        view = await rpc.view()
        wanted = {
            "address": request.deposit_by,
            "fromBlock": "0x0",
            "toBlock": hex(view.finalized.number),
            "topics": [_EXECUTED, f"0x{request.client_id.hex:0<64}"],
        }
        for tx_hash in await view.ask(_hashes, "eth_getLogs", wanted):
            receipt = await view.receipt(tx_hash)
            if receipt is None:
                continue
            await view.confirm(receipt)
            if self._came(request, receipt):
                return tx_hash
        return None

    def _came(self, request: CarriageRequest, receipt: Receipt) -> bool:
        own = self.config.contracts[request.from_network].lower()
        token = self.config.networks[request.from_network].tokens[request.asset].lower()
        topics = [_TRANSFER, _padded(request.deposit_by), _padded(own)]
        return any(
            log["address"].lower() == token
            and [each.lower() for each in log["topics"]] == topics
            and int(log["data"], 16) == int(request.amount)
            for log in receipt.logs
        )


def _padded(address: str) -> str:
    return "0x" + address.removeprefix("0x").lower().rjust(_WORD, "0")


def _hashes(logs: Any) -> list[str]:
    if not isinstance(logs, list):
        raise ValueError(f"{logs!r} are no events")  # noqa: TRY004 - the node's fault, not ours
    return [values.word(log["transactionHash"]) for log in logs]


def main(arguments: list[str] | None = None) -> int:
    """Run one carrier; returns the exit code."""
    options = options_of("A carrier between networks.", arguments)
    try:
        config = read_json_model(options.config, Config)
        secret = secret_of(os.environ, KEY_VARIABLE)

        def make(rpcs: Mapping[str, AsyncRpcClient]) -> Carrier:
            desk = Desk(options.state, config.terms())
            return Carrier(config=config, vault=desk, rpcs=rpcs, secret=secret)

        uvloop.run(serve(config.networks, make, port=options.port))
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
