"""The fault in which a provider of a rail accepts requests and never answers them."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.wire import DarkProxy
from seawall.conventions import components, faults
from seawall.formats.deployment import Deployment
from seawall.policy import Policy


class CounterpartyDark(DarkProxy):
    """A provider of a rail hangs: nothing can be instructed to it, and its statement not read."""

    name = faults.COUNTERPARTY_DARK

    @classmethod
    def targets(cls, policy: Policy) -> tuple[str, ...]:
        """Either provider of each kind of rail that is paid over, as ``<kind>.<side>``."""
        kinds = dict.fromkeys(rail.kind for rail in policy.paying_rails().values())
        return tuple(
            components.PROVIDER_PROXIES[kind](side) for kind in kinds for side in components.SIDES
        )

    @classmethod
    def proxies(cls, deployment: Deployment) -> Mapping[str, str]:
        """A target is called like its proxy."""
        return {
            name: name
            for proxy in components.PROVIDER_PROXIES.values()
            for side in components.SIDES
            if (name := proxy(side)) in deployment.proxies
        }
