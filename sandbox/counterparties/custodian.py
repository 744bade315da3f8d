"""A custodian: it keeps the keys of cold wallets and moves their money to their reserves.

Usage: ``SEAWALL_CUSTODIAN_KEY=0x... python -m sandbox.counterparties.custodian --config FILE
--state FILE --port N``; what it answers is in `seawall.formats.custody`. The key is that which the
contracts of its cold wallets obey: a cold wallet is a contract like a reserve, whose recipient is
the reserve that it feeds, so the chain holds the custodian to its list as well.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import rlp
import uvloop
from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.counterparties.vault import ColdWallet, Held, KeptWallet, RefusedError, Terms, Vault
from sandbox.custody import KEY_VARIABLE
from sandbox.http1 import Message, answering, serve_beside
from seawall.errors import SeawallError, ServiceError, UsageError
from seawall.ethereum import values
from seawall.ethereum.keys import (
    address_of_private_key,
    event_topic,
    keccak256,
    selector,
    sign_locally,
    to_bytes,
)
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.ethereum.values import Receipt
from seawall.formats.carrier import CarriageRequest
from seawall.formats.custody import Condition, TransferRequest
from seawall.formats.documents import read_json_model

_EVERY_S = 0.5
_GAS_LIMIT = 345_000
"""Of a `pay` of one item (venue/contracts/calls.py)."""
_TIP_WEI = 10**9
_HEADROOM = 50
"""Of the base fee: 33 full blocks in a row multiply it by that. Fees are never raised later."""
_TYPE = b"\x02"
_KEY_BYTES = 32
_PAY = selector("pay((uint256,bytes16,address,address,uint256)[])")
_PAID_MANY = selector("paid_many(uint256[])")
_PAID = event_topic("Paid(uint256,bytes16,address,address,uint256)")
_NUMBERS_AT_ONCE = 500
"""Numbers of which a contract says at once whether they are used up."""

Answer = tuple[int, str]


class Site(BaseModel):
    """A network: its chain, a node, and token addresses by asset (zero: the coin)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chain_id: int
    rpc: str
    tokens: dict[str, str]


class Kept(BaseModel):
    """A cold wallet: its contract, and the only address that it pays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str
    contract: str
    destination: str


class Keeper(BaseModel):
    """What every counterparty with a vault is told.

    Of the credentials of its callers it holds the SHA-256: ``client_sha256`` is the venue's,
    ``control_sha256`` that of its own people. ``delay_s`` is as in :class:`Terms`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    networks: dict[str, Site]
    delay_s: float = Field(ge=0)
    client_sha256: str
    control_sha256: str


class Config(Keeper):
    """The custodian's configuration; what is not named here is as in :class:`Terms`."""

    wallets: dict[str, Kept]
    approvers: dict[str, str]
    needed: int = Field(ge=2)
    opens_s: int = Field(ge=0, lt=86_400)
    closes_s: int = Field(ge=0, lt=86_400)

    def terms(self) -> Terms:
        """What was agreed with the venue."""
        return Terms(
            wallets={
                name: ColdWallet(
                    network=kept.network,
                    contract=kept.contract.lower(),
                    destination=kept.destination.lower(),
                    tokens=self.networks[kept.network].tokens,
                )
                for name, kept in self.wallets.items()
            },
            approvers={role: address.lower() for role, address in self.approvers.items()},
            needed=self.needed,
            delay_s=self.delay_s,
            opens_s=self.opens_s,
            closes_s=self.closes_s,
        )


def signed(
    *, chain_id: int, nonce: int, to: str, data: bytes, base_fee_wei: int, secret: bytes
) -> bytes:
    """The bytes of a transaction of type 2 (EIP-1559) that calls ``to``."""
    max_fee_wei = _HEADROOM * base_fee_wei + 2 * _TIP_WEI
    fields = [chain_id, nonce, _TIP_WEI, max_fee_wei, _GAS_LIMIT, to_bytes(to), 0, data, []]
    by = sign_locally(keccak256(_TYPE + rlp.encode(fields)), secret=secret)
    return bytes(_TYPE + rlp.encode([*fields, by.y_parity, by.r, by.s]))


def call_of(
    request: TransferRequest | CarriageRequest, wallet: KeptWallet, *, number: int
) -> bytes:
    """Calldata that pays a transfer: ``number`` is used once, and the event names its id."""
    item = (
        *(number, request.client_id.bytes, request.destination),
        *(wallet.tokens[request.asset], int(request.amount)),
    )
    return _PAY + encode(("(uint256,bytes16,address,address,uint256)[]",), ([item],))


