"""The custodian on a real node: it moves a cold wallet's money to its reserve, once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from sandbox.counterparties.custodian import Config, Custodian, main
from sandbox.counterparties.vault import Vault
from sandbox.custody import KEY_VARIABLE
from sandbox.http1 import Message
from seawall.controls.timing import CUSTODIAN_CLOCK_MS
from seawall.errors import ExitCode, ServiceError
from seawall.ethereum.keys import (
    address_of_private_key,
    keccak256,
    personal_message_hash,
    sign_locally,
)
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.formats.custody import RoleSignature, TransferRequest
from tests.integration.test_payout_contract import CAP, DEPLOYER, Bench
from tests.integration.test_reserve_contract import ADDRESSES, CHAIN_ID, HOT, KEYS, creation
from tests.testing.venue_harness import HANGS_AFTER_S, free_port
from venue.contracts.calls import NATIVE, mint
from venue.contracts.compiler import token_creation

pytestmark = pytest.mark.integration

SECRET = keccak256(b"a custodian")
ROLES = ("lead", "ops", "commander")
RESERVE = HOT
"""What the contract of the cold wallet pays; any address will do."""
STRANGER = f"0x{0xBAD:040x}"
HOUR_S = 3_600.0
EXPIRES_AT = 4_000_000_000
"""Of what is asked for without another: processes go by the real clock."""


@dataclass(kw_only=True)
class Custody:
    """A node with a cold wallet's contract, and a custodian that may be started anew."""

    bench: Bench
    url: str
    path: Path
    now_s: float = 0.0
    custodian: Custodian = field(init=False)

    def config(self, **changes: Any) -> dict[str, Any]:
        """Its configuration: a delay of an hour, and a window that never ends."""
        tokens = {"AST": NATIVE, "USDX": self.bench.token}
        site = {"chain_id": CHAIN_ID, "rpc": self.url, "tokens": tokens}
        cold = {"network": "aster", "contract": self.bench.contract, "destination": RESERVE}
        return {
            "networks": {"aster": site},
            "wallets": {"cold": cold},
            "approvers": dict(zip(ROLES, ADDRESSES, strict=False)),
            "needed": 2,
            "delay_s": HOUR_S,
            "opens_s": 0,
            "closes_s": 0,
            "client_sha256": hashlib.sha256(b"venue").hexdigest(),
            "control_sha256": hashlib.sha256(b"people").hexdigest(),
            **changes,
        }

    def start(self) -> None:
        """Start the custodian from what is on disk."""
        config = Config.model_validate(self.config())
        self.custodian = Custodian(
            config=config,
            vault=Vault(self.path, config.terms()),
            rpcs={"aster": self.bench.rpc},
            secret=SECRET,
            clock=lambda: self.now_s,
        )

    def restart(self) -> None:
        """It dies, and is started anew."""
        self.custodian.vault.close()
        self.start()

    def says(
        self, method: str, path: str, body: str = "", *, by: str = "venue"
    ) -> tuple[int, dict[str, Any]]:
        """Its answer over HTTP."""
        message = Message(
            start=(method, path, "HTTP/1.1"),
            headers={"authorization": f"Bearer {by}"},
            body=body.encode(),
            raw=b"",
        )
        status, text = self.custodian.answer(message)
        return status, json.loads(text)

    def ask(self, asset: str = "AST", amount: int = 500, **changes: Any) -> UUID:
        """Ask for a transfer that two approvers have signed; its id."""
        wanted = self.request(asset, amount, **changes)
        status, _ = self.says("POST", "/v1/transfers", wanted.model_dump_json())
        assert status == 201
        return wanted.client_id

    def request(self, asset: str, amount: int, **changes: Any) -> TransferRequest:
        """A request that two approvers have signed."""
        fields = {
            "client_id": uuid4(),
            "network": "aster",
            "wallet": "cold",
            "asset": asset,
            "amount": str(amount),
            "destination": RESERVE,
            "expires_at": EXPIRES_AT,
            "approvals": (),
        }
        wanted = TransferRequest.model_validate(fields | changes)
        digest = personal_message_hash(wanted.text)
        signatures = tuple(
            RoleSignature(
                role=role, signature="0x" + sign_locally(digest, secret=key).recoverable.hex()
            )
            for role, key in zip(ROLES[:2], KEYS, strict=False)
        )
        return wanted.model_copy(update={"approvals": signatures})

    def state(self, identity: UUID) -> str:
        """How far a request has come."""
        status, answer = self.says("GET", f"/v1/transfers/{identity}")
        assert status == 200
        return str(answer["state"])

    async def mined(self) -> None:
        """Let everything that was sent become final."""
        await self.bench.rpc.call("anvil_mine", hex(4))


