"""RPC endpoints: a primary and a standby before each network's node, all in one process."""

from __future__ import annotations

from sandbox.parts.anvil import name_of
from sandbox.parts.base import Part, Site
from seawall.processes.readiness import log_line

NAME = "rpc-endpoints"
SIDES = ("primary", "standby")


def endpoint(network: str, side: str) -> str:
    """Port name of one endpoint."""
    return f"rpc-{network}-{side}"


def part(site: Site) -> Part:
    """Ready when every endpoint listens."""
    routes = [
        f"{site.ports.of(endpoint(network, side))}={site.ports.address(name_of(network))}"
        for network in site.policy.networks
        for side in SIDES
    ]
    return Part(
        name=NAME, argv=site.module("sandbox.rpc_endpoint", *routes), ready=log_line("^ready$")
    )
