"""The fault in which an RPC provider accepts requests and never answers them."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.wire import DarkProxy
from seawall.conventions import components, faults
from seawall.formats.deployment import Deployment
from seawall.policy import Policy


class RpcDark(DarkProxy):
    """An RPC endpoint of a network hangs: nothing can be sent or read through it."""

    name = faults.RPC_DARK

    @classmethod
    def targets(cls, policy: Policy) -> tuple[str, ...]:
        """Either endpoint of every network, as ``rpc.<network>.<side>``."""
        return tuple(
            components.rpc_proxy(network, side)
            for network in policy.networks
            for side in components.SIDES
        )

    @classmethod
    def proxies(cls, deployment: Deployment) -> Mapping[str, str]:
        """A target is called like its proxy."""
        return {
            proxy: proxy
            for network, declared in deployment.networks.items()
            if declared.rpc is not None
            for side in components.SIDES
            if (proxy := components.rpc_proxy(network, side))
        }