@asynccontextmanager
async def _custody(url: str, path: Path) -> AsyncIterator[Custody]:
    async with AsyncRpcClient("aster", (url,)) as rpc:
        bench = Bench(rpc=rpc)
        signer = address_of_private_key(SECRET)
        await bench.send(DEPLOYER, to=signer, value=10**18)
        bench.token = await bench.create(token_creation(symbol="USDX", decimals=6))
        bench.contract = await bench.create(creation(bench.token, signer=signer, recipient=RESERVE))
        await bench.send(DEPLOYER, to=bench.contract, value=3 * CAP)
        await bench.send(DEPLOYER, to=bench.token, data=mint(bench.contract, 3 * CAP))
        found = Custody(bench=bench, url=url, path=path)
        found.start()
        yield found
        found.custodian.vault.close()


@pytest.fixture
async def custody(start_anvil: Callable[..., str], tmp_path: Path) -> AsyncIterator[Custody]:
    """A custodian with a delay of an hour, on a node with a block per transaction."""
    async with _custody(start_anvil(), tmp_path / "vault.sqlite") as found:
        yield found


async def test_a_transfer_waits_for_its_delay_and_moves_to_the_reserve(custody: Custody) -> None:
    """The contract's event names the venue's id; the statement has its transaction and block."""
    identity = custody.ask("USDX", 700)
    await custody.custodian.turn("aster")
    assert custody.state(identity) == "accepted"
    custody.now_s += HOUR_S
    await custody.custodian.turn("aster")
    assert custody.state(identity) == "sent"
    rpc, token = custody.bench.rpc, custody.bench.token
    assert await rpc.balance(RESERVE, token=token) == 700
    assert await rpc.balance(custody.bench.contract, token=token) == 3 * CAP - 700

    await custody.custodian.turn("aster")
    assert custody.state(identity) == "sent"  # in a block that is not final
    await custody.mined()
    await custody.custodian.turn("aster")
    status, statement = custody.says("GET", "/v1/statement")
    assert status == 200
    [line] = statement["transfers"]
    assert (line["client_id"], line["state"], line["amount"]) == (str(identity), "moved", "700")
    receipt = await rpc.receipt(line["tx_hash"])
    assert receipt is not None
    assert receipt.block_number == line["block_number"]
    paid = [log for log in receipt.logs if log["address"].lower() == custody.bench.contract]
    assert [log["topics"][2][:34] for log in paid] == ["0x" + identity.hex]


async def test_a_replay_moves_nothing_again(custody: Custody) -> None:
    wanted = custody.request("AST", 500)
    body = wanted.model_dump_json()
    assert custody.says("POST", "/v1/transfers", body)[0] == 201
    custody.now_s += HOUR_S
    await custody.custodian.turn("aster")
    assert custody.says("POST", "/v1/transfers", body)[0] == 200
    await custody.mined()
    for _ in range(3):
        custody.now_s += HOUR_S
        await custody.custodian.turn("aster")
    assert custody.says("POST", "/v1/transfers", body)[1]["state"] == "moved"
    assert await custody.bench.rpc.balance(RESERVE) == 500


