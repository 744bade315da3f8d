"""What a running stack has is read from its own sources; what cannot be read is unknown."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest

from seawall.exposure.live import observe
from seawall.feasibility.exposure import Observed
from seawall.policy import Policy
from tests.testing.deployments import make_deployment
from tests.testing.policies import policy

NOW_S = 1_800_000_000.0
HOT = "customer-aster-hot"
TOKEN = "0x" + "70" * 20
RAILS: dict[str, Any] = {
    "rails.exchange.funding": {"AST": "100", "USDX": "200000"},
    "rails.exchange.payout_value_max": "100000",
}
LEDGER = ("customer", "aster", "AST", "reserved", -3 * 10**18)
_CLIENT = httpx.Client


@dataclass
class Stack:
    """Nodes and providers in memory; a test changes one answer."""

    policy: Policy
    folder: Path
    block_at_s: int = int(NOW_S) - 4
    held: int = 5 * 10**18
    dark: tuple[str, ...] = ()
    balances: dict[str, str] = field(
        default_factory=lambda: {"AST": str(90 * 10**18), "USDX": "-5000000"}
    )
    ledger: list[tuple[str, str, str, str, int]] = field(default_factory=lambda: [LEDGER])
    ledger_age_s: float = 1.0
    said: list[str] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """What a node or a provider answers."""
        host = request.url.path.split("/")[1]
        if host in self.dark:
            raise httpx.ConnectError("dark")
        if request.url.path.endswith("/balances"):
            return httpx.Response(200, json={"available": self.balances})
        return httpx.Response(
            200,
            json=[
                {"id": each["id"], "result": self.result(host, each["method"])}
                for each in json.loads(request.content)
            ],
        )

    def result(self, network: str, method: str) -> Any:
        """Of one call of a node."""
        return {
            "eth_chainId": hex(self.policy.networks[network].chain_id),
            "eth_getBlockByNumber": {
                "number": "0x7",
                "hash": "0xab",
                "timestamp": hex(self.block_at_s),
            },
            "eth_getBalance": hex(self.held),
            "eth_call": hex(7_000_000),
        }[method]

    def observed(self, **changes: Any) -> Observed:
        """As it is read; ``changes`` replace parts of the deployment file."""
        files = self.folder / "files"
        files.mkdir()
        rows = "".join(",".join(map(str, each)) + "\n" for each in self.ledger)
        ledger = files / "ledger.csv"
        ledger.write_text(f"bucket,network,asset,kind,balance\n{rows}")
        faults = {"unbalanced_postings": 0, "mismatched_balances": 0, "negative_accounts": 0}
        (files / "ledger_faults.json").write_text(json.dumps(faults))
        os.utime(ledger, (NOW_S - self.ledger_age_s,) * 2)
        reader = self.folder / "reader"
        reader.write_text("a-credential-of-a-reader")
        reader.chmod(0o600)
        networks = {
            name: {
                "chain_id": each.chain_id,
                "node": f"http://127.0.0.1:1/{name}",
                "payouts": {
                    "contracts": {},
                    "signers": {},
                    "tokens": {"USDX": TOKEN},
                    "wallets": {
                        wallet: f"0x{number:040x}"
                        for number, (wallet, kept) in enumerate(self.policy.wallets.items())
                        if kept.network == name
                    },
                },
            }
            for name, each in self.policy.networks.items()
        }
        provider = {
            side: {"url": f"http://127.0.0.1:1/{side}", "reader": str(reader)}
            for side in ("primary", "standby")
        }
        fields: dict[str, Any] = {
            "networks": networks,
            "rails": {"exchange": provider},
            "evidence": {"ledger": {"file": str(files)}},
        }
        deployment = make_deployment(self.folder, **(fields | changes))
        return observe(
            deployment.model_copy(update={"folder": self.folder}),
            self.policy,
            now_s=lambda: NOW_S,
            report=self.said.append,
        )


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    made = Stack(policy=policy(RAILS), folder=tmp_path)
    monkeypatch.setattr(
        httpx, "Client", lambda **_: _CLIENT(transport=httpx.MockTransport(made.answer))
    )
    return made


def test_everything_is_read_with_its_source_and_age(stack: Stack) -> None:
    found = stack.observed()

    hot = found.holdings[HOT, "AST"]
    assert (hot.amount, str(hot.basis), hot.age_ms) == (Fraction(5), "read", 4_000)
    assert hot.source == "aster at its final block 7"
    assert found.holdings[HOT, "USDX"].amount == 7
    assert set(found.holdings) == {
        (name, asset) for name, each in stack.policy.wallets.items() for asset in each.holdings
    }
    funds = found.funds["exchange", "standby", "USDX"]
    assert (funds.amount, funds.source) == (Fraction(-5), "the standby provider of exchange")
    waiting = found.waiting["aster", "AST"]
    assert (waiting.amount, waiting.age_ms) == (Fraction(3), 1_000)
    assert found.waiting["birch", "BIR"].amount == 0
    assert found.at_s == NOW_S
    assert "reading aster" in stack.said


Spoil = Callable[[Stack], object]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda stack: setattr(stack, "dark", ("aster",)), "the node of aster was not reached"),
        # a block is final after 2 x (2 + 3) x 3 s at most
        (lambda stack: setattr(stack, "block_at_s", int(NOW_S) - 31), "is 31 s old; more than 30"),
        (lambda stack: setattr(stack, "block_at_s", int(NOW_S) + 31), "is 31 s in the future"),
    ],
)
def test_a_network_that_is_dark_or_stands_still_is_unknown(
    stack: Stack, spoil: Spoil, why: str
) -> None:
    spoil(stack)
    found = stack.observed()
    assert found.holdings[HOT, "AST"].basis == "unknown"
    assert why in found.holdings[HOT, "AST"].source


def test_another_source_is_read_all_the_same(stack: Stack) -> None:
    stack.dark = ("aster", "primary")
    found = stack.observed()
    assert found.holdings["customer-birch-hot", "BIR"].amount == 5
    assert found.funds["exchange", "primary", "AST"].basis == "unknown"
    assert (
        "the balances of the primary provider" in found.funds["exchange", "primary", "AST"].source
    )
    assert found.funds["exchange", "standby", "AST"].amount == 90


def test_an_asset_that_a_provider_does_not_name_is_unknown(stack: Stack) -> None:
    del stack.balances["AST"]
    assert stack.observed().funds["exchange", "primary", "AST"].basis == "unknown"


@pytest.mark.parametrize(
    ("changes", "place", "why"),
    [
        ({"networks": {}}, "holdings", "names no payouts of"),
        ({"rails": {}}, "funds", "rails.exchange of the deployment file is not there"),
        ({"evidence": {}}, "waiting", "offers no ledger"),
        ({"evidence": {"ledger": {"file": "/nowhere"}}}, "waiting", "cannot be read"),
    ],
)
def test_what_the_deployment_file_leaves_out_is_unknown(
    stack: Stack, changes: dict[str, Any], place: str, why: str
) -> None:
    figures = getattr(stack.observed(**changes), place).values()
    assert figures
    assert all(each.basis == "unknown" and why in each.source for each in figures)


def test_a_wallet_whose_address_is_not_named_is_unknown(stack: Stack) -> None:
    changes = {
        "aster": {
            "chain_id": 73311,
            "node": "http://127.0.0.1:1/aster",
            "payouts": {"contracts": {}, "signers": {}, "tokens": {}, "wallets": {HOT: TOKEN}},
        }
    }
    found = stack.observed(networks=changes)
    assert found.holdings[HOT, "AST"].amount == 5
    assert "does not say where USDX of" in found.holdings[HOT, "USDX"].source
    assert found.holdings["customer-aster-reserve", "AST"].basis == "unknown"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda stack: stack.ledger.clear(), "has no account of the kind 'reserved'"),
        (
            lambda stack: stack.ledger.append(("customer", "birch", "BIR", "reserved", 1)),
            "reserves less than nothing of BIR on birch",
        ),
        # the books of who pays are compared every 15 s
        (
            lambda stack: setattr(stack, "ledger_age_s", 16.0),
            "the ledger is 16 s old; more than 15",
        ),
    ],
)
def test_a_ledger_that_cannot_be_believed_says_nothing(
    stack: Stack, spoil: Spoil, why: str
) -> None:
    spoil(stack)
    found = stack.observed().waiting["aster", "AST"]
    assert found.basis == "unknown"
    assert why in found.source


def test_amounts_are_exact(stack: Stack) -> None:
    """A base unit more is a base unit more, at 18 decimals."""
    stack.held = 210 * 10**18 + 1
    assert stack.observed().holdings[HOT, "AST"].amount == 210 + Fraction(1, 10**18)
