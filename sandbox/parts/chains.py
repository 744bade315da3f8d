"""Networks: one anvil each, and a primary and a standby RPC endpoint before each."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sandbox.parts.part import Context, Part
from seawall.conventions.components import SIDES
from seawall.errors import PolicyError, Problem
from seawall.ethereum.rpc import RpcClient, RpcError
from seawall.policy import Policy
from seawall.processes.readiness import http_answers, log_line

FINALITY_DEPTH_BLOCKS = 2
"""With ``--slots-in-an-epoch 1`` anvil calls the block two below the newest one finalized
(measured, anvil 1.7.1).
"""
GAS_LIMIT = 60_000_000
BEHIND_S = 3_600
"""How far a node's clock is behind at its start; :func:`hurried` sets it right.

Two blocks are at least a second of a node's time apart, so its clock runs ahead of the machine's
for good where blocks are made faster than that.
"""
_HURRIED_BLOCK_S = 0.1
_ANSWER_S_MAX = 10.0
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
    """Ready when it answers with the policy's chain id; its clock is :data:`BEHIND_S` behind."""
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
                "--timestamp",
                str(int(time.time()) - BEHIND_S),
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


@contextmanager
def hurried(nodes: Mapping[str, str]) -> Iterator[None]:
    """Make blocks ten times a second within the block, and set the clocks right at its end.

    ``nodes`` is the url of each network's node. What is deployed within is final in less than a
    second; each node's newest block is of now afterwards, and the next ones come at its own pace.

    Raises :class:`RpcError` if a node does not answer.
    """
    over = threading.Event()
    failures: list[Exception] = []

    def hurry(client: RpcClient) -> None:
        try:
            while not over.wait(_HURRIED_BLOCK_S):
                client.call("anvil_mine", "0x1")
            client.call("evm_setTime", int(time.time()))
            client.call("anvil_mine", "0x1")
        except RpcError as error:
            failures.append(error)

    clients = [
        RpcClient(network=network, url=url, timeout_s=_ANSWER_S_MAX)
        for network, url in nodes.items()
    ]
    threads = [threading.Thread(target=hurry, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


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