async def test_a_custodian_that_dies_between_signing_and_sending_sends_the_same_bytes(
    custody: Custody,
) -> None:
    """Nothing else is ever signed for the nonce; two restarts move the money once."""
    identity = custody.ask()
    custody.now_s += HOUR_S
    held = custody.custodian.vault.due("aster", custody.now_s)
    assert held is not None
    kept = await custody.custodian._sign(held)
    assert kept is not None

    custody.restart()
    assert custody.state(identity) == "signed"
    assert await custody.bench.rpc.balance(RESERVE) == 0
    await custody.custodian.turn("aster")
    custody.restart()
    await custody.custodian.turn("aster")
    await custody.mined()
    await custody.custodian.turn("aster")
    assert custody.state(identity) == "moved"
    assert custody.says("GET", "/v1/statement")[1]["transfers"][0]["tx_hash"] == kept.tx_hash
    assert await custody.bench.rpc.balance(RESERVE) == 500


@pytest.mark.parametrize("state", ["paused", "incident"])
async def test_nothing_moves_while_its_people_have_stopped_it(custody: Custody, state: str) -> None:
    """Nor what was signed already and did not leave."""
    first, second = custody.ask(amount=500), custody.ask(amount=40)
    custody.now_s += HOUR_S
    held = custody.custodian.vault.due("aster", custody.now_s)
    assert held is not None
    await custody.custodian._sign(held)
    body = json.dumps({"state": state, "reason": "an audit"})
    assert custody.says("POST", "/v1/condition", body)[0] == 401
    assert custody.says("POST", "/v1/condition", body, by="people")[0] == 200
    custody.restart()
    await custody.custodian.turn("aster")
    assert (custody.state(first), custody.state(second)) == ("signed", "accepted")
    assert await custody.bench.rpc.balance(RESERVE) == 0

    custody.says("POST", "/v1/condition", '{"state": "normal"}', by="people")
    await custody.custodian.turn("aster")
    await custody.mined()
    await custody.custodian.turn("aster")
    assert (custody.state(first), custody.state(second)) == ("moved", "moved")
    assert await custody.bench.rpc.balance(RESERVE) == 540


async def test_what_is_stopped_while_it_looks_at_the_chain_is_not_signed(custody: Custody) -> None:
    identity = custody.ask()
    custody.now_s += HOUR_S
    head = custody.bench.rpc.head

    async def stopping(tag: str = "latest") -> Any:
        custody.says("POST", "/v1/condition", '{"state": "paused"}', by="people")
        return await head(tag)

    custody.bench.rpc.head = stopping  # type: ignore[method-assign]
    await custody.custodian.turn("aster")
    assert custody.state(identity) == "accepted"
    assert await custody.bench.rpc.balance(RESERVE) == 0


async def test_what_expires_while_it_looks_at_the_chain_is_not_signed(custody: Custody) -> None:
    """Nor what has waited for the end of its delay, or of an audit, until then."""
    until = 2 * int(HOUR_S)
    identity = custody.ask(expires_at=until)
    custody.now_s += HOUR_S
    head = custody.bench.rpc.head

    async def slow(tag: str = "latest") -> Any:
        custody.now_s = until
        return await head(tag)

    custody.bench.rpc.head = slow  # type: ignore[method-assign]
    await custody.custodian.turn("aster")
    assert custody.state(identity) == "accepted"
    custody.restart()
    await custody.custodian.turn("aster")
    assert custody.state(identity) == "accepted"  # by a clock that is behind it has not ended
    custody.now_s = until + CUSTODIAN_CLOCK_MS / 1_000
    await custody.custodian.turn("aster")
    assert custody.state(identity) == "expired"
    custody.now_s = HOUR_S
    await custody.custodian.turn("aster")
    assert custody.state(identity) == "expired"
    assert await custody.bench.rpc.balance(RESERVE) == 0


