"""The metrics of the api.

Every label set exists from the start, so that Prometheus sees the first event as an increase. No
label holds what a customer wrote: each new value would be a new series, and they never end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from prometheus_client import Counter, Gauge, Histogram

from seawall.controls.prices import PriceFault
from seawall.conventions import metrics
from seawall.conventions.promises import ACKNOWLEDGED_OUTCOME, COUNTED_AS

if TYPE_CHECKING:
    from seawall.policy import Policy

_BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)

RESERVED_VALUE = Counter(
    metrics.RESERVED_VALUE,
    "Value of committed reservations, in millionths.",
    ("network", "asset", "size"),
)
VOIDED_VALUE = Counter(
    metrics.VOIDED_VALUE,
    "Value of reservations that were cancelled within the drawdown window, in millionths.",
    ("network", "asset", "size"),
)
REQUESTS = Counter(metrics.REQUESTS, "Requests by what became of them.", ("operation", "outcome"))
PRICES_REFUSED = Counter(
    metrics.PRICES_REFUSED,
    "Prices of the exchange at which nothing is swapped: too old, or too far from the reference.",
    ("side", "why"),
)
INTAKE_SECONDS = Histogram(
    metrics.INTAKE_SECONDS, "From a request's arrival to its commit.", buckets=_BUCKETS_S
)
TICKETS = Counter(metrics.TICKETS, "Requests for help.")
HOT_TARGET_VALUE = Gauge(
    metrics.HOT_TARGET_VALUE,
    "Value of all customer hot targets, in millionths; drawdown is measured against it.",
)


def initialise(policy: Policy) -> None:
    """Create every label set that the policy allows."""
    HOT_TARGET_VALUE.set(policy.hot_target_value_micro())
    for network, declared in policy.networks.items():
        for asset in declared.assets:
            for size in ("small", "large"):
                RESERVED_VALUE.labels(network, asset, size)
                VOIDED_VALUE.labels(network, asset, size)
    for operation in COUNTED_AS.values():
        REQUESTS.labels(operation, ACKNOWLEDGED_OUTCOME)
    for side in ("primary", "standby"):
        for why in get_args(PriceFault):
            PRICES_REFUSED.labels(side, why)
