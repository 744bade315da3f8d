"""Networks: one anvil each, and a primary and a standby RPC endpoint before each."""

from __future__ import annotations

from sandbox.parts.part import Context, Part
from seawall.conventions.components import SIDES
from seawall.errors import PolicyError, Problem
from seawall.policy import Policy
from seawall.processes.readiness import http_answers, log_line

FINALITY_DEPTH_BLOCKS = 2
"""With ``--slots-in-an-epoch 1`` anvil calls the block two below the newest one finalized
(measured, anvil 1.7.1).
"""
GAS_LIMIT = 60_000_000
DEVELOPER_BALANCE_COINS = 1_000_000_000


def node_name(network: str) -> str:
    """Component name of a network's node."""
    return f"anvil-{network}"


def check_finality(policy: Policy, source: str) -> None:
    """Refuse a policy whose networks anvil cannot be.

    Raises :class:`PolicyError` with every problem.
    """
    problems = [
        Problem(
            path=f"networks.{name}.finality_depth_blocks",
            found=str(network.finality_depth_blocks),
            remedy="write the depth at which the sandbox's nodes finalize:"
            f" {FINALITY_DEPTH_BLOCKS}",
        )
        for name, network in policy.networks.items()
        if network.finality_depth_blocks != FINALITY_DEPTH_BLOCKS
    ]
    if problems:
        raise PolicyError(source, problems)


def node(context: Context, network: str) -> Part:
    """Ready when it answers with the policy's chain id."""
    declared = context.policy.networks[network]
    name = node_name(network)
    return Part(
        name=name,
        argv=(
            context.program("anvil"),
            *(
                "--host",
                "127.0.0.1",
                "--port",
                str(context.ports.of(name)),
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
            context.ports.url(name),
            body={"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []},
            holds=lambda answer: int(answer["result"], 16) == declared.chain_id,
        ),
        # Its caches and dumps belong to the sandbox, not to the user's home.
        env={"HOME": str(context.folder(name)), "FOUNDRY_DISABLE_NIGHTLY_WARNING": "1"},
        cwd=context.folder(name),
    )


RPC_ENDPOINTS = "rpc-endpoints"
"""Component name of all RPC endpoints: one process serves them."""


def endpoint_port(network: str, side: str) -> str:
    """Port name of one endpoint."""
    return f"rpc-{network}-{side}"


def endpoints(context: Context) -> Part:
    """Ready when every endpoint listens."""
    routes = [
        f"{context.ports.of(endpoint_port(network, side))}"
        f"={context.ports.address(node_name(network))}"
        for network in context.policy.networks
        for side in SIDES
    ]
    return Part(
        name=RPC_ENDPOINTS,
        argv=context.module("sandbox.rpc_endpoint", *routes),
        ready=log_line("^ready$"),
    )