async def test_what_a_lost_file_has_moved_has_not_expired(custody: Custody) -> None:
    """The chain says so, when the file that was restored is asked for it late."""
    until = 2 * int(HOUR_S)
    body = custody.request("AST", 500, expires_at=until).model_dump_json()
    assert custody.says("POST", "/v1/transfers", body)[0] == 201
    custody.custodian.vault.close()
    backup = custody.path.read_bytes()
    custody.start()
    custody.now_s = HOUR_S
    await custody.custodian.turn("aster")
    custody.custodian.vault.close()
    custody.path.write_bytes(backup)
    for beside in custody.path.parent.glob(f"{custody.path.name}-*"):
        beside.unlink()
    custody.start()
    custody.now_s = until + CUSTODIAN_CLOCK_MS / 1_000
    await custody.custodian.turn("aster")
    await custody.mined()
    await custody.custodian.turn("aster")
    [line] = custody.says("GET", "/v1/statement")[1]["transfers"]
    assert line["state"] == "moved"
    assert await custody.bench.rpc.balance(RESERVE) == 500


async def test_a_transfer_that_the_contract_refuses_has_failed_and_the_next_one_moves(
    custody: Custody,
) -> None:
    """More than the cap of its window: it reverts, and its nonce is used up."""
    first, second = custody.ask(amount=CAP + 1), custody.ask(amount=5)
    custody.now_s += HOUR_S
    await custody.custodian.turn("aster")
    await custody.mined()
    await custody.custodian.turn("aster")
    assert (custody.state(first), custody.state(second)) == ("failed", "moved")
    assert await custody.bench.rpc.balance(RESERVE) == 5


async def test_a_network_whose_node_is_dark_stops_no_other_one(custody: Custody) -> None:
    """Not even what was asked for after what waits for the dark one, nor in the same moment."""
    config = custody.custodian.config
    dark = config.networks["aster"].model_copy(update={"rpc": "http://127.0.0.1:9"})
    kept = config.wallets["cold"].model_copy(update={"network": "dark"})
    both = config.model_copy(
        update={
            "networks": {"dark": dark, **config.networks},
            "wallets": {"elsewhere": kept, **config.wallets},
        }
    )
    custody.custodian.vault.close()
    vault = Vault(custody.path, both.terms())
    async with AsyncRpcClient("dark", ("http://127.0.0.1:9",)) as silent:
        custody.custodian = replace(
            custody.custodian,
            config=both,
            vault=vault,
            rpcs={"dark": silent, **custody.custodian.rpcs},
        )
        first = custody.ask(network="dark", wallet="elsewhere")
        second = custody.ask(amount=40)
        custody.now_s += HOUR_S
        with pytest.raises(ServiceError):
            await custody.custodian.turn("dark")
        await custody.custodian.turn("aster")
        assert (custody.state(first), custody.state(second)) == ("accepted", "sent")


async def test_a_file_that_was_restored_uses_no_number_twice_and_moves_nothing_again(
    custody: Custody,
) -> None:
    """The chain knows what the file has forgotten: nonces, numbers, and what was moved."""
    custody.ask(amount=500)
    custody.now_s += HOUR_S
    await custody.custodian.turn("aster")
    await custody.mined()
    await custody.custodian.turn("aster")
    custody.custodian.vault.close()
    backup = custody.path.read_bytes()
    custody.start()
    wanted = custody.request("AST", 40)
    lost = custody.request("AST", 7)
    for each in (wanted, lost):
        assert custody.says("POST", "/v1/transfers", each.model_dump_json())[0] == 201
    custody.now_s += HOUR_S
    await custody.custodian.turn("aster")
    await custody.mined()
    assert await custody.bench.rpc.balance(RESERVE) == 547

    custody.custodian.vault.close()
    custody.path.write_bytes(backup)
    for beside in custody.path.parent.glob(f"{custody.path.name}-*"):
        beside.unlink()
    custody.start()
    assert custody.says("GET", f"/v1/transfers/{wanted.client_id}")[0] == 404
    assert custody.says("POST", "/v1/transfers", wanted.model_dump_json())[0] == 201
    new = custody.ask(amount=300)
    custody.now_s += HOUR_S
    for _ in range(2):
        await custody.custodian.turn("aster")
        await custody.mined()
    await custody.custodian.turn("aster")
    assert (custody.state(wanted.client_id), custody.state(new)) == ("moved", "moved")
    assert await custody.bench.rpc.balance(RESERVE) == 847


