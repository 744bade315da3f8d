"""Networks: one anvil each, with the block time and the finality of the policy."""

from __future__ import annotations

from sandbox.parts.base import Part, Site
from seawall.errors import PolicyError, Problem
from seawall.policy import Policy
from seawall.processes.readiness import http_answers

FINALITY_DEPTH_BLOCKS = 2
"""With ``--slots-in-an-epoch 1`` anvil calls the block two below the newest one finalized
(measured, anvil 1.7.1).
"""
GAS_LIMIT = 60_000_000
DEVELOPER_BALANCE_COINS = 1_000_000_000
DEPLOYER_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""First account of anvil's own default mnemonic.

Public, and worthless anywhere but on a development chain.
"""


def name_of(network: str) -> str:
    """Component name of a network's node."""
    return f"anvil-{network}"


def check(policy: Policy, source: str) -> None:
    """Refuse a policy whose networks anvil cannot be.

    Raises :class:`PolicyError` with every problem.
    """
    problems = [
        Problem(
            path=f"networks.{name}.finality_depth_blocks",
            found=str(network.finality_depth_blocks),
            remedy=f"the sandbox's nodes finalize at a depth of {FINALITY_DEPTH_BLOCKS}; write that",
        )
        for name, network in policy.networks.items()
        if network.finality_depth_blocks != FINALITY_DEPTH_BLOCKS
    ]
    if problems:
        raise PolicyError(source, problems)


def part(site: Site, network: str) -> Part:
    """Ready when it answers with the policy's chain id."""
    declared = site.policy.networks[network]
    name = name_of(network)
    return Part(
        name=name,
        argv=(
            site.program("anvil"),
            *(
                "--host",
                "127.0.0.1",
                "--port",
                str(site.ports.of(name)),
                "--chain-id",
                str(declared.chain_id),
            ),
            *(
                "--block-time",
                f"{declared.block_time / 1000:g}",
                "--slots-in-an-epoch",
                "1",
                "--gas-limit",
                str(GAS_LIMIT),
            ),
            *("--accounts", "2", "--balance", str(DEVELOPER_BALANCE_COINS), "--silent"),
        ),
        ready=http_answers(
            site.ports.url(name),
            body={"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []},
            holds=lambda answer: int(answer["result"], 16) == declared.chain_id,
        ),
        # Its caches and dumps belong to the sandbox, not to the user's home.
        env={"HOME": str(site.folder(name)), "FOUNDRY_DISABLE_NIGHTLY_WARNING": "1"},
        cwd=site.folder(name),
    )