def moved(request: TransferRequest | CarriageRequest, receipt: Receipt, contract: str) -> bool:
    """Whether the contract says that it has paid this transfer: an item may fail by itself."""
    topics = [_PAID, _topic_of(request)]
    return receipt.succeeded and any(
        log["address"].lower() == contract and [log["topics"][0], log["topics"][2]] == topics
        for log in receipt.logs
        if len(log["topics"]) > len(topics)
    )


def _topic_of(request: TransferRequest | CarriageRequest) -> str:
    return f"0x{request.client_id.hex:0<64}"


def _flags(answer: bytes) -> list[bool]:
    try:
        (found,) = decode(("bool[]",), answer)
    except DecodingError as error:
        raise ValueError(f"{len(answer)} bytes are no flags") from error
    return list(found)


def _hashes(logs: Any) -> list[str]:
    if not isinstance(logs, list):
        raise ValueError(f"{logs!r} are no events")  # noqa: TRY004 - the node's fault, not ours
    return [values.word(log["transactionHash"]) for log in logs]


@dataclass(frozen=True, kw_only=True)
class Counterparty:
    """Answers requests and signs what is due; ``rpcs`` are by network, ``secret`` is its key."""

    config: Keeper
    vault: Vault
    rpcs: Mapping[str, AsyncRpcClient]
    secret: bytes
    clock: Callable[[], float] = time.time

    async def turn(self, network: str) -> None:
        """See what is under way through to finality, then sign what is due, one at a time.

        What was not signed before its approval ended has expired, whatever kept it waiting.

        Of one network, so that another one whose node is dark stops nothing here.

        Raises :class:`ServiceError` if a node does not answer; the next turn goes on from there.
        """
        normal = self.vault.condition().state == "normal"
        for held in self.vault.under_way(network):
            await self._follow(held, normal=normal)
        for late in self.vault.expired(network, self.clock()):
            if (lost := await self._moved_by(late)) is not None:
                self.vault.adopt(late, tx_hash=lost)
            else:
                self.vault.note(late, "expired")
        while (due := self.vault.due(network, self.clock())) is not None:
            if (lost := await self._moved_by(due)) is not None:
                self.vault.adopt(due, tx_hash=lost)
                continue
            kept = await self._sign(due)
            if kept is None:
                return
            await self._send(kept)

    async def _moved_by(self, held: Held) -> str | None:
        """The transaction that has moved ``held`` already: a lost file had it on record."""
        wallet = self.vault.terms.wallet_of(held.request)
        topics = [_PAID, None, _topic_of(held.request)]
        found = await self.rpcs[wallet.network].ask(
            _hashes,
            "eth_getLogs",
            {"address": wallet.contract, "fromBlock": "0x0", "topics": topics},
        )
        return found[0] if found else None

    async def _free_number(self, wallet: KeptWallet) -> int:
        """The first number that neither the file nor the contract has used.

        A file that was restored has forgotten the last ones, and the contract has not.
        """
        first = self.vault.next_number()
        while True:
            numbers = list(range(first, first + _NUMBERS_AT_ONCE))
            data = _PAID_MANY + encode(("uint256[]",), (numbers,))
            used = await self.rpcs[wallet.network].read(wallet.contract, data, _flags)
            free = [n for n, is_used in zip(numbers, used, strict=True) if not is_used]
            if free:
                return free[0]
            first += _NUMBERS_AT_ONCE

    async def _sign(self, held: Held) -> Held | None:
        """Sign ``held``; None if that must not be any more, because it took a while to look."""
        wallet = self.vault.terms.wallet_of(held.request)
        site, rpc = self.config.networks[wallet.network], self.rpcs[wallet.network]
        # A file that was restored has forgotten the last nonces, and the chain has not.
        known = await rpc.highest_nonce(address_of_private_key(self.secret))
        nonce = max(known, self.vault.next_nonce(wallet.network) or 0)
        number = await self._free_number(wallet)
        base_fee_wei = (await rpc.head()).base_fee_wei
        if self.vault.due(wallet.network, self.clock()) != held:
            return None
        raw = signed(
            chain_id=site.chain_id,
            nonce=nonce,
            to=wallet.contract,
            data=call_of(held.request, wallet, number=number),
            base_fee_wei=base_fee_wei,
            secret=self.secret,
        )
        tx_hash = "0x" + keccak256(raw).hex()
        return self.vault.sign(held, number=number, nonce=nonce, raw=raw, tx_hash=tx_hash)

    async def _send(self, held: Held) -> None:
        await self.rpcs[held.request.network].broadcast(held.raw or b"")
        self.vault.note(held, "sent")

    async def _follow(self, held: Held, *, normal: bool) -> None:
        rpc = self.rpcs[held.request.network]
        view = await rpc.view()
        receipt = await view.receipt(held.tx_hash or "")
        if receipt is None:
            # Its pool may have lost it; the same bytes cannot move twice. Adopted, it has none.
            if normal and held.raw is not None:
                await self._send(held)
            return
        if receipt.block_number > view.finalized.number:
            return
        await view.confirm(receipt)
        contract = self.vault.terms.wallet_of(held.request).contract
        state = "moved" if moved(held.request, receipt, contract) else "failed"
        self.vault.note(held, state, block_number=receipt.block_number)

    def answer(self, request: Message) -> Answer:
        """Status and JSON text for one request."""
        method, path, _ = request.start
        try:
            return self._answer(method, path, request)
        except RefusedError as refused:
            return refused.status, json.dumps({"code": refused.code, "reason": refused.reason})
        except (ValidationError, ValueError) as error:
            text = str(error).partition("\n")[0]
            return 422, json.dumps({"code": "bad_request", "reason": text})

    def _answer(self, method: str, path: str, request: Message) -> Answer:
        client, control = self.config.client_sha256, self.config.control_sha256
        now_s = self.clock()
        match method, path.strip("/").split("/"):
            case "POST", ["v1", "transfers"]:
                _require(request, client)
                asked = self.vault.asks.model_validate_json(request.body)
                transfer, new = self.vault.take(asked, now_s=now_s)
                return 201 if new else 200, transfer.model_dump_json()
            case "GET", ["v1", "transfers", identity]:
                _require(request, client)
                found = self.vault.transfer(UUID(identity), now_s=now_s)
                return 200, found.model_dump_json()
            case "GET", ["v1", "statement"]:
                _require(request, client)
                return 200, self.vault.statement(now_s=now_s).model_dump_json()
            case "GET", ["v1", "condition"]:
                _require(request, client, control)
                return 200, self.vault.condition().model_dump_json()
            case "POST", ["v1", "condition"]:
                _require(request, control)
                self.vault.become(Condition.model_validate_json(request.body))
                return 200, self.vault.condition().model_dump_json()
        raise RefusedError(404, "not_found", f"nothing is at {method} {path}")