async def test_nobody_else_is_paid_and_no_stranger_is_answered(custody: Custody) -> None:
    body = custody.request("AST", 1, destination=STRANGER).model_dump_json()
    assert custody.says("POST", "/v1/transfers", body)[0] == 403
    known = custody.ask()
    for method, path in (
        ("POST", "/v1/transfers"),
        ("GET", f"/v1/transfers/{known}"),
        ("GET", "/v1/statement"),
        ("GET", "/v1/condition"),
        ("POST", "/v1/condition"),
    ):
        assert custody.says(method, path, body, by="guess")[0] == 401
    assert custody.says("GET", "/v1/transfers/nonsense")[0] == 422
    assert custody.says("POST", "/v1/transfers", "{}")[0] == 422
    huge = json.dumps(json.loads(body) | {"amount": str(2**256)})
    assert custody.says("POST", "/v1/transfers", huge)[0] == 422
    assert custody.says("GET", "/elsewhere")[0] == 404


@asynccontextmanager
async def _program(custody: Custody, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """The custodian as a process, without a delay; killed with the block."""
    config = custody.path.with_suffix(".json")
    config.write_text(json.dumps(custody.config(delay_s=0)), encoding="utf-8")
    words = ("--config", str(config), "--state", str(custody.path.with_suffix(".program")))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox.counterparties.custodian", *words, "--port", str(port)),
        env={**os.environ, KEY_VARIABLE: "0x" + SECRET.hex()},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(HANGS_AFTER_S):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_the_program_goes_on_after_a_kill_and_ends_in_good_order(
    start_anvil: Callable[..., str], tmp_path: Path
) -> None:
    """Asked over HTTP, killed at once, started anew: the money moves once."""
    port = free_port()
    async with (
        _custody(start_anvil(block_time=1), tmp_path / "vault.sqlite") as custody,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers={"authorization": "Bearer venue"}
        ) as http,
    ):
        wanted = custody.request("AST", 500)
        async with _program(custody, port):
            answer = await http.post("/v1/transfers", content=wanted.model_dump_json())
            assert answer.status_code == 201
        async with _program(custody, port) as process:
            answer = await http.post("/v1/transfers", content=wanted.model_dump_json())
            assert answer.status_code == 200
            async with asyncio.timeout(HANGS_AFTER_S):
                while answer.json()["state"] != "moved":
                    await asyncio.sleep(0.2)
                    answer = await http.get(f"/v1/transfers/{wanted.client_id}")
            assert (await http.get("/v1/condition")).json()["state"] == "normal"
            process.terminate()
            assert await process.wait() == 0
        assert await custody.bench.rpc.balance(RESERVE) == 500


@pytest.mark.parametrize("key", ["", "0xnonsense"])
def test_without_its_key_the_program_does_not_start(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(EMPTY), encoding="utf-8")
    monkeypatch.setenv(KEY_VARIABLE, key)
    words = ["--config", str(config), "--state", str(tmp_path / "vault"), "--port", "1"]
    assert main(words) == ExitCode.USAGE
    assert KEY_VARIABLE in capsys.readouterr().err


EMPTY = {
    "networks": {},
    "wallets": {},
    "approvers": {},
    "needed": 2,
    "delay_s": 0,
    "opens_s": 0,
    "closes_s": 0,
    "client_sha256": "",
    "control_sha256": "",
}
