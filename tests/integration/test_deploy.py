"""Deployment of the contracts from the command line: every wallet has its target."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from seawall.ethereum.keys import address_of_private_key, keccak256
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.policy_file import load_policy
from tests.testing.approvers import approver_addresses
from tests.testing.settler_harness import DEPLOYER
from tests.testing.venue_harness import POLICY
from venue.chain.deploy import DEPLOYER_KEY_VARIABLE, GAS_MONEY_WEI

pytestmark = pytest.mark.integration


async def test_every_wallet_holds_its_target_where_its_money_lies(
    tmp_path: Path, start_anvil: Callable[..., str]
) -> None:
    """Contracts for hot and reserve wallets, plain addresses for the rest.

    Keys of contracts have gas money only.
    """
    policy = load_policy(POLICY)
    keys = {
        wallet: address_of_private_key(keccak256(wallet.encode()))
        for wallet in policy.signing_wallets()
    }
    nodes = {
        name: start_anvil(chain_id=network.chain_id, block_time=1)
        for name, network in policy.networks.items()
    }
    networks = {
        name: {"chain_id": policy.networks[name].chain_id, "rpc": url}
        for name, url in nodes.items()
    }
    plan, out = tmp_path / "plan.json", tmp_path / "deployed.json"
    plan.write_text(
        json.dumps(
            {
                "policy": str(POLICY),
                "networks": networks,
                "wallets": keys,
                "approvers": approver_addresses(policy),
            }
        ),
        encoding="utf-8",
    )
    argv = [sys.executable, "-m", "venue.chain.deploy", "--plan", str(plan), "--out", str(out)]
    environment = os.environ | {DEPLOYER_KEY_VARIABLE: DEPLOYER}
    await asyncio.to_thread(subprocess.run, argv, env=environment, check=True, timeout=60)
    deployed = json.loads(out.read_text(encoding="utf-8"))["networks"]

    for name, wallet in policy.wallets.items():
        site = deployed[wallet.network]
        contract = {**site["payout_contracts"], **site["reserve_contracts"]}.get(name)
        assert (contract is not None) == (
            name in policy.payout_wallets() or wallet.wallet_class == "reserve"
        )
        holder = contract or (wallet.address or keys[name]).lower()
        async with AsyncRpcClient(wallet.network, (nodes[wallet.network],)) as rpc:
            for asset, holding in wallet.holdings.items():
                token = site["tokens"].get(asset)
                held = await rpc.balance(holder, token=token)
                assert (name, asset, held) == (
                    name,
                    asset,
                    policy.base_units(asset, holding.target),
                )
            if contract:
                assert await rpc.balance(keys[name]) == GAS_MONEY_WEI


def test_without_a_key_nothing_is_tried(tmp_path: Path) -> None:
    """A missing plan or key is the caller's mistake: exit 3 and one line."""
    argv = [
        sys.executable,
        "-m",
        "venue.chain.deploy",
        "--plan",
        str(tmp_path / "none"),
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