@dataclass(frozen=True, kw_only=True)
class Custodian(Counterparty):
    """A custodian of cold wallets."""

    config: Config


def _require(request: Message, *digests: str) -> None:
    """Raises :class:`RefusedError` unless the caller shows a credential of one of these."""
    shown = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
    digest = hashlib.sha256(shown).hexdigest()
    if not any(hmac.compare_digest(digest, each) for each in digests):
        raise RefusedError(401, "unknown_caller", "show the credential for this")


async def serve(
    networks: Mapping[str, Site],
    make: Callable[[Mapping[str, AsyncRpcClient]], Counterparty],
    *,
    port: int,
) -> None:
    """Serve what ``make`` makes of a client of each network, until a signal ends it."""
    async with AsyncExitStack() as stack:
        rpcs = {
            name: await stack.enter_async_context(AsyncRpcClient(name, (site.rpc,)))
            for name, site in networks.items()
        }
        counterparty = make(rpcs)
        stack.callback(counterparty.vault.close)

        def answer(request: Message) -> tuple[int, bytes]:
            status, text = counterparty.answer(request)
            return status, text.encode()

        async def work(network: str) -> None:
            while True:
                try:
                    await counterparty.turn(network)
                except ServiceError as error:
                    print(f"the next turn tries again: {error}", file=sys.stderr)
                await asyncio.sleep(_EVERY_S)

        # A turn that fails for another reason ends the process: its supervisor starts it anew.
        await serve_beside({port: answering(answer)}, map(work, networks))


def options_of(description: str, arguments: list[str] | None) -> argparse.Namespace:
    """The command line of a counterparty with a vault."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", type=Path, required=True, help="its configuration, in JSON")
    parser.add_argument("--state", type=Path, required=True, help="the file of its records")
    parser.add_argument("--port", type=int, required=True, help="port on loopback")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run one custodian; returns the exit code."""
    options = options_of("A custodian of cold wallets.", arguments)
    try:
        config = read_json_model(options.config, Config)
        secret = secret_of(os.environ, KEY_VARIABLE)

        def make(rpcs: Mapping[str, AsyncRpcClient]) -> Custodian:
            vault = Vault(options.state, config.terms())
            return Custodian(config=config, vault=vault, rpcs=rpcs, secret=secret)

        uvloop.run(serve(config.networks, make, port=options.port))
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def secret_of(environment: Mapping[str, Any], variable: str) -> bytes:
    """The key that ``variable`` holds. Raises :class:`UsageError`."""
    try:
        secret = to_bytes(environment[variable])
    except (KeyError, ValueError) as error:
        raise UsageError(f"{variable} is no key in hex") from error
    if len(secret) != _KEY_BYTES:
        raise UsageError(f"{variable} is no key of {_KEY_BYTES} bytes")
    return secret


if __name__ == "__main__":
    sys.exit(main())
