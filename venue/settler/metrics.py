"""The metrics of a settler: signing region, slots in flight, final payouts, RPC endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import prometheus_client

from seawall.conventions import metrics
from seawall.conventions.components import SIDES


class SettlerMetrics:
    """Metrics of the settler of ``network``; every label set exists from the start."""

    def __init__(
        self,
        network: str,
        *,
        assets: Iterable[str],
        registry: prometheus_client.CollectorRegistry = prometheus_client.REGISTRY,
    ) -> None:
        self._network = network
        self._route = prometheus_client.Gauge(
            metrics.SIGNING_ROUTE,
            "1 for the signing region in force",
            ("network", "wallet", "region"),
            registry=registry,
        )
        self._final = prometheus_client.Counter(
            metrics.PAYOUTS_FINAL, "Payouts at finality", ("network", "asset"), registry=registry
        )
        self._in_flight = prometheus_client.Gauge(
            metrics.SLOTS_IN_FLIGHT,
            "Slots that are not final",
            ("network", "wallet"),
            registry=registry,
        )
        self._disputed = prometheus_client.Gauge(
            metrics.LANE_DISPUTED,
            "1 while the chain knows of the lane what the venue's records do not",
            ("network", "wallet"),
            registry=registry,
        )
        self._stuck = prometheus_client.Gauge(
            metrics.LANE_STUCK,
            "1 while a transaction's fees are too low for any block and may not be raised",
            ("network", "wallet"),
            registry=registry,
        )
        self._asked = prometheus_client.Counter(
            metrics.RPC_REQUESTS,
            "Calls of RPC endpoints by outcome",
            ("network", "side", "outcome"),
            registry=registry,
        )
        for asset in assets:
            self._final.labels(network, asset)
        for side in SIDES:
            for outcome in ("answered", "silent"):
                self._asked.labels(network, side, outcome)

    def asked(self, side: str, *, answered: bool) -> None:
        """Count a call of the RPC endpoint of ``side`` (primary or standby)."""
        self._asked.labels(self._network, side, "answered" if answered else "silent").inc()

    def route(self, wallet: str, region: str, *, in_force: bool) -> None:
        """Show whether ``region`` signs for ``wallet``."""
        self._route.labels(self._network, wallet, region).set(in_force)

    def disputed(self, wallet: str, *, disputed: bool) -> None:
        """Show whether the chain contradicts the venue's records of ``wallet``."""
        self._disputed.labels(self._network, wallet).set(disputed)

    def stuck(self, wallet: str, *, stuck: bool) -> None:
        """Show whether fees of ``wallet`` are too low and may not be raised any more."""
        self._stuck.labels(self._network, wallet).set(stuck)

    def final(self, payouts: Mapping[str, int]) -> None:
        """Add payouts that became final; counts by asset."""
        for asset, count in payouts.items():
            self._final.labels(self._network, asset).inc(count)

    def in_flight(self, wallet: str, slots: int) -> None:
        """Show how many slots of ``wallet`` are not final."""
        self._in_flight.labels(self._network, wallet).set(slots)
