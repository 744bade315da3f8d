"""What the treasury exposes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from seawall.conventions import metrics
from venue.ledger.chart import rails

if TYPE_CHECKING:
    from seawall.policy import Policy

QUEUE_AGE = Gauge(metrics.QUEUE_AGE, "Age of the oldest open withdrawal.", ("scope",))
QUEUE_DEPTH = Gauge(metrics.QUEUE_DEPTH, "Open withdrawals.", ("scope",))
HOT_BALANCE = Gauge(
    metrics.HOT_BALANCE,
    "Value that hot wallets may still pay out, in millionths.",
    ("network", "asset"),
)
LEDGER_DRIFT = Gauge(
    metrics.LEDGER_DRIFT,
    "Distance of ledger and chain over a bucket's wallets.",
    ("network", "bucket", "asset"),
)
LEDGER_SUM = Gauge(
    metrics.LEDGER_SUM, "Sum of all entries; anything but zero is a fault.", ("network", "asset")
)
TOP_UPS = Counter(metrics.TOP_UPS, "Top-ups requested.", ("network", "asset"))


def initialise(policy: Policy) -> None:
    """Create every counter's label sets, so that the first event is a step that a rate can see."""
    for network in rails(policy):
        for asset in policy.networks[network].assets:
            TOP_UPS.labels(network, asset)
